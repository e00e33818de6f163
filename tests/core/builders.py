"""Policies, keys and keysets for tests, with one instant that all others are told from."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rotator.core.certificate import Certificate
from rotator.core.keyset import Key, Keyset
from rotator.core.policy import KeySpec, Mode, RotationPolicy
from rotator.core.tenant import TenantId

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

T0 = datetime(2030, 1, 1, tzinfo=UTC)
"""The origin of every timeline."""

KEYSET_ID = "B2C_1A_TokenSigningKeyContainer"

POLICY = RotationPolicy(
    keyset_id=KEYSET_ID,
    use="sig",
    kty="RSA",
    mode=Mode.ROTATE,
    rotate_every=90 * DAY,
    overlap=25 * HOUR,
    publication_lead=48 * HOUR,
    renewal_window=14 * DAY,
)
"""What the configuration gives a signing keyset by default."""


def policy(**changes: Any) -> RotationPolicy:
    """The default policy with *changes*."""
    return replace(POLICY, **changes)


def key(kid: str | None, nbf: datetime | None, exp: datetime | None, *, enabled: bool = True) -> Key:
    """An RSA signing key."""
    return Key(kid=kid, nbf=nbf, exp=exp, enabled=enabled, use="sig", kty="RSA")


def certified(made: Key, *, chain: datetime | None = None) -> Key:
    """*made* with a certificate of its dates; *chain*: when the first certificate of the chain ends."""
    certificate = Certificate(
        subject="CN=saml.contoso.com",
        issuer="CN=Contoso CA",
        serial="C0FFEE",
        not_before=made.activates,
        not_after=made.expires,
        chain_not_after=chain or made.expires,
    )
    return replace(made, has_certificate=True, certificate=certificate)


def keyset(*keys: Key) -> Keyset:
    """A keyset with *keys* in the order in which the service lists them."""
    return Keyset(id=KEYSET_ID, keys=keys)


def made(spec: KeySpec, kid: str) -> Key:
    """The key that a service makes of *spec*."""
    return Key(kid=kid, nbf=spec.nbf, exp=spec.exp, use=spec.use, kty=spec.kty)


def extended(before: Keyset, *keys: Key) -> Keyset:
    """The keyset *before* with *keys* added."""
    return replace(before, keys=(*before.keys, *keys))


def tenant_id(name: str = "contoso") -> TenantId:
    """The identity of a tenant whose directory is called like it."""
    return TenantId("https://graph", "https://login", name)
