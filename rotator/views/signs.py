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

from rotator.core.assessment import Assessment, Note, NoteKind
from rotator.core.keyset import Keyset
from rotator.core.outcome import Failed, Held, Outcome, Rotated
from rotator.core.policy import Mode, RotationPolicy
from rotator.core.reasons import MEANINGS, NEEDS_A_PERSON, Reason, Refusal
from rotator.core.rotation import Decision, Hold, Rotate
from rotator.shell.status_store import Entry
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
    entry: Entry,
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
    outcome = entry.standing
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
    plan, end = assessment.plan, assessment.covered_until
    window = 2 * (plan.activation - plan.renewal_due)
    if end is not None:
        window = min(end - plan.renewal_due, window)
    sentence = "when cover ends, nobody can sign in through what uses it"
    if end is not None and end - now < ENDING * window:
        yield Sign(
            level=Level.BAD, word="cover is ending", sentence=sentence, advice=deed, section="B2CKeysetCoverEnding"
        )
        deed = ""  # told already
    elif end is not None and end - now < LOW * window:
        yield Sign(level=Level.DUE, word="cover is low", sentence=sentence, advice=deed, section="B2CKeysetCoverLow")
    if assessment.at_risk:
        sentence = "its lead, overlap or cover is or will be hurt"
        yield Sign(level=Level.BAD, word="overdue", sentence=sentence, advice=deed, section="B2CRotationOverdue")


def _due(entry: Entry, decision: Decision, now: datetime, *, dry_run: bool) -> Iterator[Sign]:
    plan = decision.assessment.plan
    if isinstance(decision, Rotate):
        sentence = "its next key is to be generated"
        if decision.reason is Reason.UNDATED:
            missing = "expiry, so it is never replaced" if decision.assessment.covered_until is None else "known age"
            sentence = f"its key in use has no {missing}; {sentence}"
        if dry_run:
            sentence = "its next key would be generated; this is a dry run"
        elif isinstance(entry.standing, Held) and entry.standing.reason in _WAITING:
            yield Sign(level=Level.DUE, word="waiting", sentence=f"{sentence}, but {MEANINGS[entry.standing.reason]}")
            return
        yield Sign(level=Level.DUE, word="due", sentence=sentence)
    elif entry.policy.mode is Mode.OBSERVE and has_window(plan) and plan.renewal_due <= now:
        yield Sign(level=Level.DUE, word="due", sentence="its next key is due", advice=_OBSERVES)


def calm(entry: Entry, now: datetime) -> Sign:
    """The sign of a keyset that shows no other."""
    match entry.standing:
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
    blocked = _blocked(decision) if isinstance(decision, Hold) else ""
    if blocked or policy.mode is Mode.OBSERVE:
        return blocked or _OBSERVES
    if dry_run:
        return "dry run: rotator itself will not act; end it, or generate a key by hand"
    if isinstance(outcome, Failed):
        return "rotator makes a key once its failure is mended; generate one by hand where there is no time for that"
    if isinstance(outcome, Held) and outcome.reason is Refusal.RUNAWAY_GUARD:
        return "rotator makes no key while the guard holds it back"
    if isinstance(decision, Hold):
        return "no key that rotator could make now would take over sooner than the one that is there"
    return "rotator makes a key with its second look; if none comes, its log says why"


def _blocked(held: Hold) -> str:
    """What to do where no generated key would serve; empty where one would."""
    if Reason.CERTIFICATE in (held.reason, held.would):
        return MEANINGS[Reason.CERTIFICATE]
    if any(note.kind.is_mismatch for note in held.assessment.notes):
        return "correct use and kty in the configuration, or replace the keys that differ"
    return ""


_OBSERVES = "mode observe: rotator itself will not act; generate a key by hand"
_UNSEEN = Sign(level=Level.DUE, word="not seen yet", sentence="its first look has not come yet")
_GUARDED = Sign(
    level=Level.BAD,
    word="guarded",
    sentence="it calls for key after key, and none is made",
    advice="find out who or what undoes or hides its keys",
    section="B2CRunawayGuard",
)
_WAITING = frozenset(Refusal) - NEEDS_A_PERSON
_USELESS = {
    NoteKind.DISABLED: ("successor disabled", "enable it if it was meant to be used"),
    NoteKind.OVERLAP_TOO_SHORT: ("overlap too short", "find out who made it"),
    NoteKind.BEHIND_GAP: ("gap", "find out who made it"),
    NoteKind.USE_DIFFERS: ("use differs", "correct use in the configuration, or replace the key"),
    NoteKind.KTY_DIFFERS: ("kty differs", "correct kty in the configuration, or replace the key"),
}


def _useless(notes: Sequence[Note]) -> Iterator[Sign]:
    """What will not take over as somebody may expect, each kind once."""
    for kind in dict.fromkeys(note.kind for note in notes):
        word, advice = _USELESS[kind]
        kids = ", ".join(note.kid or "-" for note in notes if note.kind is kind)
        sentence = f"key to come {kids}: {NOTES[kind]}; rotator does not count on it"
        section = "B2CKeyToComeUseless"
        if kind.is_mismatch:
            sentence, section = f"key {kids} {NOTES[kind]}; rotator generates none", "B2CKeysetMismatch"
        yield Sign(level=Level.DUE, word=word, sentence=sentence, advice=advice, section=section)
