"""
Loads the configuration: one YAML file, and ROTATOR_ variables that override it.

pydantic-settings alone is too tolerant: it accepts a missing or empty file as an empty
configuration, uses one value of a duplicate key, and ignores a mistyped variable. Here
each of these is a problem with its path, and all problems are reported at once.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.core.shard import Shard
from rotator.core.text import printable
from rotator.edges.calendar_settings import CalendarSettings
from rotator.edges.collisions import Parts, collisions, parts_of
from rotator.edges.config_changes import Change, changed
from rotator.edges.config_file import parse_yaml, read_content
from rotator.edges.config_problems import unknown_variables, validation_problems, variable_problem, wrong_proxies
from rotator.edges.files import read_file
from rotator.edges.settings import PREFIX, Settings
from rotator.edges.tenant_settings import PolicySettings, TenantSettings
from rotator.edges.tenants_directory import Origins, Seen, merged, names_digest, tenant_files


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration, and its files."""

    settings: Settings
    origins: Origins


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
    seen: Seen | None = None,
) -> Loaded:
    """
    Like `load`, but also returns where each part stands in the files.

    changes: applied to the content of the file before the check
    seen:    gets the digests of what was read of `tenants_directory`
    """
    file, now = (
        parse_yaml(path, read_content(path) if text is None else text),
        now or datetime.now(UTC).replace(microsecond=0),
    )
    file = replace(file, content=changed(file.content, changes, environ))
    directory = environ.get(f"{PREFIX}TENANTS_DIRECTORY") or file.content.get("tenants_directory")
    content, origins, problems = merged(file, directory, {} if seen is None else seen)
    problems += [*unknown_variables(environ), *wrong_proxies(environ)]
    try:
        settings = Settings(**content)
    except ValidationError as error:
        problems += validation_problems(error, environ, origins)
        problems += [origins.placed(each) for each in collisions(_whole_parts(content, environ), now)]
    except RecursionError:
        problems.append(ConfigProblem(path="environment", message="a variable holds JSON that is nested too deeply"))
    except SettingsError as error:
        problems.append(variable_problem(str(error)))
    else:
        problems += [origins.placed(each) for each in collisions(parts_of(settings), now)]
        if not problems:
            return Loaded(settings, origins)
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
        self._shard: Shard | None = None  # that of the first load: tenants must not move while other processes run
        self._read: dict[Path, bytes | None] = {}  # replaced as a whole, since another thread may compare it

    def load(self) -> Settings:
        """
        Load the configuration, with only the tenants of this process's shard: the shard of the first call.

        A pipe is read once, and never counts as changed.

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
        seen: Seen = {}
        try:
            settings = read(self._path, text=text, seen=seen).settings
        finally:  # what is wrong is read again once it has changed
            self._read = self._read | seen
        if settings.ca_file is not None:
            self._read = self._read | {settings.ca_file: _digest(settings.ca_file)}
        self._shard = self._shard or settings.shard.shard
        return self._revise(settings.of_shard(self._shard))

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


class _Sections(BaseModel):
    """The sections that the policies of all keysets need."""

    defaults: PolicySettings
    calendars: dict[str, CalendarSettings]


def _digest(path: Path) -> bytes | None:
    """A digest of the content of a file, or of the names of the files in a directory; None if it cannot be read."""
    try:
        if path.is_dir():
            return names_digest(list(tenant_files(path)))
        return hashlib.sha256(read_file(path)).digest()
    except OSError:
        return None
