"""Calendars for tests."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from rotator.core.calendar import DAY_SECONDS, Calendar, Freeze, Window, YearlyFreeze

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ZONES = (
    "Europe/Berlin",
    "America/Chicago",
    "Australia/Sydney",
    "Australia/Lord_Howe",  # its summer time is half an hour
    "Pacific/Chatham",  # a quarter to the hour, in the south
    "Asia/Kolkata",
    "America/Santiago",  # changes at midnight
    "Asia/Beirut",  # changes at midnight
    "Africa/Cairo",  # changes at midnight
    "UTC",
)


def seconds(time: str) -> int:
    """Seconds after midnight of HH:MM."""
    hours, minutes = time.split(":")
    return int(hours) * 3600 + int(minutes) * 60


def window(
    days: str = "mon tue wed thu fri sat sun", hours: str = "00:00-24:00", dates: tuple[int, int] = (1, 31)
) -> Window:
    """A window in the words of the configuration."""
    opens, closes = hours.split("-")
    return Window(
        days=frozenset(map(WEEKDAYS.index, days.split())), dates=dates, opens=seconds(opens), closes=seconds(closes)
    )


def calendar(*windows: Window, zone: str = "Europe/Berlin", freezes: tuple[Freeze, ...] = ()) -> Calendar:
    """A calendar called office."""
    return Calendar(name="office", zone=ZoneInfo(zone), zone_name=zone, windows=windows, freezes=freezes)


def at(text: str) -> datetime:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """Windows at quarters of an hour, some of them over midnight."""
    opens, closes = draw(st.lists(st.integers(0, 96), min_size=2, max_size=2, unique=True))
    if opens == 96:
        opens, closes = closes, opens
    first = draw(st.integers(1, 28))
    return Window(
        days=frozenset(draw(st.sets(st.integers(0, 6), min_size=1))),
        dates=draw(st.sampled_from([(1, 31), (1, 7), (first, 28), (first, first)])),
        opens=opens * 900,
        closes=min(closes * 900, DAY_SECONDS),
    )


@st.composite
def freezes(draw: st.DrawFn) -> YearlyFreeze:
    """Freezes of up to a few weeks, which may wrap around New Year."""
    first = draw(st.tuples(st.integers(1, 12), st.integers(1, 28)))
    month = first[0] + draw(st.integers(0, 1))
    return YearlyFreeze(first=first, last=((month - 1) % 12 + 1, draw(st.integers(first[1], 28))))


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    """Every kind of calendar."""
    zone = draw(st.sampled_from(ZONES))
    return calendar(
        *draw(st.lists(windows(), max_size=3)), zone=zone, freezes=tuple(draw(st.lists(freezes(), max_size=2)))
    )
