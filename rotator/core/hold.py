"""A hold: rotator generates no key for a keyset until a day has passed."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyHold:
    """
    Until when a keyset is held, who wants it, and why.

    until: the last day of the hold, in UTC
    """

    until: date
    by: str = ""
    reason: str = ""

    @property
    def ends(self) -> datetime:
        """The instant from which keys are generated again: the end of the day."""
        return datetime(self.until.year, self.until.month, self.until.day, tzinfo=UTC) + timedelta(days=1)

    def lasts(self, now: datetime) -> bool:
        """True if the hold is in force at *now*."""
        return now < self.ends
