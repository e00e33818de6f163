"""
Events as an iCalendar object (RFC 5545).

Lines end with CRLF and are folded at 75 octets, never within a character. Instants are in UTC, and
days are dates without a zone. Control characters are written as escapes, so no text can begin a line.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from rotator.core.text import printable

MAX_OCTETS = 75  # of a line, without its CRLF (RFC 5545, section 3.1)
CONTENT_TYPE = "text/calendar; charset=utf-8"
_ESCAPES = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"})


@dataclass(frozen=True, slots=True, kw_only=True)
class IcsEvent:
    """
    An event.

    name:         identifies the event, and is the same in each rendering of the calendar
    begin, end:   two instants in UTC, or the first day and the day after the last
    is_tentative: it is planned, and has not happened yet
    """

    name: tuple[str, ...]
    begin: datetime | date
    end: datetime | date
    summary: str
    description: str = ""
    is_tentative: bool = False

    @property
    def uid(self) -> str:
        """A globally unique id, which is the same in each rendering."""
        return f"{hashlib.sha256(chr(0).join(self.name).encode()).hexdigest()[:40]}@rotator"


def render_ics(events: Iterable[IcsEvent], now: datetime) -> str:
    """
    The calendar of *events*, in the order of time.

    now: when the values of the events were read; in UTC
    """
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//rotator//key rotation//EN", "CALSCALE:GREGORIAN"]
    for event in sorted(events, key=lambda each: (each.begin.isoformat(), each.name)):
        lines += _event(event, now)
    lines.append("END:VCALENDAR")
    return "".join(f"{folded}\r\n" for line in lines for folded in _folded(line))


def _event(event: IcsEvent, now: datetime) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{event.uid}"
    yield f"DTSTAMP:{_instant(now)}"
    yield f"SEQUENCE:{0 if event.is_tentative else 1}"  # an event that was planned before is a new revision of it
    yield f"DTSTART{_moment(event.begin)}"
    yield f"DTEND{_moment(event.end)}"
    yield f"SUMMARY:{_text(event.summary)}"
    if event.description:
        yield f"DESCRIPTION:{_text(event.description)}"
    yield f"STATUS:{'TENTATIVE' if event.is_tentative else 'CONFIRMED'}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _moment(moment: datetime | date) -> str:
    if isinstance(moment, datetime):
        return f":{_instant(moment)}"
    return f";VALUE=DATE:{moment.year:04}{moment.month:02}{moment.day:02}"


def _instant(instant: datetime) -> str:
    return f"{instant.year:04}{instant:%m%dT%H%M%SZ}"


def _text(text: str) -> str:
    """A value of type TEXT (RFC 5545, section 3.3.11)."""
    return "\n".join(printable(line) for line in text.split("\n")).translate(_ESCAPES)


def _folded(line: str) -> Iterator[str]:
    """*line* in pieces of at most `MAX_OCTETS`; all but the first begin with a space."""
    piece, octets = "", 0
    for char in line:
        size = len(char.encode())
        if octets + size > MAX_OCTETS:
            yield piece
            piece, octets = " ", 1
        piece += char
        octets += size
    yield piece


def day_after(day: date) -> date:
    """The end of an event whose last day is *day*."""
    return day + timedelta(days=1)
