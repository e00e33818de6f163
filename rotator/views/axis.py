"""
Where the marks of a time axis stand, and what is written at them.

A mark stands where a month, a day, an hour begins, so that what is written there is true.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

MOST = 5  # marks: on a phone no more have room

_EPOCH = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday
_DAY = timedelta(days=1)
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
_STEPS = (*(timedelta(seconds=seconds) for seconds in _SECONDS), _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY)
_MONTHS = (1, 2, 3, 4, 6, 12)


def ticks(start: datetime, end: datetime) -> Iterator[tuple[datetime, str]]:
    """The marks from *start* to *end*, not more than `MOST`, each with its text."""
    span = end - start
    step = next((step for step in _STEPS if span / step <= MOST), None)
    if step is None:
        months = next((months for months in _MONTHS if span / (months * 30 * _DAY) <= MOST), _MONTHS[-1])
        yield from ((instant, f"{instant:%b %Y}") for instant in _months(start, end, months))
        return
    form = "%d %b" if step >= _DAY else "%H:%M:%S" if step < timedelta(minutes=1) else "%H:%M"
    if step < _DAY < span:
        form = "%d. %H:%M"
    instant = start + -(start - _EPOCH) % step
    while instant < end:
        yield instant, f"{instant:{form}}"
        instant += step


def _months(start: datetime, end: datetime, step: int) -> Iterator[datetime]:
    """The first day of every so many months, counted from January."""
    month = -(-(start.year * 12 + start.month - 1) // step) * step
    while (instant := datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)) < end:
        if instant >= start:
            yield instant
        month += step
