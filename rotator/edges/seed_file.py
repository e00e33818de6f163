"""
Reads keysets from a file in the form of the emulator's seeds; only its tenants, keysets and keys are used.

    tenants:
      - domain: contoso.onmicrosoft.com              # or id; the same as tenant_id of the configuration
        keysets:
          - id: B2C_1A_TokenSigningKeyContainer
            keys:
              - {use: sig, kty: RSA, nbf: now-80d, exp: now+11d1h}
              - {kid: hand-made, nbf: 2025-01-01T00:00:00Z, exp: 1893456000, status: disabled}

Instants are NumericDates (RFC 7519), in the form of RFC 3339, or relative to now.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.core.keyset import Key, Keyset
from rotator.core.text import parse_span, printable
from rotator.edges.config_file import parse_yaml, read_content

_RELATIVE = re.compile(r"now(?:([+-])(\w+))?")


def read_seed(path: Path, now: datetime) -> Mapping[str, tuple[Keyset, ...]]:
    """
    The keysets of each tenant in *path*, by its domain and by its id in lower case.

    now: the instant that relative instants are relative to

    Raises:
        ConfigError: the file cannot be read, or is not a seed.

    """
    content = parse_yaml(path, read_content(path)).content
    found: dict[str, tuple[Keyset, ...]] = {}
    try:
        for where, tenant in _each(content, "tenants", ""):
            keysets = tuple(_keyset(each, place, now) for place, each in _each(tenant, "keysets", where))
            found |= {str(tenant[name]).lower(): keysets for name in ("domain", "id") if name in tenant}
    except _SeedError as error:
        _refuse(path, error)
    return found


class _SeedError(Exception):
    """A member is not valid: its path, and the problem."""


def _each(inside: Mapping[str, Any], name: str, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The mappings in a list, each with its path."""
    path = f"{where}.{name}" if where else name
    listed = inside.get(name) or []
    if not isinstance(listed, list):
        raise _SeedError(path, "must be a list")
    for number, each in enumerate(listed):
        if not isinstance(each, dict):
            raise _SeedError(f"{path}[{number}]", "must be a mapping of names to values")
        yield f"{path}[{number}]", each


def _keyset(content: Mapping[str, Any], where: str, now: datetime) -> Keyset:
    if not isinstance(content.get("id"), str):
        raise _SeedError(f"{where}.id", "is missing")
    keys = (_key(each, place, now, number) for number, (place, each) in enumerate(_each(content, "keys", where), 1))
    return Keyset(id=content["id"], keys=tuple(keys))


def _key(content: Mapping[str, Any], where: str, now: datetime, number: int) -> Key:
    nbf, exp = (
        None if content.get(name) is None else _instant(content[name], f"{where}.{name}", now)
        for name in ("nbf", "exp")
    )
    return Key(
        kid=str(content.get("kid") or f"seed {number}"),
        nbf=nbf,
        exp=exp,
        enabled=content.get("status", "enabled") != "disabled",
        use=str(content.get("use", "sig")),
        kty=str(content.get("kty", "RSA")),
    )


def _instant(raw: object, where: str, now: datetime) -> datetime:
    try:
        return _parsed(raw, now)
    except (ValueError, OverflowError, OSError) as error:
        message = f"{raw!r} is not an instant; write 2026-01-01T00:00:00Z, 1767225600 or now+1h30m"
        raise _SeedError(where, message) from error


def _parsed(raw: object, now: datetime) -> datetime:
    match raw:
        case bool():
            raise ValueError
        case int():
            return datetime.fromtimestamp(raw, UTC)
        case datetime():
            instant = raw
        case str():
            relative = _RELATIVE.fullmatch(raw.strip())
            if relative is not None:
                span = parse_span(relative[2]) if relative[2] else timedelta()
                return now - span if relative[1] == "-" else now + span
            instant = datetime.fromisoformat(raw.strip())
        case _:
            raise ValueError
    if instant.tzinfo is None:
        raise ValueError
    return instant.astimezone(UTC).replace(microsecond=0)


def _refuse(path: Path, error: _SeedError) -> NoReturn:
    where, message = error.args
    raise ConfigError(printable(str(path)), (ConfigProblem(path=where, message=printable(message)),)) from error
