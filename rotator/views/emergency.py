"""The plan, the impact and the steps of `rotator rotate --now` and `--compromised`, for people and as JSON."""

from collections.abc import Iterator
from datetime import datetime

from rotator.core.emergency import Order
from rotator.core.emergency_report import Ending, Report
from rotator.core.keyset import NEVER, Keyset
from rotator.core.relying_parties import RELYING_PARTIES
from rotator.core.text import format_instant, format_span
from rotator.views.report_json import Json

_STEPS = {
    "look": "look again",
    "generate": "generate a key",
    "enable": "enable the new key",
    "wait_for_key": "wait until the keyset shows the new key",
    "wait_for_signing": "wait until the new key signs",
    "disable": "disable the compromised key",
    "wait_for_unlisted": "wait until no JWKS lists the compromised keys",
    "done": "done",
    "refused": "refused",
    "failed": "failed",
    "stopped": "stopped",
}
_ENDINGS = {
    Ending.DONE: "",
    Ending.NOTHING_CHANGED: "nothing was changed",
    Ending.REFUSED: "refused: no valid key would remain",
    Ending.NOT_DISABLED: "a new key was asked for; the old one is NOT disabled",
}


def plan(order: Order, keyset: Keyset, now: datetime) -> Iterator[str]:
    """The plan and its impact, one line each."""
    yield f"keyset {keyset.id} ({order.policy.use}) at {format_instant(now)}"
    for key, state in keyset.states(now):
        until = "without end" if key.expires == NEVER else f"until {format_instant(key.expires)}"
        mark = " <- to be replaced" if key.kid in order.replaced else ""
        yield f"  {key.kid} {state.value}, valid {until}{mark}"
    yield "plan: use the next key, or generate one that is valid at once; wait until it signs"
    if not order.disables:
        yield "  the old key stays enabled: what it has signed goes on being accepted until it expires"
        return
    yield f"  then disable {', '.join(sorted(order.replaced))}; wait until no JWKS lists it"
    yield "a key leaks only from somebody with administrator access: rotate credentials and read the audit log first"
    if order.policy.use == "enc":
        yield "impact: every refresh token and pending code under the disabled key dies; users sign in again"
        return
    yield "impact: tokens under the disabled key, forged or genuine, are accepted for so long after step disable:"
    for party in RELYING_PARTIES:
        after = "until restarted" if party.forgets_after is None else f"up to {format_span(party.forgets_after)}"
        yield f"  {party.name}: {after}"


def line(report: Report) -> str:
    """One step as a line."""
    safe = "" if report.ending is not None else "; safe to stop" if report.safe_to_stop else "; do not stop now"
    what = " ".join(part for part in (_STEPS[report.step], report.kid) if part)
    why = f": {report.message}" if report.message else ""
    ending = "" if report.ending is None or not _ENDINGS[report.ending] else f"; {_ENDINGS[report.ending]}"
    return f"[{format_span(report.elapsed)}] {what}{why}{safe}{ending}"


def after(order: Order, ending: Ending) -> Iterator[str]:
    """What people must still do, and how to undo what was done."""
    if not order.disables or ending is not Ending.DONE:
        return
    if order.policy.use == "sig":
        never = next(party.name for party in RELYING_PARTIES if party.forgets_after is None)
        yield f"restart what keeps keys without an end: {never}"
    for kid in sorted(order.replaced):
        yield (
            f"to undo: PATCH /beta/trustFramework/keySets/{order.policy.keyset_id}/keys_v2/{kid} "
            '{"status": "enabled"}'
        )


def step_json(report: Report) -> Json:
    """One step as a JSON object."""
    return {
        "schema": 1,
        "at": format_instant(report.at),
        "step": report.step,
        "elapsed_seconds": int(report.elapsed.total_seconds()),
        "safe_to_stop": report.safe_to_stop,
        "kid": report.kid,
        "message": report.message,
        "exit_code": None if report.ending is None else int(report.ending),
    }


def plan_json(order: Order, keyset: Keyset, now: datetime) -> Json:
    """The plan as a JSON object, in the form of a step."""
    return {
        "schema": 1,
        "at": format_instant(now),
        "step": "plan",
        "keyset": keyset.id,
        "replaced": sorted(order.replaced),
        "disables": order.disables,
        "keys": [{"kid": key.kid, "state": state.value} for key, state in keyset.states(now)],
    }
