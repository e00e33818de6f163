"""
The replacement of keys that must not be trusted any more: which step is next.

    generate ─▶ wait for the key ─▶ wait until it signs ─▶ disable ─▶ wait until it is not listed ─▶ done

Nothing is remembered of a step but what this process asked for (`Made`): `next_step` is a function of
the order and of what the keyset and the sign-in side show now. A command that was killed at any step
is therefore resumed by calling it again. Two rules hold whatever the service shows:

1. A key is disabled only while another key, that is not compromised, is valid and was seen to sign.
2. A disabled key is enabled only if this process generated it: any other may have been disabled
   because it leaked. A call that is killed before it enables its key costs one more key.

A key signs if, in this order, the last two tokens have its kid; or, without tokens,
getActiveKey names it; or, without that too, every policy that publishes the keyset lists it and
`SIGNING_CACHE_TIME` has passed since its nbf.

Sources: "Overview of policy keys in Azure Active Directory B2C" (activation, disabling);
trustFrameworkKey_v2 (update); "Best practices for Azure AD B2C" (policies are cached for 30 minutes).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from rotator.core.keyset import Key, Keyset
from rotator.core.policy import KNOWN_MINIMUM_LEAD, KeySpec, Mode, RotationPolicy
from rotator.core.publication import PublishedKey, Token

SIGNING_CACHE_TIME = timedelta(minutes=30)
MAX_REPLACEMENT_LEAD = KNOWN_MINIMUM_LEAD + timedelta(minutes=5)
"""A key to come counts as the replacement if it activates within this time; a later one does not help."""

TOKENS_IN_A_ROW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    What a person ordered for one keyset.

    replaced: the kids of the keys that must not sign any more
    disables: True if these are then disabled, because they are compromised
    """

    policy: RotationPolicy
    replaced: frozenset[str]
    disables: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """
    The key that this process asked for.

    kid:    as the service named it; None if it named none, or its answer was lost
    before: the kids that the keyset had before
    """

    spec: KeySpec
    kid: str | None
    before: frozenset[str | None]

    def is_it(self, key: Key) -> bool:
        """True if *key* is the one that was asked for."""
        if self.kid is not None:
            return key.kid == self.kid
        return key.kid not in self.before and not self.spec.differences(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """
    What is seen at `now`.

    made:        what this process asked for; None if it did not come to that
    lead:        the lead to ask for: none, or `KNOWN_MINIMUM_LEAD` once the service refused that
    tokens:      the last tokens that were fetched, the newest last; empty if none can be fetched
    active_kid:  what getActiveKey names; None if it names none, or could not be asked
    listed:      by policy, the keys of its JWKS; a policy that could not be read is absent
    policies:    how many policies are probed
    """

    now: datetime
    keyset: Keyset
    made: Made | None = None
    lead: timedelta = timedelta()
    tokens: tuple[Token, ...] = ()
    active_kid: str | None = None
    listed: Mapping[str, tuple[PublishedKey, ...]] = field(default_factory=dict)
    policies: int = 0


class Waiting(StrEnum):
    """What is waited for. The values are part of the JSON output."""

    KEY = "wait_for_key"
    SIGNING = "wait_for_signing"
    UNLISTED = "wait_for_unlisted"


@dataclass(frozen=True, slots=True)
class Generate:
    """Ask once for this key."""

    spec: KeySpec


@dataclass(frozen=True, slots=True)
class Enable:
    """Enable this key, which this process generated and which was created disabled."""

    kid: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done before *what* is seen; *since*: the instant from which it is waited for."""

    what: Waiting
    since: datetime


@dataclass(frozen=True, slots=True)
class Disable:
    """Disable this key."""

    kid: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """
    The order cannot be carried out.

    loses_cover: since no valid key would remain; else since it names a key that is not there
    """

    why: str
    loses_cover: bool = True


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do."""


NextStep: TypeAlias = Generate | Enable | Wait | Disable | Refuse | Done


def next_step(order: Order, sight: Sight) -> NextStep:
    """Which step is next. The same sight always leads to the same step."""
    if (refusal := objection(order, sight.keyset)) is not None:
        return refusal
    new = replacement(order, sight)
    return _towards_a_key(order, sight) if new is None else _with_key(order, sight, new)


def _with_key(order: Order, sight: Sight, new: Key) -> NextStep:
    """The next step once *new* is there to take over."""
    left = _enabled(order, sight.keyset)
    if left and not signs(order, sight, new):
        return Wait(Waiting.SIGNING, new.activates)
    if left and order.disables:
        return Disable(left[0])
    if order.disables and any(key.kid in order.replaced for keys in sight.listed.values() for key in keys):
        return Wait(Waiting.UNLISTED, sight.now)
    return Done()


def objection(order: Order, keyset: Keyset) -> Refuse | None:
    """Why the order cannot be carried out on *keyset*; None if it can."""
    policy = order.policy
    if missing := sorted(order.replaced - keyset.kids):
        return Refuse(f"the keyset has no key {missing[0]}; check the kid with `rotator status`", loses_cover=False)
    if policy.mode is Mode.OBSERVE:
        return Refuse("the keyset is in mode observe, so no key is generated for it; set mode: rotate first")
    if any(key.has_certificate for key in keyset.keys if key.enabled):
        return Refuse("the keyset has a certificate, which rotator cannot generate; upload the next one first")
    uses = [key.use for key in keyset.keys if key.use not in (None, policy.use)]
    if uses:
        return Refuse(f"the keys have use {uses[0]}, not {policy.use}, so the service refuses a new key; check use")
    return None


def replacement(order: Order, sight: Sight) -> Key | None:
    """
    The key that takes the place of the replaced ones; None if one is to be generated.

    That is the active key if it is not one of them and lasts long enough for the usual plan to
    find it a successor. Else it is the next key to come, if none of them takes over after it.
    If nothing is compromised, a key to come counts only if this process asked for it.
    """
    now, until = sight.now, sight.now + order.policy.publication_lead
    keys = [key for key in sight.keyset.keys if key.kid and key.kid not in order.replaced and key.is_usable]
    lasting = [key for key in keys if key.expires > until]
    active = sight.keyset.active(now)
    if active in lasting:
        return active
    soon = now + MAX_REPLACEMENT_LEAD
    is_asked_for = sight.made.is_it if sight.made is not None else lambda _: False
    to_come = [key for key in lasting if now < key.activates <= soon and (order.disables or is_asked_for(key))]
    best = max(to_come, key=lambda key: (key.activates, key.expires, key.kid or ""), default=None)
    rivals = (key for key in sight.keyset.keys if key.kid in order.replaced and key.is_usable)
    if best is None or any(best.activates < key.activates <= soon for key in rivals):
        return None
    return best


def signs(order: Order, sight: Sight, new: Key) -> bool:
    """True if *new* was seen to sign."""
    if not new.is_valid(sight.now):
        return False
    tokens = [token for token in sight.tokens if _publishes(sight, token.policy)]
    if tokens and order.policy.use == "sig":
        last = tokens[-TOKENS_IN_A_ROW:]
        return len(last) == TOKENS_IN_A_ROW and all(token.kid == new.kid for token in last)
    if sight.active_kid is not None:
        return sight.active_kid == new.kid
    policies = [policy for policy in sight.listed if _publishes(sight, policy)]
    is_listed = all(any(key.kid == new.kid for key in sight.listed[policy]) for policy in policies)
    is_complete = bool(policies) and len(sight.listed) == sight.policies
    return is_complete and is_listed and sight.now >= new.activates + SIGNING_CACHE_TIME


def _towards_a_key(order: Order, sight: Sight) -> NextStep:
    made = sight.made
    if made is None:
        nbf = sight.now + sight.lead
        spec = KeySpec(use=order.policy.use, kty=order.policy.kty, nbf=nbf, exp=nbf + order.policy.validity)
        return Generate(spec)
    own = next((key for key in sight.keyset.keys if made.is_it(key) and key.kid not in order.replaced), None)
    if own is not None and own.kid is not None and not own.enabled:
        return Enable(own.kid)
    return Wait(Waiting.KEY, sight.now)


def _enabled(order: Order, keyset: Keyset) -> list[str]:
    """The replaced keys that are enabled, the undated safety net last: it never signs before the others expire."""
    keys = [key for key in keyset.keys if key.kid in order.replaced and key.enabled]
    return [key.kid for key in sorted(keys, key=lambda key: not key.is_dated) if key.kid is not None]


def _publishes(sight: Sight, policy: str) -> bool:
    """True if the JWKS of *policy* lists any key of the keyset."""
    return any(key.kid in sight.keyset.kids for key in sight.listed.get(policy, ()))
