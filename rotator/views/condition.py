"""A condition of a keyset, and its level."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How serious a condition is, with the severities of the alerts; the most serious first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFORMATION = "information"
    FINE = "fine"

    @property
    def is_trouble(self) -> bool:
        """True if a person must act: today if it is critical, on the next working day if it is a warning."""
        return self in (Level.CRITICAL, Level.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """
    A condition of a keyset or of the process.

    label:    a word or two, such as overdue
    sentence: what it means, without a capital letter and a full stop
    remedy:   what to do about it, in the same form; empty if there is nothing to do
    runbook:  the section of the runbook; empty if there is none
    """

    level: Level
    label: str
    sentence: str
    remedy: str = ""
    runbook: str = ""
