"""
Whether relying parties can see the keys of a keyset, and whether B2C signs with the right one.

Pure functions of a keyset, the evidence of the probes and the instant. They only observe: no decision
on a rotation depends on them. The names of the findings are part of the interface.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.core.keyset import Key, Keyset, KeyState
from rotator.core.policy import RotationPolicy
from rotator.core.publication import Evidence

PUBLISHED_BEFORE = timedelta(hours=24)
"""How long before its nbf a key is expected in the JWKS: a relying party that reads it once a day must see it."""

PUBLICATION_GRACE = timedelta(minutes=30)
"""For how long after a key's nbf B2C may still serve a cached JWKS."""

SIGNING_GRACE = timedelta(minutes=45)
"""For how long after a key's nbf B2C may still sign with its predecessor."""

CLOCK_TOLERANCE = timedelta(minutes=5)  # by which relying parties let a token outlive its `exp`
UNLISTED_AFTER = timedelta(hours=1)  # for which an upcoming key must be missing: longer than any cache holds a JWKS


class Method(StrEnum):
    """What shows which key is in use. The values are part of the interface."""

    TOKEN = "token"  # noqa: S105 - an issued token names the key, and its signature is correct
    JWKS = "jwks"  # every policy that publishes the keyset lists the key
    ACTIVE_KEY = "active_key"  # Graph's getActiveKey names it
    NONE = "none"


class FindingKind(StrEnum):
    """Problems that the probes of a tenant can show. The values are part of the interface."""

    NOT_PUBLISHED = "not_published"
    NOT_SIGNING = "not_signing"
    ACTIVE_KEY_UNPUBLISHED = "active_key_unpublished"
    WITHDRAWN_EARLY = "withdrawn_early"
    MODULUS_MISMATCH = "modulus_mismatch"
    TOKEN_DOES_NOT_VERIFY = "token_does_not_verify"  # noqa: S105 - a name
    FOREIGN_KEY = "foreign_key"
    POLICIES_DISAGREE = "policies_disagree"
    SIGNING_KEYSET_HAS_USE_ENC = "signing_keyset_has_use_enc"
    OVERLAP_SHORTER_THAN_TOKENS = "overlap_shorter_than_tokens"
    ACTIVE_KEY_DIFFERS = "active_key_differs"
    FUTURE_KEYS_UNLISTED = "future_keys_unlisted"


INFORMATION = frozenset({FindingKind.POLICIES_DISAGREE, FindingKind.FUTURE_KEYS_UNLISTED})
"""The findings that need no action."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    A problem, or a remark, that the probes have shown.

    kid:      the key that it is about; None if it is about the keyset
    policies: the policies whose JWKS or token shows it
    """

    kind: FindingKind
    kid: str | None = None
    policies: tuple[str, ...] = ()


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
    confirmed = _confirmed(keyset, active, evidence)
    return KeysetProof(
        method=_method(keyset, active, evidence),
        policies=evidence.policies_of(keyset.id),
        published={slot: state for slot, state in published.items() if state is not None},
        published_at=published_at,
        lead=lead,
        confirmed=confirmed,
        signing=active.kid if active is not None and confirmed else None,
        kids=frozenset(key.kid for key in keyset.keys if key.kid and evidence.is_published(keyset.id, key)),
        findings=tuple(_findings(policy, keyset, active, evidence, now, seen)),
    )


# --- which key is in use


def _slots(keyset: Keyset, active: Key | None, now: datetime) -> dict[Slot, Key]:
    slots: dict[Slot, Key] = {}
    if active is not None:
        slots[Slot.ACTIVE] = active
    if (upcoming := next(keyset.upcoming(now), None)) is not None:
        slots[Slot.UPCOMING] = upcoming
    if (previous := _previous(keyset, active, now)) is not None:
        slots[Slot.PREVIOUS] = previous
    return slots


def _previous(keyset: Keyset, active: Key | None, now: datetime) -> Key | None:
    """The key that was active before *active*, while it is valid."""
    if active is None:
        return None
    retained = [key for key, state in keyset.states(now) if state is KeyState.RETAINED]
    earlier = [key for key in retained if key.activates <= active.activates]
    return max(earlier, key=lambda key: (key.activates, key.expires), default=None)


def _named(keyset: Keyset, evidence: Evidence, since: datetime | None) -> Iterator[tuple[Method, str]]:
    """Which of the keyset's keys is in use, by each method whose answer is from *since* or later."""
    token, token_at = evidence.token, evidence.token_at
    is_recent = token_at is not None and (since is None or token_at >= since)
    if token is not None and token.is_verified and is_recent and token.kid in keyset.kids:
        yield Method.TOKEN, token.kid
    kid, asked_at = evidence.active_kids.get(keyset.id, (None, None))
    if kid is not None and asked_at is not None and (since is None or asked_at >= since):
        yield Method.ACTIVE_KEY, kid


def _confirmed(keyset: Keyset, active: Key | None, evidence: Evidence) -> bool | None:
    if active is None:
        return None
    kids = [kid for _, kid in _named(keyset, evidence, active.nbf)]
    return active.kid in kids if kids else None


