"""Labels and phrases that the table, the status and the page share, so that all of them use the same words."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rotator.core.assessment import Assessment, Cover, Note, NoteKind, Plan, Shortfall
from rotator.core.calendar import LAST_ASKED, Calendar
from rotator.core.checkup import Check, Level
from rotator.core.errors import Failure
from rotator.core.hold import PolicyHold
from rotator.core.keyset import ALWAYS, NEVER
from rotator.core.outcome import Failed, Held, Outcome, Planned, Rotated
from rotator.core.policy import KeySpec, RotationPolicy
from rotator.core.reasons import MEANINGS, Reason
from rotator.core.text import format_instant, format_span, printable

COVERED_UNTIL, DUE, PUBLISH_BY, TAKES_OVER = "covered until", "due", "publish by", "takes over"
"""The labels of the instants of a keyset."""

NEXT_TAKES_OVER, NEXT_DUE = "next takes over", "next due"
"""The labels for when an existing key takes over, and for when the key after it is due."""

FAILED = "failed"
"""The label of a keyset whose look or rotation failed."""

FALLS_SHORT = "falls short"
"""The label of the lead, overlap or cover that is too short."""

LOCAL_TIME, CALENDAR = "local time", "calendar"
"""The labels of the local time at which the next key takes over, and of its calendar."""

MAX_CLOSED = timedelta(days=730)  # how far ahead the search for the next opening goes
AT_RISK = "its publication lead, overlap or cover is or will be too short"
NOTES = {
    NoteKind.DISABLED: "is disabled, and will not take over",
    NoteKind.OVERLAP_TOO_SHORT: "overlaps too little with its predecessor to extend the cover",
    NoteKind.BEHIND_GAP: "becomes active only after the cover has ended",
    NoteKind.USE_DIFFERS: "has another use than configured, so the service would refuse the next key",
    NoteKind.KTY_DIFFERS: "has another kty than configured, so the service would refuse the next key",
    NoteKind.WINDOW_MISSED: "takes over while its calendar is closed",
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


def covered(assessment: Assessment, now: datetime) -> str:
    """How long the cover lasts, for a narrow column."""
    if assessment.covered_until is not None:
        return remaining(assessment.covered_until, now)
    return "no valid key" if assessment.cover is Cover.NONE else "no end"


def in_zone(instant: datetime, calendar: Calendar) -> str:
    """*instant* in the time zone of a calendar, such as Tue 12 Jan 10:00 Europe/Berlin."""
    local = instant.astimezone(calendar.zone)
    return f"{local:%a} {local.day} {local:%b %H:%M} {calendar.zone_name}"


def is_open_now(calendar: Calendar, now: datetime) -> str:
    """Whether a calendar is open, and when it opens again if it is not."""
    if calendar.is_open(now):
        return "open now"
    opens = calendar.next_open_at_or_after(now, now + MAX_CLOSED)
    return f"closed now, opens {in_zone(opens, calendar)}" if opens else "closed now"


def takes_over(activation: datetime, plan: Plan, policy: RotationPolicy) -> str:
    """When a key takes over, in the time zone of its calendar; empty without a calendar."""
    calendar = policy.calendar
    if calendar is None or activation > LAST_ASKED:
        return ""
    pulled = f", {rounded(plan.pulled_by)} earlier for the calendar" if plan.pulled_by else ""
    return f"{in_zone(activation, calendar)}{pulled}"


def held_until(hold: PolicyHold) -> str:
    """Until when a hold lasts, and who wants it."""
    more = ", ".join(printable(text) for text in (hold.by, hold.reason) if text)
    return f"on hold until the end of {hold.until} UTC{f' ({more})' if more else ''}"


def falls_short(shortfall: Shortfall) -> str:
    """By how much lead, overlap and cover fall short if the next key is generated now; empty if nothing does."""
    spans = {"lead": shortfall.lead, "overlap": shortfall.overlap, "cover": shortfall.cover}
    return ", ".join(f"{name} by {rounded(span)}" for name, span in spans.items() if span)


def which_key(note: Note) -> str:
    """The key that *note* is about."""
    if note.kid is None and note.kind is NoteKind.WINDOW_MISSED:
        return "next key"
    return f"{'key' if note.kind.is_mismatch else 'upcoming key'} {note.kid or '-'}"


def describe(outcome: Outcome) -> Iterator[str]:
    """The texts of an outcome besides its reason: the key, and why it failed."""
    match outcome:
        case Planned(observation=observation, reason=Reason.MISSING, spec=spec):
            yield f"the keyset is to be created, and then its first key: {_key(observation.policy, spec)}"
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
        case Held(observation=observation, spec=KeySpec() as spec):
            yield f"would be generated: {_key(observation.policy, spec)}"
        case Held():
            pass


def details(outcome: Outcome) -> Iterator[str]:
    """The texts of an outcome that a line of the table has no room for."""
    yield from describe(outcome)
    assessment = outcome.observation.assessment
    if assessment is None:
        return
    if assessment.active is None and not isinstance(outcome, Rotated):
        yield MEANINGS[Reason.NO_VALID_KEY]
    if assessment.at_risk and not isinstance(outcome, Rotated):
        short = falls_short(assessment.shortfall)
        if short or assessment.active is not None:
            yield f"{FALLS_SHORT}: {short}" if short else AT_RISK
    if isinstance(outcome, Held) and Reason.CERTIFICATE in (outcome.reason, outcome.would):
        yield MEANINGS[Reason.CERTIFICATE]
    for note in assessment.notes:
        yield f"{which_key(note)}: {NOTES[note.kind]}"


def _key(policy: RotationPolicy, spec: KeySpec) -> str:
    return f"{policy.kty} {policy.use} key, active from {format_instant(spec.nbf)}, expires {format_instant(spec.exp)}"


def full_name(name: tuple[str, str]) -> str:
    """The tenant and the keyset."""
    return "/".join(name)


def about(tenant: str, names: Sequence[str], *, of: int) -> str:
    """
    The keysets *names* of *tenant* as a text: one name, or their number if they are all keysets of the tenant.

    of: how many keysets the tenant has here
    """
    if len(names) == 1:
        return full_name((tenant, names[0]))
    if len(names) == of:
        return f"{tenant}, all {of} keysets"
    return f"{full_name((tenant, names[0]))} and {len(names) - 1} more"


def count(number: int, noun: str = "keyset") -> str:
    """*number* of *noun*, such as 1 keyset, 2 keysets."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def failed_check(
    tenant: str | None, name: str, failure: Failure, level: Level = Level.WRONG, subject: str = ""
) -> Check:
    """A check that failed, with the message of *failure*."""
    what, advice = what_and_advice(failure.message)
    return Check(tenant=tenant, name=name, subject=subject, level=level, result=what, advice=advice)


def what_and_advice(message: str) -> tuple[str, str]:
    """What happened, and what to do, in the message of a failure, which has a semicolon between them."""
    what, _, advice = message.rpartition("; ")
    return (what, advice) if what else (message, "see docs/outcomes-and-failures.md")
