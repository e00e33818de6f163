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
from rotator.edges.answers import MAX_DATE, MAX_KEYS, MAX_TEXT, is_text
from rotator.edges.config_file import parse_yaml, read_content

__all__ = ["MAX_KEYS", "read_seed"]

MAX_SHOWN = 40  # characters of a value that a message repeats
_LATEST = datetime.fromtimestamp(MAX_DATE, UTC)
_EARLIEST = datetime.fromtimestamp(0, UTC)
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
            names = (_text(tenant, name, where) for name in ("domain", "id"))
            found |= {name.lower(): keysets for name in names if name is not None}
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
    keyset_id = _text(content, "id", where)
    if keyset_id is None:
        raise _SeedError(f"{where}.id", "is missing")
    listed = tuple(_each(content, "keys", where))
    if len(listed) > MAX_KEYS:
        raise _SeedError(f"{where}.keys", f"has more than {MAX_KEYS} keys")
    keys = (_key(each, place, now, number) for number, (place, each) in enumerate(listed, 1))
    return Keyset(id=keyset_id, keys=tuple(keys))


def _key(content: Mapping[str, Any], where: str, now: datetime, number: int) -> Key:
    nbf, exp = (
        None if content.get(name) is None else _instant(content[name], f"{where}.{name}", now)
        for name in ("nbf", "exp")
    )
    return Key(
        kid=_text(content, "kid", where) or f"seed {number}",
        nbf=nbf,
        exp=exp,
        enabled=content.get("status", "enabled") != "disabled",
        use=_text(content, "use", where) or "sig",
        kty=_text(content, "kty", where) or "RSA",
    )


def _text(content: Mapping[str, Any], name: str, where: str) -> str | None:
    """The text of a member; a number is one, too. None where it is not there."""
    value = content.get(name)
    text = str(value) if isinstance(value, int) else value
    if text is None or is_text(text):
        return text
    raise _SeedError(f"{where}.{name}", f"must be a text of at most {MAX_TEXT} characters")


def _instant(raw: object, where: str, now: datetime) -> datetime:
    try:
        instant = _parsed(raw, now)
    except (ValueError, OverflowError, OSError) as error:
        shown = f"{raw!r} " if isinstance(raw, str) and len(raw) <= MAX_SHOWN else ""
        message = f"{shown}is not an instant; write 2026-01-01T00:00:00Z, 1767225600 or now+1h30m"
        raise _SeedError(where, message) from error
    if not _EARLIEST <= instant <= _LATEST:
        raise _SeedError(where, f"is not an instant between {_EARLIEST.year} and {_LATEST.year}")
    return instant


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
