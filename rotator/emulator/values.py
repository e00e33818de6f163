"""
Plain values, as JSON and YAML have them, for the fields of the package's dataclasses.

Types are taken at their word: ``true`` is no number, ``1`` is no text. Instants may be
written as NumericDates, in RFC 3339, or relative to now::

    1767225600      2026-01-01T00:00:00Z      now      now-80d      now+1h30m
"""

import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from enum import StrEnum
from types import UnionType
from typing import Any, get_args, get_type_hints

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_RELATIVE = re.compile(r"now(?:(?P<sign>[+-])(?P<span>(?:\d+[smhdw])+))?")
_KINDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    type(None): "null",
}


class ValueMistakeError(ValueError):
    """A member that does not exist, or a value it cannot have."""


def typed_members(kind: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """
    The members of *data* as values for the fields of the dataclass *kind*.

    Raises:
        ValueMistakeError: naming the member that does not exist or has the wrong type.

    """
    known = [field.name for field in fields(kind) if field.init]
    for name in data:
        if name not in known:
            msg = f"{name}: there is no such member; there are {', '.join(known)}"
            raise ValueMistakeError(msg)
    hints = get_type_hints(kind)
    return {name: _typed(name, raw, hints[name]) for name, raw in data.items()}


def parse_instant(raw: object, now: float) -> int:
    """
    The NumericDate of an instant in any of the three spellings.

    Raises:
        ValueMistakeError: it is in none of them.

    """
    if type(raw) is int:
        return raw
    if isinstance(raw, str):
        relative = _RELATIVE.fullmatch(raw.strip())
        if relative is not None:
            span = sum(
                int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhdw])", relative["span"] or "")
            )
            return int(now) + (-span if relative["sign"] == "-" else span)
        try:
            instant = datetime.fromisoformat(raw.strip())
        except ValueError:
            instant = None
        if instant is not None and instant.tzinfo is not None and not instant.microsecond:
            return int(instant.timestamp())
    msg = f"{raw!r} is no instant; write 2026-01-01T00:00:00Z, 1767225600 or now+1h30m"
    raise ValueMistakeError(msg)


def _typed(name: str, raw: object, hint: Any) -> object:  # noqa: ANN401 - a type hint
    if hint is Any:
        return raw
    kinds: tuple[type, ...] = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    for kind in kinds:
        if issubclass(kind, StrEnum):
            if isinstance(raw, str) and raw in {member.value for member in kind}:
                return kind(raw)
        elif type(raw) is kind or (kind is float and type(raw) is int):
            return raw
    msg = f"{name}: {raw!r} is not {' or '.join(map(_described, kinds))}"
    raise ValueMistakeError(msg)


def _described(kind: type) -> str:
    if issubclass(kind, StrEnum):
        return ", ".join(member.value for member in kind)
    return _KINDS.get(kind, kind.__name__)
