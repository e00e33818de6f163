"""
The lease record as one replica sees it: created if it is missing, read, claimed, renewed and released by its version.

The rules that are named here are those in `election`. A `LeaseRecord` has no lock: it
belongs to the elector's thread, which makes every request about the lease.
"""

from dataclasses import replace
from typing import Protocol

from rotator.core.errors import FailureKind, RequestError
from rotator.core.lease import Lease, LeaseTimings
from rotator.shell.clock import Clock

LEASE_REQUEST_TIMEOUT = 5.0  # seconds that one request about the lease may take at most
RELEASED_DURATION = 1.0  # seconds; the duration in a released record, since the Kubernetes API refuses 0
ABSENT = Lease(holder="", duration=None, transitions=0, version="")  # stands for a record that does not exist
_UNSEEN = "unseen"  # a version that no record has


class Leases(Protocol):
    """The store of the record. *timeout*: seconds for the whole request. Each method raises `RequestError`."""

    def read(self, timeout: float) -> Lease:
        """The record as it is now; if it does not exist, the error is `not_found`."""
        ...

    def create(self, lease: Lease, timeout: float) -> Lease:
        """Create the record; if it exists by now, the error is a `conflict`."""
        ...

    def write(self, lease: Lease, timeout: float) -> Lease:
        """Replace the record if its version is that of *lease*; otherwise the error is a `conflict`."""
        ...


class LeaseRecord:
    """
    The record, and what this replica knows of it. Every request raises `RequestError`.

    has_unconfirmed_claim: the record may name this replica although the answer to its claim was lost
    """

    def __init__(self, leases: Leases, timings: LeaseTimings, *, identity: str, clock: Clock) -> None:
        """No request is made yet."""
        self.has_unconfirmed_claim = False
        self._leases = leases
        self._timings = timings
        self._identity = identity
        self._clock = clock
        self._own: Lease | None = None  # the record as this replica wrote it last; None if that is uncertain
        self._seen_version: str | None = None  # None before any record was read
        self._seen_at = 0.0  # when that version was first seen; monotonic seconds

    def read(self) -> tuple[Lease, float]:
        """
        The record as it is now, and for how many more seconds another replica holds it: 0 or less if it is free.

        `ABSENT` if there is none. It is free if this replica never read a record; otherwise the record
        was deleted, and whoever held it may not know yet.
        """
        try:
            lease = self._leases.read(self._timeout())
        except RequestError as error:
            if error.failure.kind is not FailureKind.NOT_FOUND:
                if self._seen_version == ABSENT.version:
                    self._seen_version = _UNSEEN  # it may have been created and deleted again meanwhile
                raise
            lease = ABSENT
        return lease, self._remaining(lease)

    def claim(self, lease: Lease) -> None:
        """Write this replica into the record, which was read as *lease*; create it if that is `ABSENT`."""
        self.has_unconfirmed_claim = True
        write = self._leases.create if lease is ABSENT else self._leases.write
        self._own = write(self._claimed(lease), self._timeout())
        self._seen_version, self._seen_at = self._own.version, self._clock.monotonic()
        self.has_unconfirmed_claim = False

    def renew(self, deadline: float | None) -> bool:
        """Claim the record once more, before *deadline* if there is one; False if it names another holder."""
        lease = self._own or self._leases.read(self._timeout(deadline))
        if lease.holder != self._identity:
            return False
        self._own = None
        self._own = self._leases.write(self._claimed(lease), self._timeout(deadline))
        return True

    def release(self) -> bool:
        """Write an empty holder into the record; False if it names another holder. Tried once, since leases expire."""
        lease, self._own = self._own or self._leases.read(self._timeout()), None
        if lease.holder != self._identity:
            return False
        self._leases.write(replace(lease, holder="", duration=RELEASED_DURATION), self._timeout())
        return True

    def _remaining(self, lease: Lease) -> float:
        """Seconds that another replica still holds *lease*, read just now, counted from the first sight (rule 1)."""
        now = self._clock.monotonic()
        if lease is ABSENT and self._seen_version is None:
            return 0.0
        if lease.version != self._seen_version:
            self._seen_version, self._seen_at = lease.version, now
        if lease is not ABSENT and lease.holder in ("", self._identity):
            return 0.0
        return self._seen_at + (lease.duration or self._timings.lease_duration) - now

    def _claimed(self, lease: Lease) -> Lease:
        """*lease* with this replica as its holder."""
        return replace(
            lease,
            holder=self._identity,
            duration=self._timings.lease_duration,
            transitions=lease.transitions + (lease.holder != self._identity),
        )

    def _timeout(self, deadline: float | None = None) -> float:
        """Seconds for a request that begins now: within *deadline*, and short enough to leave time for a retry."""
        longest = min(LEASE_REQUEST_TIMEOUT, self._timings.retry_period)
        return longest if deadline is None else max(min(longest, deadline - self._clock.monotonic()), 0.0)
