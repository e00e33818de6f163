"""Jobs at their time, run one after the other by whoever calls: the scheduler of the commands that are not daemons."""

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from datetime import timedelta
from itertools import count
from typing import Any, Protocol

from rotator.shell.clock import Clock

Job = Callable[[], object]
"""Does its work, or hands it to a pool; the future of the work is returned then."""


MAX_WAIT = 0.5  # seconds after which it is looked again whether a job is due, while others run


class Scheduler(Protocol):
    """Runs jobs at their time."""

    def once(self, key: str, seconds: float, job: Job) -> None:
        """Run *job* in *seconds*, unless one with that *key* is waiting already and comes sooner."""
        ...


class Recurring(Scheduler, Protocol):
    """A scheduler whose jobs may come again and again; the daemon's."""

    def every(self, key: str, span: timedelta, job: Callable[[], object]) -> None:
        """Run *job* at once, and then every *span*, instead of what had that *key*."""
        ...

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """Begin nothing more, and wait for what runs."""
        ...

    def seconds_since_heartbeat(self) -> float:
        """The age of the scheduler's last heartbeat."""
        ...


class JobQueue:
    """
    A `Recurring` scheduler without threads of its own: `run_until` sleeps by the clock and runs what is due.

    Used by one thread at a time: a job is waited for before the next one begins, and only
    jobs add jobs.
    """

    def __init__(self, clock: Clock) -> None:
        """No job is waiting."""
        self._clock = clock
        self._numbers = count()
        self._lock = threading.Lock()  # of the waiting jobs: visits in pools add some
        self.waiting: dict[str, tuple[float, int, Job]] = {}

    def once(self, key: str, seconds: float, job: Job) -> None:
        """As in `Scheduler`."""
        when = self._clock.monotonic() + seconds
        with self._lock:
            if key not in self.waiting or self.waiting[key][0] > when:
                self.waiting[key] = (when, next(self._numbers), job)

    def every(self, key: str, span: timedelta, job: Job) -> None:
        """Run *job* at once, and then every *span*; the runs that a late one missed are left out."""
        seconds, began = span.total_seconds(), self._clock.monotonic()

        def run() -> object:
            missed = max(self._clock.monotonic() - began, 0.0) // seconds
            self.waiting[key] = (began + (missed + 1) * seconds, next(self._numbers), run)
            return job()

        self.waiting[key] = (began, next(self._numbers), run)

    def start(self) -> None:
        """Nothing is to be started: whoever calls `run_until` runs the jobs."""

    def stop(self) -> None:
        """Forget what is waiting."""
        self.waiting.clear()

    def seconds_since_heartbeat(self) -> float:
        """Always 0: there is no thread that could die."""
        return 0.0

    def left(self) -> dict[str, float]:
        """In how many seconds each waiting job is due."""
        return {key: when - self._clock.monotonic() for key, (when, *_) in self.waiting.items()}

    def run_until(self, until: float | None) -> None:
        """
        Run what is due by the monotonic instant *until*; None: until no job waits and none runs.

        A job that hands its work to a pool holds up no other. Returns early where the program is to stop.
        """
        running: set[Future[Any]] = set()
        while not self._clock.is_stopping:
            running |= {work for work in map(_begin, self._take_due()) if work is not None}
            ended = {work for work in running if work.done()}
            running -= ended
            for work in ended:
                work.result()  # raises what it raised
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
        """The jobs whose time has come, in the order in which it came; they wait no more."""
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
    """Runs what is submitted at once, in the thread that submits it: for clocks that move only when somebody sleeps."""

    def submit(self, fn: Callable[..., Any], /, *args: object, **kwargs: object) -> "Future[Any]":
        """Run *fn*, and return a future that is done; what it raises is raised here."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future
