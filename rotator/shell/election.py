"""
Leader election: one of several replicas may write, until a deadline.

A lease is a record that every replica can read, and that can be replaced only by a
replica that knows its latest version. This module decides when to replace it; sockets,
files and Kubernetes are not handled here. Two writers could generate two keys, and a
generated key cannot be taken back, so a replica that is in doubt does not lead.

             lease is free      deadline, 409, another holder, stop, step-down
    following ────────────▶ leading ───────────────────────────────────────▶ losing
        ▲                                                                      │
        └─────── no write is in progress; the lease is released if still own ──┘

    leader      last renewal begins                deadline
                   |----------- renew_deadline --------|  no more writes
    follower           sees it |------------------ lease_duration ------------------| claims the lease

Rule 1. Only the monotonic clock counts. A follower measures the lease from when it *saw*
        the record change, never from the instants in the record.
Rule 2. Leadership ends `renew_deadline` after the start of the last successful renewal,
        without exception: every request of a leader has a timeout within that. Any error
        is a failed renewal; a 409 or another holder ends the term at once.
Rule 3. A write begins only while this replica leads and its deadline is further away than
        a write can take. At the end of a term, writes in progress are finished; only then
        is the lease released, if this replica still holds it.
Rule 4. An identity is never used twice, so that a restarted container does not believe
        that it leads.
Rule 5. The record is replaced as a whole, and by its version. After a lost answer it is
        read first: the request may have been carried out. For the same reason a claim
        whose answer was lost is released at the stop.
Rule 6. A new leader does not know what its predecessor saw: the consumers of `Acquired`
        start again, with two looks.

As in client-go, a lease is not a fencing token: a process that is frozen between the
check and the first byte of the request can still write late. The deadline of each request
to Graph, the two looks and the runaway guard limit what such a write can do.

Threads: the elector's thread runs `run`, makes every request about the lease, and calls
every callback. It alone uses the `LeaseRecord` and the attributes of `Elector`. What it
shares with other threads is in `LeaderState`, which documents its lock.

Source: kubernetes/client-go, tools/leaderelection, whose package comment says what a
lease does not guarantee.
"""

from collections.abc import Callable
from dataclasses import replace

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.lease import (
    Acquired,
    ElectionEvent,
    LeaseRequestFailed,
    LeaseTimings,
    LossReason,
    Lost,
    Released,
    Renewed,
)
from rotator.shell.clock import Clock
from rotator.shell.leader_state import LeaderState, Phase
from rotator.shell.lease_record import LEASE_REQUEST_TIMEOUT, LeaseRecord, Leases

FOLLOWER_POLL = 1.95  # seconds between a follower's reads at most, so that a released lease is claimed within two
POLL_JITTER = 0.15  # seconds by which a read may be earlier: followers do not read in step

VOLUNTARY = (LossReason.STOPPING, LossReason.CLOCK)


