"""Phrases that the table, the status and the page share, so that all of them say the same in the same words."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from rotator.core.keyset import ALWAYS, NEVER
from rotator.core.outcome import Failed, Held, Outcome, Planned, Rotated
from rotator.core.policy import KeySpec, RotationPolicy
from rotator.core.rotation import NoteKind
from rotator.core.text import format_instant, format_span

COVERED_UNTIL, DUE, PUBLISH_BY, TAKES_OVER = "covered until", "due", "publish by", "takes over"
"""The labels of the instants of a keyset."""

AT_RISK = "its publication lead, overlap or cover is or will be too short"
NOTES = {
    NoteKind.DISABLED: "is disabled, and will not take over",
    NoteKind.OVERLAP_TOO_SHORT: "overlaps too little with its predecessor to extend the cover",
    NoteKind.BEHIND_GAP: "becomes active only after the cover has ended",
}


def remaining(instant: datetime, now: datetime) -> str:
    """How far *instant* is from *now*, in its two largest units: in 9d23h, 5m12s ago, now."""
    if instant in (NEVER, ALWAYS):
        return "never" if instant == NEVER else "always"
    seconds = round((instant - now).total_seconds())
    if seconds == 0:
        return "now"
    text = rounded(abs(instant - now))
    return f"in {text}" if seconds > 0 else f"{text} ago"


def rounded(span: timedelta) -> str:
    """A span that is not negative, in its largest unit and the one below it."""
    seconds = round(span.total_seconds())
    for unit, below in ((86_400, 3_600), (3_600, 60), (60, 1)):
        if seconds >= unit:
            return format_span(timedelta(seconds=seconds - seconds % below))
    return format_span(timedelta(seconds=seconds))


def describe(outcome: Outcome) -> Iterator[str]:
    """What an outcome says beyond its reason: the key that it is about, and why it failed."""
    match outcome:
        case Planned(observation=observation, spec=spec):
            yield f"to be generated: {_key(observation.policy, spec)}"
        case Rotated(observation=observation, spec=spec, kid=kid, remark=remark):
            yield f"generated: {_key(observation.policy, spec)}, kid {kid or '-'}"
            if remark:
                yield remark
        case Failed(observation=observation, failure=failure, spec=spec):
            yield failure.message
            if spec is not None:
                yield f"requested: {_key(observation.policy, spec)}"
        case Held():
            pass


def details(outcome: Outcome) -> Iterator[str]:
    """What a line of the table has no room for."""
    yield from describe(outcome)
    assessment = outcome.observation.assessment
    if assessment is None:
        return
    if assessment.at_risk and not isinstance(outcome, Rotated):
        yield AT_RISK
    for note in assessment.notes:
        yield f"upcoming key {note.kid or '-'}: {NOTES[note.kind]}"


def _key(policy: RotationPolicy, spec: KeySpec) -> str:
    return f"{policy.kty} {policy.use} key, active from {format_instant(spec.nbf)}, expires {format_instant(spec.exp)}"


def full_name(name: tuple[str, str]) -> str:
    """The tenant and the keyset."""
    return "/".join(name)


def count(number: int, noun: str = "keyset") -> str:
    """*number* of *noun*, such as 1 keyset, 2 keysets."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def summary(labels: Iterable[str]) -> str:
    """
    How many keysets have which label, such as 3 keysets: 1 failed, 2 held.

    labels: one for each keyset; they are listed in the order in which they first appear
    """
    counts = Counter(labels)
    return f"{count(counts.total())}: {', '.join(f'{number} {label}' for label, number in counts.items())}"


def by_outcome(names: Iterable[str]) -> list[str]:
    """Names of outcomes in the order in which a summary lists them."""
    return sorted(names, key=("failed", "rotated", "planned", "held").index)
