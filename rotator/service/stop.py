"""The end of the process within a bounded time after a stop was asked for, whatever hangs."""

import threading
import time
from collections.abc import Callable

MAX_STOP = 10.0  # seconds, from when no visit that was under way runs any more
POLL = 0.1  # seconds between two looks at what is under way


class StopGuard:
    """
    Ends the process where the stop takes too long.

    Its thread runs from the start, so that a stop needs no new thread where memory or threads
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
        Nothing runs yet.

        is_visiting:         whether a visit to a tenant is under way
        max_request_seconds: how long a request may take that began before the stop
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
        """Wait for the stop."""
        self._thread.start()

    def on_stop(self) -> None:
        """A stop was asked for; may be called from any thread."""
        self._asked.set()

    def on_ended(self) -> None:
        """The program has ended in time: do nothing more."""
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

    asked_at: when the stop was asked for
    idle_at:  when no visit was under way for the first time since then; None: one still is
    """
    requests_end = asked_at + max_request_seconds
    return min(requests_end, requests_end if idle_at is None else idle_at) + MAX_STOP
