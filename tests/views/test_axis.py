from datetime import timedelta

import pytest
from views.cases import DAY, HOUR, NOW

from rotator.views.axis import MOST, ticks

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("begin", "span", "expected"),
    [
        pytest.param(-60 * DAY, 425 * DAY, ["Jan 2030", "Apr 2030", "Jul 2030", "Oct 2030"], id="a year"),
        pytest.param(-4 * DAY, 40 * DAY, ["31 Dec", "14 Jan", "28 Jan"], id="weeks"),
        pytest.param(-HOUR, 4 * DAY, ["01 Jan", "02 Jan", "03 Jan", "04 Jan"], id="days"),
        pytest.param(-4 * HOUR, 28 * HOUR, ["01. 00:00", "01. 06:00", "01. 12:00", "01. 18:00"], id="a day and more"),
        pytest.param(-HOUR, 6 * HOUR, ["00:00", "02:00", "04:00"], id="hours"),
        pytest.param(-7 * SECOND, 40 * SECOND, ["00:00:00", "00:00:10", "00:00:20", "00:00:30"], id="seconds"),
    ],
)
def test_marks_stand_where_something_begins(begin: timedelta, span: timedelta, expected: list[str]) -> None:
    """What is written at a mark is true: there begins a month, a day, an hour."""
    assert [text for _, text in ticks(NOW + begin, NOW + begin + span)] == expected


@pytest.mark.parametrize("seconds", [10**power * factor for power in range(1, 8) for factor in (1, 3, 7)])
def test_marks_are_few(seconds: int) -> None:
    """However long or short the span is, its marks have room side by side, and there is at least one."""
    start, span = NOW - 12_345 * SECOND, seconds * SECOND
    found = list(ticks(start, start + span))
    assert 1 <= len(found) <= MOST + 1
    assert all(start <= instant < start + span for instant, _ in found)
