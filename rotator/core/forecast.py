"""
The forecast: the next rotations, and which key B2C uses when.

It does not have a formula of its own: it calls `decide` again and again, and adds the key of
each decision to the keyset.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import TypeAlias

from rotator.core.keyset import Key, Keyset
from rotator.core.policy import RotationPolicy
from rotator.core.reasons import Reason
from rotator.core.rotation import Hold, Rotate, decide

MAX_ROTATIONS = 24  # of one forecast: keys may be valid for seconds only

Span: TypeAlias = tuple[datetime, datetime]
"""From an instant (included) to a later one (excluded)."""


def forecast(policy: RotationPolicy, keyset: Keyset, now: datetime, until: datetime) -> Iterator[Key]:
    """
    The keys that will be generated before *until* if nothing else changes, at most `MAX_ROTATIONS`.

    They are in the order of their generation and have no kid. There are none if the policy does not allow writes.
    """
    at, planned = now, 0
    while planned < MAX_ROTATIONS:
        match decide(policy, keyset, at):
            case Rotate(spec=spec):
                key = Key(kid=None, nbf=spec.nbf, exp=spec.exp, use=spec.use, kty=spec.kty)
                # Keys that have expired by then no longer affect any decision.
                keyset = Keyset(id=keyset.id, keys=(*(known for known in keyset.keys if known.expires > at), key))
                planned += 1
                yield key
            case Hold(reason=Reason.ON_HOLD) if policy.hold is not None and policy.hold.ends < until:
                at = policy.hold.ends
            case Hold(assessment=assessment):
                if not at < assessment.plan.renewal_due < until:
                    return
                at = assessment.plan.renewal_due


def active_spans(keyset: Keyset, start: datetime, end: datetime) -> list[tuple[Key, Span]]:
    """
    The active key of each span from *start* to *end*, in the order of time.

    A span ends wherever any key begins or ends, so that consecutive spans may have the same key.
    Spans without an active key are left out.
    """
    changes = {date for key in keyset.keys for date in (key.nbf, key.exp) if date is not None and start < date < end}
    lives = [(key.activates, key.expires, key) for key in keyset.keys]
    spans = []
    for begin, finish in pairwise([start, *sorted(changes), end]):
        alive = tuple(key for activates, expires, key in lives if activates <= begin < expires)
        active = Keyset(id=keyset.id, keys=alive).active(begin)
        if active is not None:
            spans.append((active, (begin, finish)))
    return spans
