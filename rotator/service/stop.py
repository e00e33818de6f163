"""Ends the process within a bounded time after a request to stop, even if a thread hangs."""

import threading
import time
from collections.abc import Callable

MAX_STOP = 10.0  # seconds after the end of the last visit
POLL = 0.1  # seconds between two checks whether visits are in progress


class StopGuard:
    """
    Ends the process if the stop takes too long.

    Its thread runs from the start, so that a stop needs no new thread if memory or threads
    have run out.
    """

    def __init__(
        self,
        *,
        is_visiting: Callable[[], bool],
        max_request_seconds: Callable[[], float],
        on_overdue: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        The thread is not started.

        is_visiting:         returns True while a visit to a tenant is in progress
        max_request_seconds: the maximum duration of a request that began before the stop
        on_overdue:          called in the thread of the guard; ends the process
        """
        self._is_visiting = is_visiting
        self._max_request_seconds = max_request_seconds
        self._on_overdue = on_overdue
        self._monotonic = monotonic
        self._asked = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stop", daemon=True)

    def start(self) -> None:
        """Start the thread, which waits for the stop."""
        self._thread.start()

    def on_stop(self) -> None:
        """Record the request to stop; may be called from any thread."""
        self._asked.set()

    def on_ended(self) -> None:
        """Do nothing more: the program has ended in time."""
        self._ended.set()
        self._asked.set()

    def _run(self) -> None:
        self._asked.wait()
        asked_at, idle_at = self._monotonic(), None
        while not self._ended.wait(POLL):
            now = self._monotonic()
            if idle_at is None and not self._is_visiting():
                idle_at = now
            if now >= latest_end(asked_at, idle_at, self._max_request_seconds()):
                self._on_overdue()
                return


def latest_end(asked_at: float, idle_at: float | None, max_request_seconds: float) -> float:
    """
    When the process must have ended, in monotonic seconds.

    asked_at: when the stop was requested
    idle_at:  when the last visit after that ended; None while one is in progress
    """
    requests_end = asked_at + max_request_seconds
    return min(requests_end, requests_end if idle_at is None else idle_at) + MAX_STOP
