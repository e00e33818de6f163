"""The clock, and the request to stop, which ends every interruptible sleep."""

import sys
import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The clock as the shell uses it."""

    @property
    def is_stopping(self) -> bool:
        """Whether somebody asked the program to stop."""
        ...

    def now(self) -> datetime:
        """The instant: aware, UTC, cut to the second."""
        ...

    def monotonic(self) -> float:
        """Seconds that never decrease, to measure spans."""
        ...

    def sleep(self, seconds: float) -> bool:
        """Wait for *seconds*; False if the wait ended early because the program has to stop."""
        ...

    def sleep_uninterrupted(self, seconds: float) -> None:
        """Wait for *seconds*, even after a request to stop: for work that must be finished."""
        ...


class SystemClock:
    """The clock of the machine. `stop` may be called from a signal handler."""

    def __init__(self) -> None:
        """Start without a request to stop."""
        self._stop = threading.Event()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def now(self) -> datetime:
        """The instant: aware, UTC, cut to the second."""
        return self.exact().replace(microsecond=0)

    def exact(self) -> datetime:
        """The instant, with microseconds."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never decrease. On Linux they also count while the machine is suspended, as a lease does."""
        if sys.platform == "linux":
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()

    def sleep(self, seconds: float) -> bool:
        """Wait for *seconds*; False if `stop` was called before or meanwhile."""
        return not self._stop.wait(seconds)

    def sleep_uninterrupted(self, seconds: float) -> None:
        """Wait for *seconds*, even if `stop` is called."""
        if seconds > 0:
            time.sleep(seconds)

    def stop(self) -> None:
        """End every `sleep`: those that run now, and all later ones."""
        self._stop.set()
