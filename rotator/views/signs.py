"""
What there is to say of a keyset, judged at the time of reading.

A look may be an hour old. What was seen then is decided upon anew here, so that a key
that has ended since, or a sight that has grown old, is told as what it is now. A keyset
can show several signs, and the gravest comes first: that nobody can sign in is not hidden
by the failure that keeps it so.

The windows are those of deploy/prometheus/rules.yaml: nothing is fine here while an alert
fires there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.board import Entry, Name
from rotator.core.keyset import NEVER, Keyset
from rotator.core.outcome import Failed, Held, Outcome, Rotated
from rotator.core.rotation import Decision, Hold, Mode, Note, NoteKind, Outlook, Reason, Rotate, RotationPolicy, decide
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    A keyset at one instant.

    keyset:   as last seen; None where it never was
    decision: what is to be done with it now; None with `keyset`
    signs:    the gravest first, at least one
    """

    entry: Entry
    now: datetime
    keyset: Keyset | None
    decision: Decision | None
    signs: tuple[Sign, ...]

    @property
    def level(self) -> Level:
        """That of the gravest sign."""
        return self.signs[0].level

    @property
    def words(self) -> str:
        """The gravest signs at a glance."""
        return ", ".join(sign.word for sign in self.gravest)

    @property
    def gravest(self) -> tuple[Sign, ...]:
        """The signs than which none is graver."""
        return tuple(sign for sign in self.signs if sign.level is self.level)

    @property
    def has_no_key(self) -> bool:
        """Whether nobody can sign in."""
        return self.decision is not None and self.decision.outlook.active is None

    @property
    def left(self) -> timedelta | None:
        """How long cover lasts; None where it has no end, or nobody knows."""
        if self.decision is None or self.has_no_key or self.is_endless:
            return None
        return self.decision.outlook.covered_until - self.now

    @property
    def is_endless(self) -> bool:
        """Whether cover has no end."""
        if self.decision is None or self.decision.outlook.active is None:
            return False
        return self.decision.outlook.active.exp is None or self.decision.outlook.covered_until == NEVER

    def time_left(self) -> str:
        """How long is left, in words that stand on their own."""
        if self.decision is None:
            return "cover is not known: it was never seen"
        if self.has_no_key:
            return _ended(self.keyset, self.now)
        if self.left is None:
            return "no end: the key in use has no expiry"
        return f"{about(self.left)} left"


def judge(entry: Entry, now: datetime, stale: timedelta, *, dry_run: bool) -> Case:
    """How the keyset of *entry* is at *now*; *stale* is how old a sight may be."""
    keyset = entry.sight.keyset if entry.sight is not None else None
    decision = decide(entry.policy, keyset, now) if keyset is not None else None
    signs = sorted(_signs(entry, keyset, decision, now, stale, dry_run=dry_run), key=lambda sign: _ORDER[sign.level])
    signs = signs or [_calm(entry, now)]
    return Case(entry=entry, now=now, keyset=keyset, decision=decision, signs=tuple(signs))


_ORDER = {Level.BAD: 0, Level.DUE: 1, Level.GOOD: 2}


def urgency(case: Case) -> tuple[bool, timedelta]:
    """What sorts cases: no valid key first, then by the cover that is left; what nobody knows is last."""
    return not case.has_no_key, timedelta.max if case.left is None else case.left


def troubles(cases: Mapping[Name, Case]) -> list[list[Name]]:
    """What is in trouble, the most urgent first; keysets of one tenant that have the same trouble are together."""
    groups: dict[tuple[str, tuple[Sign, ...]], list[Name]] = {}
    bad = [name for name, case in cases.items() if case.level is Level.BAD]
    for name in sorted(bad, key=lambda name: urgency(cases[name])):
        groups.setdefault((name[0], cases[name].gravest), []).append(name)
    return list(groups.values())


