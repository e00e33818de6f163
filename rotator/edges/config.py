"""
Loads the configuration: one YAML file, and ROTATOR_ variables that override it.

pydantic-settings alone is too tolerant: it accepts a missing or empty file as an empty
configuration, uses one value of a duplicate key, and ignores a mistyped variable. Here
each of these is a problem with its path, and all problems are reported at once.
"""

import contextlib
import difflib
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.core.text import printable
from rotator.edges.calendar_settings import CalendarSettings
from rotator.edges.collisions import Parts, collisions, parts_of
from rotator.edges.config_changes import Change, changed
from rotator.edges.config_file import CONFIG_VARIABLE, YamlFile, parse_yaml, read_content
from rotator.edges.config_words import Location, location_of, path_of, said
from rotator.edges.files import read_file
from rotator.edges.proxies import read_proxies
from rotator.edges.settings import PREFIX, PolicySettings, Settings, TenantSettings


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration, and its file."""

    settings: Settings
    file: YamlFile


def load(
    path: Path, environ: Mapping[str, str] = os.environ, *, text: bytes | None = None, now: datetime | None = None
) -> Settings:
    """
    Load the configuration in *path*, overridden by the ROTATOR_ variables of the process.

    environ: only checked for unknown names and for proxies
    text:    the content of *path*; None: it is read now
    now:     the instant from which calendars are checked; None: the current one

    Raises:
        ConfigError: with every problem.

    """
    return read(path, environ, text=text, now=now).settings


def read(
    path: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    text: bytes | None = None,
    now: datetime | None = None,
    changes: Sequence[Change] = (),
) -> Loaded:
    """Like `load`, but also returns the lines of the file; *changes* are applied to its content before the check."""
    file, now = (
        parse_yaml(path, read_content(path) if text is None else text),
        now or datetime.now(UTC).replace(microsecond=0),
    )
    file = replace(file, content=changed(file.content, changes, environ))
    problems = [*_unknown_variables(environ), *_wrong_proxies(environ)]
    try:
        settings = Settings(**file.content)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        problems += [_problem(each, environ, file) for each in details if not _follows(each, details)]
        problems += _collisions(file, _whole_parts(file.content, environ), now)
    except RecursionError:
        problems.append(ConfigProblem(path="environment", message="a variable holds JSON that is nested too deeply"))
    except SettingsError as error:
        problems.append(_variable_problem(str(error)))
    else:
        problems += _collisions(file, parts_of(settings), now)
        if not problems:
            return Loaded(settings, file)
    raise ConfigError(printable(str(path)), tuple(_shown(each) for each in problems))


def _shown(problem: ConfigProblem) -> ConfigProblem:
    """*problem* with control characters escaped: names of keys and variables may have any character."""
    return replace(problem, path=printable(problem.path), message=printable(problem.message))


class Sources:
    """The files of a configuration, and whether their content has changed since they were read."""

    def __init__(
        self,
        path: Path,
        revise: Callable[[Settings], Settings] = lambda settings: settings,
        text: bytes | None = None,
    ) -> None:
        """
        No file is read yet.

        path:   the configuration file; with *text*, which replaces its content, only a name for messages
        revise: changes the configuration that was read
        """
        self._path = path
        self._text = text
        self._revise = revise
        self._was_read = False
        self._read: dict[Path, bytes | None] = {}  # replaced as a whole, since another thread may compare it

    def load(self) -> Settings:
        """
        Load the configuration. A pipe is read once, and never counts as changed.

        Raises:
            ConfigError: as `load` does, or a pipe was read before.

        """
        can_be_read_again = self._text is None and self._path.is_file()
        if self._was_read and not can_be_read_again and self._path.exists():
            message = "is a pipe or a device, which can be read only once; to reload, name a file"
            raise ConfigError(printable(str(self._path)), (ConfigProblem(path="", message=message),))
        text = read_content(self._path) if self._text is None else self._text
        self._was_read = True
        self._read = {self._path: hashlib.sha256(text).digest()} if can_be_read_again else {}
        settings = load(self._path, text=text)
        if settings.ca_file is not None:
            self._read = self._read | {settings.ca_file: _digest(settings.ca_file)}
        return self._revise(settings)

    def authorities(self, settings: Settings) -> bytes | None:
        """The digest of the `ca_file` of *settings* when they were loaded; None without `ca_file`."""
        return None if settings.ca_file is None else self._read.get(settings.ca_file)

    def have_changed(self) -> bool:
        """True if the content of a file has changed. Times do not count: a ConfigMap is updated by a symbolic link."""
        return any(_digest(path) != digest for path, digest in self._read.items())


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[ConfigProblem]:
    """Problems for ROTATOR_ variables that set nothing; pydantic-settings ignores them silently."""
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


def _wrong_proxies(environ: Mapping[str, str]) -> tuple[ConfigProblem, ...]:
    """Problems of proxy variables, with which no request would be possible."""
    try:
        read_proxies(environ)
    except ConfigError as error:
        return error.problems
    return ()


def _variables(model: type[BaseModel], prefix: str) -> set[str]:
    """The names of all variables that set something: sections and the settings in them."""
    found = set[str]()
    for name, field in model.model_fields.items():
        found.add(f"{prefix}{name.upper()}")
        for inner in () if name == "tenants" else _models(field):
            found |= _variables(inner, f"{prefix}{name.upper()}__")
    return found


def _follows(details: ErrorDetails, others: list[ErrorDetails]) -> bool:
    """True if a list only counts as empty because of problems inside it, which are reported anyway."""
    inside = len(details["loc"])
    return details["type"] == "too_short" and any(
        len(other["loc"]) > inside and other["loc"][:inside] == details["loc"] for other in others
    )


def _problem(details: ErrorDetails, environ: Mapping[str, str], file: YamlFile) -> ConfigProblem:
    location = details["loc"]
    path = path_of(location)
    if details["type"] == "extra_forbidden":
        return ConfigProblem(path=path, message="unknown key" + _hint(location), line=file.line(location))
    variable = PREFIX + "__".join(str(part) for part in location).upper()
    origin = next((name for name in environ if name.upper() == variable and environ[name]), None)
    if origin is not None:
        return ConfigProblem(path=path, message=f"{said(details)} (from {origin})")
    return ConfigProblem(path=path, message=said(details), line=file.line(location))


def _variable_problem(error: str) -> ConfigProblem:
    """The problem of a variable for a whole section that cannot be parsed; *error* names the section."""
    found = re.search(r'field "(\w+)"', error)
    path = f"{PREFIX}{found[1].upper()}" if found else "environment"
    return ConfigProblem(path=path, message="is not valid JSON; set single values, such as ROTATOR_LOG__LEVEL")


def _hint(location: Location) -> str:
    name = str(location[-1])
    if name in ("client_secret", "secret", "password"):
        return "; secrets do not belong in this file: use client_secret_file or client_secret_env"
    return _suggest(name, _names(Settings, location[:-1]))


def _suggest(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


def _names(model: type[BaseModel], location: Location) -> set[str]:
    """The known keys at *location*."""
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
    """The valid parts of a configuration that is not valid as a whole."""
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


def _collisions(file: YamlFile, parts: Parts, now: datetime) -> Iterator[ConfigProblem]:
    """The conflicts of values that are valid on their own, with their lines."""
    for problem in collisions(parts, now):
        yield replace(problem, line=file.line(location_of(problem.path)))


class _Sections(BaseModel):
    """The sections that the policies of all keysets need."""

    defaults: PolicySettings
    calendars: dict[str, CalendarSettings]


def _digest(path: Path) -> bytes | None:
    """A digest of the content of a file; None if it cannot be read."""
    try:
        return hashlib.sha256(read_file(path)).digest()
    except OSError:
        return None