def _method(keyset: Keyset, active: Key | None, evidence: Evidence) -> Method:
    if active is None:
        return Method.NONE
    methods = [method for method, kid in _named(keyset, evidence, active.nbf) if kid == active.kid]
    if Method.TOKEN in methods:
        return Method.TOKEN
    if evidence.is_published(keyset.id, active):
        return Method.JWKS
    return methods[0] if methods else Method.NONE


# --- findings


def _findings(
    policy: RotationPolicy, keyset: Keyset, active: Key | None, evidence: Evidence, now: datetime, seen: datetime
) -> Iterator[Finding]:
    yield from _publication(keyset, evidence, now)
    yield from _withdrawal(keyset, active, evidence, now, seen)
    yield from _signing(keyset, active, evidence, now)
    publishing = evidence.policies_of(keyset.id)
    for (name, kid), known in evidence.altered.items():
        if known.holds and kid in keyset.kids:
            yield Finding(FindingKind.MODULUS_MISMATCH, kid, (name,))
    for (name, kid), known in evidence.foreign.items():
        if known.holds and name in publishing:
            yield Finding(FindingKind.FOREIGN_KEY, kid, (name,))
    if publishing and len({_published_by(evidence, name) for name in evidence.read}) > 1:
        yield Finding(FindingKind.POLICIES_DISAGREE, None, tuple(sorted(evidence.read)))
    if publishing and (policy.use == "enc" or any(key.use == "enc" for key in keyset.keys)):
        yield Finding(FindingKind.SIGNING_KEYSET_HAS_USE_ENC, None, publishing)
    token = evidence.token
    if token is not None and token.kid in keyset.kids:
        if policy.overlap < token.lifetime + CLOCK_TOLERANCE:
            yield Finding(FindingKind.OVERLAP_SHORTER_THAN_TOKENS, None, (token.policy,))
        if evidence.verifies.holds is False:
            yield Finding(FindingKind.TOKEN_DOES_NOT_VERIFY, token.kid, (token.policy,))


def _published_by(evidence: Evidence, policy: str) -> frozenset[str]:
    return frozenset(keyset_id for name, keyset_id in evidence.publishes if name == policy)


def _publication(keyset: Keyset, evidence: Evidence, now: datetime) -> Iterator[Finding]:
    for key in keyset.upcoming(now):
        missing = _missing(keyset, key, evidence)
        if missing and evidence.lists_future and now >= key.activates - PUBLISHED_BEFORE:
            yield Finding(FindingKind.NOT_PUBLISHED, key.kid, missing)
    if not evidence.lists_future and is_long_unlisted(keyset, evidence, now):
        yield Finding(FindingKind.FUTURE_KEYS_UNLISTED, None, evidence.policies_of(keyset.id))


def _withdrawal(
    keyset: Keyset, active: Key | None, evidence: Evidence, now: datetime, seen: datetime
) -> Iterator[Finding]:
    """Findings for keys that should be listed and are not, although a later look showed them enabled."""
    if active is not None and (active.nbf is None or now >= active.nbf + PUBLICATION_GRACE):
        missing = _gone(keyset, active, evidence, seen)
        if missing:
            yield Finding(FindingKind.ACTIVE_KEY_UNPUBLISHED, active.kid, missing)
    previous = _previous(keyset, active, now)
    if previous is not None:
        missing = _gone(keyset, previous, evidence, seen)
        gone = tuple(name for name in missing if evidence.listing(name, previous).has_held)
        if gone:
            yield Finding(FindingKind.WITHDRAWN_EARLY, previous.kid, gone)


def _missing(keyset: Keyset, key: Key, evidence: Evidence) -> tuple[str, ...]:
    """The policies that publish the keyset and are known not to list *key*."""
    return tuple(name for name in evidence.policies_of(keyset.id) if evidence.listing(name, key).holds is False)


def _gone(keyset: Keyset, key: Key, evidence: Evidence, seen: datetime) -> tuple[str, ...]:
    """The policies that had stopped listing *key* before the keyset was last *seen*."""
    missing = _missing(keyset, key, evidence)
    return tuple(name for name in missing if (since := evidence.listing(name, key).since) and since <= seen)


def is_long_unlisted(keyset: Keyset, evidence: Evidence, now: datetime) -> bool:
    """True if an upcoming key has been missing from every policy's JWKS for longer than caches explain."""
    for key in keyset.upcoming(now):
        known = [evidence.listing(name, key) for name in evidence.policies_of(keyset.id)]
        if known and all(each.holds is False and each.since and now - each.since >= UNLISTED_AFTER for each in known):
            return True
    return False


def _signing(keyset: Keyset, active: Key | None, evidence: Evidence, now: datetime) -> Iterator[Finding]:
    """A finding if another key than the active one is in use, long enough after its nbf."""
    if active is None or active.nbf is None or now < active.nbf + SIGNING_GRACE:
        return
    keys = {key.kid: key for key in keyset.keys}
    for method, kid in _named(keyset, evidence, active.nbf + SIGNING_GRACE):
        if kid == active.kid:
            continue
        policies = (evidence.token.policy,) if method is Method.TOKEN and evidence.token is not None else ()
        named = keys.get(kid)
        if named is not None and named.activates < active.activates:
            yield Finding(FindingKind.NOT_SIGNING, active.kid, policies)
        elif method is Method.ACTIVE_KEY:
            yield Finding(FindingKind.ACTIVE_KEY_DIFFERS, kid, policies)
