"""
One leader among several replicas: who may write, and until when.

A lease is a record that every replica can read, and that can be replaced only by
whoever knows its latest version. Here is decided when to replace it; sockets, files
and Kubernetes are not handled here. Two writers could make a second key, and a key
can't be taken back, so whatever is in doubt counts against leading.

               it is free        deadline, 409, another holder, stop, clock
    following ────────────▶ leading ───────────────────────────────────────▶ losing
        ▲                                                                      │
        └───── no write is under way any more; released, if still ours ────────┘

    leader      renews, for the last time          deadline
                   |----------- renew_deadline --------|  no write any more
    follower           sees that |----------------- lease_duration -----------------| takes it

Rule 1. Only the monotonic clock counts. A follower times the lease from when it *saw*
        the record change, never from the instants that stand in it.
Rule 2. Leadership ends at the start of the last successful renewal + `renew_deadline`,
        hard: every request of a leader has a timeout inside of that. Any error is a
        renewal that failed; a 409 or another holder ends it at once.
Rule 3. A write begins only while this replica leads, and its deadline is further away
        than a write can take. What is under way at the end is finished; then, and only
        then, the lease is released, if it is still ours.
Rule 4. An identity is never used twice, so that a container that starts anew does not
        believe that it leads.
Rule 5. The record is only ever replaced as a whole, and by its version. After an answer
        that was lost it is read first: what was lost may have been done, so at the end
        it is handed back as well.
Rule 6. A new leader knows nothing of what its predecessor saw: whoever hears `Acquired`
        begins anew, with two looks.

Like client-go's, this is no fence: a process that is frozen between asking whether it
may write and the first byte of the request could still be late. Graph's own deadline
for a request, the two looks and the guard against runaways are what stands behind it.

Source: kubernetes/client-go, tools/leaderelection, whose package comment says what a
lease can't promise.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from typing import Protocol

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.lease import (
    Acquired,
    ElectionEvent,
    Lease,
    LeaseRequestFailed,
    LeaseTimings,
    LossReason,
    Lost,
    Released,
    Renewed,
)
from rotator.shell.clock import Clock

GLANCE = 1.5  # seconds between a follower's looks at most, so that a lease that was released is taken in under two
PATIENCE = 5.0  # seconds that one request about the lease may take at most
ASIDE = 600.0  # seconds between two times that a leader steps aside at least: there may be nobody else
RELEASED = 1.0  # seconds; what a lease that nobody holds says of its duration, since 0 is refused


VOLUNTARY = (LossReason.STOPPING, LossReason.CLOCK)


class Leases(Protocol):
    """The place where the record is. *timeout*: seconds for the whole request. Both raise `RequestError`."""

    def read(self, timeout: float) -> Lease:
        """The record as it is now."""
        ...

    def write(self, lease: Lease, timeout: float) -> Lease:
        """Replace the record whose version is that of *lease*; `conflict` where it has another one by now."""
        ...


class _State(Enum):
    FOLLOWING = auto()
    LEADING = auto()
    LOSING = auto()


class Elector:
    """
    One replica's part. `run` is a thread of its own; the rest may be called from any.

    `step` does what is due and returns; tests call it with a clock of their own.
    """

    def __init__(
        self,
        leases: Leases,
        periods: LeaseTimings,
        *,
        identity: str,
        clock: Clock,
        chance: Callable[[], float],
        tell: Callable[[ElectionEvent], None],
        bug: Callable[[Exception], None],
        is_confirming: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        A follower, which has not looked yet.

        identity: never used before, by nobody (rule 4)
        chance:   draws from [0, 1)
        tell:     hears what happens, in the thread of `run`; must not wait
        bug:      hears of an error that is none of a request
        is_confirming: whether a key was asked for that no look has shown yet; it ends by itself
        """
        self.identity = identity
        self._leases = leases
        self._periods = periods
        self._clock = clock
        self._chance = chance
        self._tell = tell
        self._bug = bug
        self._is_confirming = is_confirming
        self._changed = threading.Condition()
        # Guarded by it:
        self._state = _State.FOLLOWING
        self._deadline = 0.0
        self._writes = 0
        self._stopping = False
        self._stepping_aside = False
        self._may_step_aside = 0.0  # from when on
        self._nudged = False
        self._holder = ""
        self._has_followed = False
        # Of the elector's thread alone:
        self._loss = LossReason.STOPPING
        self._is_in_doubt = False  # whether a claim of ours may stand in the record, although its answer was lost
        self._next = 0.0  # when to renew
        self._ours: Lease | None = None  # the record as we wrote it; None where that is in doubt
        self._seen: tuple[str, float] = ("", 0.0)  # the last version, and when it was seen first
        self._trouble: tuple[FailureKind, int | None] | None = None

    # --- what others ask

    @property
    def is_leading(self) -> bool:
        """Whether this replica leads, at this very moment."""
        with self._changed:
            return self._left() > 0

    @property
    def has_followed(self) -> bool:
        """Whether it has found out at least once that it does not lead, or that it can't know."""
        with self._changed:
            return self._has_followed

    def leader(self) -> str | None:
        """The identity of who leads, as far as this replica knows."""
        with self._changed:
            return self.identity if self._left() > 0 else self._holder or None

    def begin_write(self, seconds: float) -> bool:
        """Whether a write may begin that takes at most *seconds*; if so, the lease is kept until `end_write`."""
        with self._changed:
            allowed = self._left() > seconds and not (self._stopping or self._stepping_aside)
            if allowed:
                self._writes += 1
            return allowed

    def end_write(self) -> None:
        """A write that was begun has ended; each call belongs to one `begin_write` that was allowed."""
        with self._changed:
            self._writes -= 1
            self._nudge()

    def wake(self) -> None:
        """Look again at whether the term can end: keys that were asked for were seen, or given up."""
        with self._changed:
            if self._state is _State.LOSING:
                self._nudge()

    def stop(self) -> None:
        """Begin nothing more; `run` ends once the lease is handed over."""
        with self._changed:
            self._stopping = True
            self._nudge()

    def step_aside(self) -> None:
        """Hand the lease over as at `stop`, but follow on: what is wrong here may not be wrong with another replica."""
        with self._changed:
            now = self._clock.monotonic()
            if self._state is _State.LEADING and now >= self._may_step_aside:
                self._may_step_aside = now + ASIDE
                self._stepping_aside = True
                self._nudge()

    # --- its own thread

    def run(self) -> None:
        """Follow and lead until `stop`."""
        wait: float | None = 0.0
        while wait is not None:
            with self._changed:
                self._changed.wait_for(lambda: self._nudged, wait)
                self._nudged = False
            try:
                wait = self.step()
            except Exception as error:  # noqa: BLE001 - whatever it was, the deadline still ends a term
                self._bug(error)
                wait = self._periods.retry_period

    def step(self) -> float | None:
        """
        Do what is to be done now.

        Returns:
            Seconds until something is to be done again; None where nothing ever is.

        """
        if self._state is _State.LEADING:
            return self._lead()
        if self._state is _State.LOSING:
            return self._lose()
        return self._follow()

    def _follow(self) -> float | None:
        if self._stopping:
            if self._is_in_doubt:
                self._release()
            return None
        try:
            lease = self._leases.read(self._patience())
            held = self._held(lease)
            if held > 0:
                self._trouble, self._is_in_doubt = None, False
                self._note_holder(lease.holder)
                return min(self._soon(min(GLANCE, self._periods.retry_period)), held)
            started = self._clock.monotonic()
            self._is_in_doubt = True
            ours = self._leases.write(self._claimed(lease), self._patience())
        except RequestError as error:
            self._note_holder(self._holder)
            if error.failure.kind is FailureKind.CONFLICT:
                return self._soon(min(GLANCE, self._periods.retry_period))  # another one was faster
            self._fail(error.failure)
            return self._soon(self._periods.retry_period)
        self._trouble, self._is_in_doubt = None, False
        self._ours = ours
        self._next = started + self._soon(self._periods.retry_period)
        with self._changed:
            self._deadline = started + self._periods.renew_deadline
            self._state, self._holder = _State.LEADING, ""
        self._tell(Acquired(identity=self.identity, before=lease.holder))
        return 0.0

    def _lead(self) -> float:
        now = self._clock.monotonic()
        if self._stopping:
            return self._end_term(LossReason.STOPPING)
        if now >= self._deadline:
            return self._end_term(LossReason.DEADLINE)
        if self._stepping_aside:
            return self._end_term(LossReason.CLOCK)
        if now < self._next:
            return min(self._next, self._deadline) - now
        end = self._renew(now, self._deadline)
        return 0.0 if end is None else self._end_term(end)

    def _end_term(self, reason: LossReason) -> float:
        self._loss = reason
        with self._changed:
            self._state = _State.LOSING
            self._stepping_aside = False
        self._tell(Lost(identity=self.identity, reason=reason))
        return 0.0

    def _lose(self) -> float | None:
        with self._changed:
            is_writing = self._writes > 0
        if is_writing or self._is_confirming():
            now = self._clock.monotonic()
            if self._loss in VOLUNTARY and now >= self._next:
                # Nobody took it from us: it is kept until the write has ended, however long that takes.
                self._loss = self._renew(now, None) or self._loss
            return max(self._next - self._clock.monotonic(), 0.0) if self._loss in VOLUNTARY else PATIENCE
        released = self._release()  # after a 409, too: it may have been no replica that changed the record
        self._ours = None
        with self._changed:
            self._state = _State.FOLLOWING
            self._has_followed = True
        self._tell(Released(identity=self.identity, was_handed_over=released))
        # Whoever could not renew in time lets others try first.
        return None if self._stopping else self._soon(self._periods.retry_period)

    def _renew(self, started: float, deadline: float | None) -> LossReason | None:
        """Renew once, before *deadline* if there is one; why the term is over, if it is."""
        self._next = started + self._soon(self._periods.retry_period)
        try:
            lease = self._ours or self._leases.read(self._patience(deadline))
            if lease.holder != self.identity:
                return LossReason.TAKEN
            self._ours = None
            ours = self._leases.write(self._claimed(lease), self._patience(deadline))
        except RequestError as error:
            if error.failure.kind is FailureKind.CONFLICT:
                return LossReason.TAKEN
            self._fail(error.failure)
            return None
        self._ours = ours
        self._trouble = None
        if deadline is not None and self._clock.monotonic() >= deadline:
            return LossReason.DEADLINE  # it was renewed, but nobody may have written since; hard is hard
        with self._changed:
            self._deadline = started + self._periods.renew_deadline
        self._tell(Renewed())
        return None

    def _release(self) -> bool:
        """Hand the lease back, if it is still ours; one try, since it lapses by itself."""
        try:
            lease = self._ours or self._leases.read(self._patience())
            if lease.holder != self.identity:
                return False
            self._leases.write(replace(lease, holder="", duration=RELEASED), self._patience())
        except RequestError as error:
            if error.failure.kind is not FailureKind.CONFLICT:
                self._fail(error.failure)
            return False
        return True

    def _held(self, lease: Lease) -> float:
        """For how many seconds more *lease*, read just now, is another's; it is free from 0 on (rule 1)."""
        now = self._clock.monotonic()
        if lease.version != self._seen[0]:
            self._seen = (lease.version, now)
        if lease.holder in ("", self.identity):
            return 0.0
        return self._seen[1] + (lease.duration or self._periods.lease_duration) - now

    def _claimed(self, lease: Lease) -> Lease:
        """The record as it says that we hold it."""
        return replace(
            lease,
            holder=self.identity,
            duration=self._periods.lease_duration,
            transitions=lease.transitions + (lease.holder != self.identity),
        )

    def _left(self) -> float:
        """Seconds until the deadline; nothing where this replica does not lead."""
        return self._deadline - self._clock.monotonic() if self._state is _State.LEADING else 0.0

    def _patience(self, deadline: float | None = None) -> float:
        """How long a request that begins now may take: inside the deadline, and so short that there is another try."""
        longest = min(PATIENCE, self._periods.retry_period)
        return longest if deadline is None else max(min(longest, deadline - self._clock.monotonic()), 0.0)

    def _soon(self, period: float) -> float:
        """A little less than *period*, by chance: many do not come together, and what is renewed has time for it."""
        return period * (0.8 + 0.1 * self._chance())

    def _note_holder(self, holder: str) -> None:
        with self._changed:
            self._holder = holder
            self._has_followed = True

    def _fail(self, failure: Failure) -> None:
        trouble = (failure.kind, failure.status)
        again, self._trouble = trouble == self._trouble, trouble
        self._tell(LeaseRequestFailed(failure=failure, is_repeated=again))

    def _nudge(self) -> None:
        self._nudged = True
        self._changed.notify_all()
