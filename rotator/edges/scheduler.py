"""
Jobs at their time, in threads. The only door to APScheduler.

APScheduler's ways that shape this module (measured with 3.11): an interval's
first run comes only after one interval, unless another is set; a run that
is a second late is dropped by default; an exception in a job is only logged to
the standard library; its clock is the wall clock, so all is in UTC, and a clock
that is set back by an hour would stop it for an hour; one that is set forward makes it
list every run that was missed, one by one; a job whose id has just run may be dropped
as still running; a job that it starts while it is shut down ends its thread with an error;
while it waits for jobs to end, adding a job blocks for ever, also in those jobs.

The heartbeat goes by the machine's own clock, since the threads do.
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
    """What went wrong with a job."""

    RAISED = "raised"
    MISSED = "missed"


class _Interval(IntervalTrigger):  # type: ignore[misc]
    """One run for all that were missed."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first one that is not over; ``interval`` is the parent's."""
        if previous_fire_time is not None and previous_fire_time + self.interval < now:
            missed = math.ceil((now - previous_fire_time) / self.interval) - 1
            previous_fire_time += missed * self.interval
        found: datetime | None = super().get_next_fire_time(previous_fire_time, now)
        return found


class Scheduler:
    """A thread that starts jobs, and others that run them."""

    def __init__(self, threads: int, *, on_problem: Callable[[str, JobProblem, BaseException | None], None]) -> None:
        """
        Nothing runs yet.

        on_problem: called with the key of a job that raised, and what it raised, or whose next
            run came while it still ran
        """
        self._on_problem = on_problem
        self._heartbeat = time.monotonic()
        self._lock = threading.Lock()
        self._stopped = False
        self._ended = threading.Event()
        self._recurring: dict[str, Job] = {}
        self._waiting: dict[str, str] = {}  # the id of the last job that was to run once, by its key
        self._numbers = count(1)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            # The beat runs in the scheduler's own thread: it stops when that does, and with nothing else.
            executors={"default": ThreadPoolExecutor(threads), "beat": DebugExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._listen, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)

    def every(self, key: str, span: timedelta, job: Callable[[], object]) -> None:
        """
        Run *job* at once, and then every *span*, instead of what had that *key*.

        Each run is late by a random jitter, so that many do not come together. A run of what it
        replaces may still be ending: that does not keep the first one of this out.
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
        """Run *job* in *seconds*, unless one with that *key* is waiting already and comes sooner."""
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
        """Begin."""
        with self._lock:
            self._scheduler.add_job(self._beat, _Interval(seconds=BEAT, timezone=UTC), executor="beat", id="beat")
            self._scheduler.start()
        threading.Thread(target=self._follow_clock, name="clock", daemon=True).start()

    def stop(self) -> None:
        """Start no further job, and wait for those that run."""
        with self._lock:
            self._stopped = True
            self._scheduler.remove_all_jobs()  # its thread would die of one that it was about to start
        self._ended.set()
        self._scheduler.shutdown(wait=True)

    def seconds_since_heartbeat(self) -> float:
        """The age of the last heartbeat of the scheduler's thread, which has one every `BEAT`."""
        return time.monotonic() - self._heartbeat

    def _follow_clock(self) -> None:
        """Where the wall clock is set back, bring the jobs forward by as much; set forward, they come sooner anyway."""
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
