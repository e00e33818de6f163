"""
A key of a keyset, its material, and which of several keys B2C uses.

The rules, after Microsoft's policy-keys overview:

1. A key is valid while it is not disabled and ``nbf <= now < exp``; what is missing
   does not limit it.
2. The active key is the valid one whose nbf passed last.
3. A key without nbf comes after all others: the safety net.

RSA-2048 pairs are real, and generated when somebody first looks at one: generating one
takes some twenty milliseconds, and a large seed would take minutes. The process keeps
a pool of sixteen and hands them out in turn, so two keys may share a modulus; kids
never repeat. Private halves leave these objects only for the state file.

Instants are epoch seconds. Encoding: RFC 7518, section 6.3.
"""

import base64
import secrets
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import cycle
from typing import Annotated, Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt import PyJWTError
from jwt.algorithms import RSAAlgorithm
from pydantic import ConfigDict, PlainSerializer, PlainValidator, SerializationInfo, ValidationInfo

from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import Status, TieBreak
from rotator.emulator.validation import STRICT


def base64url(data: bytes) -> str:
    """Unpadded base64url, as in all of JOSE (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def fresh_kid() -> str:
    """A kid as the service makes them: 256 random bits, 43 characters."""
    return base64url(secrets.token_bytes(32))


def thumbprint(certificate: x509.Certificate) -> str:
    """`x5t`: the SHA-1 thumbprint, which is what the service shows."""
    return base64url(certificate.fingerprint(hashes.SHA1()))  # noqa: S303 - x5t is SHA-1


def _public_jwk(public: rsa.RSAPublicKey) -> dict[str, str]:
    members = RSAAlgorithm.to_jwk(public, as_dict=True)
    return {name: members[name] for name in ("kty", "n", "e")}


class RsaMaterial:
    """One RSA pair, generated when it is first looked at; or only a public half."""

    __slots__ = ("_lock", "_private", "_public")

    def __init__(self, private: rsa.RSAPrivateKey | None = None, public: rsa.RSAPublicKey | None = None) -> None:
        self._lock = threading.Lock()
        self._private = private
        self._public = _public_jwk(public) if public else None

    @classmethod
    def from_jwk(cls, members: dict[str, Any]) -> "RsaMaterial":
        """The pair, or the public half, of a JWK. Raises: ValueError."""
        try:
            key = RSAAlgorithm.from_jwk({"kty": "RSA", "n": members["n"], "e": members["e"], **members})
        except (PyJWTError, KeyError, TypeError) as error:
            raise ValueError("not an RSA key") from error
        return cls(private=key) if isinstance(key, rsa.RSAPrivateKey) else cls(public=key)

    @property
    def n(self) -> str:
        """The modulus, base64url."""
        return self.public_jwk()["n"]

    @property
    def e(self) -> str:
        """The public exponent, base64url."""
        return self.public_jwk()["e"]

    def private_key(self) -> rsa.RSAPrivateKey | None:
        """The private half; None if only the public one was ever given."""
        self.public_jwk()
        return self._private

    def public_jwk(self) -> dict[str, str]:
        """The public half: kty, n and e."""
        if self._public is None:
            with self._lock:
                if self._public is None:
                    self._private = self._private or rsa.generate_private_key(65537, 2048)
                    self._public = _public_jwk(self._private.public_key())
        return self._public

    def __repr__(self) -> str:
        return "RsaMaterial(...)"


def _saved(material: RsaMaterial) -> dict[str, str]:
    """The private half as PKCS #8; only the public one if there is no other."""
    private = material.private_key()
    if private is None:
        return {"n": material.n, "e": material.e}
    return {"private": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")}


def _restored(saved: Any) -> RsaMaterial:  # noqa: ANN401 - JSON
    """What `_saved` wrote. Raises: ValueError."""
    if isinstance(saved, dict) and isinstance(saved.get("private"), str):
        private = load_pem_private_key(saved["private"].encode(), None)
        if isinstance(private, rsa.RSAPrivateKey):
            return RsaMaterial(private=private)
    return RsaMaterial.from_jwk(saved)


# An RSA pair in the state file.
SavedRsa = Annotated[RsaMaterial, PlainValidator(_restored), PlainSerializer(_saved)]


def _from_table(place: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - JSON
    if type(place) is int and isinstance(info.context, list) and 0 <= place < len(info.context):
        return info.context[place]
    raise ValueError(f"{place!r} is not a place in the table of RSA keys")


def _to_table(material: RsaMaterial, info: SerializationInfo) -> int:
    places: dict[int, int] = info.context or {}
    return places[id(material)]


# An RSA pair of a key in the state file: its place in a table, since many keys share one. The context of reading is
# the table; that of writing has the place of each `id` of a pair.
RsaInTable = Annotated[RsaMaterial, PlainValidator(_from_table), PlainSerializer(_to_table)]


class RsaPool:
    """A few RSA pairs, handed out in turn; a pair costs nothing until somebody looks at it."""

    def __init__(self, size: int = 16) -> None:
        self._pairs = cycle([RsaMaterial() for _ in range(size)])  # next() on a cycle is atomic

    def take(self) -> RsaMaterial:
        return next(self._pairs)


# One pool for the process: it holds prepared work, no state of any emulator.
POOL = RsaPool()

# What only the state file may show of a key.
SECRET_MEMBERS = {"rsa", "secret"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as the service stores it; its repr has no secrets."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kid: str
    use: str | None
    kty: str
    nbf: int | None = None
    exp: int | None = None
    status: Status | None = Status.ENABLED
    x5c: tuple[str, ...] = ()
    x5t: str | None = None
    rsa: RsaInTable | None = field(default=None, repr=False, compare=False)
    secret: str | None = field(default=None, repr=False, compare=False)

    def is_valid(self, now: float) -> bool:
        """Rule 1."""
        return (
            self.status is not Status.DISABLED
            and (self.nbf is None or self.nbf <= now)
            and (self.exp is None or now < self.exp)
        )


def new_key(seed: KeySeed) -> Key:
    """A key as described, with fresh material and, unless given, a fresh kid."""
    rsa = POOL.take() if seed.kty.upper() == "RSA" else None
    secret = None if rsa else base64url(fresh_kid().encode())
    return Key(**{**asdict(seed), "kid": seed.kid or fresh_kid()}, rsa=rsa, secret=secret)


def active_key(keys: Iterable[Key], now: float, tie_break: TieBreak) -> Key | None:
    """The key that B2C uses at *now*, of *keys* in the order in which they were added; None: sign-in is broken."""
    active: Key | None = None
    for key in keys:
        if key.is_valid(now) and (active is None or _supersedes(key, active, tie_break)):
            active = key
    return active


def _supersedes(later: Key, earlier: Key, tie_break: TieBreak) -> bool:
    if later.nbf == earlier.nbf:
        return tie_break is TieBreak.NEWEST
    if later.nbf is None or earlier.nbf is None:
        return earlier.nbf is None
    return later.nbf > earlier.nbf
