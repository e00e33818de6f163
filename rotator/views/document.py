"""The report as JSON, for programs. Its members are part of the interface."""

from collections.abc import Sequence
from datetime import datetime

from rotator.core.errors import Failure
from rotator.core.keyset import NEVER
from rotator.core.outcome import Failed, Outcome, Planned, Rotated, outcome_name, reason_name
from rotator.core.rotation import KeySpec, Note, Outlook, RotationPolicy
from rotator.core.text import format_instant

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
