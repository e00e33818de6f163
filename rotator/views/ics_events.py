"""
The events of the iCalendar: keys that take over, keys that expire, and freezes.

It has the names of tenants and keysets, and the dates of keys, but no kids: a text that a service
sends must not get into a file that is passed on to others.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from rotator.core.calendar import Calendar, OnceFreeze, YearlyFreeze
from rotator.core.forecast import forecast
from rotator.core.history import Simulated
from rotator.core.keyset import Key
from rotator.core.policy import RotationPolicy
from rotator.core.status import KeysetStatus
from rotator.core.text import format_span
from rotator.views.ics import IcsEvent, day_after

AHEAD = timedelta(days=731)  # how far the daemon's calendar looks ahead
HOUR = timedelta(hours=1)


def events_of_statuses(statuses: Iterable[tuple[str, KeysetStatus]], now: datetime) -> Iterator[IcsEvent]:
    """
    The events of the daemon: the keys of each keyset as last seen, and the forecast of its rotations.

    statuses: each with the name of its tenant
    """
    calendars = {}
    for tenant, status in statuses:
        policy, seen = status.policy, status.observation
        if policy.calendar is not None:
            calendars[policy.calendar.name] = policy.calendar
        if seen is None or seen.keyset is None:
            continue
        directory = seen.tenant_id.directory
        planned = tuple(forecast(policy, seen.keyset, now, now + AHEAD))
        for keys, is_planned in ((seen.keyset.keys, False), (planned, True)):
            for key in keys:
                yield from _key_events(tenant, directory, policy, key, is_planned=is_planned)
    yield from _freezes(calendars.values(), now, now + AHEAD)


def events_of_simulation(simulated: Simulated) -> Iterator[IcsEvent]:
    """The events of a simulation: keys from the start are confirmed events, generated keys are planned ones."""
    calendars = {}
    for history in simulated.keysets:
        policy = history.policy
        if policy.calendar is not None:
            calendars[policy.calendar.name] = policy.calendar
        for each in history.keys:
            is_planned = each.generated is not None
            yield from _key_events(history.tenant, history.directory, policy, each.key, is_planned=is_planned)
    yield from _freezes(calendars.values(), simulated.start, simulated.end)


def _key_events(
    tenant: str, directory: str, policy: RotationPolicy, key: Key, *, is_planned: bool
) -> Iterator[IcsEvent]:
    """The activation and the expiry of *key*, if it has these dates and is enabled."""
    if not key.enabled:
        return
    where = f"{tenant}/{policy.keyset_id}"
    which = (directory, policy.keyset_id, *(str(each and int(each.timestamp())) for each in (key.nbf, key.exp)))
    planned = "planned: " if is_planned else ""
    if key.nbf is not None:
        calendar = policy.calendar
        local = (
            "" if calendar is None else f"{key.nbf.astimezone(calendar.zone):%a %d %b %Y %H:%M} {calendar.zone_name}\n"
        )
        yield IcsEvent(
            name=("activation", *which),
            begin=key.nbf,
            end=key.nbf + HOUR,
            summary=f"{planned}{where}: a key takes over",
            description=f"{local}publication_lead {format_span(policy.publication_lead)}",
            is_tentative=is_planned,
        )
    if key.exp is not None:
        day = key.exp.astimezone(UTC).date()
        yield IcsEvent(
            name=("expiry", *which),
            begin=day,
            end=day_after(day),
            summary=f"{planned}{where}: a key expires",
            description=f"{key.exp:%H:%M:%S} UTC",
            is_tentative=is_planned,
        )


def _freezes(calendars: Iterable[Calendar], start: datetime, end: datetime) -> Iterator[IcsEvent]:
    for calendar in calendars:
        for first, last, reason in freezes(calendar, start, end):
            yield IcsEvent(
                name=("freeze", calendar.name, first.isoformat(), last.isoformat()),
                begin=first,
                end=day_after(last),
                summary=f"freeze of calendar {calendar.name}" + (f": {reason}" if reason else ""),
                description=f"no key takes over; whole days in {calendar.zone_name}",
            )


def freezes(calendar: Calendar, start: datetime, end: datetime) -> Iterator[tuple[date, date, str]]:
    """The first and last day, and the reason, of each freeze of *calendar* that has days from *start* to *end*."""
    since, until = start.astimezone(calendar.zone).date(), end.astimezone(calendar.zone).date()
    for freeze in calendar.freezes:
        match freeze:
            case OnceFreeze(first=first, last=last, reason=reason):
                spans = [(first, last)]
            case YearlyFreeze(first=begin, last=finish, reason=reason):
                wraps = int(begin > finish)
                spans = [
                    (_day(year, begin), _day(year + wraps, finish)) for year in range(since.year - 1, until.year + 1)
                ]
            case _:
                continue
        for first, last in spans:
            if last >= since and first <= until:
                yield first, last, reason


def _day(year: int, at: tuple[int, int]) -> date:
    """The day *at* of *year*; the 28th of February if the year has no 29th."""
    month, day = at
    try:
        return date(year, month, day)
    except ValueError:
        return date(year, month, day - 1)