class Elector:
    """
    One replica's part in the election.

    `run` has a thread of its own. Other threads use `state`, which they may do at any time.
    `step` does what is due and returns; tests call it with a clock of their own.
    """

    def __init__(
        self,
        leases: Leases,
        timings: LeaseTimings,
        *,
        identity: str,
        clock: Clock,
        jitter: Callable[[], float],
        tell: Callable[[ElectionEvent], None],
        on_bug: Callable[[Exception], None],
        is_confirming: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        A follower that has not read the record yet.

        identity: never used before, by any replica (rule 4)
        jitter:   draws from [0, 1)
        tell:     gets each event, in the elector's thread; must not block
        on_bug:   gets any error that is not a `RequestError`
        is_confirming: whether a generated key is not confirmed yet; becomes False within a bounded time
        """
        self.state = LeaderState(identity, clock)
        self._record = LeaseRecord(leases, timings, identity=identity, clock=clock)
        self._timings = timings
        self._clock = clock
        self._jitter = jitter
        self._tell = tell
        self._on_bug = on_bug
        self._is_confirming = is_confirming
        self._loss = LossReason.STOPPING  # why the term ended; only used while losing
        self._next_renewal = 0.0  # monotonic seconds
        self._last_failure: tuple[FailureKind, int | None] | None = None  # None after a success
        self._failing_since = 0.0  # when that failure came first; monotonic seconds
        self._is_lasting = False  # whether it has been reported as one that lasts

    @property
    def identity(self) -> str:
        """What the record names as the holder while this replica holds the lease."""
        return self.state.identity

    def run(self) -> None:
        """Follow and lead until `state.stop`."""
        wait: float | None = 0.0
        while wait is not None:
            self.state.wait(wait)
            try:
                wait = self.step()
            except Exception as error:  # noqa: BLE001 - the deadline still ends a term after any error
                self._on_bug(error)
                wait = self._timings.retry_period

    def step(self) -> float | None:
        """
        Do what is due now.

        Returns:
            Seconds until the next step; None if there is none, because the elector has stopped.

        """
        match self.state.phase:
            case Phase.LEADING:
                return self._lead()
            case Phase.LOSING:
                return self._lose()
            case Phase.FOLLOWING:
                return self._follow()

    def _follow(self) -> float | None:
        if self.state.is_stopping:
            if self._record.has_unconfirmed_claim:
                self._release()
            return None
        try:
            lease, held = self._record.read()
            if held > 0:
                self._last_failure, self._record.has_unconfirmed_claim = None, False
                self.state.note_holder(lease.holder)
                return min(self._poll(), held)
            started = self._clock.monotonic()
            self._record.claim(lease)
        except RequestError as error:
            self.state.note_holder()
            if error.failure.kind is FailureKind.CONFLICT:
                return self._poll()  # another replica was faster
            self._fail(error.failure)
            return self._jittered(self._timings.retry_period)
        self._last_failure = None
        self._next_renewal = started + self._jittered(self._timings.retry_period)
        self.state.begin_term(started + self._timings.renew_deadline)
        self._tell(Acquired(identity=self.identity, before=lease.holder))
        return 0.0

    def _lead(self) -> float:
        now, deadline = self._clock.monotonic(), self.state.deadline
        if self.state.is_stopping:
            return self._end_term(LossReason.STOPPING)
        if now >= deadline:
            return self._end_term(LossReason.DEADLINE)
        if self.state.is_stepping_down:
            return self._end_term(LossReason.CLOCK)
        if now < self._next_renewal:
            return min(self._next_renewal, deadline) - now
        end = self._renew(now, deadline)
        return 0.0 if end is None else self._end_term(end)

    def _end_term(self, reason: LossReason) -> float:
        self._loss = reason
        self.state.end_term()
        self._tell(Lost(identity=self.identity, reason=reason))
        return 0.0

    def _lose(self) -> float | None:
        if self.state.is_writing or self._is_confirming():
            now = self._clock.monotonic()
            if self._loss in VOLUNTARY and now >= self._next_renewal:
                # No other replica took the lease: it is kept until the write has ended, however long that takes.
                self._loss = self._renew(now, None) or self._loss
            if self._loss in VOLUNTARY:
                return max(self._next_renewal - self._clock.monotonic(), 0.0)
            return LEASE_REQUEST_TIMEOUT
        released = self._release()  # also after a 409: the record may have been changed by something else
        self.state.follow()
        self._tell(Released(identity=self.identity, was_handed_over=released))
        # A replica that could not renew in time lets the others try first.
        return None if self.state.is_stopping else self._jittered(self._timings.retry_period)

    def _renew(self, started: float, deadline: float | None) -> LossReason | None:
        """Renew once, before *deadline* if there is one; returns why the term has to end, if it has to."""
        self._next_renewal = started + self._jittered(self._timings.retry_period)
        try:
            if not self._record.renew(deadline):
                return LossReason.TAKEN
        except RequestError as error:
            if error.failure.kind is FailureKind.CONFLICT:
                return LossReason.TAKEN
            self._fail(error.failure)
            return None
        self._last_failure = None
        if deadline is not None and self._clock.monotonic() >= deadline:
            return LossReason.DEADLINE  # the record is renewed, but too late; rule 2 has no exception
        self.state.extend_term(started + self._timings.renew_deadline)
        self._tell(Renewed())
        return None

    def _release(self) -> bool:
        """Whether the lease was released."""
        try:
            return self._record.release()
        except RequestError as error:
            if error.failure.kind is not FailureKind.CONFLICT:
                self._fail(error.failure)
            return False

    def _fail(self, failure: Failure) -> None:
        now, this_failure = self._clock.monotonic(), (failure.kind, failure.status)
        is_repeated = this_failure == self._last_failure
        if not is_repeated:
            self._last_failure, self._failing_since, self._is_lasting = this_failure, now, False
        if failure.if_it_lasts is not None and now - self._failing_since > self._timings.lease_duration:
            failure = replace(failure, message=failure.if_it_lasts)
            is_repeated, self._is_lasting = self._is_lasting, True
        self._tell(LeaseRequestFailed(failure=failure, is_repeated=is_repeated))

    def _poll(self) -> float:
        """Seconds until a follower reads the record again."""
        return min(FOLLOWER_POLL - POLL_JITTER * self._jitter(), self._jittered(self._timings.retry_period))

    def _jittered(self, seconds: float) -> float:
        """80 to 90 % of *seconds*, at random: replicas do not act in step, and a renewal has time to finish."""
        return seconds * (0.8 + 0.1 * self._jitter())
