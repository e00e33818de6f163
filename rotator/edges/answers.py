"""
Parses Graph's answers and renders request bodies: JSON in, values or errors out.

Pure functions. Parsing is tolerant if the documentation contradicts itself
(dates as strings, an object inside `value`, any case of letters), and strict
about everything that could result in a wrong date.

Sources: Graph's pages on trustFrameworkKeySet and trustFrameworkKey_v2;
RFC 7519 section 2
(NumericDate).
"""

import hashlib
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.keyset import Key, Keyset
from rotator.core.policy import KeySpec
from rotator.edges.http import Answer
from rotator.edges.json_text import parse_json
from rotator.edges.x5c import read_chain

MAX_DATE = 10**11  # seconds, in the year 5138; a larger number is milliseconds
MAX_KEYS = 1_000  # of a keyset; B2C's own limit is far below
DIGEST_LENGTH = 24  # characters, 96 bits: keys are compared within a tenant
MAX_MODULUS = 2736  # characters: 16,384 bits
MAX_TEXT = 512  # characters of a kid; those of B2C have 43

MAX_ID = 80  # characters of an error code or a request id; those of Graph have 36
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9.+-]{1,40}(?:/[A-Za-z0-9.+-]{1,80})?")
_SURROGATES = re.compile(r"[\ud800-\udfff]")

Json = Mapping[str, Any]


def render_spec(spec: KeySpec) -> dict[str, str | int]:
    """The body of generateKey: its four members and nothing else, dates as NumericDates."""
    return {
        "use": spec.use,
        "kty": spec.kty,
        "nbf": int(spec.nbf.timestamp()),
        "exp": int(spec.exp.timestamp()),
    }


def parse_keyset(keyset_id: str, raw: Json) -> Keyset:
    """
    Parse the keyset *keyset_id* from its JSON; it is empty if `keys` is null.

    JSON without `keys` is refused: as an empty keyset it would call for a key at once. An id that is missing,
    or that differs only in case, counts as *keyset_id*.

    Raises:
        RequestError: `unreadable`, with the path of the member that is not valid.

    """
    raw = unwrapped(raw)
    if not _is_same(raw.get("id", keyset_id), keyset_id):
        raise unreadable(f"keyset {keyset_id}: Graph answered with another keyset; check any proxy in between")
    keys = raw.get("keys", "missing")
    if keys is None:
        keys = []
    if not isinstance(keys, list):
        raise unreadable(f"keyset {keyset_id}: the answer has no list of keys")
    if len(keys) > MAX_KEYS:
        raise unreadable(f"keyset {keyset_id}: it has more than {MAX_KEYS} keys")
    return Keyset(
        id=keyset_id, keys=tuple(_parse_key(f"keyset {keyset_id}: keys[{n}]", key) for n, key in enumerate(keys))
    )


def keyset_or_error(keyset_id: str, raw: Json) -> Keyset | RequestError:
    """A keyset from its JSON, or the error; the error has no traceback, which would keep the JSON in memory."""
    try:
        return parse_keyset(keyset_id, raw)
    except RequestError as error:
        return RequestError(error.failure, error.effect)


def _is_same(found: object, keyset_id: str) -> bool:
    return isinstance(found, str) and found.lower() == keyset_id.lower()


def _parse_key(path: str, raw: object) -> Key:
    if not isinstance(raw, dict):
        raise unreadable(f"{path} is not an object")
    kid = _text(path, raw, "kid")
    status = _text(path, raw, "status") or ""
    x5c = raw.get("x5c")
    return Key(
        kid=kid,
        nbf=_instant(path, raw, "nbf"),
        exp=_instant(path, raw, "exp"),
        enabled=status.lower() != "disabled",
        use=_shared((_text(path, raw, "use") or "").lower() or None),
        kty=_shared(_text(path, raw, "kty")),
        has_certificate=bool(x5c),
        certificate=read_chain(x5c) if x5c else None,
        modulus=_modulus(raw),
    )


def _modulus(raw: Json) -> str | None:
    """The digest of the public modulus; None if it is missing or not valid, which is not an error."""
    value = raw.get("n")
    return modulus_digest(value) if isinstance(value, str) and len(value) <= MAX_MODULUS else None


def modulus_digest(text: str) -> str:
    """
    A digest of a public modulus, to recognise the key elsewhere: a tenth of the memory of the modulus.

    text: the modulus as base64url text (RFC 7518, section 6.3.1.1), with or without padding
    """
    return hashlib.sha256(text.rstrip("=").encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_LENGTH]


def _shared(text: str | None) -> str | None:
    """*text*, of which many keys have the same: one object for all of them."""
    return None if text is None else sys.intern(text)


def _text(path: str, raw: Json, name: str) -> str | None:
    value = raw.get(name)
    if value is None or is_text(value):
        return value
    raise unreadable(f"{path}.{name} is not a text of at most {MAX_TEXT} characters")


def is_text(value: object) -> TypeGuard[str]:
    """True if *value* is a text of at most `MAX_TEXT` characters that can be encoded as UTF-8."""
    return isinstance(value, str) and len(value) <= MAX_TEXT and not _SURROGATES.search(value)


def _instant(path: str, raw: Json, name: str) -> datetime | None:
    """A NumericDate in whole seconds. A string of digits is accepted too, because some answers have them."""
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(MAX_DATE)):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_DATE:
        raise unreadable(f"{path}.{name} is not a NumericDate (whole seconds since 1970, at most {MAX_DATE})")
    return datetime.fromtimestamp(value, UTC)


def parse_object(answer: Answer) -> Json:
    """
    The JSON object in an answer.

    Raises:
        RequestError: `unreadable`.

    """
    try:
        raw = parse_json(answer.body)
    except (ValueError, RecursionError) as error:
        kind = _media_type(answer)
        raise unreadable(f"Graph's answer is not JSON (Content-Type {kind})", answer) from error
    if not isinstance(raw, dict):
        raise unreadable("Graph's answer is not a JSON object", answer)
    return raw


def _media_type(answer: Answer) -> str:
    """The media type of an answer; "not valid" for anything else, since an unexpected header may hold a secret."""
    found = answer.headers.get("content-type", "missing").partition(";")[0].strip()
    return found if _MEDIA_TYPE.fullmatch(found) else "not valid"


def unwrapped(raw: Json) -> Json:
    """The object itself. A page of the documentation shows it inside `value`, so both forms are accepted."""
    value = raw.get("value")
    return value if isinstance(value, dict) else raw


def unreadable(message: str, answer: Answer | None = None) -> RequestError:
    """The error for something that cannot be parsed, with the request ids of *answer*."""
    failure = Failure(
        kind=FailureKind.UNREADABLE,
        message=message,
        status=answer.status if answer else None,
        request_id=identifier(answer.headers.get("request-id")) if answer else None,
        client_request_id=answer.client_request_id if answer else None,
    )
    return RequestError(failure)


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of a URL (RFC 6454); a value that equals no other origin if *url* is not a URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else None)
    except ValueError:
        return "", None, None


def identifier(value: object) -> str | None:
    """*value* if it looks like an error code or a request id; else None."""
    is_id = isinstance(value, str) and 0 < len(value) <= MAX_ID and value.isascii() and value.isprintable()
    return str(value) if is_id else None
