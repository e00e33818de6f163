"""
A lease, and what is told of the election that it decides.

The record stands in the Kubernetes API (coordination.k8s.io/v1), or wherever else
something can be replaced by its version alone.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from rotator.core.errors import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """
    The record.

    holder:      the identity of who holds it; empty where nobody does
    duration:    seconds that it is good for after a renewal; None where it does not say
    transitions: how often it changed hands
    version:     another one after every change
    """

    holder: str
    duration: float | None
    transitions: int
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """Seconds; retry_period < renew_deadline < lease_duration."""

    lease_duration: float
    renew_deadline: float
    retry_period: float


class End(StrEnum):
    """Why a term ends."""

    DEADLINE = "deadline"  # it could not be renewed in time
    TAKEN = "taken"  # another replica holds it, or somebody has changed the record
    STOPPING = "stopping"  # the program was asked to stop
    CLOCK = "clock"  # its clock is wrong, so that it may not write; another replica's may be right


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquired:
    """The replica leads now; *before*: who held the lease last, empty where nobody did."""

    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """It goes on leading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """It leads no more, and nothing may be begun; a write may still be under way."""

    end: End


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """Nothing is under way any more; *released*: the lease was handed back, so that another can take it at once."""

    released: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A request about the lease failed; *again*: as the one before it did."""

    failure: Failure
    again: bool


News: TypeAlias = Acquired | Renewed | Lost | Over | Trouble
