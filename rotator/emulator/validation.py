"""
How JSON becomes the package's frozen dataclasses, and how a mistake in it is worded.

pydantic reads strictly: ``true`` is not a number, ``1`` is not a text, and an unknown
member is a mistake. A mistake is one line that begins with its path::

    tenants[0].keysets[1].keys[0].nbf: 'soon' is not an instant; write 2026-01-01T00:00:00Z, ...

Instants may be written as NumericDates (RFC 7519), in RFC 3339, or relative to now::

    1767225600      2026-01-01T00:00:00Z      now      now-80d      now+1h30m
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, get_args, get_type_hints

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails

T = TypeVar("T")

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
LAX = Field(strict=False)  # for enums: tests may give them as texts
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_RELATIVE = re.compile(r"now(?:(?P<sign>[+-])(?P<span>(?:\d+[smhdw])+))?")
_PATH = re.compile(r"\w[\w.\[\]-]*: ")  # what a message begins with that names a member itself
_MESSAGES = {
    "json_invalid": "not valid JSON",
    "missing": "is missing",
    **dict.fromkeys(("dataclass_type", "dict_type", "mapping_type"), "a mapping is expected"),
    "tuple_type": "a list is expected",
    "string_type": "a text is expected",  # without the value, which may be a secret
    "string_too_short": "must not be empty",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "{input!r} is not a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "{input!r} is not a finite number"),
    "bool_type": "{input!r} is not true or false",
    **dict.fromkeys(("enum", "literal_error"), "{input!r} is not {expected}"),
    "greater_than_equal": "{input!r} is less than {ge}",
    "value_error": "{error}",
}


class InvalidError(ValueError):
    """A value that is not allowed; the message begins with the path of the mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a text is read relative to: the emulated time, and the folder of the file it stands in."""

    now: float
    folder: Path | None = None


class JsonForm(Generic[T]):
    """The JSON of the type *kind*; what cannot be read raises *error*. Built when it is first used."""

    def __init__(self, kind: Any, error: type[InvalidError] = InvalidError) -> None:  # noqa: ANN401 - a type
        self._kind = kind
        self._error = error

    @cached_property
    def adapter(self) -> TypeAdapter[T]:
        """What reads, and what writes."""
        return TypeAdapter(self._kind)

    def read(self, source: str | bytes | Mapping[str, str], context: object = None) -> T:
        """The value of a JSON text, or of a mapping of texts, such as a query. Raises: InvalidError."""
        try:
            if isinstance(source, Mapping):
                return self.adapter.validate_strings(source)
            return self.adapter.validate_json(source, context=context)
        except ValidationError as error:
            raise self._error(_worded(error, self._kind)) from None


def raises(error: type[InvalidError]) -> Callable[[type[T]], type[T]]:
    """Let the constructor of a pydantic dataclass raise *error*, worded like every other mistake."""

    def decorate(kind: type[T]) -> type[T]:
        plain = kind.__init__

        def init(self: T, /, *args: Any, **members: Any) -> None:  # noqa: ANN401 - any constructor
            try:
                plain(self, *args, **members)
            except ValidationError as wrong:
                raise error(_worded(wrong, kind)) from None

        kind.__init__ = init  # type: ignore[assignment, method-assign]
        return kind

    return decorate


def one_of(*allowed: int | str) -> AfterValidator:
    """The value is one of *allowed*."""

    def check(value: int | str) -> int | str:
        if value not in allowed:
            raise InvalidError(f"{value!r} is not one of {', '.join(map(str, allowed))}")
        return value

    return AfterValidator(check)


def parse_instant(raw: object, now: float) -> int:
    """The NumericDate of an instant in any of the three spellings. Raises: InvalidError, it is in none of them."""
    if type(raw) is int:
        return raw
    if isinstance(raw, str):
        relative = _RELATIVE.fullmatch(raw.strip())
        if relative is not None:
            parts = re.findall(r"(\d+)([smhdw])", relative["span"] or "")
            span = sum(int(number) * _UNITS[unit] for number, unit in parts)
            return int(now) + (-span if relative["sign"] == "-" else span)
        try:
            instant = datetime.fromisoformat(raw.strip())
        except ValueError:
            instant = None
        if instant is not None and instant.tzinfo is not None and not instant.microsecond:
            return int(instant.timestamp())
    raise InvalidError(f"{raw!r} is not an instant; write 2026-01-01T00:00:00Z, 1767225600 or now+1h30m")


def _instant(raw: object, info: ValidationInfo) -> object:
    return parse_instant(raw, info.context.now) if isinstance(info.context, Source) else raw


Instant = Annotated[int, BeforeValidator(_instant)]
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Span = Annotated[float, Field(ge=0)]  # seconds


def _worded(wrong: ValidationError, kind: Any) -> str:  # noqa: ANN401 - a type
    """The first mistake in one line, and how many more there are."""
    first, *others = wrong.errors(include_url=False)
    message = _message(first, kind)
    path = ""
    for step in first["loc"]:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    if path:
        message = f"{path}.{message}" if _PATH.match(message) else f"{path}: {message}"
    return f"{message} (and {len(others)} more)" if others else message


def _message(mistake: ErrorDetails, kind: Any) -> str:  # noqa: ANN401 - a type
    if mistake["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        for step in mistake["loc"][:-1]:
            kind = _type_of_member(kind, step)
        known = f"; there are {', '.join(field.name for field in fields(kind))}" if is_dataclass(kind) else ""
        return f"there is no such member{known}"
    words = _MESSAGES.get(mistake["type"], mistake["msg"])
    return words.format(input=mistake["input"], **mistake.get("ctx", {})) if "{" in words else words


def _type_of_member(kind: Any, step: int | str) -> Any:  # noqa: ANN401 - types
    """The type of the member *step* of *kind*: a dataclass, a tuple or a mapping of them."""
    if is_dataclass(kind):
        return get_type_hints(kind)[str(step)]
    return next((each for each in reversed(get_args(kind)) if each is not Ellipsis), None)
