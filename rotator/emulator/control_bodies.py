"""What the control endpoints read and show."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rotator.emulator.answers import RefusedError, Request
from rotator.emulator.faults import Injected
from rotator.emulator.history import Created, Deleted, Event, KeyAdded, Replaced, StatusSet
from rotator.emulator.keys import Key


def read_body(request: Request) -> dict[str, Any]:
    """The JSON object in a request. Raises: RefusedError."""
    try:
        data = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise refused(400, "the body is no JSON") from error
    if not isinstance(data, dict):
        raise refused(400, "the body is no JSON object")
    return data


def read_choice(kind: Any, name: str, raw: str) -> Any:  # noqa: ANN401 - any StrEnum
    """A member of the StrEnum *kind*. Raises: RefusedError."""
    try:
        return kind(raw)
    except ValueError as error:
        choices = ", ".join(member.value for member in kind)
        raise refused(400, f"{name}: {raw!r} is none of {choices}") from error


def read_number(query: Mapping[str, str], name: str, default: float) -> float:
    """A number of the query. Raises: RefusedError."""
    try:
        number = float(query.get(name, default))
    except ValueError as error:
        raise refused(400, f"{name}: {query[name]!r} is no number") from error
    if not math.isfinite(number):
        raise refused(400, f"{name}: {query[name]!r} is no number")
    return number


def plain(text: str) -> int | str:
    """A whole number where it looks like one."""
    return int(text) if text.isdecimal() else text


def refused(status: int, message: str) -> RefusedError:
    """What a control endpoint says about a mistake."""
    return RefusedError(status, "EmulatorControl", message)


def injected_body(injected: Injected) -> dict[str, Any]:
    """A fault at work."""
    return {"number": injected.number, "hits": injected.hits, **asdict(injected.fault)}


def event_body(event: Event) -> dict[str, Any]:
    """What happened to a keyset; the seed has no instant."""
    told: dict[str, Any] = {
        "what": type(event).__name__,
        "instant": event.instant if math.isfinite(event.instant) else None,
        "by": event.by,
    }
    match event:
        case KeyAdded(key=key):
            told["key"] = key_body(key)
        case Replaced(keys=keys):
            told["keys"] = [key_body(key) for key in keys]
        case StatusSet(kid=kid, status=status):
            told |= {"kid": kid, "status": status}
        case Created() | Deleted():
            pass
    return told


def key_body(key: Key) -> dict[str, Any]:
    """A key without its material."""
    return {
        "kid": key.kid,
        "use": key.use,
        "kty": key.kty,
        "nbf": key.nbf,
        "exp": key.exp,
        "status": key.status,
    }
