"""How outcomes are put into words, in the table, in the status and on the page alike."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.core.keyset import ALWAYS, NEVER
from rotator.core.outcome import Failed, Held, Outcome, Planned, Rotated, outcome_name
from rotator.core.rotation import KeySpec, NoteKind, Reason, RotationPolicy
from rotator.core.text import format_instant, format_span


class Level(StrEnum):
    """How much somebody should care."""

    GOOD = "good"
    DUE = "due"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The state of a keyset: *word* for a glance, *sentence* for whoever wants to know."""

    level: Level
    word: str
    sentence: str


def verdict(outcome: Outcome) -> Verdict:
    """What to think of a keyset after its last look."""
    outlook = outcome.sight.outlook
    match outcome:
        case Failed(failure=failure):
            told = Level.BAD, "failed", failure.message
        case Rotated():
            told = Level.GOOD, "rotated", "its next key was generated just now"
        case _ if outlook is not None and outlook.active is None:
            told = Level.BAD, "no valid key", "nobody can sign in through what uses it"
        case Held(reason=Reason.RUNAWAY_GUARD):
            told = Level.BAD, "guarded", "it calls for key after key; find out who or what undoes them"
        case _ if outlook is not None and outlook.is_hurt:
            told = Level.BAD, "overdue", "its lead, overlap or cover is or will be hurt"
        case Planned():
            told = Level.DUE, "due", "its next key is about to be generated"
        case Held(reason=Reason.OBSERVE):
            told = Level.GOOD, "observed", "it is looked at, and never written to"
        case Held(reason=Reason.NOT_DUE):
            told = Level.GOOD, "fine", "nothing is due"
        case Held(reason=reason):
            told = Level.DUE, "waiting", f"a key is called for, and was not asked for ({reason})"
    level, word, sentence = told
    return Verdict(level=level, word=word, sentence=sentence)


def remaining(instant: datetime, now: datetime) -> str:
    """How far *instant* is, in its two largest units: in 9d23h, 5m12s ago, now."""
    if instant in (NEVER, ALWAYS):
        return "never" if instant == NEVER else "always"
    seconds = round((instant - now).total_seconds())
    if seconds == 0:
        return "now"
    text = _about(abs(seconds))
    return f"in {text}" if seconds > 0 else f"{text} ago"


def _about(seconds: int) -> str:
    """A span in its largest unit and the one below it."""
    for unit, below in ((86_400, 3_600), (3_600, 60), (60, 1)):
        if seconds >= unit:
            return format_span(timedelta(seconds=seconds - seconds % below))
    return format_span(timedelta(seconds=seconds))


def details(outcome: Outcome) -> Iterator[str]:
    """What a line of the table has no room for."""
    match outcome:
        case Planned(sight=sight, spec=spec):
            yield f"to be generated: {described(sight.policy, spec)}"
        case Rotated(sight=sight, spec=spec, kid=kid, remark=remark):
            yield f"generated: {described(sight.policy, spec)}, kid {kid or '-'}"
            if remark:
                yield remark
        case Failed(sight=sight, failure=failure, spec=spec):
            yield failure.message
            if spec is not None:
                yield f"was to be generated: {described(sight.policy, spec)}"
        case Held():
            pass
    outlook = outcome.sight.outlook
    if outlook is None:
        return
    if outlook.is_hurt and not isinstance(outcome, Rotated):
        yield "its lead, overlap or cover is hurt"
    for note in outlook.notes:
        yield f"key to come {note.kid or '-'}: {NOTES[note.kind]}"


NOTES = {
    NoteKind.DISABLED: "is disabled, and will not take over",
    NoteKind.OVERLAP_TOO_SHORT: "overlaps too little with the one before it to be cover",
    NoteKind.BEHIND_GAP: "begins only after cover has ended",
}


def described(policy: RotationPolicy, spec: KeySpec) -> str:
    """A key in words."""
    return f"{policy.kty} {policy.use} key, active from {format_instant(spec.nbf)}, expires {format_instant(spec.exp)}"


def full_name(outcome: Outcome) -> str:
    """Tenant and keyset."""
    return f"{outcome.sight.tenant}/{outcome.sight.policy.keyset_id}"


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many keysets came to what."""
    counts = Counter(outcome_name(outcome) for outcome in outcomes)
    parts = ", ".join(f"{counts[name]} {name}" for name in ("failed", "rotated", "planned", "held") if counts[name])
    return f"{len(outcomes)} keyset{'s' if len(outcomes) != 1 else ''}: {parts}"
