"""
Published keys and signed tokens (JOSE). Only this module imports PyJWT.

Nothing is decrypted, and only the header of a token is read.

Sources: RFC 7515 (JWS; `kid`: section 4.1.4), RFC 7516 (JWE), RFC 7517 (JWK; JWKS: section 5),
RFC 7518 (members of RSA keys: section 6.3.1).
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rotator.core.publication import PublishedKey
from rotator.edges.answers import is_text, modulus_digest, unreadable
from rotator.edges.json_text import parse_json

MAX_KEYS = 1000  # of one JWKS
MAX_TOKEN_LENGTH = 64 * 1024
_MODULUS = re.compile(r"[A-Za-z0-9_-]{1,2731}")  # up to 16,384 bits
_EXPONENT = re.compile(r"[A-Za-z0-9_-]{1,6}")  # up to 32 bits
JWT_DOTS = 2  # a JWS has three parts (RFC 7515, section 7.1), a JWE five (RFC 7516, section 7.1)
_TOKEN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){2}((\.[A-Za-z0-9_-]*){2})?")


@dataclass(frozen=True, slots=True)
class Listed:
    """One key of a JWKS, with the public key that verifies signatures."""

    key: PublishedKey
    modulus: str
    exponent: str


def parse_jwks(raw: Mapping[str, Any]) -> tuple[Listed, ...]:
    """
    The RSA keys of a JWKS that have a kid; others are left out. If several have the same kid, the first counts.

    Raises:
        RequestError: `unreadable`, it is not a JWKS or has too many keys.

    """
    keys = raw.get("keys")
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise unreadable(f"the JWKS has no list of at most {MAX_KEYS} keys")
    found: dict[str, Listed] = {}
    for key in keys:
        if not isinstance(key, dict):
            raise unreadable("the JWKS lists something that is not a key")
        kid, modulus, exponent = key.get("kid"), key.get("n"), key.get("e")
        if not is_text(kid) or not kid or not isinstance(modulus, str) or not isinstance(exponent, str):
            continue
        modulus = modulus.rstrip("=")
        if not _MODULUS.fullmatch(modulus) or not _EXPONENT.fullmatch(exponent):
            continue
        use = key.get("use")
        published = PublishedKey(
            kid=kid, modulus=modulus_digest(modulus), use=use if is_text(use) else None, nbf=_instant(key.get("nbf"))
        )
        found.setdefault(kid, Listed(published, modulus, exponent))
    return tuple(found.values())


def token_kid(token: str) -> str:
    """
    The kid in the header of a token that B2C issued (RFC 7515, section 4.1.4).

    Raises:
        RequestError: `unreadable`, it is not a JWT or has no kid.

    """
    kid = header_kid(token) if token.count(".") == JWT_DOTS else None
    if kid is None:
        raise unreadable("the token that B2C issued is not a JWT with a kid")
    return kid


def header_kid(token: str) -> str | None:
    """The kid in the header of a JWT, or of a JWE such as a refresh token; None if *token* is neither."""
    if len(token) > MAX_TOKEN_LENGTH or not _TOKEN.fullmatch(token):
        return None
    kid = json_part(token, 0).get("kid")
    return str(kid) if is_text(kid) and kid and kid.isprintable() else None


def json_part(token: str, number: int) -> Mapping[str, Any]:
    """The JSON object in part *number* of a token, such as 0 for the header; empty if it is not one."""
    part = dict(enumerate(token.split(".", number + 1))).get(number, "")
    try:
        content = parse_json(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def permissions_of(token: str) -> tuple[str, ...] | None:
    """
    The application permissions in an access token (its claim `roles`), sorted; None if *token* cannot be read.

    An app without permissions gets a token without that claim. The token is not verified: it comes from the service.
    """
    claims = json_part(token, 1)
    roles = claims.get("roles", ())
    if not claims or not isinstance(roles, list | tuple):
        return None
    return tuple(sorted({role for role in roles if is_text(role) and role.isprintable()}))


def is_signed_by(token: str, listed: Listed) -> bool:
    """True if *listed* verifies the signature of *token*. Audience, issuer and times are not checked."""
    import jwt  # noqa: PLC0415 - takes 30 ms, and is only needed with a canary

    jwk: dict[str, Any] = {"kty": "RSA", "n": listed.modulus, "e": listed.exponent}
    try:
        jwt.PyJWS().decode_complete(token, jwt.PyJWK(jwk, algorithm="RS256"), algorithms=["RS256"])
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
    return True


def _instant(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
