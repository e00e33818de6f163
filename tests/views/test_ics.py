"""iCalendar objects are read back by the `icalendar` library, and keep RFC 5545 to the letter."""

from dataclasses import replace
from datetime import UTC, date, datetime

import icalendar
from core.builders import DAY, HOUR, KEYSET_ID, POLICY, T0, key, keyset, tenant_id
from core.calendars import calendar
from hypothesis import given
from hypothesis import strategies as st

from rotator.core.calendar import OnceFreeze, YearlyFreeze
from rotator.core.outcome import Observation
from rotator.core.status import KeysetStatus
from rotator.views.ics import IcsEvent, render_ics
from rotator.views.ics_events import events_of_statuses, freezes

NAMES = st.text(st.characters(codec="utf-8"), max_size=200)
INSTANTS = st.integers(946_684_800, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def event(begin: datetime | date = T0, end: datetime | date = T0 + HOUR, **more: object) -> IcsEvent:
    return replace(IcsEvent(name=("event",), begin=begin, end=end, summary="a key takes over"), **more)  # type: ignore[arg-type]


def read(text: str) -> list[icalendar.Event]:
    """The events, read by the library."""
    return [each for each in icalendar.Calendar.from_ical(text).walk("VEVENT") if isinstance(each, icalendar.Event)]


@given(summary=NAMES, description=NAMES, begin=INSTANTS, now=INSTANTS)
def test_round_trip(summary: str, description: str, begin: datetime, now: datetime) -> None:
    """What the library reads is what was written, but for control characters, which are written as escapes."""
    text = render_ics([event(begin, begin + HOUR, summary=summary, description=description)], now)
    (found,) = read(text)
    if summary.isprintable():
        assert str(found["SUMMARY"]) == summary
    if description.isprintable() and description:
        assert str(found["DESCRIPTION"]) == description
    assert found.decoded("DTSTART") == begin
    assert found.decoded("DTEND") == begin + HOUR
    assert found.decoded("DTSTAMP") == now


@given(summary=NAMES, description=NAMES)
def test_lines(summary: str, description: str) -> None:
    """Every line ends with CRLF, has at most 75 octets, and no character is cut; no text begins a line."""
    text = render_ics([event(summary=summary, description=description)], T0)
    raw = text.encode()
    assert raw.endswith(b"END:VCALENDAR\r\n")
    assert raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n")
    for line in raw.removesuffix(b"\r\n").split(b"\r\n"):
        assert 0 < len(line) <= 75
        line.decode()
    names = [line.partition(":")[0].partition(";")[0] for line in text.replace("\r\n ", "").split("\r\n") if line]
    wanted = ["UID", "DTSTAMP", "SEQUENCE", "DTSTART", "DTEND", "SUMMARY", "DESCRIPTION", "STATUS", "TRANSP"]
    assert [name for name in names if name in wanted] == [
        each for each in wanted if description or each != "DESCRIPTION"
    ]


def test_escapes() -> None:
    """Backslash, semicolon, comma and line break are escaped, and nothing else."""
    text = render_ics([event(summary="a\\b;c,d:e", description="one\ntwo")], T0)
    assert "SUMMARY:a\\\\b\\;c\\,d:e\r\n" in text
    assert "DESCRIPTION:one\\ntwo\r\n" in text
    (found,) = read(text)
    assert str(found["SUMMARY"]) == "a\\b;c,d:e"
    assert str(found["DESCRIPTION"]) == "one\ntwo"


def status(now: datetime, *, dates: int = 1) -> tuple[str, KeysetStatus]:
    """A keyset of a tenant, with a number of keys a turn apart."""
    freeze = YearlyFreeze(first=(12, 20), last=(1, 6), reason="quiet; please")
    policy = replace(POLICY, calendar=calendar(zone="Europe/Berlin", freezes=(freeze,)))
    keys = [
        key(f"secret-{n}", T0 + n * POLICY.rotate_every, T0 + n * POLICY.rotate_every + POLICY.validity)
        for n in range(dates)
    ]
    seen = Observation(tenant="contoso", tenant_id=tenant_id(), policy=policy, now=now, keyset=keyset(*keys))
    return "contoso", KeysetStatus(policy=policy, observation=seen)


def test_made_and_planned_keys_and_freezes() -> None:
    """Activations last an hour, expiries and freezes whole days; what is planned is tentative; no kid is in it."""
    now = T0 + 10 * DAY
    text = render_ics(events_of_statuses([status(now)], now), now)
    found = read(text)
    first = next(each for each in found if each.decoded("DTSTART") == T0)
    assert first.decoded("DTEND") - first.decoded("DTSTART") == HOUR
    assert (str(first["STATUS"]), int(str(first["SEQUENCE"]))) == ("CONFIRMED", 1)
    assert f"contoso/{KEYSET_ID}" in str(first["SUMMARY"])
    planned = [each for each in found if str(each["STATUS"]) == "TENTATIVE"]
    assert {int(str(each["SEQUENCE"])) for each in planned} == {0}
    assert T0 + POLICY.rotate_every in [each.decoded("DTSTART") for each in planned]
    expires = (T0 + POLICY.validity).date()
    days = [(each.decoded("DTSTART"), each.decoded("DTEND")) for each in found]
    assert (expires, expires + DAY) in days
    assert (date(2030, 12, 20), date(2031, 1, 7)) in days
    assert "secret-" not in text
    assert len({str(each["UID"]) for each in found}) == len(found)


def test_uid_stays_when_a_planned_key_is_made() -> None:
    """The planned key and the one that was made of it are the same event, with a higher sequence."""
    before, after = T0 + 10 * DAY, T0 + 80 * DAY

    def at_activation(now: datetime, dates: int) -> icalendar.Event:
        found = read(render_ics(events_of_statuses([status(now, dates=dates)], now), now))
        return next(each for each in found if each.decoded("DTSTART") == T0 + POLICY.rotate_every)

    planned, made = at_activation(before, 1), at_activation(after, 2)
    assert planned["UID"] == made["UID"]
    assert int(str(planned["SEQUENCE"])) < int(str(made["SEQUENCE"]))


def test_freezes_of_a_span() -> None:
    """Every year of a yearly freeze that has a day in the span, and a freeze that comes once."""
    once = OnceFreeze(first=date(2030, 3, 15), last=date(2030, 3, 19), reason="launch")
    leap = YearlyFreeze(first=(2, 29), last=(3, 1))
    which = calendar(freezes=(once, leap))
    assert list(freezes(which, T0, T0 + 400 * DAY)) == [
        (date(2030, 3, 15), date(2030, 3, 19), "launch"),
        (date(2030, 2, 28), date(2030, 3, 1), ""),
    ]
    assert list(freezes(which, T0 + 100 * DAY, T0 + 200 * DAY)) == []
