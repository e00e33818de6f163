"""
What tenants an emulator starts with, as values.

Every default makes the shortest useful thing: ``TenantSeed()`` is contoso with one
app that may write, ``KeysetSeed(id="B2C_1A_X")`` is empty, ``KeySeed()`` is an
undated RSA signing key. seed_file.py reads the same from YAML.

Instants are NumericDates (RFC 7519, section 2). Secrets never show in a repr.
"""

import re
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rotator.emulator.operations import WRITE_ROLE
from rotator.emulator.switches import Status, Switches

DEMO_CLIENT_ID = "11111111-2222-4333-8444-555555555555"
DEMO_SECRET = "emulator-secret"  # noqa: S105 - opens nothing but an emulator
TOKEN_EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"  # noqa: S105 - an audience

_KEYSET_ID = re.compile(r"B2C_1A_[A-Za-z0-9_-]+(\.bak)?")


class SeedError(ValueError):
    """A seed that makes no sense; the message begins with the path of the mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySeed:
    """A key that is there from the start. kid None: a fresh one."""

    use: str = "sig"
    kty: str = "RSA"
    nbf: int | None = None
    exp: int | None = None
    status: Status | None = Status.ENABLED
    kid: str | None = None

    def __post_init__(self) -> None:
        if self.use not in {"sig", "enc"}:
            msg = f"use: {self.use!r} is neither sig nor enc"
            raise SeedError(msg)
        if self.kty not in {"RSA", "oct"}:
            msg = f"kty: {self.kty!r} is neither RSA nor oct"
            raise SeedError(msg)
        if self.status is not None and self.status not in set(Status):
            msg = f"status: {self.status!r} is neither enabled nor disabled"
            raise SeedError(msg)
        if self.status is not None:  # a test may write it as a text
            object.__setattr__(self, "status", Status(self.status))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysetSeed:
    """A keyset and its keys, in the order in which they were added."""

    id: str
    keys: tuple[KeySeed, ...] = ()

    def __post_init__(self) -> None:
        if not _KEYSET_ID.fullmatch(self.id):
            msg = f"id: {self.id!r} is no id of a keyset, which is B2C_1A_ and a name"
            raise SeedError(msg)
        for member in ("use", "kty"):
            kinds = sorted({str(getattr(key, member)) for key in self.keys})
            if len(kinds) > 1:
                msg = f"keys: a keyset has one {member}, not {' and '.join(kinds)}"
                raise SeedError(msg)
        _refuse_twice("keys", "kid", (key.kid for key in self.keys if key.kid))


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A client secret; *expires* None: never."""

    value: str = field(repr=False)
    expires: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedCredential:
    """Whose assertions stand for the app, and with which public key (PEM) they are checked."""

    issuer: str
    subject: str
    public_key: str = field(repr=False)
    audience: str = TOKEN_EXCHANGE_AUDIENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An app registration: how it proves who it is (certificates are PEM), and what it may do."""

    client_id: str = DEMO_CLIENT_ID
    secrets: tuple[Secret, ...] = ()
    certificates: tuple[str, ...] = field(default=(), repr=False)
    federated: tuple[FederatedCredential, ...] = ()
    roles: tuple[str, ...] = (WRITE_ROLE,)


def demo_app() -> App:
    """The app of a tenant whose seed names none."""
    return App(secrets=(Secret(value=DEMO_SECRET),))


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSeed:
    """
    A tenant, known by GUID and by domain. id "": a GUID that follows from the domain.

    *policies* says which keysets each custom policy publishes.
    """

    domain: str = "contoso.onmicrosoft.com"
    id: str = ""
    apps: tuple[App, ...] = field(default_factory=lambda: (demo_app(),))
    keysets: tuple[KeysetSeed, ...] = ()
    policies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    switches: Switches = field(default_factory=Switches)

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", str(uuid.uuid5(uuid.NAMESPACE_DNS, self.domain)))
        try:
            uuid.UUID(self.id)
        except ValueError as error:
            msg = f"id: {self.id!r} is no GUID"
            raise SeedError(msg) from error
        _refuse_twice("apps", "client_id", (app.client_id.lower() for app in self.apps))
        _refuse_twice("keysets", "id", (keyset.id for keyset in self.keysets))
        known = {keyset.id for keyset in self.keysets}
        for policy, keysets in self.policies.items():
            for missing in (keyset for keyset in keysets if keyset not in known):
                msg = f"policies.{policy}: there is no keyset {missing}"
                raise SeedError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """Every tenant of an emulator."""

    tenants: tuple[TenantSeed, ...] = field(default_factory=lambda: (TenantSeed(),))

    def __post_init__(self) -> None:
        _refuse_twice("tenants", "id", (tenant.id.lower() for tenant in self.tenants))
        _refuse_twice("tenants", "domain", (tenant.domain.lower() for tenant in self.tenants))


def _refuse_twice(where: str, member: str, values: Iterable[str]) -> None:
    for value, times in Counter(values).items():
        if times > 1:
            msg = f"{where}: {member} {value} is there twice"
            raise SeedError(msg)
