"""How outcomes are put into words, in the table, in the status and on the page alike."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rotator.core.keyset import ALWAYS, NEVER
from rotator.core.outcome import Failed, Held, Outcome, Planned, Rotated, outcome_name
from rotator.core.policy import KeySpec, RotationPolicy
from rotator.core.rotation import NoteKind, Plan
from rotator.core.text import format_instant, format_span


def remaining(instant: datetime, now: datetime) -> str:
    """How far *instant* is, in its two largest units: in 9d23h, 5m12s ago, now."""
    if instant in (NEVER, ALWAYS):
        return "never" if instant == NEVER else "always"
    seconds = round((instant - now).total_seconds())
    if seconds == 0:
        return "now"
    text = about(abs(instant - now))
    return f"in {text}" if seconds > 0 else f"{text} ago"


def about(span: timedelta) -> str:
    """A span that is not negative, in its largest unit and the one below it."""
    seconds = round(span.total_seconds())
    for unit, below in ((86_400, 3_600), (3_600, 60), (60, 1)):
        if seconds >= unit:
            return format_span(timedelta(seconds=seconds - seconds % below))
    return format_span(timedelta(seconds=seconds))


def has_window(plan: Plan) -> bool:
    """Whether there is a key that the next one follows; without one all of it is now, and nothing runs out."""
    return plan.renewal_due < plan.publish_by


def details(outcome: Outcome) -> Iterator[str]:
    """What a line of the table has no room for."""
    yield from came(outcome)
    assessment = outcome.observation.assessment
    if assessment is None:
        return
    if assessment.at_risk and not isinstance(outcome, Rotated):
        yield "its lead, overlap or cover is hurt"
    for note in assessment.notes:
        yield f"key to come {note.kid or '-'}: {NOTES[note.kind]}"


def came(outcome: Outcome) -> Iterator[str]:
    """What came of a look, and of which key."""
    match outcome:
        case Planned(observation=observation, spec=spec):
            yield f"to be generated: {described(observation.policy, spec)}"
        case Rotated(observation=observation, spec=spec, kid=kid, remark=remark):
            yield f"generated: {described(observation.policy, spec)}, kid {kid or '-'}"
            if remark:
                yield remark
        case Failed(observation=observation, failure=failure, spec=spec):
            yield failure.message
            if spec is not None:
                yield f"was to be generated: {described(observation.policy, spec)}"
        case Held():
            pass


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
    return "/".join(outcome.observation.name)


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many keysets came to what."""
    counts = Counter(outcome_name(outcome) for outcome in outcomes)
    parts = ", ".join(f"{counts[name]} {name}" for name in ("failed", "rotated", "planned", "held") if counts[name])
    return f"{len(outcomes)} keyset{'s' if len(outcomes) != 1 else ''}: {parts}"
