"""
The configuration: one YAML file, and ROTATOR_ variables over it.

pydantic-settings alone would be too kind: a missing or empty file would be an
empty configuration, a key given twice would count once, and a mistyped variable
not at all. Here each of them is a problem, named with its path, and all problems
are reported at once.
"""

import contextlib
import difflib
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.edges.calendar_settings import CalendarSettings
from rotator.edges.collisions import Parts, collisions, parts_of
from rotator.edges.config_file import CONFIG_VARIABLE, read_yaml
from rotator.edges.settings import PREFIX, PolicySettings, Settings, TenantSettings


def load(path: Path, environ: Mapping[str, str] = os.environ, now: datetime | None = None) -> Settings:
    """
    The configuration in *path*, with the ROTATOR_ variables of the process over it.

    environ: only searched for unknown names
    now:     from when on calendars are proven; None: the time of the machine

    Raises:
        ConfigError: with every fault.

    """
    source = str(path)
    content, now = read_yaml(path), now or datetime.now(UTC).replace(microsecond=0)
    problems = list(_unknown_variables(environ))
    try:
        settings = Settings(**content)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        problems += [_problem(each, environ) for each in details if not _follows(each, details)]
        problems += collisions(_whole_parts(content, environ), now)
    except SettingsError as error:
        problems.append(ConfigProblem(path="environment", message=str(error)))
    else:
        problems += collisions(parts_of(settings), now)
        if not problems:
            return settings
    raise ConfigError(source, tuple(problems))


class Sources:
    """The files that a configuration comes from, and whether they still say what was read."""

    def __init__(self, path: Path) -> None:
        """Nothing was read yet; *path* is the configuration file."""
        self._path = path
        self._read: dict[Path, bytes | None] = {}  # replaced as a whole: another thread may be comparing

    def load(self) -> Settings:
        """
        The configuration; a file that changes while it is read counts as changed.

        Raises:
            ConfigError: as `load` does.

        """
        self._read = {self._path: _digest(self._path)}
        settings = load(self._path)
        if settings.ca_file is not None:
            self._read = self._read | {settings.ca_file: _digest(settings.ca_file)}
        return settings

    def have_changed(self) -> bool:
        """Whether to load again, by what is in them; a ConfigMap is swapped by a link, so that is what counts."""
        return any(_digest(path) != digest for path, digest in self._read.items())


def schema() -> dict[str, Any]:
    """The JSON Schema of the configuration file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[ConfigProblem]:
    """ROTATOR_ variables that set nothing; pydantic-settings passes over them in silence."""
    known = {CONFIG_VARIABLE} | {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in environ:
        first = name.upper().partition("__")[0]
        if not name.upper().startswith(PREFIX) or first in known:
            continue
        hint = _suggest(first, known)
        meant = [each for each in _variables(Settings, PREFIX) if each.replace("__", "_") == name.upper()]
        if meant:
            hint = f"; did you mean {meant[0]}?"
        elif re.search(r"_(PORT|SERVICE_HOST|SERVICE_PORT)(_|$)", first):
            hint = "; Kubernetes makes such variables for a Service of that name: set enableServiceLinks: false"
        yield ConfigProblem(path=name, message=f"unknown environment variable{hint}")


def _variables(model: type[BaseModel], prefix: str) -> set[str]:
    """The variables that set something, sections and what is in them."""
    found = set[str]()
    for name, field in model.model_fields.items():
        found.add(f"{prefix}{name.upper()}")
        for inner in () if name == "tenants" else _models(field):
            found |= _variables(inner, f"{prefix}{name.upper()}__")
    return found


def _follows(details: ErrorDetails, others: list[ErrorDetails]) -> bool:
    """Whether a list only counts as empty because of problems inside it, which are told anyway."""
    inside = len(details["loc"])
    return details["type"] == "too_short" and any(
        len(other["loc"]) > inside and other["loc"][:inside] == details["loc"] for other in others
    )


def _problem(details: ErrorDetails, environ: Mapping[str, str]) -> ConfigProblem:
    location = details["loc"]
    path = _path(location)
    if details["type"] == "extra_forbidden":
        return ConfigProblem(path=path, message="unknown key" + _hint(location))
    message = _SAID.get(details["type"], details["msg"])
    variable = PREFIX + "__".join(str(part) for part in location).upper()
    origin = next((f" (from {name})" for name in environ if name.upper() == variable), "")
    return ConfigProblem(path=path, message=message[:1].lower() + message[1:] + origin)


_SAID = {
    "missing": "is missing",
    "too_short": "must have at least one entry",
    "string_too_short": "is empty",
    "tuple_type": "must be a list",
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "must be a mapping of names to values"),
}
"""Our words for pydantic's kinds of error."""


def _path(location: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return re.sub(r"\.cloud\.(name|roots)\b", ".cloud", "".join(parts)).lstrip(".")  # which form of cloud it took


def _hint(location: tuple[int | str, ...]) -> str:
    name = str(location[-1])
    if name in ("client_secret", "secret", "password"):
        return "; secrets do not belong in this file: use client_secret_file or client_secret_env"
    return _suggest(name, _names(Settings, location[:-1]))


def _suggest(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


def _names(model: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    """The keys that are known where *location* leads."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            inner = _models(model.model_fields[part])
            if not inner:
                return set()
            model = inner[0]
    return {field.alias or name for name, field in model.model_fields.items()}


def _models(field: FieldInfo) -> list[type[BaseModel]]:
    found, queue = [], [field.annotation]
    while queue:
        annotation = queue.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.append(annotation)
        queue += getattr(annotation, "__args__", ())
    return found


def _whole_parts(content: Mapping[str, Any], environ: Mapping[str, str]) -> Parts:
    """The tenants, by their places, and the defaults of a configuration that is not whole, as far as they are."""
    tenants, raw = {}, content.get("tenants")
    for t, each in enumerate(raw if isinstance(raw, list) else ()):
        with contextlib.suppress(ValidationError):
            tenants[t] = TenantSettings.model_validate(each)
    overridden = (f"{PREFIX}DEFAULTS__", f"{PREFIX}CALENDARS")
    if any(name.upper().startswith(overridden) for name in environ):
        return Parts(tenants=tenants, defaults=None)
    with contextlib.suppress(ValidationError):
        sections = _Sections.model_validate({name: content.get(name) or {} for name in _Sections.model_fields})
        return Parts(tenants=tenants, defaults=sections.defaults, calendars=sections.calendars)
    return Parts(tenants=tenants, defaults=None)


class _Sections(BaseModel):
    """What the policies of all keysets need."""

    defaults: PolicySettings
    calendars: dict[str, CalendarSettings]


def _digest(path: Path) -> bytes | None:
    """A digest of the content of a file; None where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return None
