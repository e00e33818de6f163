"""
The text forms of spans and instants, and how foreign text is made printable.

A span is numbers with units, without spaces: 45s, 30m, 36h, 90d, 2w, 1h30m. A number without
a unit is refused, because its unit is unclear. ISO 8601 durations are refused, because `P3M`
means three months to people, and ninety days to some parsers.
"""

import re
from datetime import datetime, timedelta

NOT_A_SPAN = "is not a duration; write numbers with units and no spaces, such as 45s, 36h, 1h30m"
TOO_LONG = "is longer than a hundred years"
MAX_DIGITS = 10  # of one number in a span; a hundred years have as many seconds

_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SPAN = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_LONGEST = 100 * 365 * 86_400  # a hundred years: beyond it instants could leave the calendar


def parse_span(text: str) -> timedelta:
    """
    Parse a span; its units must be in the order from weeks to seconds.

    Raises:
        ValueError: *text* is not a span, or is longer than a hundred years.

    """
    match = _SPAN.fullmatch(text)
    if not text or match is None:
        raise ValueError(NOT_A_SPAN)
    numbers = [(number or "").lstrip("0") or "0" for number in match.groups()]
    if max(map(len, numbers)) > MAX_DIGITS:
        raise ValueError(TOO_LONG)
    seconds = sum(int(number) * unit for number, unit in zip(numbers, _SECONDS.values(), strict=True))
    if seconds > _LONGEST:
        raise ValueError(TOO_LONG)
    return timedelta(seconds=seconds)


def format_span(span: timedelta) -> str:
    """*span* as `parse_span` reads it, without weeks: 90d, 1h30m, 0s; a minus in front if it is negative."""
    seconds = round(span.total_seconds())
    parts, rest = [], abs(seconds)
    for unit, size in _SECONDS.items():
        if unit == "w":
            continue
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if seconds < 0 else "") + ("".join(parts) or "0s")


def format_instant(instant: datetime) -> str:
    """*instant* as RFC 3339 in UTC with whole seconds and Z."""
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def printable(text: str) -> str:
    """*text* with each control or other non-printable character written as an escape sequence."""
    if text.isprintable():  # nearly always true, and a page calls this thousands of times
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
