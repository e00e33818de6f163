"""
Key material: RSA pairs, kids, and how the state file keeps them.

RSA-2048 pairs are real, and generated when somebody first looks at one: generating one
takes some twenty milliseconds, and a large seed would take minutes. The process keeps
a pool of sixteen and hands them out in turn, so two keys may share a modulus; kids
never repeat. Private halves leave these objects only for the state file.

Encoding: RFC 7518, section 6.3.
"""

import base64
import secrets
import threading
from itertools import count
from typing import Annotated, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt import PyJWTError
from jwt.algorithms import RSAAlgorithm
from pydantic import PlainSerializer, PlainValidator, SerializationInfo, ValidationInfo

RSA_BITS = 2048
POOL_SIZE = 16


def base64url(data: bytes) -> str:
    """Unpadded base64url, as in all of JOSE (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def fresh_kid() -> str:
    """A kid as the service makes them: 256 random bits, 43 characters."""
    return base64url(secrets.token_bytes(32))


def thumbprint(certificate: x509.Certificate) -> str:
    """`x5t`: the SHA-1 thumbprint, which is what the service shows."""
    return base64url(certificate.fingerprint(hashes.SHA1()))  # noqa: S303 - x5t is SHA-1


class RsaMaterial:
    """One RSA pair, generated when it is first looked at; or only a public half."""

    __slots__ = ("_lock", "_private", "_public")

    def __init__(self, private: rsa.RSAPrivateKey | None = None, public: rsa.RSAPublicKey | None = None) -> None:
        self._lock = threading.Lock()
        self._private = private
        self._public: dict[str, Any] | None = RSAAlgorithm.to_jwk(public, as_dict=True) if public else None

    @classmethod
    def from_jwk(cls, members: dict[str, Any]) -> "RsaMaterial":
        """The pair, or the public half, of a JWK. Raises: ValueError."""
        try:
            key = RSAAlgorithm.from_jwk({"kty": "RSA", "n": members["n"], "e": members["e"], **members})
        except (PyJWTError, KeyError, TypeError) as error:
            msg = "not an RSA key"
            raise ValueError(msg) from error
        return cls(private=key) if isinstance(key, rsa.RSAPrivateKey) else cls(public=key)

    @property
    def n(self) -> str:
        """The modulus, base64url."""
        return str(self.public_jwk()["n"])

    @property
    def e(self) -> str:
        """The public exponent, base64url."""
        return str(self.public_jwk()["e"])

    def private_key(self) -> rsa.RSAPrivateKey | None:
        """The private half; None where only the public one was ever given."""
        self.public_jwk()
        return self._private

    def public_jwk(self) -> dict[str, Any]:
        """The public half as a JWK, without the members that describe its use."""
        if self._public is None:
            with self._lock:
                if self._public is None:
                    self._private = self._private or rsa.generate_private_key(65537, RSA_BITS)
                    self._public = RSAAlgorithm.to_jwk(self._private.public_key(), as_dict=True)
        return self._public

    def __repr__(self) -> str:
        return "RsaMaterial(...)"


def _saved(material: RsaMaterial) -> dict[str, str]:
    """The private half as PKCS #8; only the public one where there is no other."""
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


class RsaTable:
    """The RSA pairs of a state file, in a table of their own: many keys share one."""

    def __init__(self) -> None:
        self.materials: list[RsaMaterial] = []
        self._places: dict[int, int] = {}

    def place(self, material: RsaMaterial) -> int:
        """Where *material* stands in the table; it is added if it was not there."""
        place = self._places.setdefault(id(material), len(self.materials))
        if place == len(self.materials):
            self.materials.append(material)
        return place


def _from_table(place: object, info: ValidationInfo) -> RsaMaterial:
    table = info.context
    if isinstance(table, RsaTable) and type(place) is int and 0 <= place < len(table.materials):
        return table.materials[place]
    msg = f"{place!r} is not a place in the table of RSA keys"
    raise ValueError(msg)


def _to_table(material: RsaMaterial, info: SerializationInfo) -> int:
    return int(info.context.place(material)) if isinstance(info.context, RsaTable) else -1


# An RSA pair of a key in the state file: its place in the table, which the context of reading and writing is.
RsaInTable = Annotated[RsaMaterial, PlainValidator(_from_table), PlainSerializer(_to_table)]


class RsaPool:
    """A few RSA pairs, handed out in turn."""

    def __init__(self, size: int = POOL_SIZE) -> None:
        self._pairs = tuple(RsaMaterial() for _ in range(size))
        self._turn = count()  # next() on a count is atomic

    def take(self) -> RsaMaterial:
        """The next pair; costs nothing until somebody looks at it."""
        return self._pairs[next(self._turn) % len(self._pairs)]


# One pool for the process: it holds prepared work, no state of any emulator.
POOL = RsaPool()
