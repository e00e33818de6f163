"""How outcomes are put into words, in the table, in the status and on the page alike."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rotator.core.assessment import Assessment, Cover, NoteKind, Plan, Shortfall
from rotator.core.keyset import ALWAYS, NEVER
from rotator.core.outcome import Failed, Held, Outcome, OutcomeName, Planned, Rotated
from rotator.core.policy import KeySpec, RotationPolicy
from rotator.core.reasons import MEANINGS, Reason
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


def covered(assessment: Assessment, now: datetime) -> str:
    """How long cover lasts, for a narrow column."""
    if assessment.covered_until is not None:
        return remaining(assessment.covered_until, now)
    return "no valid key" if assessment.cover is Cover.NONE else "no end"


def falls_short(shortfall: Shortfall) -> str:
    """What falls short if the next key is generated now, and by how much; empty where nothing does."""
    spans = {"lead": shortfall.lead, "overlap": shortfall.overlap, "cover": shortfall.cover}
    return ", ".join(f"{name} by {about(span)}" for name, span in spans.items() if span)


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
        short = falls_short(assessment.shortfall)
        yield f"falls short: {short}" if short else "its lead, overlap or cover is or will be hurt"
    if isinstance(outcome, Held) and Reason.CERTIFICATE in (outcome.reason, outcome.would):
        yield MEANINGS[Reason.CERTIFICATE]
    for note in assessment.notes:
        yield f"{'key' if note.kind.is_mismatch else 'key to come'} {note.kid or '-'}: {NOTES[note.kind]}"


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
        case Held(observation=observation, spec=KeySpec() as spec):
            yield f"would be generated: {described(observation.policy, spec)}"
        case Held():
            pass


NOTES = {
    NoteKind.DISABLED: "is disabled, and will not take over",
    NoteKind.OVERLAP_TOO_SHORT: "overlaps too little with the one before it to be cover",
    NoteKind.BEHIND_GAP: "begins only after cover has ended",
    NoteKind.USE_DIFFERS: "has another use than configured, so the service would refuse the next key",
    NoteKind.KTY_DIFFERS: "has another kty than configured, so the service would refuse the next key",
}


def described(policy: RotationPolicy, spec: KeySpec) -> str:
    """A key in words."""
    return f"{policy.kty} {policy.use} key, active from {format_instant(spec.nbf)}, expires {format_instant(spec.exp)}"


def full_name(outcome: Outcome) -> str:
    """Tenant and keyset."""
    return "/".join(outcome.observation.name)


_ORDER = (OutcomeName.FAILED, OutcomeName.ROTATED, OutcomeName.PLANNED, OutcomeName.HELD)


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many keysets came to what."""
    counts = Counter(outcome.name for outcome in outcomes)
    parts = ", ".join(f"{counts[name]} {name}" for name in _ORDER if counts[name])
    return f"{len(outcomes)} keyset{'s' if len(outcomes) != 1 else ''}: {parts}"
