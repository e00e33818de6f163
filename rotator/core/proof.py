"""
Whether relying parties can see the keys of a keyset, and whether B2C signs with the right one.

A pure function of a keyset, the evidence of the probes and the instant. It only observes: no decision
on a rotation depends on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.core.findings import Finding, findings
from rotator.core.key_in_use import Method, is_confirmed, previous_key, shown_by
from rotator.core.keyset import Key, Keyset
from rotator.core.policy import RotationPolicy
from rotator.core.publication import Evidence


class Slot(StrEnum):
    """The position of a key: active, next or previous. The values are part of the interface."""

    ACTIVE = "active"
    UPCOMING = "upcoming"
    PREVIOUS = "previous"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysetProof:
    """
    The result of the probes for one keyset.

    method:       what shows that the active key is the one in use
    policies:     the policies that publish the keyset
    published:    by slot, whether relying parties can see that key; absent while that is unknown
    published_at: when the newest upcoming or active key was first seen published
    lead:         how long that is before its nbf
    confirmed:    whether the active key is known to sign; None if no method can show it
    signing:      the kid of the active key if it is confirmed
    kids:         the kids of the keys that are published
    """

    method: Method
    policies: tuple[str, ...]
    published: Mapping[Slot, bool]
    published_at: datetime | None
    lead: timedelta | None
    confirmed: bool | None
    signing: str | None
    kids: frozenset[str]
    findings: tuple[Finding, ...]


def prove(policy: RotationPolicy, keyset: Keyset, evidence: Evidence, now: datetime, *, seen: datetime) -> KeysetProof:
    """The result at *now* for *keyset*, which was read at *seen*, from *evidence*."""
    active = keyset.active(now)
    slots = _slots(keyset, active, now)
    published = {slot: evidence.is_published(keyset.id, key) for slot, key in slots.items()}
    newest = slots.get(Slot.UPCOMING, active)
    published_at = None if newest is None else evidence.published_since(keyset.id, newest)
    lead = None
    if newest is not None and newest.nbf is not None and published_at is not None:
        lead = newest.nbf - published_at
    confirmed = is_confirmed(keyset, active, evidence)
    return KeysetProof(
        method=shown_by(keyset, active, evidence),
        policies=evidence.policies_of(keyset.id),
        published={slot: state for slot, state in published.items() if state is not None},
        published_at=published_at,
        lead=lead,
        confirmed=confirmed,
        signing=active.kid if active is not None and confirmed else None,
        kids=frozenset(key.kid for key in keyset.keys if key.kid and evidence.is_published(keyset.id, key)),
        findings=tuple(findings(policy, keyset, active, evidence, now, seen)),
    )


def _slots(keyset: Keyset, active: Key | None, now: datetime) -> dict[Slot, Key]:
    slots: dict[Slot, Key] = {}
    if active is not None:
        slots[Slot.ACTIVE] = active
    if (upcoming := next(keyset.upcoming(now), None)) is not None:
        slots[Slot.UPCOMING] = upcoming
    if (previous := previous_key(keyset, active, now)) is not None:
        slots[Slot.PREVIOUS] = previous
    return slots
