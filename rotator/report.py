"""
What one pass, or the state of things, looks like: JSON for programs, a table for people.

The members of a row are part of the interface.
"""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from rotator.core.errors import Failure
from rotator.core.keyset import ALWAYS, NEVER
from rotator.core.outcome import Failed, Held, Outcome, Planned, Rotated, Sight, outcome_name, reason_name
from rotator.core.rotation import KeySpec, Note, NoteKind, Outlook, RotationPolicy
from rotator.core.text import format_instant, format_span, printable

SCHEMA = 1

Json = dict[str, object]


def document(outcomes: Sequence[Outcome], now: datetime, *, dry_run: bool) -> Json:
    """The whole report."""
    return {
        "schema": SCHEMA,
        "now": format_instant(now),
        "dry_run": dry_run,
        "keysets": [row(outcome) for outcome in outcomes],
    }


def row(outcome: Outcome) -> Json:
    """One keyset; every member is there, null where it does not apply."""
    sight = outcome.sight
    # What was carried out is the plan of the sight that called for it, not of what it led to.
    outlook = outcome.before.outlook if isinstance(outcome, Rotated) else sight.outlook
    plan = outlook.plan if outlook else None
    return {
        "tenant": sight.tenant,
        "keyset": sight.policy.keyset_id,
        "mode": sight.policy.mode.value,
        "outcome": outcome_name(outcome),
        "reason": reason_name(outcome),
        "active_kid": sight.outlook.active.kid if sight.outlook and sight.outlook.active else None,
        "covered_until": _covered(sight.outlook),
        "renewal_due": format_instant(plan.renewal_due) if plan else None,
        "publish_by": format_instant(plan.publish_by) if plan else None,
        "activation": format_instant(plan.activation) if plan else None,
        "key": _key(outcome),
        "error": _error(outcome.failure) if isinstance(outcome, Failed) else None,
        "notes": [_note(note) for note in outlook.notes] if outlook and outlook.notes else None,
    }


def _covered(outlook: Outlook | None) -> str | None:
    if outlook is None or outlook.covered_until == NEVER:
        return None
    return format_instant(outlook.covered_until)


def _key(outcome: Outcome) -> Json | None:
    match outcome:
        case Planned(sight=sight, spec=spec) | Failed(sight=sight, spec=KeySpec() as spec):
            return _spec(sight.policy, spec, None)
        case Rotated(sight=sight, spec=spec, kid=kid):
            return _spec(sight.policy, spec, kid)
        case _:
            return None


def _spec(policy: RotationPolicy, spec: KeySpec, kid: str | None) -> Json:
    return {
        "use": policy.use,
        "kty": policy.kty,
        "nbf": int(spec.nbf.timestamp()),
        "exp": int(spec.exp.timestamp()),
        "kid": kid,
    }


def _error(failure: Failure) -> Json:
    return {
        "kind": failure.kind.value,
        "message": failure.message,
        "status": failure.status,
        "code": failure.code,
        "request_id": failure.request_id,
    }


def _note(note: Note) -> Json:
    return {"kid": note.kid, "note": note.kind.value}


def table(outcomes: Sequence[Outcome], now: datetime, width: int | None) -> str:
    """A line for each keyset under its tenant, then what needs more words; wrapped to *width* columns, if given."""
    cells = [_cells(outcome, now) for outcome in outcomes]
    lines = []
    for tenant, block in _blocks([("KEYSET", "OUTCOME", "REASON", "COVERED", "NEXT KEY"), *cells], outcomes):
        lines += [tenant, *block, ""]
    for outcome in outcomes:
        lines += [line for text in _details(outcome) for line in _wrapped(f"{_name(outcome)}: {text}", width)]
    return "\n".join([*lines, _sum(outcomes)])


def status(outcomes: Sequence[Outcome], now: datetime, width: int | None) -> str:
    """Each keyset with its keys, and what happens to it next."""
    blocks = []
    for outcome in outcomes:
        policy, sight = outcome.sight.policy, outcome.sight
        lines = [f"{_name(outcome)}  {policy.kty} {policy.use}, {policy.mode.value}"]
        if sight.outlook is not None:
            lines += [f"  {line}" for line in _next(sight.outlook, now)]
        lines += [f"  {line}" for text in _details(outcome) for line in _wrapped(text, width and width - 2)]
        if sight.keyset is not None:
            lines += [f"  {line}" for line in _keys(sight, width)]
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, _sum(outcomes)])


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


