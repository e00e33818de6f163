"""Whether looks make progress, and whether the process still can: what it takes to be healthy beside a heartbeat."""

import time
from collections.abc import Callable
from datetime import timedelta

from rotator.core.events import Event, JobFailed, Looked, RequestFinished
from rotator.core.outcome import Failed

MAX_INTERVALS = 2.5  # check intervals without progress


class LookProgress:
    """
    When a look last made progress: a request ended, with or without an answer, or a keyset was looked at.

    An outage of Graph is progress too, since its requests end. What is not: a thread that waits for
    good, or threads that are dead.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Looks begin now; *monotonic* gives seconds, without those in which the machine sleeps."""
        self._monotonic = monotonic
        self._last = monotonic()

    def begin(self) -> None:
        """Looks begin now, or begin anew: with the lead, or another configuration."""
        self._last = self._monotonic()

    def on_event(self, event: Event) -> None:
        """Take note of progress."""
        if isinstance(event, RequestFinished | Looked):
            self._last = self._monotonic()

    def overdue(self, check_interval: timedelta, request_timeout: timedelta) -> timedelta | None:
        """How long there was no progress, where that is too long for looks that are due; else None."""
        silence = timedelta(seconds=self._monotonic() - self._last)
        return silence if silence > check_interval * MAX_INTERVALS + request_timeout else None


def is_exhausted(event: Event) -> bool:
    """Whether *event* tells that memory or threads have run out: what goes on without them goes on wrong."""
    match event:
        case JobFailed(error=error) | Looked(outcome=Failed(bug=Exception() as error)):
            # CPython names no error of its own for a thread that cannot be started.
            return isinstance(error, MemoryError) or "can't start new thread" in str(error)
        case _:
            return False
