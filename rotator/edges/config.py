"""
Loads the configuration: one YAML file, and ROTATOR_ variables that override it.

pydantic-settings alone is too tolerant: it accepts a missing or empty file as an empty
configuration, uses one value of a duplicate key, and ignores a mistyped variable. Here
each of these is a problem with its path, and all problems are reported at once.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.core.text import printable
from rotator.edges.calendar_settings import CalendarSettings
from rotator.edges.collisions import Parts, collisions, parts_of
from rotator.edges.config_changes import Change, changed
from rotator.edges.config_file import YamlFile, parse_yaml, read_content
from rotator.edges.config_problems import unknown_variables, validation_problems, variable_problem, wrong_proxies
from rotator.edges.config_words import location_of
from rotator.edges.files import read_file
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
    problems = [*unknown_variables(environ), *wrong_proxies(environ)]
    try:
        settings = Settings(**file.content)
    except ValidationError as error:
        problems += validation_problems(error, environ, file)
        problems += _collisions(file, _whole_parts(file.content, environ), now)
    except RecursionError:
        problems.append(ConfigProblem(path="environment", message="a variable holds JSON that is nested too deeply"))
    except SettingsError as error:
        problems.append(variable_problem(str(error)))
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
