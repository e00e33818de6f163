"""What is reported when a job of the scheduler fails, or does not begin."""

from collections.abc import Callable

from rotator.core.events import Event, JobFailed, JobMissed
from rotator.edges.process_metrics import SWEEP
from rotator.edges.scheduler import JobProblem


def report(tell: Callable[[Event], None], job: str, problem: JobProblem, error: BaseException | None) -> None:
    """Emit the event for *problem*; a missed job other than the sweep has none: the run in progress does its work."""
    if problem is JobProblem.RAISED and error is not None:
        tell(JobFailed(job=job, error=error))
    elif job == SWEEP:
        tell(JobMissed(job=job))
