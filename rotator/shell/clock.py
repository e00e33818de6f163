"""The clock of the machine, and the wish to stop: whoever sleeps is woken by it."""

import sys
import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the shell knows of time."""

    @property
    def is_stopping(self) -> bool:
        """Whether somebody asked the program to stop."""
        ...

    def now(self) -> datetime:
        """The instant: aware, UTC, cut to the second."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow, for spans between two looks."""
        ...

    def sleep(self, seconds: float) -> bool:
        """Wait; False where the wait was cut short, because the program is to stop."""
        ...

    def linger(self, seconds: float) -> None:
        """Wait even though the program is to stop, for what must be finished."""
        ...


class SystemClock:
    """The real one. `stop` may be called from a signal handler."""

    def __init__(self) -> None:
        """Nobody has asked to stop yet."""
        self._stop = threading.Event()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def now(self) -> datetime:
        """The instant: aware, UTC, cut to the second."""
        return self.exact().replace(microsecond=0)

    def exact(self) -> datetime:
        """The instant with its fraction."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only ever grow; on Linux also while the machine is suspended, when leases run out as well."""
        if sys.platform == "linux":
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()

    def sleep(self, seconds: float) -> bool:
        """Wait; False where `stop` was called before or meanwhile."""
        return not self._stop.wait(seconds)

    def linger(self, seconds: float) -> None:
        """Wait, whatever `stop` says."""
        if seconds > 0:
            time.sleep(seconds)

    def stop(self) -> None:
        """Wake every sleeper, now and from now on."""
        self._stop.set()
