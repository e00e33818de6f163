"""
Keys as JSON: the parsing of request bodies, and keys in answers.

Refusals (error codes of Azure AD B2C, and what public clients met): a member that is not documented
and any ``@odata.type`` give 400 ``AADB2C``; kty and use have codes of their own; a key
with a kid is refused. Nothing is documented about dates that are not an Int64, so they
are answered as Graph's OData layer answers any wrong type.
"""

import json
from typing import Any

from rotator.emulator.http.answers import RefusedError, Request, objects_in
from rotator.emulator.model.keys import Key, new_key
from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import Status, Switches

_INT64 = 2**63
_KTYS = {"rsa": "RSA", "oct": "oct"}


def read_object(request: Request, switches: Switches) -> dict[str, Any]:
    """The JSON object in a body. Raises: RefusedError, also if there is an `@odata.type` or a null in it."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        text = "The content type of the request is not supported; use application/json."
        raise RefusedError(415, "UnsupportedMediaType", text)
    try:
        data = json.loads(request.body, parse_constant=int)  # which refuses NaN and Infinity
    except (ValueError, RecursionError) as error:
        advice = "Please ensure Content-Type header is set and payload is of valid JSON format."
        raise RefusedError(400, "BadRequest", f"Unable to read JSON request payload. {advice}") from error
    if not isinstance(data, dict):
        raise RefusedError(400, "BadRequest", "The request body is not a JSON object.")
    for each in objects_in(data):
        if "@odata.type" in each or (switches.nulls_refused and None in each.values()):
            raise invalid_field()
    return data


def refuse_unknown(data: dict[str, Any], *known: str) -> None:
    """Check that *data* has only documented members. Raises: RefusedError."""
    if not data.keys() <= set(known):
        raise invalid_field()


def invalid_field() -> RefusedError:
    """The service's error for an invalid body."""
    return RefusedError(400, "AADB2C", "The 'keySet' field is invalid in request")


def parse_generated(data: dict[str, Any], switches: Switches, now: float) -> Key:
    """The key that a `generateKey` body asks for, with fresh material."""
    refuse_unknown(data, "use", "kty", "nbf", "exp")
    kty, use = parse_kty(data), parse_use(data)
    nbf, exp = parse_dates(data, switches, now)
    return new_key(KeySeed(use=use, kty=kty, nbf=nbf, exp=exp, status=switches.generated_status))


def parse_status(data: dict[str, Any]) -> Status:
    """The status that a PATCH of a key asks for."""
    refuse_unknown(data, "status")
    try:
        return Status(data.get("status", ""))
    except ValueError as error:
        text = "Cannot convert the value of 'status' to trustFrameworkKeyStatus."
        raise RefusedError(400, "BadRequest", text) from error


def parse_kty(data: dict[str, Any]) -> str:
    """`RSA` or `oct`, in any case."""
    if data.get("kty") is None:
        raise RefusedError(400, "AADB2C95030", "The 'kty' parameter of the key is missing.")
    kty = _KTYS.get(str(data["kty"]).lower())
    if kty is None:
        raise RefusedError(400, "AADB2C95031", "The 'kty' parameter of the key must be 'RSA' or 'oct'.")
    return kty


def parse_use(data: dict[str, Any]) -> str:
    """`sig` or `enc`."""
    if data.get("use") is None:
        raise bad_parameter("use")
    if data["use"] not in ("sig", "enc"):
        raise RefusedError(400, "AADB2C95033", "The 'use' parameter of the key must be 'sig' or 'enc'.")
    return str(data["use"])


def parse_dates(data: dict[str, Any], switches: Switches, now: float) -> tuple[int | None, int | None]:
    """The nbf and exp, whole seconds; whichever rules the switches have are applied."""
    nbf, exp = _int64(data, "nbf"), _int64(data, "exp")
    if nbf is not None and switches.minimum_nbf_lead and nbf < now + switches.minimum_nbf_lead:
        text = f"The 'nbf' must lie at least {switches.minimum_nbf_lead} seconds ahead."
        raise RefusedError(400, switches.minimum_nbf_lead_code, text)
    if exp is not None and exp <= now and switches.past_exp_refused:
        raise RefusedError(400, "AADB2C90136", "The 'exp' lies in the past.")
    if exp is not None and nbf is not None and exp <= nbf and switches.exp_before_nbf_refused:
        raise RefusedError(400, "AADB2C90136", "The 'exp' does not lie after the 'nbf'.")
    return nbf, exp


def shown(key: Key, switches: Switches) -> dict[str, Any]:
    """A key as answers show it, without secrets; nulls and empty arrays are written, as in Microsoft's example."""
    as_date = str if switches.string_dates else int
    body: dict[str, Any] = {
        "k": None,
        "x5c": list(key.x5c),
        "x5t": key.x5t,
        "kty": key.kty,
        "use": key.use,
        "exp": None if key.exp is None else as_date(key.exp),
        "nbf": None if key.nbf is None else as_date(key.nbf),
        "kid": key.kid,
        "e": key.rsa.e if key.rsa else None,
        "n": key.rsa.n if key.rsa else None,
    }
    if switches.status_shown:
        body["status"] = key.status
    return body


def _int64(data: dict[str, Any], member: str) -> int | None:
    value = data.get(member)
    if value is None:
        return None
    if type(value) is not int or not -_INT64 <= value < _INT64:
        text = f"Cannot convert the value of '{member}' to the expected type 'Edm.Int64'."
        raise RefusedError(400, "BadRequest", text)
    return value


def bad_parameter(member: str) -> RefusedError:
    """The service's error for a missing or invalid parameter."""
    return RefusedError(400, "AADB2C90253", f"The parameter '{member}' is missing or wrong.")