def _signs(
    entry: Entry,
    keyset: Keyset | None,
    decision: Decision | None,
    now: datetime,
    stale: timedelta,
    *,
    dry_run: bool,
) -> Iterator[Sign]:
    outcome = entry.standing
    if keyset is not None and decision is not None and decision.outlook.active is None:
        deed = _deed(entry.policy, outcome, decision, dry_run=dry_run)
        yield _no_valid_key(keyset, now, deed)
    match outcome:
        case Failed(failure=failure):
            yield Sign(level=Level.BAD, word="failed", sentence=failure.message, section="B2CRotationFailing")
        case Held(reason=Reason.RUNAWAY_GUARD):
            yield _GUARDED
        case None:
            yield _UNSEEN
        case _:
            pass
    if entry.sight is not None and now - entry.sight.now > stale:
        yield _unseen_for(now - entry.sight.now)
    if decision is not None and decision.outlook.active is not None:
        yield from _ahead(decision.outlook, now, _deed(entry.policy, outcome, decision, dry_run=dry_run))
        if not decision.outlook.is_hurt:
            yield from _due(entry, decision, now, dry_run=dry_run)
    if decision is not None:
        yield from _useless(decision.outlook.notes)


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


def _ahead(outlook: Outlook, now: datetime, deed: str) -> Iterator[Sign]:
    """Whether cover runs low, and whether it is late; nothing ends where there is no window."""
    plan = outlook.plan
    window = min(outlook.covered_until - plan.renewal_due, 2 * (plan.activation - plan.renewal_due))
    left = outlook.covered_until - now
    sentence = "when cover ends, nobody can sign in through what uses it"
    if outlook.covered_until != NEVER and left < ENDING * window:
        yield Sign(
            level=Level.BAD, word="cover is ending", sentence=sentence, advice=deed, section="B2CKeysetCoverEnding"
        )
        deed = ""  # told already
    elif outlook.covered_until != NEVER and left < LOW * window:
        yield Sign(level=Level.DUE, word="cover is low", sentence=sentence, advice=deed, section="B2CKeysetCoverLow")
    if outlook.is_hurt:
        sentence = "its lead, overlap or cover is or will be hurt"
        yield Sign(level=Level.BAD, word="overdue", sentence=sentence, advice=deed, section="B2CRotationOverdue")


def _due(entry: Entry, decision: Decision, now: datetime, *, dry_run: bool) -> Iterator[Sign]:
    plan = decision.outlook.plan
    if isinstance(decision, Rotate):
        sentence = "its next key is to be generated"
        if decision.reason is Reason.UNDATED:
            sentence = f"its key in use has no expiry, so it is never replaced; {sentence}"
        if dry_run:
            sentence = "its next key would be generated; this is a dry run"
        elif isinstance(entry.standing, Held) and entry.standing.reason in _WAITING:
            yield Sign(level=Level.DUE, word="waiting", sentence=f"{sentence}, but {_WAITING[entry.standing.reason]}")
            return
        yield Sign(level=Level.DUE, word="due", sentence=sentence)
    elif entry.policy.mode is Mode.OBSERVE and has_window(plan) and plan.renewal_due <= now:
        yield Sign(level=Level.DUE, word="due", sentence="its next key is due", advice=_OBSERVES)


def _calm(entry: Entry, now: datetime) -> Sign:
    match entry.standing:
        case Rotated(sight=sight):
            told = "rotated", f"its next key was generated {remaining(sight.now, now)}"
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
    if isinstance(outcome, Held) and outcome.reason is Reason.RUNAWAY_GUARD:
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
_WAITING = {
    Reason.STOPPING: "rotator is stopping",
    Reason.NOT_LEADER: "another replica may be leading",
    Reason.RECONFIGURED: "the configuration has changed meanwhile",
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


def _ended(keyset: Keyset | None, now: datetime) -> str:
    """When the last valid key was."""
    keys = keyset.keys if keyset is not None else ()
    ends = [key.expires for key in keys if key.is_usable and key.expires <= now]
    if ends:
        return f"the last one expired {remaining(max(ends), now)}"
    return "none of its keys is valid now" if keys else "it has no keys"
