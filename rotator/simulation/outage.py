"""Outages in the form of the command line: 2027-03-01+5d, 2027-03-01T06:00:00Z+12h:writes."""

from datetime import UTC, datetime

from rotator.core.history import Affected, Outage
from rotator.core.text import parse_span

_FORM = "is not an outage; write it like 2027-03-01+5d, 2027-03-01+12h:reads or 2027-03-01T06:00:00Z+1h:writes"


def parse_outage(text: str) -> Outage:
    """
    Parse an outage: a day or an instant (UTC if it has no offset), its length, and what fails.

    Raises:
        ValueError: *text* is not an outage.

    """
    begin, plus, rest = text.rpartition("+")
    length, _, affected = rest.partition(":")
    try:
        since = datetime.fromisoformat(begin)
        since = since.replace(tzinfo=UTC) if since.tzinfo is None else since.astimezone(UTC)
        span = parse_span(length)
        which = Affected(affected or Affected.ALL)
        outage = Outage(begin=since.replace(microsecond=0), end=since.replace(microsecond=0) + span, affected=which)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} {_FORM}") from error
    if not plus or not span:
        raise ValueError(f"{text!r} {_FORM}")
    return outage
