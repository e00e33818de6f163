"""
The tenants an emulator starts with, as values, and their JSON.

Every default makes the shortest useful thing: ``TenantSeed()`` is contoso with one
app that may write, ``KeysetSeed(id="B2C_1A_X")`` is empty, ``KeySeed()`` is an
undated RSA signing key. seed_file.py reads the same from YAML.

Instants are NumericDates (RFC 7519, section 2). Secrets never show in a repr.
"""

import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import BeforeValidator, ValidationInfo, model_validator
from pydantic.dataclasses import dataclass

from rotator.emulator.model.switches import Status, Switches
from rotator.emulator.validation import LAX, STRICT, Instant, InvalidError, Source, Text, one_of, raises

READ_ROLE = "TrustFrameworkKeySet.Read.All"
WRITE_ROLE = "TrustFrameworkKeySet.ReadWrite.All"
DEMO_DOMAIN = "contoso.onmicrosoft.com"
DEMO_CLIENT_ID = "11111111-2222-4333-8444-555555555555"
DEMO_SECRET = "emulator-secret"  # noqa: S105 - opens nothing but an emulator
TOKEN_EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"  # noqa: S105 - an audience
_DAY = 86_400
KEYSET_ID = re.compile(r"B2C_1A_[A-Za-z0-9_-]+(\.bak)?")


class SeedError(InvalidError):
    """A seed that is not valid; the message begins with the path of the mistake."""


@raises(SeedError)
@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class KeySeed:
    """A key that is there from the start. kid None: a fresh one. x5c: base64 of DER, the leaf first."""

    use: Annotated[str, one_of("sig", "enc")] | None = "sig"
    kty: Annotated[str, one_of("RSA", "rsa", "oct", "OCT")] = "RSA"
    nbf: Instant | None = None
    exp: Instant | None = None
    status: Annotated[Status, LAX] | None = Status.ENABLED
    kid: str | None = None
    x5c: tuple[str, ...] = ()


@raises(SeedError)
@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class KeysetSeed:
    """A keyset and its keys, in the order in which they were added."""

    id: str
    keys: tuple[KeySeed, ...] = ()

    def __post_init__(self) -> None:
        if not KEYSET_ID.fullmatch(self.id):
            raise SeedError(f"id: {self.id!r} is not the id of a keyset: B2C_1A_ and a name")
        for member in ("use", "kty"):
            values = (str(getattr(key, member)) for key in self.keys)
            kinds = sorted({value.lower(): value for value in values}.values())  # real tenants mix the case of kty
            if len(kinds) > 1:
                raise SeedError(f"keys: a keyset has one {member}, not {' and '.join(kinds)}")
        _refuse_duplicates("keys", "kid", (key.kid for key in self.keys if key.kid))


def _file_text(named: object, source: Source, path: str = "", load: Callable[[bytes], object] | None = None) -> str:
    """The text of a file that a seed names; *path* stands before a mistake, *load* checks the text."""
    if not isinstance(named, str):
        raise SeedError(f"{path}a text is expected")
    file = (source.folder or Path()) / named
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SeedError(f"{path}{file} cannot be read: {reason}") from error
    try:
        (load or bytes)(text.encode())
    except ValueError as error:
        raise SeedError(f"{path}{named} is not the PEM file that is expected") from error
    return text


def _certificate(raw: object, info: ValidationInfo) -> object:
    """In a seed file, a certificate is the name of a file."""
    if not isinstance(info.context, Source):
        return raw
    return _file_text(raw, info.context, load=x509.load_pem_x509_certificate)


