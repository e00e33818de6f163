"""The protocols of the scheduler, and a scheduler without threads, for commands that are not daemons."""

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from datetime import timedelta
from itertools import count
from typing import Any, Protocol

from rotator.shell.clock import Clock

Job = Callable[[], object]
"""A job does its work, or hands it to a pool and returns the future of the work."""


MAX_WAIT = 0.5  # seconds between two checks for jobs that are due, while others run


class Scheduler(Protocol):
    """Runs jobs at their time."""

    def once(self, key: str, seconds: float, job: Job) -> None:
        """Run *job* in *seconds*, unless a job with that *key* is waiting and is due sooner."""
        ...


class Recurring(Scheduler, Protocol):
    """A scheduler that also runs jobs at an interval; the daemon uses it."""

    def every(self, key: str, span: timedelta, job: Callable[[], object]) -> None:
        """Run *job* at once, and then every *span*; it replaces a job with that *key*."""
        ...

    def start(self) -> None:
        """Start to run jobs."""
        ...

    def stop(self) -> None:
        """Start no further job, and wait for those that run."""
        ...

    def seconds_since_heartbeat(self) -> float:
        """The age of the scheduler's last heartbeat, in seconds."""
        ...


class JobQueue:
    """
    A `Recurring` scheduler without threads: `run_until` sleeps until a job is due and runs it.

    One thread uses it at a time: it waits for each job before it begins the next one, and only
    jobs add jobs.
    """

    def __init__(self, clock: Clock) -> None:
        """Start without jobs."""
        self._clock = clock
        self._numbers = count()
        self._lock = threading.Lock()  # guards the waiting jobs: visits in pools add some
        self.waiting: dict[str, tuple[float, int, Job]] = {}

    def once(self, key: str, seconds: float, job: Job) -> None:
        """As in `Scheduler`."""
        when = self._clock.monotonic() + seconds
        with self._lock:
            if key not in self.waiting or self.waiting[key][0] > when:
                self.waiting[key] = (when, next(self._numbers), job)

    def every(self, key: str, span: timedelta, job: Job) -> None:
        """Run *job* at once, and then every *span*; runs that were missed because one was late are skipped."""
        seconds, began = span.total_seconds(), self._clock.monotonic()

        def run() -> object:
            missed = max(self._clock.monotonic() - began, 0.0) // seconds
            self.waiting[key] = (began + (missed + 1) * seconds, next(self._numbers), run)
            return job()

        self.waiting[key] = (began, next(self._numbers), run)

    def start(self) -> None:
        """Do nothing: the caller of `run_until` runs the jobs."""

    def stop(self) -> None:
        """Forget the waiting jobs."""
        self.waiting.clear()

    def seconds_since_heartbeat(self) -> float:
        """Always 0: there is no thread that could fail."""
        return 0.0

    def left(self) -> dict[str, float]:
        """In how many seconds each waiting job is due."""
        return {key: when - self._clock.monotonic() for key, (when, *_) in self.waiting.items()}

    def run_until(self, until: float | None) -> None:
        """
        Run the jobs that are due by *until* (monotonic seconds); None: until no job waits or runs.

        A job that hands its work to a pool does not delay others. Returns early if the program has to stop.
        """
        running: set[Future[Any]] = set()
        while not self._clock.is_stopping:
            running |= {work for work in map(_begin, self._take_due()) if work is not None}
            ended = {work for work in running if work.done()}
            running -= ended
            for work in ended:
                work.result()  # raises the exception of the work, if any
            first = self._next()
            if (first is None and not running) or (until is not None and not running and (first or until) > until):
                break
            pause = MAX_WAIT if first is None else max(first - self._clock.monotonic(), 0.0)
            if running:
                wait(running, timeout=min(pause, MAX_WAIT), return_when=FIRST_COMPLETED)
            elif not self._clock.sleep(pause):
                break
        if until is not None:
            self._clock.sleep(max(until - self._clock.monotonic(), 0.0))

    def _next(self) -> float | None:
        with self._lock:
            return min((when for when, *_ in self.waiting.values()), default=None)

    def _take_due(self) -> list[Job]:
        """Remove and return the jobs that are due, in the order of their time."""
        with self._lock:
            now = self._clock.monotonic()
            due = sorted((item for item in self.waiting.items() if item[1][0] <= now), key=lambda item: item[1][:2])
            for key, _ in due:
                del self.waiting[key]
            return [job for _, (_, _, job) in due]


def _begin(job: Job) -> "Future[Any] | None":
    work = job()
    return work if isinstance(work, Future) else None


class InlineExecutor(Executor):
    """Runs a task in the thread that submits it, at once: for simulated clocks, which move only during a sleep."""

    def submit(self, fn: Callable[..., Any], /, *args: object, **kwargs: object) -> "Future[Any]":
        """Run *fn* and return a future that is done; an exception of *fn* is raised here."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future
