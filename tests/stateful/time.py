"""
Simulated time: one clock that both the service and the program live by.

    World       what time it is, and what else is to happen on the way
    SimClock    that time as one process sees it: skewed, and only while the process lives
    SimQueue    the jobs of one process, in place of the scheduler's threads

Time moves only where somebody waits: the program while it sleeps or a request is
under way, the test while nothing runs. Whatever was put on the calendar happens
on the way, so a person can add a key while the program waits between two looks.
"""

import heapq
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

from rotator.shell.clock import SystemClock

EPOCH = 1_900_000_000
"""When every run begins."""

MOST_JITTER = 30.0  # seconds by which a job comes late by chance, as the scheduler's own


class Killed(BaseException):
    """The process has ended."""


class World:
    """What time it is (epoch seconds), by how much the program's host differs, and what is to happen."""

    def __init__(self) -> None:
        self.now = float(EPOCH)
        self.skew = 0.0
        self.skewed_at = self.now
        self._calendar: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, instant: float, act: Callable[[], None]) -> None:
        """Let *act* happen at *instant*, or with the next step of time."""
        heapq.heappush(self._calendar, (instant, next(self._numbers), act))

    def step(self, target: float) -> bool:
        """Go on to *target*, or only to the next thing that happens before it; whether *target* is reached."""
        if self._calendar and self._calendar[0][0] <= target:
            instant, _, act = heapq.heappop(self._calendar)
            self.now = max(self.now, instant)
            act()
            return False
        self.now = max(self.now, target)
        return True

    def upcoming(self) -> float:
        """When the next thing happens."""
        return self._calendar[0][0] if self._calendar else float("inf")


class SimClock(SystemClock):
    """The clock of one process."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._born = world.now
        self.is_dead = False

    def now(self) -> datetime:
        return datetime.fromtimestamp(int(self._world.now + self._world.skew), UTC)

    def exact(self) -> datetime:
        """The instant with its fraction, as requests are timed by it."""
        return datetime.fromtimestamp(self._world.now + self._world.skew, UTC)

    def monotonic(self) -> float:
        return self._world.now - self._born

    def sleep(self, seconds: float) -> bool:
        """Raises: Killed, where the process died meanwhile."""
        return self._advance(seconds, heed_stop=True)

    def sleep_uninterrupted(self, seconds: float) -> None:
        """Raises: Killed, where the process died meanwhile."""
        self._advance(seconds, heed_stop=False)

    def pass_request(self, seconds: float) -> None:
        """Time that a request takes: only death cuts it short. Raises: Killed."""
        self._advance(seconds, heed_stop=False)

    def _advance(self, seconds: float, *, heed_stop: bool) -> bool:
        target = self._world.now + seconds
        arrived = False
        while not arrived:
            if heed_stop and self.is_stopping:
                return False
            arrived = self._world.step(target)
            if self.is_dead:
                raise Killed
        return not (heed_stop and self.is_stopping)


class SimQueue:
    """The jobs of one process, which the owner of the world runs one after the other."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = count()
        self._jobs: dict[str, tuple[float, int, Callable[[], object], float | None]] = {}

    def every(self, key: str, span: timedelta, job: Callable[[], object]) -> None:
        """Run *job* at once, and then every *span*, instead of what had that *key*."""
        self._jobs[key] = (self._world.now, next(self._numbers), job, span.total_seconds())

    def once(self, key: str, seconds: float, job: Callable[[], object]) -> None:
        """Run *job* in *seconds*, unless one with that *key* is waiting already and comes sooner."""
        when = self._world.now + seconds
        waiting = self._jobs.get(key)
        if waiting is None or waiting[0] > when:
            self._jobs[key] = (when, next(self._numbers), job, None)

    def start(self) -> None:
        """Do nothing: the owner of the world runs the jobs."""

    def stop(self) -> None:
        """Begin nothing more."""
        self._jobs.clear()

    def silence(self) -> float:
        """There is no thread that could die."""
        return 0.0

    def seconds_since_heartbeat(self) -> float:
        """There is no thread that could die."""
        return 0.0

    def upcoming(self) -> float:
        """When the next job is due."""
        return min((when for when, *_ in self._jobs.values()), default=float("inf"))

    def take(self) -> tuple[str, Callable[[], object]]:
        """The job that is due first; one that comes again does so after its span, however late it is."""
        key = min(self._jobs, key=lambda key: self._jobs[key][:2])
        when, _, job, span = self._jobs.pop(key)
        if span is not None:
            due = max(when + span, self._world.now)
            self._jobs[key] = (due + random.uniform(0, min(span / 20, MOST_JITTER)), next(self._numbers), job, span)
        return key, job
