"""When a calendar is open: at the second, on the days of daylight saving time, and against brute force."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from core.builders import DAY, HOUR, SECOND
from core.calendars import at, calendar, calendars, window
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.core.calendar import Calendar, OnceFreeze, YearlyFreeze

OFFICE = calendar(
    window("tue wed thu", "09:00-16:00"),
    window("tue", "02:00-04:00", (1, 7)),
    freezes=(YearlyFreeze(first=(12, 1), last=(12, 31)), OnceFreeze(first=date(2027, 3, 15), last=date(2027, 3, 19))),
)
NIGHT = calendar(window("fri", "22:00-02:00"))
WRAPPED = calendar(freezes=(YearlyFreeze(first=(12, 20), last=(1, 6)),))
STEP = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("which", "instant", "is_open"),
    [
        # Berlin is an hour ahead of UTC in winter, and two in summer.
        (OFFICE, "2027-01-12T07:59:59", False),
        (OFFICE, "2027-01-12T08:00:00", True),
        (OFFICE, "2027-01-12T14:59:59", True),
        (OFFICE, "2027-01-12T15:00:00", False),
        (OFFICE, "2027-07-13T06:59:59", False),
        (OFFICE, "2027-07-13T07:00:00", True),
        (OFFICE, "2027-07-13T13:59:59", True),
        (OFFICE, "2027-07-13T14:00:00", False),
        (OFFICE, "2027-01-11T12:00:00", False),  # a Monday
        (OFFICE, "2027-06-01T00:00:00", True),  # the first Tuesday, by its date of the month
        (OFFICE, "2027-06-08T00:00:00", False),
        (OFFICE, "2026-11-26T14:59:59", True),
        (OFFICE, "2026-12-01T08:00:00", False),  # a freeze wins
        (OFFICE, "2026-12-31T14:00:00", False),
        (OFFICE, "2027-03-16T10:00:00", False),  # the freeze that comes once
        (OFFICE, "2028-03-16T10:00:00", True),
        (NIGHT, "2027-01-15T20:59:59", False),
        (NIGHT, "2027-01-15T21:00:00", True),
        (NIGHT, "2027-01-16T00:59:59", True),  # on Saturday, since it opened on Friday
        (NIGHT, "2027-01-16T01:00:00", False),
        (NIGHT, "2027-01-15T00:30:00", False),
        (WRAPPED, "2026-12-19T22:59:59", True),
        (WRAPPED, "2026-12-19T23:00:00", False),
        (WRAPPED, "2027-01-06T22:59:59", False),
        (WRAPPED, "2027-01-06T23:00:00", True),
    ],
)
def test_is_open_at_the_second(which: Calendar, instant: str, *, is_open: bool) -> None:
    """A window has its first second and not its end; a freeze has whole local days."""
    assert which.is_open(at(instant)) == is_open


@pytest.mark.parametrize(
    ("zone", "hours", "day", "expected"),
    [
        pytest.param("Europe/Berlin", "02:00-03:00", "2027-03-28", [], id="north: the hour is skipped"),
        pytest.param("Europe/Berlin", "01:30-03:30", "2027-03-28", [("00:30", "01:30")], id="north: around it"),
        pytest.param(
            "Europe/Berlin", "02:00-02:30", "2027-10-31", [("00:00", "00:30"), ("01:00", "01:30")], id="north: twice"
        ),
        pytest.param("Europe/Berlin", "01:30-03:30", "2027-10-31", [("23:30-1", "02:30")], id="north: an hour more"),
        pytest.param("Australia/Sydney", "02:00-03:00", "2027-10-03", [], id="south: the hour is skipped"),
        pytest.param(
            "Australia/Sydney",
            "02:00-02:30",
            "2027-04-04",
            [("15:00-1", "15:30-1"), ("16:00-1", "16:30-1")],
            id="south: twice",
        ),
        pytest.param("Australia/Lord_Howe", "02:00-02:30", "2027-10-03", [], id="half an hour is skipped"),
        pytest.param(
            "Australia/Lord_Howe", "01:30-02:00", "2027-04-04", [("14:30-1", "15:30-1")], id="half an hour comes twice"
        ),
        pytest.param("Asia/Kolkata", "09:00-10:00", "2027-06-01", [("03:30", "04:30")], id="a zone at a half hour"),
        pytest.param("America/Santiago", "00:00-01:00", "2027-09-05", [], id="midnight is skipped"),
        pytest.param(
            "America/Santiago",
            "23:00-24:00",
            "2027-04-03",
            [("02:00+1", "04:00+1")],
            id="the hour before midnight twice",
        ),
    ],
)
def test_openings_on_days_that_change(zone: str, hours: str, day: str, expected: list[tuple[str, str]]) -> None:
    """An hour that does not exist is never open; one that comes twice is open twice."""
    local_noon = at(f"{day}T12:00:00").replace(tzinfo=calendar(zone=zone).zone).astimezone(UTC)
    begin, end = local_noon - 14 * HOUR, local_noon + 14 * HOUR
    which = calendar(window(f"{local_noon.astimezone(calendar(zone=zone).zone):%a}".lower(), hours), zone=zone)
    assert list(which.openings(begin, end)) == [(told(day, one), told(day, other)) for one, other in expected]


def told(day: str, text: str) -> datetime:
    """09:00, or 09:00-1 on the day before, or 09:00+1 on the day after."""
    return at(f"{day}T{text[:5]}:00") + int(text[5:] or 0) * DAY


@pytest.mark.parametrize(
    ("instant", "last", "following"),
    [
        ("2027-01-12T07:59:59", "2027-01-07T14:59:59", "2027-01-12T08:00:00"),
        ("2027-01-12T08:00:00", "2027-01-12T08:00:00", "2027-01-12T08:00:00"),
        ("2027-01-12T14:59:59", "2027-01-12T14:59:59", "2027-01-12T14:59:59"),
        ("2027-01-12T15:00:00", "2027-01-12T14:59:59", "2027-01-13T08:00:00"),
        ("2026-12-24T12:00:00", "2026-11-26T14:59:59", "2027-01-05T01:00:00"),
    ],
)
def test_last_and_next_open(instant: str, last: str, following: str) -> None:
    """The open seconds next to an instant, itself included."""
    now = at(instant)
    assert OFFICE.last_open_at_or_before(now, now - 100 * DAY) == at(last)
    assert OFFICE.next_open_at_or_after(now, now + 100 * DAY) == at(following)


def test_last_and_next_open_are_bounded() -> None:
    """Nothing beyond the bounds is found; an opening exactly at them is."""
    now, last, following = at("2026-12-24T12:00:00"), at("2026-11-26T14:59:59"), at("2027-01-05T01:00:00")
    assert OFFICE.last_open_at_or_before(now, last) == last
    assert OFFICE.last_open_at_or_before(now, last + SECOND) is None
    assert OFFICE.next_open_at_or_after(now, following) == following
    assert OFFICE.next_open_at_or_after(now, following - SECOND) is None


STARTS = st.sampled_from(
    [date(2027, 3, 26), date(2027, 4, 2), date(2027, 10, 1), date(2027, 10, 29), date(2027, 12, 30)]
)


@settings(deadline=None)
@given(calendars(), STARTS, st.integers(0, 5), st.integers(-600, 600))
def test_openings_are_where_it_is_open(which: Calendar, first: date, days: int, seconds: int) -> None:
    """Openings, and the next and the last open second, are what asking at every step finds."""
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    steps = [start + n * STEP for n in range(int(6 * DAY / STEP) + 1)]
    found = list(which.openings(start, steps[-1]))
    assert [one for one, other in pairwise(found) if one[1] >= other[0]] == []
    inside = [any(begin <= step < end for begin, end in found) for step in steps[:-1]]
    assert inside == [which.is_open(step) for step in steps[:-1]]
    instant = start + days * DAY + seconds * SECOND
    before = [min(instant, end - SECOND) for begin, end in found if start <= begin <= instant]
    after = [max(instant, begin) for begin, end in found if end > instant]
    last = which.last_open_at_or_before(instant, start)
    following = which.next_open_at_or_after(instant, steps[-1])
    if before and instant >= start:
        assert last == max(before)
    assert following == (min(after) if after else None) or (following is not None and following >= steps[-1])
    assert all(which.is_open(each) for each in (last, following) if each is not None)
