"""The scheduler with its real threads."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from threading import Event, Lock
from typing import Any

import pytest
from waiting import held_until, wait_for

from rotator.edges.scheduler import JobProblem, Scheduler

LONG = timedelta(hours=1)


class Jobs:
    """A scheduler that runs, what its jobs noted, and what went wrong."""

    def __init__(self) -> None:
        self.noted: list[Any] = []
        self.problems: list[tuple[str, JobProblem]] = []
        self.scheduler = Scheduler(3, on_problem=lambda key, problem, _: self.problems.append((key, problem)))


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs()
    jobs.scheduler.start()
    yield jobs
    jobs.scheduler.stop()


def test_every_runs_at_once_and_again(jobs: Jobs) -> None:
    """The first run does not wait for an interval, and others follow."""
    jobs.scheduler.every("long", LONG, lambda: jobs.noted.append("long"))
    jobs.scheduler.every("short", timedelta(seconds=0.05), lambda: jobs.noted.append("short"))
    wait_for(lambda: jobs.noted.count("short") >= 3)
    assert jobs.noted.count("long") == 1


def test_every_takes_the_place_of_another(jobs: Jobs) -> None:
    """What had the key runs no more, even where a run of it has not ended."""
    ended, begun = Event(), Event()

    def old() -> None:
        begun.set()
        ended.wait(20.0)
        jobs.noted.append("old")

    jobs.scheduler.every("job", LONG, old)
    assert begun.wait(20.0)
    jobs.scheduler.every("job", LONG, lambda: jobs.noted.append("new"))
    wait_for(lambda: jobs.noted == ["new"])
    ended.set()
    wait_for(lambda: jobs.noted == ["new", "old"])
    assert jobs.problems == []


def test_once_comes_when_the_sooner_one_is_due(jobs: Jobs) -> None:
    """Of several with one key the one that is due first runs, whenever it was requested."""
    for seconds, name in ((3600.0, "late"), (0.1, "soon"), (1800.0, "later")):
        jobs.scheduler.once("job", seconds, partial(jobs.noted.append, name))
    jobs.scheduler.once("another", 0.3, lambda: jobs.noted.append("another"))
    wait_for(lambda: "another" in jobs.noted)
    assert jobs.noted == ["soon", "another"]


def test_once_is_not_lost_where_a_job_asks_for_itself(jobs: Jobs) -> None:
    """A job may ask for its next run while it runs, however soon that is: threads may change places anywhere."""
    before, count, lock = sys.getswitchinterval(), 300, Lock()

    def run() -> None:
        with lock:
            jobs.noted.append(None)
            if len(jobs.noted) < count:
                jobs.scheduler.once("job", 0.0, run)

    sys.setswitchinterval(1e-5)
    try:
        jobs.scheduler.once("job", 0.0, run)
        wait_for(lambda: len(jobs.noted) == count)
    finally:
        sys.setswitchinterval(before)
    assert jobs.problems == []


def test_problem_of_a_job_that_raises(jobs: Jobs) -> None:
    """A bug in a job is told by the key that it was given, and costs neither the others nor its own next run."""

    def fail() -> None:
        jobs.noted.append("failed")
        raise ZeroDivisionError

    jobs.scheduler.every("every", timedelta(seconds=0.05), fail)
    jobs.scheduler.once("once", 0.0, fail)
    wait_for(lambda: jobs.problems.count(("every", JobProblem.RAISED)) >= 2)
    wait_for(lambda: ("once", JobProblem.RAISED) in jobs.problems)


def test_problem_of_a_job_that_takes_too_long(jobs: Jobs) -> None:
    """Where a job still runs when it is due again, that is reported."""
    ended = Event()
    jobs.scheduler.every("job", timedelta(seconds=0.05), held_until(ended))
    wait_for(lambda: ("job", JobProblem.MISSED) in jobs.problems)
    ended.set()


def test_stop_waits_for_what_runs_and_lets_nothing_begin() -> None:
    """The end waits for a job that has begun; a call that schedules another job meanwhile does not block."""
    jobs, begun = Jobs(), Event()

    def run() -> None:
        begun.set()
        wait_for(lambda: jobs.scheduler._stopped)  # noqa: SLF001 - it is being stopped by now
        jobs.scheduler.once("next", 0.0, lambda: jobs.noted.append("next"))
        jobs.scheduler.every("more", LONG, lambda: jobs.noted.append("more"))
        jobs.noted.append("ended")

    jobs.scheduler.start()
    jobs.scheduler.once("job", 0.0, run)
    assert begun.wait(20.0)
    jobs.scheduler.stop()
    assert jobs.noted == ["ended"]


def test_stop_in_the_moment_in_which_a_job_begins() -> None:
    """However close a stop comes upon the beginning of a job, the scheduler's thread ends as it should."""
    for _ in range(100):
        jobs, begun = Jobs(), Event()
        jobs.scheduler.start()
        jobs.scheduler.once("job", 0.0, begun.set)
        assert begun.wait(20.0)
        jobs.scheduler.stop()


def test_heartbeat_is_recent_while_it_lives(jobs: Jobs) -> None:
    """The beat goes on whatever the jobs do, and ends with the scheduler's thread."""
    ended = Event()
    for number in range(3):
        jobs.scheduler.once(f"job {number}", 0.0, held_until(ended))
    silent = jobs.scheduler.seconds_since_heartbeat()
    wait_for(lambda: silent < jobs.scheduler.seconds_since_heartbeat())
    wait_for(lambda: jobs.scheduler.seconds_since_heartbeat() < 0.5)
    ended.set()
