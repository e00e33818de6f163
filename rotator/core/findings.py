"""
The problems that the probes of a tenant can show.

Pure functions of a keyset, the evidence of the probes and the instant. The names of the findings are
part of the interface.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.core.key_in_use import Method, keys_in_use, previous_key
from rotator.core.keyset import Key, Keyset
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


def findings(
    policy: RotationPolicy, keyset: Keyset, active: Key | None, evidence: Evidence, now: datetime, seen: datetime
) -> Iterator[Finding]:
    """All findings for *keyset*, which was read at *seen* and whose active key is *active*."""
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
    previous = previous_key(keyset, active, now)
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
    for method, kid in keys_in_use(keyset, evidence, active.nbf + SIGNING_GRACE):
        if kid == active.kid:
            continue
        policies = (evidence.token.policy,) if method is Method.TOKEN and evidence.token is not None else ()
        named = keys.get(kid)
        if named is not None and named.activates < active.activates:
            yield Finding(FindingKind.NOT_SIGNING, active.kid, policies)
        elif method is Method.ACTIVE_KEY:
            yield Finding(FindingKind.ACTIVE_KEY_DIFFERS, kid, policies)
