"""Where a keyset stands, in one word: what a summary counts, so that each keyset is counted once."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.core.outcome import Held, Outcome, Planned, Rotated
from rotator.core.reasons import Reason, Refusal
from rotator.core.status import KeysetStatus
from rotator.views.assessment import KeysetAssessment, assess
from rotator.views.condition import Condition, Level
from rotator.views.phrases import FAILED, count


class Standing(StrEnum):
    """Where a keyset stands; the most urgent first."""

    URGENT = "urgent"  # sign-in is broken or about to be, or the next key is late
    FAILED = "failed"  # it could not be looked at, or its rotation failed; what is known of it is not urgent
    UNKNOWN = "not looked at"  # the command was stopped before that
    ROTATED = "rotated"
    DUE = "due"
    FINE = "fine"


def assessed(outcome: Outcome, now: datetime) -> KeysetAssessment:
    """What *outcome*, of a look that was just made, says of its keyset at *now*."""
    observation = outcome.observation if outcome.observation.keyset is not None else None
    entry = KeysetStatus(
        policy=outcome.observation.policy, outcome=outcome, effective_outcome=outcome, observation=observation
    )
    return assess(entry, now, timedelta.max, dry_run=False)


def standing(assessment: KeysetAssessment) -> Standing:
    """The most urgent word that holds."""
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
    """Whether sign-in is broken or about to be, the next key is late, or nothing makes it."""
    return condition.label != FAILED and (condition.level is Level.CRITICAL or condition.runbook in _URGENT)


def problems(outcomes: Iterable[Outcome], now: datetime) -> list[Outcome]:
    """The outcomes of the keysets that are urgent, failed, or could not be looked at."""
    return [outcome for outcome in outcomes if standing(assessed(outcome, now)) in _PROBLEMS]


_URGENT = frozenset({"B2CRotationOverdue", "B2CKeysetUnobserved", "B2CRunawayGuard"})
_PROBLEMS = frozenset({Standing.URGENT, Standing.FAILED, Standing.UNKNOWN})


def totals(standings: Iterable[Standing]) -> str:
    """How many keysets stand where, the most urgent first: 60 keysets: 2 urgent, 6 failed, 1 due, 51 fine."""
    counts = Counter(standings)
    found = ", ".join(f"{counts[each]} {each}" for each in Standing if counts[each])
    return f"{count(counts.total())}: {found or 'nothing was selected'}"
