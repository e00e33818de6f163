"""Two conditions of /healthz besides the heartbeat: looks make progress, and memory and threads are not exhausted."""

import time
from collections.abc import Callable
from datetime import timedelta

from rotator.core.events import Event, JobFailed, Looked, RequestFinished
from rotator.core.outcome import Failed

MAX_INTERVALS = 2.5  # check intervals without progress


class LookProgress:
    """
    When looks last made progress: a request ended, with or without an answer, or a look ended.

    During an outage of Graph there is progress, because requests end. There is none if a thread waits
    forever, or if threads have died.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Progress counts from now; *monotonic* returns seconds, without those in which the machine is suspended."""
        self._monotonic = monotonic
        self._last = monotonic()

    def begin(self) -> None:
        """Count from now: called when this replica begins to lead, and after a reload."""
        self._last = self._monotonic()

    def on_event(self, event: Event) -> None:
        """Store the time of an event that shows progress."""
        if isinstance(event, RequestFinished | Looked):
            self._last = self._monotonic()

    def overdue(self, check_interval: timedelta, request_timeout: timedelta) -> timedelta | None:
        """How long there has been no progress, if that is too long; else None."""
        silence = timedelta(seconds=self._monotonic() - self._last)
        return silence if silence > check_interval * MAX_INTERVALS + request_timeout else None


def is_exhausted(event: Event) -> bool:
    """True if *event* shows that memory or threads are exhausted: the process does not work correctly any more."""
    match event:
        case JobFailed(error=error) | Looked(outcome=Failed(bug=Exception() as error)):
            # CPython raises a plain RuntimeError if a thread cannot be started.
            return isinstance(error, MemoryError) or "can't start new thread" in str(error)
        case _:
            return False