@raises(SeedError)
@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Secret:
    """A client secret; *expires* None: never."""

    value: Text = field(repr=False)
    expires: Instant | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_file(cls, raw: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - any input
        if isinstance(raw, dict) and ("value" in raw) == ("file" in raw):
            raise SeedError("a secret has either a value or a file")
        match raw:
            case {"file": file, **rest} if isinstance(info.context, Source):
                return {**rest, "value": _file_text(file, info.context, "file: ").strip()}
        return raw


@raises(SeedError)
@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class FederatedCredential:
    """Whose assertions stand for the app, and the public key (PEM) that verifies them."""

    issuer: Text
    subject: Text
    public_key: str = field(repr=False)
    audience: Text = TOKEN_EXCHANGE_AUDIENCE

    @model_validator(mode="before")
    @classmethod
    def _read_file(cls, raw: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - any input
        match raw:
            case {"public_key_file": file, **rest} if isinstance(info.context, Source):
                text = _file_text(file, info.context, "public_key_file: ", load_pem_public_key)
                return {**rest, "public_key": text}
        return raw


@raises(SeedError)
@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class App:
    """An app registration: how it proves who it is (certificates are PEM), and what it may do."""

    client_id: Text = DEMO_CLIENT_ID
    secrets: tuple[Secret, ...] = ()
    certificates: tuple[Annotated[str, BeforeValidator(_certificate)], ...] = field(default=(), repr=False)
    federated: tuple[FederatedCredential, ...] = ()
    roles: tuple[Text, ...] = (WRITE_ROLE,)


def demo_app() -> App:
    """The app of a tenant whose seed names none."""
    return App(secrets=(Secret(value=DEMO_SECRET),))


@raises(SeedError)
@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class TenantSeed:
    """
    A tenant, known by GUID and by domain. id "": a GUID that follows from the domain.

    *policies* says which keysets each custom policy publishes.
    """

    domain: Text = DEMO_DOMAIN
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
            raise SeedError(f"id: {self.id!r} is not a GUID") from error
        _refuse_duplicates("apps", "client_id", (app.client_id.lower() for app in self.apps))
        _refuse_duplicates("keysets", "id", (keyset.id for keyset in self.keysets))
        known = {keyset.id for keyset in self.keysets}
        for policy, keysets in self.policies.items():
            for missing in (keyset for keyset in keysets if keyset not in known):
                raise SeedError(f"policies.{policy}: there is no keyset {missing}")


@raises(SeedError)
@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Seed:
    """Every tenant of an emulator."""

    tenants: tuple[TenantSeed, ...] = field(default_factory=lambda: (TenantSeed(),))

    def __post_init__(self) -> None:
        _refuse_duplicates("tenants", "id", (tenant.id.lower() for tenant in self.tenants))
        _refuse_duplicates("tenants", "domain", (tenant.domain.lower() for tenant in self.tenants))


def _refuse_duplicates(where: str, member: str, values: Iterable[str]) -> None:
    for value, times in Counter(values).items():
        if times > 1:
            raise SeedError(f"{where}: duplicate {member} {value}")


def demo_seed(
    now: float,
    *,
    due: tuple[int, int] = (80 * _DAY, 11 * _DAY + 3600),
    hand_made: tuple[int, int] = (200 * _DAY, 530 * _DAY),
    encryption: tuple[int, int] = (20 * _DAY, 85 * _DAY),
    switches: Switches | None = None,
) -> Seed:
    """
    The demo tenant: one keyset of every kind that matters.

    *due*, *hand_made* and *encryption* say for how many seconds the key of a keyset has been
    valid at *now*, and for how many it will be.
    """

    def key(span: tuple[int, int], use: str = "sig") -> KeySeed:
        return KeySeed(use=use, nbf=int(now) - span[0], exp=int(now) + span[1])

    keysets = (
        KeysetSeed(id="B2C_1A_TokenSigningKeyContainer", keys=(key(due),)),
        KeysetSeed(id="B2C_1A_HandMadeKeyContainer", keys=(key(hand_made),)),  # longer than any policy wants
        KeysetSeed(id="B2C_1A_UndatedKeyContainer", keys=(KeySeed(),)),  # neither nbf nor exp: B2C's safety net
        KeysetSeed(id="B2C_1A_EmptyKeyContainer"),  # created, and never given a key
        KeysetSeed(id="B2C_1A_TokenEncryptionKeyContainer", keys=(key(encryption, "enc"),)),
    )
    policies = {
        "B2C_1A_signup_signin": ("B2C_1A_TokenSigningKeyContainer",),
        "B2C_1A_hand_made": ("B2C_1A_HandMadeKeyContainer",),
    }
    return Seed(tenants=(TenantSeed(keysets=keysets, policies=policies, switches=switches or Switches()),))
