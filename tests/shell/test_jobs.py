from concurrent.futures import Future

import pytest
from core.builders import SECOND, T0
from simulation.simulator import SimulatedClock

from rotator.shell.jobs import InlineExecutor, JobQueue


class Times:
    """A queue of jobs, and when each of them ran."""

    def __init__(self) -> None:
        self.clock = SimulatedClock(T0)
        self.queue = JobQueue(self.clock)
        self.ran: list[tuple[str, float]] = []

    def once(self, key: str, seconds: float, name: str | None = None) -> None:
        """Have a job run, which is called like its key, or *name*."""
        self.queue.once(key, seconds, lambda: self.ran.append((name or key, self.clock.monotonic())))


def test_jobs_run_at_their_time_in_turn() -> None:
    """Each job runs once, when it is due; those that are due together run in the order in which they came."""
    times = Times()
    for key, seconds in (("late", 30), ("first", 10), ("second", 10)):
        times.once(key, seconds)
    assert times.queue.left() == {"late": 30, "first": 10, "second": 10}
    times.queue.run_until(29.0)
    assert (times.ran, times.clock.monotonic()) == ([("first", 10), ("second", 10)], 29.0)
    times.queue.run_until(None)
    assert (times.ran[2:], times.queue.waiting) == ([("late", 30)], {})


def test_sooner_job_replaces_the_one_with_its_key() -> None:
    """Of two jobs with one key the one that comes sooner runs, whichever was requested first."""
    times = Times()
    times.once("a", 10, "sooner")
    times.once("a", 20, "later")
    times.once("b", 20, "later")
    times.once("b", 10, "sooner")
    times.queue.run_until(None)
    assert times.ran == [("sooner", 10), ("sooner", 10)]


def test_job_may_ask_for_itself_again() -> None:
    """A job that runs is not waiting any more, so it may ask for another one with its key."""
    times = Times()
    times.queue.once("a", 10, lambda: times.once("a", 5))
    times.queue.run_until(None)
    assert times.ran == [("a", 15)]


def test_recurring_job_leaves_out_what_it_missed() -> None:
    """A job that recurs runs at once and then on its beat; where it takes longer, the runs it missed are left out."""
    times, began = Times(), list[float]()

    def run() -> None:
        began.append(times.clock.monotonic())
        if len(began) == 2:
            times.clock.sleep_uninterrupted(25)

    times.queue.every("a", 10 * SECOND, run)
    times.queue.run_until(50.0)
    assert began == [0, 10, 35, 40, 50]


def test_stop_ends_the_jobs() -> None:
    """Where the program is to stop, what is not due yet does not run any more."""
    times = Times()
    times.once("a", 10)
    times.clock.after(5, times.clock.stop)
    times.queue.run_until(None)
    assert (times.ran, times.clock.monotonic()) == ([], 5)
    times.queue.stop()
    assert times.queue.waiting == {}


def test_work_in_a_pool_is_waited_for_after_all_was_begun() -> None:
    """Jobs that are due together are begun together; what the work of one raises is raised then."""
    times, work = Times(), Future[None]()

    def finish() -> None:
        times.ran.append(("finish", times.clock.monotonic()))
        work.set_exception(ZeroDivisionError())

    times.queue.once("hands over", 10, lambda: work)
    times.queue.once("finishes it", 10, finish)
    with pytest.raises(ZeroDivisionError):
        times.queue.run_until(None)
    assert times.ran == [("finish", 10)]


def test_inline_executor() -> None:
    """What is submitted runs at once, and what it raises is raised at once."""
    pool = InlineExecutor()
    assert pool.submit(divmod, 7, 2).result(0) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0)
