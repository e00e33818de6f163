"""
Events and keys of a keyset as the state file has them.

RSA pairs stand in a table of their own, since many keys share one.
"""

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from rotator.emulator.history import (
    BEFORE_ALL_TIME,
    Created,
    Deleted,
    Event,
    KeyAdded,
    Replaced,
    StatusSet,
)
from rotator.emulator.keys import Key
from rotator.emulator.material import RsaMaterial, pem, unencoded
from rotator.emulator.switches import Status

_EVENTS: dict[str, type[Event]] = {
    "created": Created,
    "key_added": KeyAdded,
    "status_set": StatusSet,
    "replaced": Replaced,
    "deleted": Deleted,
}
_NAMES = {kind: name for name, kind in _EVENTS.items()}


def event_data(event: Event, place: Callable[[RsaMaterial], int]) -> dict[str, Any]:
    """An event as JSON; *place* says where in the table a key's material stands."""
    saved: dict[str, Any] = {
        "what": _NAMES[type(event)],
        "instant": None if event.instant == BEFORE_ALL_TIME else event.instant,
        "by": event.by,
    }
    match event:
        case KeyAdded(key=key):
            saved["key"] = _key_data(key, place)
        case Replaced(keys=keys):
            saved["keys"] = [_key_data(key, place) for key in keys]
        case StatusSet(kid=kid, status=status):
            saved |= {"kid": kid, "status": status}
        case Created() | Deleted():
            pass
    return saved


def _key_data(key: Key, place: Callable[[RsaMaterial], int]) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "use": key.use,
        "kty": key.kty,
        "nbf": key.nbf,
        "exp": key.exp,
        "status": key.status,
        "x5c": list(key.x5c),
        "x5t": key.x5t,
        "secret": key.secret,
        "rsa": place(key.rsa) if key.rsa else None,
    }


def read_event(saved: dict[str, Any], materials: list[RsaMaterial]) -> Event:
    """The event that `event_data` wrote; *materials* is the table."""
    members = dict(saved)
    kind = _EVENTS[members.pop("what")]
    if members["instant"] is None:
        members["instant"] = BEFORE_ALL_TIME
    if "key" in members:
        members["key"] = _read_key(members["key"], materials)
    if "keys" in members:
        members["keys"] = tuple(_read_key(key, materials) for key in members["keys"])
    if members.get("status") is not None:
        members["status"] = Status(members["status"])
    return kind(**members)


def _read_key(saved: dict[str, Any], materials: list[RsaMaterial]) -> Key:
    status, place = saved["status"], saved["rsa"]
    return Key(
        **{
            **saved,
            "status": None if status is None else Status(status),
            "x5c": tuple(saved["x5c"]),
            "rsa": None if place is None else materials[place],
        }
    )


def material_data(material: RsaMaterial) -> dict[str, str]:
    """The private half, where there is one."""
    private = material.private_key()
    if private is None:
        return {"n": material.n, "e": material.e}
    return {"private": pem(private)}


def read_material(saved: dict[str, str]) -> RsaMaterial:
    """What `material_data` wrote."""
    if "private" in saved:
        return read_private(saved)
    public = rsa.RSAPublicNumbers(unencoded(saved["e"]), unencoded(saved["n"]))
    return RsaMaterial(public=public)


def read_private(saved: dict[str, str]) -> RsaMaterial:
    """An RSA pair. Raises: TypeError, ValueError."""
    key = load_pem_private_key(saved["private"].encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        msg = "not an RSA key"
        raise TypeError(msg)
    return RsaMaterial(private=key)
