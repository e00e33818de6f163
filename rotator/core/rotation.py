"""
The decision: whether a keyset gets its next key, when, and which.

Nothing here reads a clock, a file or a network: `decide` is a function of the
policy, the keyset and the instant.

    renewal_due     publish_by       activation        expiry of
         |              |            of the new        the old
         |<------------>|<-------------->|<-------------->|
         renewal_window  publication_lead      overlap

All of these instants are computed from the head (the newest key of the chain), from right to left. So
every decision asks for the same key, to the second. Only a late decision depends on `now`.

What becomes shorter if a key is late:

- After `publish_by`, the lead is shortened if that preserves the full overlap.
- If no lead preserves the full overlap, the full lead is used and the overlap is shortened. The lead
  is then shortened only to keep cover.
- If no key is valid, users cannot sign in: the key takes over as soon as the service allows.

With a calendar the activation is moved to an instant at which the calendar is open; see `activation`.

No key is requested in three cases:

- An upcoming key already takes over as soon as the new one would. It is called a *stand-in*: it
  may overlap too little to belong to the chain, but a second key would not be better.
- The newest key has a certificate: a person must upload the next certificate.
- The service would refuse the key, because the keyset's keys have another use or type.

The age of a key without nbf is unknown. If it stays valid for longer than a generated key ever is,
a successor is due now.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from rotator.core.activation import opened, overlapping_until, plan_after
from rotator.core.assessment import Assessment, Note, NoteKind, Plan, Shortfall, notes_on
from rotator.core.keyset import NEVER, Key, Keyset
from rotator.core.policy import ZERO, KeySpec, Mode, RotationPolicy
from rotator.core.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """
    Leave the keyset as it is.

    would: in mode observe or on hold, the reason that would apply otherwise; else None
    spec:  in mode observe or on hold, the key that would be requested now; None if none is due
    """

    assessment: Assessment
    reason: Reason
    would: Reason | None = None
    spec: KeySpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotate:
    """Request this key."""

    assessment: Assessment
    reason: Reason
    spec: KeySpec


Decision: TypeAlias = Hold | Rotate


def decide(policy: RotationPolicy, keyset: Keyset, now: datetime, *, minimum_lead: timedelta | None = None) -> Decision:
    """
    Decide whether *keyset* gets its next key at *now*, and which.

    minimum_lead: the shortest lead that the service accepts, if it has refused that of the policy

    A decision that is made after the last one was carried out is `Hold`. All decisions within
    one renewal window ask for the same key. No decision asks for a key that activates in the past.
    """
    active = keyset.active(now)
    chain = keyset.chain(now, policy.overlap)
    least = policy.minimum_lead if minimum_lead is None else minimum_lead
    need = _need(policy, least, active, chain[-1] if chain else None, now)
    shortfall = Shortfall()
    while need.is_due and (stand_in := _stand_in(policy, keyset, need, now)):
        shortfall = shortfall.worst(_handover(policy, need, stand_in.activates, now))
        need = _need(policy, least, active, stand_in, now)
    is_short = active is None or bool(shortfall)
    if need.is_due:
        lead = Shortfall(lead=max(ZERO, now + policy.publication_lead - need.nbf))
        shortfall = shortfall.worst(lead).worst(_handover(policy, need, need.nbf, now))
    notes = tuple(notes_on(policy, keyset, chain, now))
    is_certificate = _is_certificate(keyset)
    is_blocked = is_certificate or any(note.kind.is_mismatch for note in notes)
    if need.is_due and not is_blocked and need.reason is not Reason.NO_VALID_KEY and policy.misses_window(need.nbf):
        notes = (*notes, Note(kid=None, kind=NoteKind.WINDOW_MISSED))
    assessment = Assessment(
        active=active,
        covered_until=chain[-1].expires if chain and chain[-1].expires != NEVER else None,
        plan=need.plan,
        at_risk=is_short or need.is_late or (is_blocked and need.reason is Reason.RENEWAL_DUE),
        notes=notes,
        shortfall=shortfall,
    )
    reason = Reason.CERTIFICATE if is_certificate else _reason(need, active, is_short=is_short)
    spec = None
    if need.is_due and not is_blocked:
        spec = KeySpec(use=policy.use, kty=policy.kty, nbf=need.nbf, exp=need.nbf + policy.validity)
    if policy.mode is Mode.OBSERVE:
        return Hold(assessment=assessment, reason=Reason.OBSERVE, would=reason, spec=spec)
    if policy.hold is not None and policy.hold.lasts(now):
        return Hold(assessment=assessment, reason=Reason.ON_HOLD, would=reason, spec=spec)
    if spec is None:
        return Hold(assessment=assessment, reason=reason)
    return Rotate(assessment=assessment, reason=reason, spec=spec)


def _reason(need: "_Need", active: Key | None, *, is_short: bool) -> Reason:
    if active is None:
        return Reason.NO_VALID_KEY
    if need.is_due:
        return need.reason
    return Reason.OVERDUE if is_short else Reason.NOT_DUE


def _handover(policy: RotationPolicy, need: "_Need", begins: datetime, now: datetime) -> Shortfall:
    """What falls short if the key that is needed activates at *begins*."""
    if need.head is None:
        return Shortfall(cover=begins - now if need.reason is Reason.NO_VALID_KEY else ZERO)
    overlap = min(policy.overlap, begins - (need.head.expires - policy.overlap))
    return Shortfall(overlap=max(ZERO, overlap), cover=max(ZERO, begins - need.head.expires))


def _is_certificate(keyset: Keyset) -> bool:
    """True if the newest key has a certificate. Disabled keys count only if no key is enabled."""
    keys = [key for key in keyset.keys if key.enabled] or keyset.keys
    newest = max(((key.activates, key.expires) for key in keys), default=None)
    return any(key.has_certificate and (key.activates, key.expires) == newest for key in keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """
    When the key that follows *head* is needed, and the nbf to ask for if that is now.

    stand_in_by: an upcoming key that activates by then is early enough, even if the calendar asks for an earlier one
    """

    head: Key | None
    plan: Plan
    nbf: datetime
    reason: Reason
    stand_in_by: datetime

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
            reason, nbf = Reason.UNDATED, opened(policy, now + policy.publication_lead, NEVER)
        return _at_once(None, nbf, reason, now)
    if _is_of_unknown_age(policy, head, now):
        nbf = opened(policy, now + policy.publication_lead, overlapping_until(policy, head))
        return _at_once(head, nbf, Reason.UNDATED, now)
    turn = _turn_end(policy, head)
    plan = plan_after(policy, head, turn, now)
    if now <= plan.publish_by:
        reason = Reason.NOT_DUE if now < plan.renewal_due else Reason.RENEWAL_DUE
        nbf = plan.activation
    else:
        reason = Reason.OVERDUE
        nbf = _late(policy, minimum_lead, head, plan.activation, now)
    return _Need(head=head, plan=plan, nbf=nbf, reason=reason, stand_in_by=max(turn, nbf))


def _late(policy: RotationPolicy, minimum_lead: timedelta, head: Key, activation: datetime, now: datetime) -> datetime:
    """The nbf to ask for after `publish_by`."""
    soonest, whole, overlapping = now + minimum_lead, now + policy.publication_lead, overlapping_until(policy, head)
    latest = overlapping if soonest <= overlapping else head.expires
    nbf = max(activation, min(whole, latest), soonest)
    return nbf if nbf < whole else opened(policy, nbf, overlapping)


def _at_once(head: Key | None, nbf: datetime, reason: Reason, now: datetime) -> _Need:
    plan = Plan(renewal_due=now, publish_by=now, activation=nbf)
    return _Need(head=head, plan=plan, nbf=nbf, reason=reason, stand_in_by=nbf)


def _is_of_unknown_age(policy: RotationPolicy, key: Key, now: datetime) -> bool:
    """True if a key without nbf and certificate stays valid for longer than a generated key ever is."""
    return key.nbf is None and not key.has_certificate and key.expires - now > policy.validity


def _turn_end(policy: RotationPolicy, head: Key) -> datetime:
    """
    When the successor of dated *head* activates: after `rotate_every` (not for certificates), or earlier.

    A person may have requested that it is replaced ahead of time.
    """
    overlapping = min(overlapping_until(policy, head), policy.replaced_at(head))
    if head.nbf is None or head.has_certificate:
        return overlapping
    return min(head.nbf + policy.rotate_every, overlapping)


def _stand_in(policy: RotationPolicy, keyset: Keyset, need: _Need, now: datetime) -> Key | None:
    """
    The upcoming key that takes over at least as soon as the needed one would; None if there is none.

    It must expire after the head's turn. The turn of a dated head ends at the latest when a generated
    key would expire: so the successors of a hand-made two-year key may expire before that key does.
    """
    head = need.head
    if head is None or _is_of_unknown_age(policy, head, now):
        after = turn_end = now
    else:
        after = max(now, head.activates)
        has_turn = head.nbf is not None and not head.has_certificate
        turn_end = min(head.expires, head.activates + policy.validity) if has_turn else head.expires
    candidates = (key for key in keyset.upcoming(after) if key.activates <= need.stand_in_by and key.expires > turn_end)
    return max(candidates, key=lambda key: key.expires, default=None)
