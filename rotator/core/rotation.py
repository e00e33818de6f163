"""
What we want of a keyset, and the decision when it gets its next key.

This module changes when we change our minds. Nothing here reads a clock, a file
or a network: `decide` is a function of the policy, the keyset and the instant.

    renewal_due     publish_by       activation        expiry of
         |              |            of the new        the old
         |<------------>|<-------------->|<-------------->|
         renewal_window  publication_lead      overlap

Read it from the right: all of it follows from the head, the newest key of the
chain, so the key we ask for is the same, to the second, however often we have
to ask. Only when we are late does `now` enter.

What is late, and what it costs:

- past `publish_by` the lead shrinks; cover and overlap are kept as long as they can be;
- without a valid key sign-in is broken already, and nothing is worth waiting for.

One thing is never done: adding a key that would help no sooner than one that is
there already. Such a key is a *stand-in*: not as good as a link of the chain,
but a second one would not be better.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from rotator.core.keyset import Key, Keyset
from rotator.core.policy import KeySpec, Mode, RotationPolicy
from rotator.core.reasons import Reason


class NoteKind(StrEnum):
    """What is wrong with a key that somebody put there for later."""

    DISABLED = "disabled"
    OVERLAP_TOO_SHORT = "overlap_too_short"
    BEHIND_GAP = "behind_gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A key that will not take over as somebody may expect it to."""

    kid: str | None
    kind: NoteKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When the next key is due, must be published at the latest, and takes over."""

    renewal_due: datetime
    publish_by: datetime
    activation: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """
    What a keyset looks like from `now` on.

    covered_until: the expiry of the last link of the chain; now where there is
        none, NEVER where that key does not expire.
    at_risk: its lead, overlap or cover is hurt, or will be if nobody acts.
    """

    active: Key | None
    covered_until: datetime
    plan: Plan
    at_risk: bool
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Leave the keyset as it is."""

    assessment: Assessment
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotate:
    """Ask for this key."""

    assessment: Assessment
    reason: Reason
    spec: KeySpec


Decision: TypeAlias = Hold | Rotate


def decide(policy: RotationPolicy, keyset: Keyset, now: datetime, *, minimum_lead: timedelta | None = None) -> Decision:
    """
    Whether *keyset* gets its next key at *now*, and which.

    minimum_lead: the least lead that the service takes, where it was seen to want
        more than the policy says

    Carrying the decision out and deciding again gives `Hold`; throughout the
    renewal window every decision asks for one and the same key; no decision asks
    for a key that would activate in the past.
    """
    active = keyset.active(now)
    chain = keyset.chain(now, policy.overlap)
    least = policy.minimum_lead if minimum_lead is None else minimum_lead
    need = _need(policy, least, active, chain[-1] if chain else None, now)
    hurt = active is None
    while need.is_due and (stand_in := _stand_in(policy, keyset, need, now)):
        hurt = hurt or need.head is None or stand_in.activates > need.head.expires - policy.overlap
        need = _need(policy, least, active, stand_in, now)
    assessment = Assessment(
        active=active,
        covered_until=chain[-1].expires if chain else now,
        plan=need.plan,
        at_risk=hurt or need.is_late,
        notes=tuple(_notes(keyset, chain, policy.overlap, now)),
    )
    if policy.mode is Mode.OBSERVE:
        return Hold(assessment=assessment, reason=Reason.OBSERVE)
    if need.is_due:
        spec = KeySpec(use=policy.use, kty=policy.kty, nbf=need.nbf, exp=need.nbf + policy.validity)
        reason = Reason.NO_VALID_KEY if active is None else need.reason
        return Rotate(assessment=assessment, reason=reason, spec=spec)
    if active is None:
        return Hold(assessment=assessment, reason=Reason.NO_VALID_KEY)
    return Hold(assessment=assessment, reason=Reason.OVERDUE if hurt else Reason.NOT_DUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """When the key that follows *head* is needed, and the nbf to ask for if that is now."""

    head: Key | None
    plan: Plan
    nbf: datetime
    reason: Reason

    @property
    def is_due(self) -> bool:
        return self.reason is not Reason.NOT_DUE

    @property
    def is_late(self) -> bool:
        return self.reason is Reason.OVERDUE


def _need(
    policy: RotationPolicy, minimum_lead: timedelta, active: Key | None, head: Key | None, now: datetime
) -> _Need:
    if head is None:
        if active is None:
            reason, nbf = Reason.NO_VALID_KEY, now + minimum_lead
        else:
            reason, nbf = Reason.UNDATED, now + policy.publication_lead
        return _Need(head=None, plan=Plan(renewal_due=now, publish_by=now, activation=nbf), nbf=nbf, reason=reason)
    activation = _activation(policy, head)
    publish_by = activation - policy.publication_lead
    plan = Plan(renewal_due=publish_by - policy.renewal_window, publish_by=publish_by, activation=activation)
    if now < plan.renewal_due:
        return _Need(head=head, plan=plan, nbf=activation, reason=Reason.NOT_DUE)
    if now <= plan.publish_by:
        return _Need(head=head, plan=plan, nbf=activation, reason=Reason.RENEWAL_DUE)
    wanted = min(now + policy.publication_lead, head.expires - policy.overlap)
    nbf = max(activation, wanted, now + minimum_lead)
    return _Need(head=head, plan=plan, nbf=nbf, reason=Reason.OVERDUE)


def _activation(policy: RotationPolicy, head: Key) -> datetime:
    """When *head* hands over: after its turn, and early enough to overlap. *head* is dated."""
    overlapping = head.expires - policy.overlap
    return overlapping if head.nbf is None else min(head.nbf + policy.rotate_every, overlapping)


def _stand_in(policy: RotationPolicy, keyset: Keyset, need: _Need, now: datetime) -> Key | None:
    """
    The key to come that does what the needed one would, at least as soon; None where there is none.

    It must outlast the head's turn. The turn of a key that was made to live longer
    than we use it ends when that of one of ours would: a hand-made two-year key is
    followed by keys that expire before it does.
    """
    head = need.head
    if head is None:
        after = turn_end = now
    else:
        after = max(now, head.activates)
        turn_end = head.expires if head.nbf is None else min(head.expires, head.nbf + policy.validity)
    candidates = (key for key in keyset.upcoming(after) if key.activates <= need.nbf and key.expires > turn_end)
    return max(candidates, key=lambda key: key.expires, default=None)


def _notes(keyset: Keyset, chain: tuple[Key, ...], overlap: timedelta, now: datetime) -> Iterator[Note]:
    """The keys to come that will not take over as somebody may expect."""
    end = chain[-1].expires if chain else now
    links = frozenset(chain)
    for key in keyset.keys:
        if key.activates <= now or key in links:
            continue
        if not key.enabled:
            yield Note(kid=key.kid, kind=NoteKind.DISABLED)
        elif key.activates > end:
            yield Note(kid=key.kid, kind=NoteKind.BEHIND_GAP)
        elif key.activates > end - overlap:
            yield Note(kid=key.kid, kind=NoteKind.OVERLAP_TOO_SHORT)
