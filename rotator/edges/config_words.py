"""
Messages for invalid values: they replace those of pydantic, which are written for programmers.

No message repeats a value, because it could be a secret in the wrong place.
"""

import re
from typing import Any, get_args

from pydantic_core import ErrorDetails, core_schema

Location = tuple[int | str, ...]
"""The keys and positions from the top of the file to a value."""

_PYDANTIC = frozenset(get_args(core_schema.ErrorType))

_MAPPING = "must be a mapping of names to values"
_NUMBER = "must be a whole number"
_SWITCH = "must be true or false"
_DAY = "must be a day, such as 2031-01-31"
_SAID = {
    "missing": "is missing",
    "too_short": "must have at least one entry",
    "string_too_short": "is empty",
    "string_type": "must be text; a number needs quotes",
    "tuple_type": "must be a list",
    "path_type": "must be the path of a file",
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), _MAPPING),
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), _NUMBER),
    **dict.fromkeys(("bool_type", "bool_parsing"), _SWITCH),
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"), _DAY),
}
_PATTERNS = {
    "name": "must be 1 to 63 letters, digits, blanks, '.', '_' or '-', and begin with a letter or digit",
    "client_secret_env": "must be the name of an environment variable: letters, digits and '_'",
    "lease_name": "must be the name of a Kubernetes object: lower-case letters, digits, '.' and '-'",
    "namespace": "must be the name of a Kubernetes namespace: lower-case letters, digits and '-'",
}
"""The messages for settings whose value must match a pattern."""


def location_of(path: str) -> Location:
    """The location of *path*; the inverse of `path_of`."""
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path))


def path_of(location: Location) -> str:
    """*location* as text: tenants[0].name."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return re.sub(r"\.cloud\.(name|roots)\b", ".cloud", "".join(parts)).lstrip(".")  # which form of cloud it took


def said(details: ErrorDetails) -> str:
    """The message for an error of pydantic; messages of rotator's own types are kept."""
    kind, context = details["type"], details.get("ctx", {})
    if kind not in _PYDANTIC:
        return details["msg"]
    return _SAID.get(kind) or _with_bounds(kind, context) or _of_pattern(kind, details["loc"]) or "is not a valid value"


def _with_bounds(kind: str, context: dict[str, Any]) -> str:
    match kind:
        case "literal_error" | "enum":
            return "must be " + re.sub(r"'", "", str(context["expected"]))
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case _:
            return ""


def _of_pattern(kind: str, location: tuple[int | str, ...]) -> str:
    return _PATTERNS.get(str(location[-1]), "") if kind == "string_pattern_mismatch" else ""
