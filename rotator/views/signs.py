"""
What there is to know of a keyset, and what to do about it.

A keyset can show several signs: that nobody can sign in is not hidden by the failure that
keeps it so. The windows are those of deploy/prometheus/rules.yaml: nothing is fine here
while an alert fires there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.core.keyset import NEVER, Keyset
from rotator.core.outcome import Failed, Held, Outcome, Rotated
from rotator.core.policy import Mode, RotationPolicy
from rotator.core.reasons import Reason, Refusal
from rotator.core.rotation import Assessment, Decision, Hold, Note, NoteKind, Rotate
from rotator.core.status import KeysetStatus
from rotator.views.words import NOTES, about, has_window, remaining

ENDING, LOW = 0.25, 0.5  # of the window that is left, as in B2CKeysetCoverEnding and B2CKeysetCoverLow


class Level(StrEnum):
    """How much somebody should care."""

    GOOD = "good"
    DUE = "due"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """
    One thing to know of a keyset.

    word:     for a glance
    sentence: for whoever wants to know
    advice:   what to do about it; empty where nothing is to be done
    section:  of the runbook; empty where it has none
    """

    level: Level
    word: str
    sentence: str
    advice: str = ""
    section: str = ""


def signs(
    entry: KeysetStatus,
    keyset: Keyset | None,
    decision: Decision | None,
    now: datetime,
    stale: timedelta,
    *,
    dry_run: bool,
) -> Iterator[Sign]:
    """
    All signs of a keyset at *now*, none where nothing is to be done about it.

    keyset, decision: as last seen, and what is to be done with that now; None together
    stale: how old an observation may be
    """
    outcome = entry.effective_outcome
    if keyset is not None and decision is not None and decision.assessment.active is None:
        deed = _deed(entry.policy, outcome, decision, dry_run=dry_run)
        yield _no_valid_key(keyset, now, deed)
    match outcome:
        case Failed(failure=failure):
            yield Sign(level=Level.BAD, word="failed", sentence=failure.message, section="B2CRotationFailing")
        case Held(reason=Refusal.RUNAWAY_GUARD):
            yield _GUARDED
        case None:
            yield _UNSEEN
        case _:
            pass
    if entry.observation is not None and now - entry.observation.now > stale:
        yield _unseen_for(now - entry.observation.now)
    if decision is not None and decision.assessment.active is not None:
        yield from _ahead(decision.assessment, now, _deed(entry.policy, outcome, decision, dry_run=dry_run))
        if not decision.assessment.at_risk:
            yield from _due(entry, decision, now, dry_run=dry_run)
    if decision is not None:
        yield from _useless(decision.assessment.notes)


def _no_valid_key(keyset: Keyset, now: datetime, deed: str) -> Sign:
    coming = next(keyset.upcoming(now), None)
    then = f"; the next key takes over {remaining(coming.activates, now)}" if coming else ""
    return Sign(
        level=Level.BAD,
        word="no valid key",
        sentence=f"nobody can sign in through what uses it{then}",
        advice=deed,
        section="B2CKeysetWithoutValidKey",
    )


def _unseen_for(age: timedelta) -> Sign:
    return Sign(
        level=Level.BAD,
        word=f"not seen for {about(age)}",
        sentence="what is told of it is as it was then",
        advice="find out why no look shows it, and whether sweeps still end",
        section="B2CKeysetUnobserved",
    )


def _ahead(assessment: Assessment, now: datetime, deed: str) -> Iterator[Sign]:
    """Whether cover runs low, and whether it is late; nothing ends where there is no window."""
    plan = assessment.plan
    window = min(assessment.covered_until - plan.renewal_due, 2 * (plan.activation - plan.renewal_due))
    left = assessment.covered_until - now
    sentence = "when cover ends, nobody can sign in through what uses it"
    if assessment.covered_until != NEVER and left < ENDING * window:
        yield Sign(
            level=Level.BAD, word="cover is ending", sentence=sentence, advice=deed, section="B2CKeysetCoverEnding"
        )
        deed = ""  # told already
    elif assessment.covered_until != NEVER and left < LOW * window:
        yield Sign(level=Level.DUE, word="cover is low", sentence=sentence, advice=deed, section="B2CKeysetCoverLow")
    if assessment.at_risk:
        sentence = "its lead, overlap or cover is or will be hurt"
        yield Sign(level=Level.BAD, word="overdue", sentence=sentence, advice=deed, section="B2CRotationOverdue")


def _due(entry: KeysetStatus, decision: Decision, now: datetime, *, dry_run: bool) -> Iterator[Sign]:
    plan = decision.assessment.plan
    if isinstance(decision, Rotate):
        sentence = "its next key is to be generated"
        if decision.reason is Reason.UNDATED:
            sentence = f"its key in use has no expiry, so it is never replaced; {sentence}"
        if dry_run:
            sentence = "its next key would be generated; this is a dry run"
        elif isinstance(entry.effective_outcome, Held) and entry.effective_outcome.reason in _WAITING:
            yield Sign(
                level=Level.DUE, word="waiting", sentence=f"{sentence}, but {_WAITING[entry.effective_outcome.reason]}"
            )
            return
        yield Sign(level=Level.DUE, word="due", sentence=sentence)
    elif entry.policy.mode is Mode.OBSERVE and has_window(plan) and plan.renewal_due <= now:
        yield Sign(level=Level.DUE, word="due", sentence="its next key is due", advice=_OBSERVES)


def calm(entry: KeysetStatus, now: datetime) -> Sign:
    """The sign of a keyset that shows no other."""
    match entry.effective_outcome:
        case Rotated(observation=observation):
            told = "rotated", f"its next key was generated {remaining(observation.now, now)}"
        case _ if entry.policy.mode is Mode.OBSERVE:
            told = "observed", "it is looked at, and never written to"
        case _:
            told = "fine", "nothing is due"
    word, sentence = told
    return Sign(level=Level.GOOD, word=word, sentence=sentence)


def _deed(policy: RotationPolicy, outcome: Outcome | None, decision: Decision, *, dry_run: bool) -> str:
    """What to do where a key is missing: above all, whether the program will make one."""
    if policy.mode is Mode.OBSERVE:
        return _OBSERVES
    if dry_run:
        return "dry run: rotator itself will not act; end it, or generate a key by hand"
    if isinstance(outcome, Failed):
        return "rotator makes a key once its failure is mended; generate one by hand where there is no time for that"
    if isinstance(outcome, Held) and outcome.reason is Refusal.RUNAWAY_GUARD:
        return "rotator makes no key while the guard holds it back"
    if isinstance(decision, Hold):
        return "no key that rotator could make now would take over sooner than the one that is there"
    return "rotator makes a key with its second look; if none comes, its log says why"


_OBSERVES = "mode observe: rotator itself will not act; generate a key by hand"
_UNSEEN = Sign(level=Level.DUE, word="not seen yet", sentence="its first look has not come yet")
_GUARDED = Sign(
    level=Level.BAD,
    word="guarded",
    sentence="it calls for key after key, and none is made",
    advice="find out who or what undoes or hides its keys",
    section="B2CRunawayGuard",
)
_WAITING: dict[Reason | Refusal, str] = {
    Refusal.STOPPING: "rotator is stopping",
    Refusal.NOT_LEADER: "another replica may be leading",
    Refusal.RECONFIGURED: "the configuration has changed meanwhile",
}
_USELESS = {
    NoteKind.DISABLED: ("successor disabled", "enable it if it was meant to be used"),
    NoteKind.OVERLAP_TOO_SHORT: ("overlap too short", "find out who made it"),
    NoteKind.BEHIND_GAP: ("gap", "find out who made it"),
}


def _useless(notes: Sequence[Note]) -> Iterator[Sign]:
    """What will not take over as somebody may expect, each kind once."""
    for kind in dict.fromkeys(note.kind for note in notes):
        word, advice = _USELESS[kind]
        kids = ", ".join(note.kid or "-" for note in notes if note.kind is kind)
        sentence = f"key to come {kids}: {NOTES[kind]}; rotator does not count on it"
        yield Sign(level=Level.DUE, word=word, sentence=sentence, advice=advice, section="B2CKeyToComeUseless")
