"""
The check that no key misses the windows of its calendar; done when a configuration is loaded.

A planned activation is moved to the last open instant before it, so by the longest closed
stretch at most. The rest of `rotate_every` must be longer than `publication_lead` and
`renewal_window` together: then each key can be generated after the one before it has taken over,
and no window is missed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.core.activation import pulled
from rotator.core.calendar import DAY, SECOND, Calendar
from rotator.core.policy import PolicyError, RotationPolicy
from rotator.core.text import format_span

HORIZON = timedelta(days=3653)
"""Ten years."""

MAX_STRETCH = timedelta(days=730)
"""How far after the horizon the search for the next opening goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A span in which a calendar is closed: from *begin* (included) to *end* (excluded)."""

    begin: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.begin

    def describe(self, calendar: Calendar) -> str:
        """Its begin, end and length in the calendar's time zone: 2026-11-26 16:00 to 2027-01-05 09:00, 39d17h."""
        begin, end = (each.astimezone(calendar.zone) for each in (self.begin, self.end))
        return f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} {calendar.zone_name}, {format_span(self.length)}"


def longest_closed(calendar: Calendar, now: datetime) -> Stretch | None:
    """
    The longest closed stretch of the ten years from *now* (the first one if several are equal); None if there is none.

    A stretch that is under way counts from its begin, and one that outlasts the ten years up to its end.
    """
    until = now + HORIZON
    last = calendar.last_open_at_or_before(now, now - MAX_STRETCH)
    closed_since = now if last is None else last + SECOND
    longest: Stretch | None = None
    for begin, end in _and_the_next(calendar, min(closed_since, now), until):
        if begin > closed_since:
            stretch = Stretch(begin=closed_since, end=begin)
            longest = stretch if longest is None or stretch.length > longest.length else longest
        closed_since = max(closed_since, end)
    return longest


def _and_the_next(calendar: Calendar, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The openings between two instants, and the begin of the next one."""
    yield from calendar.openings(since, until)
    limit = until + MAX_STRETCH
    following = calendar.next_open_at_or_after(until, limit) or limit
    yield following, following


def check_calendar(policy: RotationPolicy, longest: Stretch | None) -> None:
    """
    Check that no key of *policy* will miss the windows of its calendar.

    longest: the calendar's longest closed stretch

    Raises:
        PolicyError: a key will miss a window; the message names the stretch and the smallest `rotate_every` that works.

    """
    calendar = policy.calendar
    if calendar is None or longest is None:
        return
    smallest = smallest_rotate_every(policy, longest)
    if policy.rotate_every < smallest:
        msg = (
            f"calendar {calendar.name} is closed too long ({longest.describe(calendar)}) for "
            f"rotate_every ({format_span(policy.rotate_every)}); set rotate_every to {format_span(smallest)} or more"
        )
        raise PolicyError(msg)


def smallest_rotate_every(policy: RotationPolicy, longest: Stretch) -> timedelta:
    """The smallest `rotate_every` with which *policy* never misses a window."""
    return longest.length + policy.publication_lead + policy.renewal_window + SECOND


def activations(calendar: Calendar | None, rotate_every: timedelta, now: datetime) -> list[datetime]:
    """When keys take over in the next ten years, if one takes over at *now*; *now* is the first."""
    found = [now]
    while (turn := found[-1] + rotate_every) <= now + HORIZON:
        found.append((pulled(calendar, turn, found[-1] + SECOND) if calendar else None) or turn)
    return found


def mean_period(instants: list[datetime]) -> timedelta:
    """The mean time between two activations, in whole hours; at least two are needed."""
    hours = (instants[-1] - instants[0]) / (len(instants) - 1) // timedelta(hours=1)
    return timedelta(hours=hours)


def better_rotate_every(policy: RotationPolicy, longest: Stretch | None, now: datetime) -> timedelta | None:
    """
    A longer `rotate_every`, in whole days, with which as many keys are generated as without the calendar.

    It is the smallest one, and at most a third longer. None if the calendar makes fewer than 5 % more keys
    anyway, or nothing within the third helps.
    """
    calendar = policy.calendar
    if calendar is None or longest is None:
        return None
    wanted = len(activations(None, policy.rotate_every, now))
    if len(activations(calendar, policy.rotate_every, now)) < 1.05 * wanted:
        return None
    candidate = policy.rotate_every // DAY * DAY + DAY
    while 3 * candidate <= 4 * policy.rotate_every:
        if len(activations(calendar, candidate, now)) <= wanted:
            return candidate
        candidate += DAY
    return None
