"""
Runs jobs at their time, in threads. Only this module imports APScheduler.

Behaviour of APScheduler that this module works around (measured with 3.11):

- the first run of an interval comes only after one interval, unless another time is set;
- a run that is a second late is dropped by default;
- an exception in a job is only logged to the standard library;
- it uses the wall clock: a clock that is set back by an hour would stop it for an hour, and
  one that is set forward makes it list every missed run;
- a new job may be dropped as still running if a job with the same id has just run;
- a job that it starts during a shutdown ends its thread with an error;
- while it waits for jobs to end, adding a job blocks forever, also from these jobs.

All its times are in UTC. The heartbeat uses the monotonic clock of the machine.
"""

import contextlib
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import count

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

BEAT = 1.0  # seconds between two heartbeats
MAX_JITTER = 30.0  # seconds
NUMBER = "#"  # between the key of a job and its number


class JobProblem(StrEnum):
    """A problem with a job."""

    RAISED = "raised"
    MISSED = "missed"


class _Interval(IntervalTrigger):  # type: ignore[misc]
    """An interval; if several runs were missed, one run replaces them."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first time that is not in the past; ``interval`` is an attribute of the parent."""
        if previous_fire_time is not None and previous_fire_time + self.interval < now:
            missed = math.ceil((now - previous_fire_time) / self.interval) - 1
            previous_fire_time += missed * self.interval
        found: datetime | None = super().get_next_fire_time(previous_fire_time, now)
        return found


class Scheduler:
    """A thread that starts jobs, and a pool that runs them."""

    def __init__(self, threads: int, *, on_problem: Callable[[str, JobProblem, BaseException | None], None]) -> None:
        """
        No thread is started.

        on_problem: called with the key of a job that raised and the exception, or of a job whose next
            run was skipped because it still ran
        """
        self._on_problem = on_problem
        self._heartbeat = time.monotonic()
        self._lock = threading.Lock()
        self._stopped = False
        self._ended = threading.Event()
        self._recurring: dict[str, Job] = {}
        self._waiting: dict[str, str] = {}  # by key, the id of the last job that runs once
        self._numbers = count(1)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            # The heartbeat runs in the scheduler's own thread, so it stops only if that thread stops.
            executors={"default": ThreadPoolExecutor(threads), "beat": DebugExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._listen, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)

    def every(self, key: str, span: timedelta, job: Callable[[], object]) -> None:
        """
        Run *job* at once, and then every *span*; it replaces a job with that *key*.

        Each run is delayed by a random jitter, so that runs of many processes spread. A run of the
        replaced job may still be in progress; it does not prevent the first run of the new one.
        """
        with self._lock:
            if self._stopped:
                return
            if key in self._recurring:
                self._recurring[key].remove()
            self._recurring[key] = self._scheduler.add_job(
                job,
                _Interval(
                    seconds=span.total_seconds(), jitter=min(span.total_seconds() / 20, MAX_JITTER), timezone=UTC
                ),
                next_run_time=datetime.now(UTC),
                id=self._number(key),
            )

    def once(self, key: str, seconds: float, job: Callable[[], object]) -> None:
        """Run *job* in *seconds*, unless a job with that *key* is waiting and is due sooner."""
        when = datetime.now(UTC) + timedelta(seconds=seconds)
        with self._lock:
            if self._stopped:
                return
            waiting = self._scheduler.get_job(self._waiting.get(key, ""))
            if waiting is not None and waiting.next_run_time <= when:
                return
            if waiting is not None:
                with contextlib.suppress(JobLookupError):  # it runs now
                    waiting.remove()
            self._waiting[key] = self._number(key)
            self._scheduler.add_job(job, "date", run_date=when, id=self._waiting[key])

    def start(self) -> None:
        """Start the threads."""
        with self._lock:
            self._scheduler.add_job(self._beat, _Interval(seconds=BEAT, timezone=UTC), executor="beat", id="beat")
            self._scheduler.start()
        threading.Thread(target=self._follow_clock, name="clock", daemon=True).start()

    def stop(self) -> None:
        """Start no further job, and wait for those that run."""
        with self._lock:
            self._stopped = True
            self._scheduler.remove_all_jobs()  # a job that starts during the shutdown would end its thread
        self._ended.set()
        self._scheduler.shutdown(wait=True)

    def seconds_since_heartbeat(self) -> float:
        """The age in seconds of the last heartbeat of the scheduler's thread; there is one every `BEAT`."""
        return time.monotonic() - self._heartbeat

    def _follow_clock(self) -> None:
        """If the wall clock was set back, move the jobs earlier by as much; if set forward, nothing is needed."""
        before = _ahead()
        while not self._ended.wait(BEAT):
            now = _ahead()
            if before - now > BEAT:
                self._bring_forward(before - now)
            before = now

    def _bring_forward(self, seconds: float) -> None:
        with self._lock:
            for job in () if self._stopped else self._scheduler.get_jobs():
                with contextlib.suppress(JobLookupError):  # it has run meanwhile
                    job.modify(next_run_time=job.next_run_time - timedelta(seconds=seconds))

    def _number(self, key: str) -> str:
        return f"{key}{NUMBER}{next(self._numbers)}"

    def _beat(self) -> None:
        self._heartbeat = time.monotonic()

    def _listen(self, event: JobEvent) -> None:
        key = event.job_id.partition(NUMBER)[0]
        if event.code == EVENT_JOB_ERROR:
            self._on_problem(key, JobProblem.RAISED, event.exception)
        elif key != "beat":
            self._on_problem(key, JobProblem.MISSED, None)


def _ahead() -> float:
    """How far the wall clock is ahead of the monotonic one, in seconds; constant until it is set."""
    return time.time() - time.monotonic()