def _cells(outcome: Outcome, now: datetime) -> tuple[str, ...]:
    outlook = outcome.sight.outlook
    covered = remaining(outlook.covered_until, now) if outlook else "-"
    following = remaining(outlook.plan.activation, now) if outlook else "-"
    return (outcome.sight.policy.keyset_id, outcome_name(outcome), reason_name(outcome), covered, following)


def _blocks(rows: list[tuple[str, ...]], outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[str]]]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = ("  " + "  ".join(map(str.ljust, cells, widths)).rstrip() for cells in rows)
    for tenant, group in groupby(zip(outcomes, body, strict=True), lambda pair: pair[0].sight.tenant):
        yield tenant, [head, *(line for _, line in group)]


def _details(outcome: Outcome) -> Iterator[str]:
    """What a line of the table has no room for."""
    match outcome:
        case Planned(sight=sight, spec=spec):
            yield f"to be generated: {_described(sight.policy, spec)}"
        case Rotated(sight=sight, spec=spec, kid=kid, remark=remark):
            yield f"generated: {_described(sight.policy, spec)}, kid {kid or '-'}"
            if remark:
                yield remark
        case Failed(sight=sight, failure=failure, spec=spec):
            yield failure.message
            if spec is not None:
                yield f"was to be generated: {_described(sight.policy, spec)}"
        case Held():
            pass
    outlook = outcome.sight.outlook
    if outlook is None:
        return
    if outlook.is_hurt and not isinstance(outcome, Rotated):
        yield "its lead, overlap or cover is hurt"
    for note in outlook.notes:
        yield f"key to come {note.kid or '-'}: {_NOTES[note.kind]}"


_NOTES = {
    NoteKind.DISABLED: "is disabled, and will not take over",
    NoteKind.OVERLAP_TOO_SHORT: "overlaps too little with the one before it to be cover",
    NoteKind.BEHIND_GAP: "begins only after cover has ended",
}


def _described(policy: RotationPolicy, spec: KeySpec) -> str:
    return f"{policy.kty} {policy.use} key, active from {format_instant(spec.nbf)}, expires {format_instant(spec.exp)}"


def _next(outlook: Outlook, now: datetime) -> Iterator[str]:
    covered = outlook.covered_until
    plan = outlook.plan
    lines = (
        ("covered until", covered),
        ("next key due", plan.renewal_due),
        ("publish by", plan.publish_by),
        ("takes over", plan.activation),
    )
    for name, instant in lines:
        shown = "no end" if instant == NEVER else f"{format_instant(instant)}  {remaining(instant, now)}"
        yield f"{name:14} {shown}"


def _keys(sight: Sight, width: int | None) -> Iterator[str]:
    keyset = sight.keyset
    if keyset is None or not keyset.keys:
        yield "no keys"
        return
    room = 14 if width and width < _WIDE else max(len(printable(key.kid or "-")) for key in keyset.keys)
    yield f"{'KID':{room}} {'STATE':9} {'ACTIVE FROM':21} EXPIRES"
    for key, state in sorted(keyset.states(sight.now), key=lambda pair: pair[0].activates):
        kid = printable(key.kid or "-")
        short = kid if len(kid) <= room else kid[: room - 3] + "..."
        nbf, exp = (format_instant(date) if date else "-" for date in (key.nbf, key.exp))
        yield f"{short:{room}} {state.value:9} {nbf:21} {exp}"


_WIDE = 100  # columns in which whole kids have room


def _name(outcome: Outcome) -> str:
    return f"{outcome.sight.tenant}/{outcome.sight.policy.keyset_id}"


def _sum(outcomes: Sequence[Outcome]) -> str:
    counts = Counter(outcome_name(outcome) for outcome in outcomes)
    parts = ", ".join(f"{counts[name]} {name}" for name in ("failed", "rotated", "planned", "held") if counts[name])
    return f"{len(outcomes)} keyset{'s' if len(outcomes) != 1 else ''}: {parts}"


def _wrapped(text: str, width: int | None) -> list[str]:
    text = printable(text)
    return textwrap.wrap(text, max(width, 40), subsequent_indent="  ", break_on_hyphens=False) if width else [text]
