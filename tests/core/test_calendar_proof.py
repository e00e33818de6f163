"""The proof that a calendar can be kept: the measured calendars, and what is refused."""

from datetime import timedelta

import pytest
from core.builders import DAY, HOUR, SECOND, policy
from core.calendars import at, calendar, window

from rotator.core.calendar import Calendar, YearlyFreeze
from rotator.core.calendar_proof import (
    activations,
    better_rotate_every,
    check_calendar,
    longest_closed,
    mean_period,
    smallest_rotate_every,
)
from rotator.core.policy import PolicyError

NOW = at("2026-11-28T12:00:00")
DECEMBER = YearlyFreeze(first=(12, 1), last=(12, 31))
MIDWEEK = calendar(window("tue wed thu", "09:00-16:00"), freezes=(DECEMBER,))
WINTER = calendar(window("tue wed thu", "09:00-16:00"), freezes=(YearlyFreeze(first=(11, 15), last=(1, 6)),))
MORNINGS = calendar(window("mon tue wed thu fri", "09:00-12:30"), zone="Europe/London")
TUESDAYS = calendar(window("tue", "04:00-07:00"), zone="America/Chicago")
FIRST_TUESDAY = calendar(window("tue", "02:00-04:00", (1, 7)))


@pytest.mark.parametrize(
    ("which", "begin", "length", "keys", "better"),
    [
        # The clocks go back within the longest stretches of the last three: an hour more than by the wall clock.
        pytest.param(MIDWEEK, "2026-11-26T15:00:00", 39 * DAY + 17 * HOUR, 41, None, id="midweek"),
        pytest.param(WINTER, "2027-11-11T15:00:00", 60 * DAY + 17 * HOUR, 42, None, id="winter"),
        pytest.param(MORNINGS, "2027-10-29T11:30:00", 2 * DAY + 21.5 * HOUR, 40, None, id="mornings"),
        pytest.param(TUESDAYS, "2027-11-02T12:00:00", 6 * DAY + 22 * HOUR, 43, 91, id="Tuesdays"),
        pytest.param(FIRST_TUESDAY, "2028-10-03T02:00:00", 34 * DAY + 23 * HOUR, 57, 98, id="first Tuesday"),
    ],
)
def test_measured_calendars(which: Calendar, begin: str, length: timedelta, keys: int, better: int | None) -> None:
    """The longest closed stretch, the keys of ten years at 90 days (40 without a calendar), and a better period."""
    longest = longest_closed(which, NOW)
    assert longest is not None
    assert (longest.begin, longest.length) == (at(begin), length)
    assert len(activations(which, 90 * DAY, NOW)) - 1 == keys
    assert len(activations(None, 90 * DAY, NOW)) - 1 == 40
    assert better_rotate_every(policy(calendar=which), longest, NOW) == (better and better * DAY)


def test_mean_period() -> None:
    """What an effective turn lasts, on average."""
    assert mean_period(activations(None, 90 * DAY, NOW)) == 90 * DAY
    assert mean_period(activations(TUESDAYS, 90 * DAY, NOW)) == 84 * DAY + HOUR


def test_stretch_under_way_counts_from_its_begin() -> None:
    """In the middle of December the stretch that began in November is as long as it will be in the end."""
    in_november, in_december = (longest_closed(MIDWEEK, at(f"2026-{day}T00:00:00")) for day in ("11-26", "12-20"))
    assert in_november is not None
    assert in_november == in_december


def test_always_open_has_no_stretch() -> None:
    """A calendar without windows and freezes changes nothing."""
    always = calendar()
    assert longest_closed(always, NOW) is None
    check_calendar(policy(calendar=always), None)
    assert activations(always, 90 * DAY, NOW) == activations(None, 90 * DAY, NOW)


@pytest.mark.parametrize("which", [MIDWEEK, WINTER, MORNINGS, TUESDAYS, FIRST_TUESDAY])
def test_refused_with_the_stretch_and_the_smallest_period(which: Calendar) -> None:
    """The smallest `rotate_every` works, and one second less is refused; the message has it, and the stretch."""
    longest = longest_closed(which, NOW)
    assert longest is not None
    ahead = {"publication_lead": 2 * DAY, "renewal_window": 3 * DAY}
    smallest = smallest_rotate_every(policy(calendar=which, **ahead), longest)
    assert smallest == longest.length + 5 * DAY + SECOND
    check_calendar(policy(calendar=which, rotate_every=smallest, **ahead), longest)
    with pytest.raises(PolicyError) as raised:
        check_calendar(policy(calendar=which, rotate_every=smallest - SECOND, **ahead), longest)
    message = str(raised.value)
    begin, end = (each.astimezone(which.zone) for each in (longest.begin, longest.end))
    assert f"({begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} {which.zone_name}, " in message
    assert message.endswith(("h1s or more", "h30m1s or more"))
    assert len(message) <= 200
