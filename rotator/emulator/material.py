"""
Key material: RSA pairs, secrets and kids.

RSA-2048 pairs are real, and made when somebody first looks at one: generating one
takes some twenty milliseconds, and a large seed would take minutes. The process
keeps a pool of sixteen and deals them out in turn, so two keys may share a modulus;
kids never repeat. The private halves stay in these objects; only the state file,
where one is asked for, takes them out.

Encoding: RFC 7518, section 6.3 (base64url, unpadded, big-endian).
"""

import base64
import secrets
import threading
from itertools import count

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

RSA_BITS = 2048
POOL_SIZE = 16


def base64url(data: bytes) -> str:
    """Unpadded base64url, as in all of JOSE (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unencoded(text: str) -> int:
    """The number that a base64url text stands for. Raises: ValueError."""
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def fresh_kid() -> str:
    """A kid as the service makes them: 256 random bits, 43 characters."""
    return base64url(secrets.token_bytes(32))


def thumbprint(certificate: x509.Certificate) -> str:
    """`x5t`: the SHA-1 thumbprint, which is what the service shows."""
    return base64url(certificate.fingerprint(hashes.SHA1()))  # noqa: S303 - x5t is SHA-1


class RsaMaterial:
    """One RSA pair, made when it is first looked at; or only a public half."""

    __slots__ = ("_lock", "_numbers", "_private")

    def __init__(
        self,
        private: rsa.RSAPrivateKey | None = None,
        public: rsa.RSAPublicNumbers | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._private = private
        self._numbers: tuple[str, str] | None = _encoded(public) if public else None

    @property
    def n(self) -> str:
        """The modulus."""
        return self._public()[0]

    @property
    def e(self) -> str:
        """The public exponent."""
        return self._public()[1]

    def private_key(self) -> rsa.RSAPrivateKey | None:
        """The private half; None where only the public one was ever given."""
        self._public()
        return self._private

    def _public(self) -> tuple[str, str]:
        if self._numbers is None:
            with self._lock:
                if self._numbers is None:
                    if self._private is None:
                        self._private = rsa.generate_private_key(65537, RSA_BITS)
                    self._numbers = _encoded(self._private.public_key().public_numbers())
        return self._numbers

    def __repr__(self) -> str:
        return "RsaMaterial(...)"


def pem(private: rsa.RSAPrivateKey) -> str:
    """The private half as PKCS #8."""
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode("ascii")


def _encoded(numbers: rsa.RSAPublicNumbers) -> tuple[str, str]:
    def octets(number: int) -> bytes:
        return number.to_bytes((number.bit_length() + 7) // 8, "big")

    return base64url(octets(numbers.n)), base64url(octets(numbers.e))


class RsaPool:
    """A few RSA pairs, dealt out in turn."""

    def __init__(self, size: int = POOL_SIZE) -> None:
        self._pairs = tuple(RsaMaterial() for _ in range(size))
        self._turn = count()  # next() on a count is atomic

    def take(self) -> RsaMaterial:
        """Deal the next pair; costs nothing until somebody looks at it."""
        return self._pairs[next(self._turn) % len(self._pairs)]


# One pool for the process: what it holds is no state of any emulator, only prepared work.
POOL = RsaPool()
