from datetime import timedelta
from itertools import islice

import pytest

from rotator.core.retry import backoff, bounded, ladder


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(0, 2.0), (1, 4.0), (2, 8.0), (3, 16.0), (4, 30.0), (5, 30.0), (10_000, 30.0)]
)
def test_backoff_doubles_up_to_the_longest(attempt: int, seconds: float) -> None:
    """Every failure doubles the wait, up to the longest, however many there were."""
    assert seconds == backoff(attempt, first=2.0, longest=30.0, chance=0.0)


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 8.0), (0.25, 7.0), (0.5, 6.0), (1.0, 4.0)])
def test_backoff_chance_takes_off_up_to_half(chance: float, seconds: float) -> None:
    """Chance spreads the waits over the upper half."""
    assert seconds == backoff(2, first=2.0, longest=30.0, chance=chance)


def test_backoff_first_longer_than_the_longest() -> None:
    """Even the first wait is no longer than the longest."""
    assert backoff(0, first=60.0, longest=30.0, chance=0.0) == 30.0


@pytest.mark.parametrize(
    ("first", "longest", "pauses"),
    [
        (1.0, 30.0, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]),
        (1.0, 4.0, [1.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0]),
    ],
)
def test_ladder_doubles_up_to_the_longest(first: float, longest: float, pauses: list[float]) -> None:
    """The pauses double, and go on for ever at the longest."""
    assert pauses == list(islice(ladder(first=first, longest=longest), 7))


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        pytest.param(None, 7.0, id="nothing asked for"),
        pytest.param(timedelta(), 0.0, id="at once"),
        pytest.param(timedelta(seconds=-5), 0.0, id="in the past"),
        pytest.param(timedelta(seconds=29), 29.0, id="a second less than the longest"),
        pytest.param(timedelta(seconds=30), 30.0, id="the longest"),
        pytest.param(timedelta(seconds=31), None, id="a second more"),
    ],
)
def test_bounded_by_what_is_worth_staying_for(wait: timedelta | None, seconds: float | None) -> None:
    """What the service asks for goes before our own wait, unless it is too long to stay."""
    assert seconds == bounded(wait, 7.0, longest=30.0)


def test_bounded_own_wait_too_long() -> None:
    """Our own wait is bounded like any other."""
    assert bounded(None, 31.0, longest=30.0) is None
