"""The standing of a keyset: one word for a summary, so that each keyset is counted once."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.core.outcome import Held, Outcome, Planned, Rotated
from rotator.core.publication import Evidence
from rotator.core.reasons import Reason, Refusal
from rotator.core.status import KeysetStatus
from rotator.views.assessment import KeysetAssessment, assess
from rotator.views.condition import Condition, Level
from rotator.views.phrases import FAILED, count


class Standing(StrEnum):
    """The standing of a keyset; the most urgent first."""

    URGENT = "urgent"  # users cannot sign in or soon cannot, or the next key is late
    FAILED = "failed"  # a look or a rotation failed, and nothing is urgent as far as known
    UNKNOWN = "not looked at"  # the command was stopped before the look
    ROTATED = "rotated"
    DUE = "due"
    FINE = "fine"


def assessed(outcome: Outcome, now: datetime, evidence: Evidence | None = None) -> KeysetAssessment:
    """The assessment of a keyset at *now*, right after the look with *outcome*, with the *evidence* of a probe."""
    return assess(KeysetStatus.after(outcome, evidence), now, timedelta.max, dry_run=False)


def standing(assessment: KeysetAssessment) -> Standing:
    """The most urgent standing that applies."""
    outcome = assessment.entry.outcome
    if any(_is_urgent(condition) for condition in assessment.conditions):
        return Standing.URGENT
    if any(condition.label == FAILED for condition in assessment.conditions):
        return Standing.FAILED
    match outcome:
        case None | Held(reason=Refusal()) if assessment.keyset is None:
            found = Standing.UNKNOWN
        case Rotated():
            found = Standing.ROTATED
        case Planned() | Held(reason=Refusal() | Reason.UNDATED) | Held(would=Reason.RENEWAL_DUE | Reason.UNDATED):
            found = Standing.DUE
        case _:
            found = Standing.FINE
    return found


def _is_urgent(condition: Condition) -> bool:
    """True if users cannot sign in or soon cannot, or if the next key is late or will not be generated."""
    return condition.label != FAILED and (condition.level is Level.CRITICAL or condition.runbook in _URGENT)


def problems(outcomes: Iterable[Outcome], now: datetime) -> list[Outcome]:
    """The outcomes of keysets that are urgent, failed or not looked at."""
    return [outcome for outcome in outcomes if standing(assessed(outcome, now)) in _PROBLEMS]


_URGENT = frozenset({"B2CRotationOverdue", "B2CKeysetUnobserved", "B2CRunawayGuard"})
_PROBLEMS = frozenset({Standing.URGENT, Standing.FAILED, Standing.UNKNOWN})


def totals(standings: Iterable[Standing]) -> str:
    """How many keysets have each standing, the most urgent first: 60 keysets: 2 urgent, 6 failed, 1 due, 51 fine."""
    counts = Counter(standings)
    found = ", ".join(f"{counts[each]} {each}" for each in Standing if counts[each])
    return f"{count(counts.total())}: {found or 'nothing was selected'}"
