from datetime import timedelta

import pytest
from core.builders import DAY, HOUR, SECOND

from rotator.core.errors import Failure, FailureKind
from rotator.core.retry import Retry, next_look

MINUTE = 60 * SECOND
BY_A_PERSON = {
    FailureKind.FORBIDDEN,
    FailureKind.NOT_FOUND,
    FailureKind.BAD_REQUEST,
    FailureKind.MISMATCH,
    FailureKind.INTERNAL,
}


def failure(kind: FailureKind, retry_after: timedelta | None = None) -> Failure:
    return Failure(kind=kind, message="something is wrong", retry_after=retry_after)


RETRY = Retry(
    first=2.0,
    longest=30.0,
    kinds=frozenset({FailureKind.THROTTLED, FailureKind.TIMEOUT}),
    max_attempts=4,
    max_timeouts=2,
    max_retry_after=30.0,
)


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 2.0), (2, 4.0), (3, 8.0), (4, 16.0), (5, 30.0), (6, 30.0), (10_000, 30.0)]
)
def test_delay_doubles_up_to_the_longest(attempt: int, seconds: float) -> None:
    """Every failure doubles the wait, up to the longest, however many there were."""
    assert seconds == RETRY.delay(attempt)


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 8.0), (0.25, 7.0), (0.5, 6.0), (1.0, 4.0)])
def test_delay_jitter_takes_off_up_to_half(jitter: float, seconds: float) -> None:
    """Jitter spreads the waits over the upper half."""
    assert seconds == RETRY.delay(3, jitter)


def test_delay_first_longer_than_the_longest() -> None:
    """Even the first wait is at most as long as the longest."""
    assert Retry(first=60.0, longest=30.0).delay(1) == 30.0


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        pytest.param(None, 3.0, id="nothing asked for"),
        pytest.param(timedelta(), 0.0, id="at once"),
        pytest.param(timedelta(seconds=-5), 0.0, id="in the past"),
        pytest.param(timedelta(seconds=29), 29.0, id="a second less than the longest"),
        pytest.param(timedelta(seconds=30), 30.0, id="the longest"),
        pytest.param(timedelta(seconds=31), None, id="a second more"),
    ],
)
def test_pause_retry_after(wait: timedelta | None, seconds: float | None) -> None:
    """What the service asks for goes before our own wait, unless it is too long to stay."""
    assert seconds == RETRY.pause(failure(FailureKind.THROTTLED, wait), 2, lambda: 0.5)


@pytest.mark.parametrize(
    ("kind", "attempts"),
    [
        pytest.param(FailureKind.THROTTLED, [True, True, True, False, False], id="max_attempts"),
        pytest.param(FailureKind.TIMEOUT, [True, False, False, False, False], id="max_timeouts"),
        pytest.param(FailureKind.SERVICE, [False, False, False, False, False], id="another kind"),
    ],
)
def test_pause_by_kind_and_attempt(kind: FailureKind, attempts: list[bool]) -> None:
    """Only the kinds that pass are tried again, and only as often as the policy says."""
    assert attempts == [RETRY.pause(failure(kind), attempt, lambda: 0.0) is not None for attempt in range(1, 6)]


def test_pause_without_end() -> None:
    """A policy without `max_attempts` never gives up."""
    retry = Retry(first=1.0, longest=5.0)
    assert {retry.pause(failure(kind), 1_000_000, lambda: 0.0) for kind in FailureKind} == {5.0}


PASSING = failure(FailureKind.SERVICE)
LASTING = failure(FailureKind.FORBIDDEN)


@pytest.mark.parametrize(
    ("streak", "wait"),
    [(1, MINUTE), (2, 2 * MINUTE), (3, 4 * MINUTE), (5, 16 * MINUTE), (6, 30 * MINUTE), (7, 30 * MINUTE)],
)
def test_next_look_ever_more_slowly(streak: int, wait: timedelta) -> None:
    """What passes by itself is tried again soon, and then ever more slowly."""
    assert wait == next_look(PASSING, streak, None, HOUR)


def test_next_look_after_very_many_failures() -> None:
    """A long row of failures ends in the longest wait."""
    assert next_look(PASSING, 1_000_000, None, HOUR) == 30 * MINUTE


@pytest.mark.parametrize("kind", list(FailureKind))
def test_next_look_by_kind(kind: FailureKind) -> None:
    """What a person must fix is looked at with the next sweep, everything else after a minute."""
    assert (None if kind in BY_A_PERSON else MINUTE) == next_look(failure(kind), 1, None, HOUR)


@pytest.mark.parametrize(
    ("left", "wait"),
    [
        pytest.param(None, None, id="not known"),
        pytest.param(8 * HOUR, None, id="an eighth is the interval"),
        pytest.param(8 * HOUR - 8 * SECOND, HOUR - SECOND, id="an eighth is less than the interval"),
        pytest.param(80 * SECOND, 10 * SECOND, id="an eighth is the shortest wait"),
        pytest.param(8 * SECOND, 10 * SECOND, id="less than the shortest wait"),
        pytest.param(timedelta(), MINUTE, id="cover has ended"),
        pytest.param(-DAY, MINUTE, id="cover ended a day ago"),
    ],
)
def test_next_look_by_what_is_left(left: timedelta | None, wait: timedelta | None) -> None:
    """However it failed, rotator tries again before an eighth of what is left has gone."""
    assert wait == next_look(LASTING, 1, left, HOUR)


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        (5 * SECOND, 10 * SECOND),
        (10 * SECOND, 10 * SECOND),
        (25 * MINUTE, 25 * MINUTE),
        (HOUR - SECOND, HOUR - SECOND),
        (HOUR, None),
    ],
)
def test_next_look_when_the_service_says(retry_after: timedelta, wait: timedelta | None) -> None:
    """The wait that the service asks for is used, however often the request failed."""
    assert wait == next_look(failure(FailureKind.THROTTLED, retry_after), 4, None, HOUR)


def test_next_look_retry_after_while_cover_runs_out() -> None:
    """What is left of the cover goes before what the service asks for."""
    assert next_look(failure(FailureKind.THROTTLED, 25 * MINUTE), 1, 80 * MINUTE, HOUR) == 10 * MINUTE


@pytest.mark.parametrize(
    ("check_interval", "wait"),
    [(11 * SECOND, 10 * SECOND), (10 * SECOND, None), (SECOND, None)],
)
def test_next_look_sweep_comes_first(check_interval: timedelta, wait: timedelta | None) -> None:
    """Where the next sweep comes as soon, that is soon enough."""
    assert wait == next_look(PASSING, 1, SECOND, check_interval)
