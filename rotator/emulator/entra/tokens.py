"""
Access tokens: made for apps by the login side, checked by the Graph side.

They are JWTs (RFC 7519) with the claims a daemon may look at: ``tid``, ``appid``,
``roles``, ``exp``. Signed RS256 with a key of the emulator's own.

Their time is *login time*: the host's clock unless the emulator is told otherwise.
MSAL caches tokens by the host's clock and accepts no other; a token that expired
whenever a test moves the tenant by a month would only test MSAL.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from rotator.emulator.http.answers import RefusedError
from rotator.emulator.model.keys import RsaMaterial, base64url

_ALGORITHM = "RS256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """What an access token grants: an app in a tenant, with roles, for an audience, until it expires."""

    tenant_id: str
    client_id: str
    audience: str
    roles: frozenset[str]
    exp: float


class Tokens:
    """Issues access tokens and recognizes its own."""

    def __init__(self, signing: RsaMaterial, clock: Callable[[], float] = time.time) -> None:
        self.signing = signing
        self.now = clock
        # Checking a signature on every request would cost more than the answer.
        self._decoded = lru_cache(10_000)(self._decode)

    def issue(self, *, tenant_id: str, client_id: str, roles: tuple[str, ...], audience: str, lifetime: int) -> str:
        """A token for an app of a tenant; *lifetime* in seconds."""
        now = int(self.now())
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{tenant_id}/",
            "tid": tenant_id,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "appid": client_id,
            "idtyp": "app",
            "roles": list(roles),
            "uti": base64url(uuid.uuid4().bytes),
            "ver": "1.0",
        }
        return jwt.encode(claims, self._private(), _ALGORITHM, headers={"kid": self._kid()})

    def check(self, authorization: str | None) -> Bearer:
        """The app that an `Authorization` header belongs to. Raises: RefusedError, a 401 with Graph's texts."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthenticated("Access token is empty.")
        bearer = self._decoded(token.strip())
        if bearer.exp <= self.now():
            raise unauthenticated("Lifetime validation failed, the token is expired.")
        return bearer

    def jwks(self) -> dict[str, object]:
        """The public half, as the `jwks_uri` of the login side shows it."""
        key = {**self.signing.public_jwk(), "use": "sig", "alg": _ALGORITHM, "kid": self._kid()}
        return {"keys": [key]}

    def _decode(self, token: str) -> Bearer:
        try:
            claims = jwt.decode(
                token,
                self._private().public_key(),
                algorithms=[_ALGORITHM],
                # Time is checked against the login clock, not the library's.
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
            )
            return Bearer(
                tenant_id=claims["tid"],
                client_id=claims["appid"],
                audience=claims["aud"],
                roles=frozenset(claims["roles"]),
                exp=claims["exp"],
            )
        except (jwt.PyJWTError, KeyError, TypeError) as error:
            raise unauthenticated("CompactToken parsing failed or its signature is not valid.") from error

    def _private(self) -> rsa.RSAPrivateKey:
        key = self.signing.private_key()
        if key is None:
            raise TypeError("tokens are signed with a private key")
        return key

    def _kid(self) -> str:
        return self.signing.n[:27]


def unauthenticated(message: str) -> RefusedError:
    """A 401 of Graph's, with its challenge."""
    challenge = 'Bearer realm="", authorization_uri="/common/oauth2/authorize"'
    headers = (("WWW-Authenticate", challenge),)
    return RefusedError(401, "InvalidAuthenticationToken", message, headers)
