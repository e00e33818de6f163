"""
The conditions of a keyset: its problems and other remarkable facts, each with what to do.

A keyset can have several conditions, such as a failure and the missing key that it causes. The
thresholds are those of deploy/prometheus/rules.yaml: while an alert fires for a keyset, the
keyset is not "fine" here, and the condition has the severity of the alert as its level.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rotator.core.assessment import Assessment, Note, NoteKind
from rotator.core.errors import FailureKind
from rotator.core.keyset import Keyset
from rotator.core.outcome import Failed, Held, Outcome, Rotated
from rotator.core.policy import Mode, RotationPolicy
from rotator.core.reasons import MEANINGS, NEEDS_A_PERSON, Reason, Refusal
from rotator.core.rotation import Decision, Hold, Rotate
from rotator.core.status import KeysetStatus
from rotator.views.condition import Condition, Level
from rotator.views.phrases import AT_RISK, FAILED, NOTES, held_until, remaining, rounded
from rotator.views.proof import finding_conditions
from rotator.views.timeline import has_window

ENDING, LOW = 0.25, 0.5  # of the window that is left, as in B2CKeysetCoverEnding and B2CKeysetCoverLow


def conditions(
    entry: KeysetStatus,
    keyset: Keyset | None,
    decision: Decision | None,
    now: datetime,
    stale: timedelta,
    *,
    dry_run: bool,
) -> Iterator[Condition]:
    """
    The conditions of a keyset at *now*; if there are none, see `all_clear`.

    keyset, decision: the keyset as last seen, and the decision on it for now; both None if it was never seen
    stale: the maximum age of the last look that showed the keyset
    """
    outcome = entry.effective_outcome
    if keyset is not None and decision is not None and decision.assessment.active is None:
        yield _no_valid_key(keyset, now, _remedy(entry.policy, outcome, decision, dry_run=dry_run))
    match outcome:
        case Failed(failure=failure):
            yield Condition(
                level=Level.CRITICAL if failure.kind is FailureKind.MISMATCH else Level.WARNING,
                label=FAILED,
                sentence=failure.message,
                runbook=_FAILURE_RUNBOOKS.get(failure.kind, "B2CRotationFailing"),
            )
        case Held(reason=Refusal.RUNAWAY_GUARD):
            yield _GUARDED
        case None:
            yield _NOT_SEEN_YET
        case _:
            pass
    if entry.observation is not None and now - entry.observation.now > stale:
        yield _not_seen_for(now - entry.observation.now)
    if decision is not None and decision.assessment.active is not None:
        yield from _cover(decision.assessment, now, _remedy(entry.policy, outcome, decision, dry_run=dry_run))
        if not decision.assessment.at_risk:
            yield from _due(entry, decision, now, dry_run=dry_run)
    if decision is not None:
        yield from _ineffective_keys(decision.assessment.notes)
    if (proof := entry.proof(now)) is not None:
        yield from finding_conditions(proof)


def all_clear(entry: KeysetStatus, now: datetime) -> Condition:
    """The condition of a keyset without any other condition."""
    match entry.effective_outcome:
        case Rotated(observation=observation):
            label, sentence = "rotated", f"the next key was generated {remaining(observation.now, now)}"
        case _ if entry.policy.mode is Mode.OBSERVE:
            label, sentence = "observed", "mode observe: rotator only reads it"
        case _ if _is_held(entry.policy, now):
            label, sentence = "on hold", _hold(entry.policy)
        case _:
            label, sentence = "fine", "nothing is due"
    return Condition(level=Level.FINE, label=label, sentence=sentence)


def _no_valid_key(keyset: Keyset, now: datetime, remedy: str) -> Condition:
    upcoming = next(keyset.upcoming(now), None)
    then = f"; the next key takes over {remaining(upcoming.activates, now)}" if upcoming else ""
    return Condition(
        level=Level.CRITICAL,
        label="no valid key",
        sentence=f"nobody can sign in through policies that use it{then}",
        remedy=remedy,
        runbook="B2CKeysetWithoutValidKey",
    )


def _not_seen_for(age: timedelta) -> Condition:
    return Condition(
        level=Level.WARNING,
        label=f"not seen for {rounded(age)}",
        sentence="its state is shown as it was then",
        remedy="check why rotator cannot read it, and whether sweeps still finish",
        runbook="B2CKeysetUnobserved",
    )


def _cover(assessment: Assessment, now: datetime, remedy: str) -> Iterator[Condition]:
    """The conditions for cover that ends soon, and for a late key; only one of them has the remedy."""
    plan, end = assessment.plan, assessment.covered_until
    window = 2 * (plan.activation - plan.renewal_due)
    if end is not None:
        window = min(end - plan.renewal_due, window)
    sentence = "when the cover ends, nobody can sign in through policies that use it"
    if end is not None and end - now < ENDING * window:
        yield Condition(
            level=Level.CRITICAL,
            label="cover is ending",
            sentence=sentence,
            remedy=remedy,
            runbook="B2CKeysetCoverEnding",
        )
        remedy = ""
    elif end is not None and end - now < LOW * window:
        yield Condition(
            level=Level.WARNING, label="cover is low", sentence=sentence, remedy=remedy, runbook="B2CKeysetCoverLow"
        )
    if assessment.at_risk:
        yield Condition(
            level=Level.WARNING, label="overdue", sentence=AT_RISK, remedy=remedy, runbook="B2CRotationOverdue"
        )


def _due(entry: KeysetStatus, decision: Decision, now: datetime, *, dry_run: bool) -> Iterator[Condition]:
    plan = decision.assessment.plan
    if isinstance(decision, Rotate):
        sentence = "the next key is due"
        if decision.reason is Reason.UNDATED:
            is_endless = decision.assessment.covered_until is None
            missing = "expiry, so nothing replaces it" if is_endless else "known age"
            sentence = f"the active key has no {missing}; {sentence}"
        if dry_run:
            yield Condition(
                level=Level.INFORMATION, label="due", sentence=f"{sentence}, but a dry run does not generate it"
            )
        elif isinstance(entry.effective_outcome, Held) and entry.effective_outcome.reason in _WAITING:
            waiting = f"{sentence}, but {MEANINGS[entry.effective_outcome.reason]}"
            yield Condition(level=Level.INFORMATION, label="waiting", sentence=waiting)
        else:
            yield Condition(level=Level.INFORMATION, label="due", sentence=f"{sentence}, and rotator will generate it")
    elif entry.policy.mode is Mode.OBSERVE and has_window(plan) and plan.renewal_due <= now:
        yield Condition(level=Level.INFORMATION, label="due", sentence="the next key is due", remedy=_OBSERVES)
    elif isinstance(decision, Hold) and decision.reason is Reason.ON_HOLD and decision.spec is not None:
        sentence = f"the next key is due, but {_hold(entry.policy)}"
        yield Condition(level=Level.INFORMATION, label="on hold", sentence=sentence, runbook="B2CHoldOutlivesWindow")


def _remedy(policy: RotationPolicy, outcome: Outcome | None, decision: Decision, *, dry_run: bool) -> str:
    """What to do if a key is missing; it first says whether rotator will generate one."""
    blocked = _blocked(decision) if isinstance(decision, Hold) else ""
    if blocked or policy.mode is Mode.OBSERVE:
        return blocked or _OBSERVES
    if decision.reason is Reason.ON_HOLD or dry_run:
        return f"{_hold(policy)}: {_HELD}" if decision.reason is Reason.ON_HOLD else _DRY_RUN
    if isinstance(outcome, Failed):
        return "rotator generates the key once the failure is resolved; if that takes too long, generate one by hand"
    if isinstance(outcome, Held) and outcome.reason is Refusal.RUNAWAY_GUARD:
        return "rotator generates no key while the runaway guard holds the keyset"
    if isinstance(decision, Hold):
        return "no key that is generated now would take over sooner than the upcoming one"
    return "rotator generates a key at its second look; if it does not, check its log"


def _is_held(policy: RotationPolicy, now: datetime) -> bool:
    return policy.hold is not None and policy.hold.lasts(now)


def _hold(policy: RotationPolicy) -> str:
    return held_until(policy.hold) if policy.hold is not None else ""


def _window_missed(notes: Sequence[Note]) -> Condition:
    kids = ", ".join(note.kid for note in notes if note.kid)
    which = f"upcoming key {kids}" if kids else "the next key"
    return Condition(
        level=Level.WARNING,
        label="window missed",
        sentence=f"{which} {NOTES[NoteKind.WINDOW_MISSED]}",
        remedy="prepare for a change outside of the calendar",
        runbook="B2CActivationOutsideWindow",
    )


def _blocked(held: Hold) -> str:
    """What to do if no generated key would serve; empty if one would."""
    if Reason.CERTIFICATE in (held.reason, held.would):
        return MEANINGS[Reason.CERTIFICATE]
    if any(note.kind.is_mismatch for note in held.assessment.notes):
        return "correct use and kty in the configuration, or replace the keys that differ"
    return ""


def _ineffective_keys(notes: Sequence[Note]) -> Iterator[Condition]:
    """A condition for each kind of upcoming key that will not take over."""
    for kind in dict.fromkeys(note.kind for note in notes):
        if kind is NoteKind.WINDOW_MISSED:
            yield _window_missed([note for note in notes if note.kind is kind])
            continue
        label, remedy = _INEFFECTIVE[kind]
        kids = ", ".join(note.kid or "-" for note in notes if note.kind is kind)
        sentence, runbook = f"upcoming key {kids}: {NOTES[kind]}; rotator does not rely on it", "B2CKeyToComeUseless"
        if kind.is_mismatch:
            sentence, runbook = f"key {kids} {NOTES[kind]}; rotator generates none", "B2CKeysetMismatch"
        yield Condition(level=Level.WARNING, label=label, sentence=sentence, remedy=remedy, runbook=runbook)


_DRY_RUN = "dry run: rotator does not generate keys; end the dry run, or generate a key by hand"
_HELD = "rotator does not generate keys; end the hold, or generate a key by hand"
_OBSERVES = "mode observe: rotator does not generate keys; generate a key by hand"
_NOT_SEEN_YET = Condition(level=Level.INFORMATION, label="not seen yet", sentence="rotator has not looked at it yet")
_GUARDED = Condition(
    level=Level.WARNING,
    label="guarded",
    sentence="it calls for another key although rotator has generated enough; no further key is generated",
    remedy="find out what removes, hides or disables its keys",
    runbook="B2CRunawayGuard",
)
_FAILURE_RUNBOOKS = {
    FailureKind.AUTH: "B2CRotatorAuthFailing",
    FailureKind.THROTTLED: "B2CRotatorThrottled",
    FailureKind.CLOCK_SKEW: "B2CRotatorClockSkewed",
    FailureKind.MISMATCH: "B2CKeyMismatch",
}
_WAITING = frozenset(Refusal) - NEEDS_A_PERSON
_INEFFECTIVE = {
    NoteKind.DISABLED: ("successor disabled", "enable it if it is meant to be used"),
    NoteKind.OVERLAP_TOO_SHORT: ("overlap too short", "find out who created it"),
    NoteKind.BEHIND_GAP: ("gap", "find out who created it"),
    NoteKind.USE_DIFFERS: ("use differs", "correct use in the configuration, or replace the key"),
    NoteKind.KTY_DIFFERS: ("kty differs", "correct kty in the configuration, or replace the key"),
}
