"""
A lease, and the events of the leader election that it decides.

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
class LeaseTimings:
    """Seconds; retry_period < renew_deadline < lease_duration."""

    lease_duration: float
    renew_deadline: float
    retry_period: float


class LossReason(StrEnum):
    """Why a term ends."""

    DEADLINE = "deadline"  # it could not be renewed in time
    TAKEN = "taken"  # another replica holds it, or somebody has changed the record
    STOPPING = "stopping"  # the program was asked to stop
    CLOCK = "clock"  # its clock is wrong, so that it may not write; another replica's may be right


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquired:
    """The replica *identity* leads now; *before*: who held the lease last, empty where nobody did."""

    identity: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """It goes on leading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The replica stopped leading: it begins no write; one that it began may still be under way."""

    identity: str
    reason: LossReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """
    The term has ended, and no write is under way.

    was_handed_over: the lease was given back, so that another replica can take it at once
    """

    identity: str
    was_handed_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequestFailed:
    """A request about the lease failed; *is_repeated*: in the same way as the one before it."""

    failure: Failure
    is_repeated: bool


ElectionEvent: TypeAlias = Acquired | Renewed | Lost | Released | LeaseRequestFailed
