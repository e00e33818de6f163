"""
Whether this replica leads, and which writes are in progress, shared between threads.

The lock is the condition `_changed`. It guards every attribute that is assigned after
`__init__`, so that a check and the change that follows from it are one step: once a term
has ended under the lock, no write can begin any more, and the number of writes only falls.
No request is made, and no callback is called, while the lock is held.

- The elector's thread alone changes the phase, the deadline and the known holder.
- Any thread asks whether this replica leads, begins and ends writes, and requests a stop,
  a step-down or another step of the elector, which wakes its thread.
"""

import threading
from enum import Enum, auto

from rotator.shell.clock import Clock

STEP_DOWN_COOLDOWN = 600.0  # seconds between two step-downs at least: there may be no other replica


class Phase(Enum):
    """The part that this replica has in the election."""

    FOLLOWING = auto()
    LEADING = auto()
    LOSING = auto()  # the term has ended, and the lease is not released yet


class LeaderState:
    """Whether this replica leads, until when, and what it was asked to do. Every method may be called by any thread."""

    def __init__(self, identity: str, clock: Clock) -> None:
        """A follower, to which no holder of the lease is known yet."""
        self.identity = identity
        self._clock = clock
        self._changed = threading.Condition()
        self._phase = Phase.FOLLOWING
        self._deadline = 0.0  # when the term ends, unless it is extended; monotonic seconds
        self._writes = 0
        self._is_stopping = False
        self._is_stepping_down = False
        self._cooldown_until = 0.0
        self._is_step_requested = False
        self._holder = ""
        self._has_followed = False

    # --- for gates, pages and the daemon

    @property
    def is_leading(self) -> bool:
        """Whether this replica leads at this moment."""
        with self._changed:
            return self._remaining() > 0

    @property
    def has_followed(self) -> bool:
        """True if this replica, as a follower, has read the lease at least once, or tried to."""
        with self._changed:
            return self._has_followed

    def leader(self) -> str | None:
        """The identity of the leader, as far as this replica knows; None without one."""
        with self._changed:
            return self.identity if self._remaining() > 0 else self._holder or None

    def begin_write(self, seconds: float) -> bool:
        """True if a write that takes at most *seconds* may begin; then the lease is kept until `end_write`."""
        with self._changed:
            allowed = self._remaining() > seconds and not (self._is_stopping or self._is_stepping_down)
            if allowed:
                self._writes += 1
            return allowed

    def end_write(self) -> None:
        """A write has ended; call it once for each `begin_write` that returned True."""
        with self._changed:
            self._writes -= 1
            self._request_step()

    def on_confirmed(self) -> None:
        """No generated key is unconfirmed any more: a term that has ended may be able to finish."""
        with self._changed:
            if self._phase is Phase.LOSING:
                self._request_step()

    def stop(self) -> None:
        """Begin no more writes; the elector ends once the lease is released."""
        with self._changed:
            self._is_stopping = True
            self._request_step()

    def step_down(self) -> None:
        """Release the lease as `stop` does, but go on as a follower: another replica may not have the same fault."""
        with self._changed:
            now = self._clock.monotonic()
            if self._phase is Phase.LEADING and now >= self._cooldown_until:
                self._cooldown_until = now + STEP_DOWN_COOLDOWN
                self._is_stepping_down = True
                self._request_step()

    # --- for the elector's thread

    @property
    def phase(self) -> Phase:
        """The part that this replica has in the election now."""
        with self._changed:
            return self._phase

    @property
    def deadline(self) -> float:
        """When the term ends, unless it is extended; monotonic seconds."""
        with self._changed:
            return self._deadline

    @property
    def is_writing(self) -> bool:
        """Whether a write is in progress."""
        with self._changed:
            return self._writes > 0

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        with self._changed:
            return self._is_stopping

    @property
    def is_stepping_down(self) -> bool:
        """Whether `step_down` was called in this term."""
        with self._changed:
            return self._is_stepping_down

    def begin_term(self, deadline: float) -> None:
        """Lead until *deadline*."""
        with self._changed:
            self._deadline = deadline
            self._phase, self._holder = Phase.LEADING, ""

    def extend_term(self, deadline: float) -> None:
        """The lease was renewed; a term that has ended stays ended."""
        with self._changed:
            self._deadline = deadline

    def end_term(self) -> None:
        """Stop leading; writes may still be in progress."""
        with self._changed:
            self._phase = Phase.LOSING
            self._is_stepping_down = False

    def follow(self) -> None:
        """The term that ended is finished."""
        with self._changed:
            self._phase = Phase.FOLLOWING
            self._has_followed = True

    def note_holder(self, holder: str | None = None) -> None:
        """A follower has read the record, or tried to; None if that failed, which leaves the known holder as it is."""
        with self._changed:
            self._holder = self._holder if holder is None else holder
            self._has_followed = True

    def wait(self, seconds: float) -> bool:
        """Wait until a step is requested, at most *seconds*; whether it was, which answers the request."""
        with self._changed:
            is_requested = self._changed.wait_for(lambda: self._is_step_requested, seconds)
            self._is_step_requested = False
            return is_requested

    def _remaining(self) -> float:
        """Seconds until the deadline; 0 if this replica does not lead. The caller holds the lock."""
        return self._deadline - self._clock.monotonic() if self._phase is Phase.LEADING else 0.0

    def _request_step(self) -> None:
        """Wake the elector's thread. The caller holds the lock."""
        self._is_step_requested = True
        self._changed.notify_all()
