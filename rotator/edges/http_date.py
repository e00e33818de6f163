"""
Dates and waits in the headers of an answer.

Pure functions. Source: RFC 9110, sections 5.6.7 (HTTP date) and 10.2.3 (Retry-After).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import ceil

_SECONDS = re.compile(r"(\d{1,7}(?:\.\d{0,20})?)\s*(?:,.*)?", re.ASCII)


def parse_http_date(value: str) -> datetime | None:
    """An HTTP date; None if *value* is not a valid one."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def parse_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """
    The wait that a service asks for, given in seconds or as an HTTP date; None without a valid one.

    Of several numbers (`3,120`: proxies join two headers like this) the first counts, rounded up to a
    second. A date is compared with the service's own clock.
    """
    value = headers.get("retry-after", "").strip()
    if seconds := _SECONDS.fullmatch(value):
        return timedelta(seconds=ceil(float(seconds.group(1))))
    until, sent = parse_http_date(value), parse_http_date(headers.get("date", ""))
    return None if until is None or sent is None else max(until - sent, timedelta())


def clock_skew(headers: Mapping[str, str], began: datetime, seconds: float) -> float | None:
    """How far the local clock is ahead, in seconds, by an answer to a request that took *seconds*; None: not known."""
    date = parse_http_date(headers.get("date", ""))
    # The header has whole seconds: on average the peer's clock is half a second ahead of it.
    return None if date is None else (began - date).total_seconds() + seconds / 2 - 0.5
