"""What counts as progress of the looks, and what tells that the process cannot go on."""

from datetime import timedelta

import pytest
from core.builders import POLICY, T0, tenant_id

from rotator.core.errors import Failure, FailureKind
from rotator.core.events import Event, JobFailed, JobMissed, Looked, RequestFinished
from rotator.core.exchange import Exchange
from rotator.core.outcome import Failed, Observation
from rotator.service.health import LookProgress, is_exhausted

INTERVAL, TIMEOUT = timedelta(minutes=10), timedelta(seconds=30)
LIMIT = (2.5 * INTERVAL + TIMEOUT).total_seconds()
SEEN = Observation(tenant="contoso", tenant_id=tenant_id(), policy=POLICY, now=T0)


def looked(bug: Exception | None = None) -> Looked:
    failure = Failure(kind=FailureKind.INTERNAL, message="a bug")
    return Looked(outcome=Failed(observation=SEEN, failure=failure, bug=bug), is_preliminary=False, failures=1)


REQUEST = RequestFinished(
    tenant="contoso",
    tenant_id=tenant_id(),
    exchange=Exchange(operation="token", client_request_id="ours", status=None, seconds=30.0),
)


@pytest.mark.parametrize(
    ("event", "is_progress"),
    [
        pytest.param(REQUEST, True, id="a request without an answer"),
        pytest.param(looked(), True, id="a keyset that failed"),
        pytest.param(JobMissed(job="sweep"), False, id="a sweep that did not begin"),
        pytest.param(JobFailed(job="sweep", error=ValueError()), False, id="a bug"),
    ],
)
def test_progress_of_looks(event: Event, *, is_progress: bool) -> None:
    """Looks are overdue after two and a half intervals and the longest request without progress."""
    now = [0.0]
    progress = LookProgress(lambda: now[0])
    now[0] = LIMIT
    assert progress.overdue(INTERVAL, TIMEOUT) is None
    progress.on_event(event)
    now[0] = LIMIT + 1
    found = progress.overdue(INTERVAL, TIMEOUT)
    assert found == (None if is_progress else timedelta(seconds=LIMIT + 1))
    progress.begin()
    assert progress.overdue(INTERVAL, TIMEOUT) is None


@pytest.mark.parametrize(
    ("event", "is_end"),
    [
        (JobFailed(job="sweep", error=MemoryError()), True),
        (JobFailed(job="sweep", error=RuntimeError("can't start new thread")), True),
        (looked(MemoryError()), True),
        (looked(ValueError()), False),
        (looked(), False),
        (JobFailed(job="sweep", error=ValueError()), False),
        (REQUEST, False),
    ],
)
def test_exhaustion(event: Event, *, is_end: bool) -> None:
    """Memory or threads that have run out end the process; no other bug does."""
    assert is_exhausted(event) == is_end
