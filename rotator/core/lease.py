"""
A lease, and the events of the leader election.

The lease is a record in the Kubernetes API (coordination.k8s.io/v1). Another store would do as well
if it can replace a record on the condition that its version has not changed.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from rotator.core.errors import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """
    The lease record.

    holder:      the identity of the replica that holds it; empty if none does
    duration:    seconds that it is good for after a renewal; None if it does not say
    transitions: how often the holder changed
    version:     changes with every write (`resourceVersion`)
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
    TAKEN = "taken"  # another replica holds it, or something else has changed the record
    STOPPING = "stopping"  # the program was asked to stop
    CLOCK = "clock"  # the clock of this replica is wrong, so it must not write; another replica's may be right


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquired:
    """The replica *identity* leads now; *before*: the last holder of the lease, empty if there was none."""

    identity: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """The leader renewed the lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The replica does not lead any more and begins no write; a write that it began may still be in progress."""

    identity: str
    reason: LossReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """
    The term has ended, and no write is in progress.

    was_handed_over: the lease was released, so that another replica can claim it at once
    """

    identity: str
    was_handed_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequestFailed:
    """A request about the lease failed; *is_repeated*: in the same way as the one before it."""

    failure: Failure
    is_repeated: bool


ElectionEvent: TypeAlias = Acquired | Renewed | Lost | Released | LeaseRequestFailed
