"""One thing to know of a keyset, and how serious it is."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How serious a condition is, as the alerts have it; the most serious first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFORMATION = "information"
    FINE = "fine"

    @property
    def is_trouble(self) -> bool:
        """Whether somebody must act: today if it is critical, else on the next working day."""
        return self in (Level.CRITICAL, Level.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """
    One thing to know of a keyset.

    label:    a word or two, such as overdue
    sentence: what it means, without a capital letter and a full stop
    remedy:   what to do about it, in the same form; empty if nothing is to be done
    runbook:  the section of the runbook; empty if there is none
    """

    level: Level
    label: str
    sentence: str
    remedy: str = ""
    runbook: str = ""
