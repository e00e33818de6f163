"""A simulated clock, which moves only during a sleep."""

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count


class JumpingClock:
    """Implements `Clock`. A call of `stop` ends a sleep at that instant."""

    def __init__(self, start: datetime) -> None:
        """Start at *start*, without a request to stop."""
        self._start = start
        self._elapsed = 0.0
        self._stopping = False
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    def now(self) -> datetime:
        return self._start + timedelta(seconds=int(self._elapsed))

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> bool:
        until = self._elapsed + seconds
        while not self._stopping and self._events and self._events[0][0] <= until:
            when, _, event = heapq.heappop(self._events)
            self._elapsed = max(self._elapsed, when)
            event()
        if not self._stopping:
            self._elapsed = until
        return not self._stopping

    def sleep_uninterrupted(self, seconds: float) -> None:
        self._elapsed += seconds

    def stop(self) -> None:
        """Request a stop, which ends every sleep."""
        self._stopping = True

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Call *event* in *seconds*, also in the middle of a sleep."""
        heapq.heappush(self._events, (self._elapsed + seconds, next(self._numbers), event))
