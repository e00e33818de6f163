"""
Why a keyset was held or rotated, and what each reason means.

`Reason` is the result of the decision. `Refusal` is the result of a gate right before a
write: the decision calls for a key, but it is not requested now.
"""

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """Why the decision holds or rotates. The values are part of the interface."""

    NOT_DUE = "not_due"
    RENEWAL_DUE = "renewal_due"
    OVERDUE = "overdue"
    NO_VALID_KEY = "no_valid_key"
    UNDATED = "undated"
    MISSING = "missing"
    CERTIFICATE = "certificate"
    OBSERVE = "observe"
    ON_HOLD = "on_hold"


class Refusal(StrEnum):
    """Why a key that the decision calls for is not requested now. The values are part of the interface."""

    STOPPING = "stopping"
    NOT_LEADER = "not_leader"
    RECONFIGURED = "reconfigured"
    RUNAWAY_GUARD = "runaway_guard"


MEANINGS: Mapping[Reason | Refusal, str] = {
    Reason.NOT_DUE: "the next key is not due yet",
    Reason.RENEWAL_DUE: "in the renewal window",
    Reason.OVERDUE: "past `publish_by`: lead, overlap or cover is or will be shorter than configured",
    Reason.NO_VALID_KEY: "no key is valid: nobody can sign in through policies that use it",
    Reason.UNDATED: (
        "the key in use has no expiry, or it has no activation date and stays valid for longer than a generated key; "
        "no dated key follows it"
    ),
    Reason.MISSING: (
        "the tenant has no keyset of this id, and `create: true`: the keyset is created, and then its first key"
    ),
    Reason.CERTIFICATE: (
        "the newest key carries a certificate, which rotator cannot generate; upload the next certificate"
    ),
    Reason.OBSERVE: "`mode: observe`; `would` and `key` say what would be done",
    Reason.ON_HOLD: "a `hold` in the configuration; `would` and `key` say what would be done without it",
    Refusal.STOPPING: "rotator was asked to stop before it could write",
    Refusal.NOT_LEADER: "another replica leads, or may take the lead before the request has ended",
    Refusal.RECONFIGURED: "the configuration changed before rotator could write",
    Refusal.RUNAWAY_GUARD: (
        "the runaway guard allows no further key: a successor is pending, or two keys were generated within "
        "`rotate_every`; find out who or what undoes them"
    ),
}
"""Each reason in a sentence for people, without a full stop; backquotes mark names, as in Markdown."""

NEEDS_A_PERSON = frozenset({Refusal.RUNAWAY_GUARD})
"""Refusals that a person must resolve, even if the keyset is not at risk: logged as a warning at each look."""

TAKES_OVER_SOON = frozenset({Reason.NO_VALID_KEY, Reason.UNDATED})
"""Reasons for a key that takes over at once. A single incomplete answer of the service can cause them."""


def confirms(first: Reason, second: Reason) -> bool:
    """
    True if the second look confirms the first.

    A reason in `TAKES_OVER_SOON` must be the reason of both looks, and so must `missing`.
    """
    if Reason.MISSING in (first, second):
        return first is second
    return first is second or second not in TAKES_OVER_SOON
