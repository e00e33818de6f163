"""
Calendars: when a key may take over.

A calendar says for each instant whether it is *open*. The instant is converted to the
calendar's time zone, and the local time is compared with the windows. There is no arithmetic on
local times, so an hour that a change to daylight saving time skips is never open, and an hour
that comes twice is open twice.

All instants are aware, in UTC and on whole seconds. An interval includes its begin and excludes its end.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from typing import Protocol, TypeAlias, TypeVar

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
DAY_SECONDS = 86_400

LAST_ASKED = datetime(9000, 1, 1, tzinfo=UTC)
"""The latest instant for which a calendar is searched: a later date means that a key does not expire."""

Interval: TypeAlias = tuple[datetime, datetime]
"""From an instant (included) to a later one (excluded)."""

_Point = TypeVar("_Point", int, datetime)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """
    A span of local time in which a calendar is open.

    days:   weekdays on which it opens, 0 is Monday
    dates:  the first and the last day of the month on which it opens
    opens:  seconds after midnight
    closes: seconds after midnight, up to 86400; if not later than `opens`, it is on the next day
    """

    days: frozenset[int] = frozenset(range(7))
    dates: tuple[int, int] = (1, 31)
    opens: int = 0
    closes: int = DAY_SECONDS

    @property
    def length(self) -> timedelta:
        """How long it is open, in local time."""
        return timedelta(seconds=self.closes - self.opens + (DAY_SECONDS if self.is_overnight else 0))

    @property
    def is_overnight(self) -> bool:
        """Whether it closes on the day after it opens."""
        return self.closes <= self.opens

    def opens_on(self, day: date) -> bool:
        """Whether it opens on the local *day*."""
        return day.weekday() in self.days and self.dates[0] <= day.day <= self.dates[1]

    def on(self, day: date) -> Iterator[tuple[int, int]]:
        """The parts of the local *day* in which it is open: begin and end, in seconds after midnight."""
        if self.is_overnight and self.closes and self.opens_on(day - DAY):
            yield 0, self.closes
        if self.opens_on(day):
            yield self.opens, DAY_SECONDS if self.is_overnight else self.closes


class Freeze(Protocol):
    """Local days on which a calendar is closed, even if a window would be open."""

    def covers(self, day: date) -> bool:
        """Whether the local *day* is one of them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class YearlyFreeze:
    """The same days of every year; *first* and *last* are (month, day). A freeze may include New Year."""

    first: tuple[int, int]
    last: tuple[int, int]
    reason: str = ""

    def covers(self, day: date) -> bool:
        at = (day.month, day.day)
        if self.first <= self.last:
            return self.first <= at <= self.last
        return at >= self.first or at <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class OnceFreeze:
    """Days that come once, *first* and *last* included."""

    first: date
    last: date
    reason: str = ""

    def covers(self, day: date) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """
    When a key may take over.

    zone_name: as in the IANA time zone database
    windows:   it is open in any of them; always open if there are none
    freezes:   it is closed in all of them
    """

    name: str
    zone: tzinfo
    zone_name: str
    windows: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()

    def is_open(self, instant: datetime) -> bool:
        """Whether a key may take over at *instant*."""
        local = instant.astimezone(self.zone)
        second = local.hour * 3600 + local.minute * 60 + local.second
        return any(begin <= second < end for begin, end in self._spans(local.date()))

    def last_open_at_or_before(self, instant: datetime, since: datetime) -> datetime | None:
        """The last open second from *since* to *instant*; None if there is none."""
        day = instant.astimezone(self.zone).date() + DAY
        while True:
            for begin, end in reversed(self._openings(day)):
                if begin <= instant:
                    last = min(instant, end - SECOND)
                    return last if last >= since else None
            if self._midnight(day) < since:
                return None
            day -= DAY

    def next_open_at_or_after(self, instant: datetime, until: datetime) -> datetime | None:
        """The first open second from *instant* to *until*; None if there is none."""
        day = instant.astimezone(self.zone).date() - DAY
        while self._midnight(day) <= until:
            for begin, end in self._openings(day):
                if end > instant:
                    first = max(instant, begin)
                    return first if first <= until else None
            day += DAY
        return None

    def openings(self, since: datetime, until: datetime) -> Iterator[Interval]:
        """
        The open intervals that end after *since* and begin before *until*, in the order of time.

        The first may begin before *since*, and the last may end after *until*, but not beyond the next local midnight.
        """
        day = since.astimezone(self.zone).date() - DAY
        pending: Interval | None = None
        while self._midnight(day) < until:
            for begin, end in self._openings(day):
                if pending is not None and pending[1] == begin:
                    pending = pending[0], end
                    continue
                if pending is not None and pending[1] > since:
                    yield pending
                pending = begin, end
            day += DAY
        if pending is not None and pending[1] > since and pending[0] < until:
            yield pending

    def _spans(self, day: date) -> list[tuple[int, int]]:
        """When the local *day* is open, in seconds after midnight, in order and without overlap."""
        if any(freeze.covers(day) for freeze in self.freezes):
            return []
        if not self.windows:
            return [(0, DAY_SECONDS)]
        return _merged(sorted(span for window in self.windows for span in window.on(day)))

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def _openings(self, day: date) -> list[Interval]:
        """The open intervals between the midnight that begins the local *day* and the next one."""
        start = datetime.combine(day, time(), self.zone)
        finish = datetime.combine(day + DAY, time(), self.zone)
        if start.utcoffset() != finish.utcoffset():
            return self._openings_at_change(day, start.astimezone(UTC), finish.astimezone(UTC))
        spans = self._spans(day)
        if not spans:
            return []
        midnight = start.astimezone(UTC)
        return [(midnight + begin * SECOND, midnight + end * SECOND) for begin, end in spans]

    def _openings_at_change(self, day: date, start: datetime, finish: datetime) -> list[Interval]:
        """
        The same for a day on which the zone's offset changes.

        Whether the calendar is open changes only when the local time reaches the edge of a
        window, once or twice, and at the change itself. One check between two such instants is enough.
        """
        edges = {start, finish, self._offset_change(start, finish)}
        for each in (day - DAY, day, day + DAY):
            for second in {edge for span in self._spans(each) for edge in span}:
                wall = datetime.combine(each, time()) + second * SECOND
                edges |= {wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
        instants = sorted(edge for edge in edges if start <= edge <= finish)
        return _merged((begin, end) for begin, end in pairwise(instants) if self.is_open(begin))

    def _offset_change(self, start: datetime, finish: datetime) -> datetime:
        """The first second with the offset of *finish*: no zone changes its offset twice in a day."""
        before, after = start, finish
        offset = finish.astimezone(self.zone).utcoffset()
        while after - before > SECOND:
            middle = before + (after - before) // (2 * SECOND) * SECOND
            if middle.astimezone(self.zone).utcoffset() == offset:
                after = middle
            else:
                before = middle
        return after


def _merged(spans: Iterable[tuple[_Point, _Point]]) -> list[tuple[_Point, _Point]]:
    """*spans* in the order in which they begin; spans that touch are merged."""
    merged: list[tuple[_Point, _Point]] = []
    for begin, end in spans:
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((begin, end))
    return merged
