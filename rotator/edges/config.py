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
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.core.policy import PolicyError
from rotator.edges.config_file import CONFIG_VARIABLE, read_yaml
from rotator.edges.files import read_file
from rotator.edges.settings import PREFIX, PolicySettings, Settings, TenantSettings


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """
    The configuration in *path*, with the ROTATOR_ variables of the process over it.

    *environ* is only searched for unknown names.

    Raises:
        ConfigError: with every fault.

    """
    source = str(path)
    content = read_yaml(path)
    problems = list(_unknown_variables(environ))
    try:
        settings = Settings(**content)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        problems += [_problem(each, environ) for each in details if not _follows(each, details)]
        problems += _collisions(*_whole_parts(content, environ))
    except SettingsError as error:
        problems.append(ConfigProblem(path="environment", message=str(error)))
    else:
        problems += _collisions(dict(enumerate(settings.tenants)), settings.defaults)
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

    def authorities(self, settings: Settings) -> bytes | None:
        """The digest of the `ca_file` of *settings*, as it was when they were loaded; None without one."""
        return None if settings.ca_file is None else self._read.get(settings.ca_file)

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
    return set(model.model_fields)


def _models(field: FieldInfo) -> list[type[BaseModel]]:
    found, queue = [], [field.annotation]
    while queue:
        annotation = queue.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.append(annotation)
        queue += getattr(annotation, "__args__", ())
    return found


def _whole_parts(
    content: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[dict[int, TenantSettings], PolicySettings | None]:
    """The tenants, by their places, and the defaults of a configuration that is not whole, as far as they are."""
    tenants, raw = {}, content.get("tenants")
    for t, each in enumerate(raw if isinstance(raw, list) else ()):
        with contextlib.suppress(ValidationError):
            tenants[t] = TenantSettings.model_validate(each)
    if any(name.upper().startswith(f"{PREFIX}DEFAULTS__") for name in environ):
        return tenants, None
    with contextlib.suppress(ValidationError):
        return tenants, PolicySettings.model_validate(content.get("defaults") or {})
    return tenants, None


def _collisions(tenants: Mapping[int, TenantSettings], defaults: PolicySettings | None) -> Iterator[ConfigProblem]:
    """What is wrong between values that are right each for itself."""
    names, keysets = set[str](), set[tuple[str, str, str]]()
    for t, tenant in tenants.items():
        path = f"tenants[{t}]"
        if tenant.name in names:
            yield ConfigProblem(path=f"{path}.name", message=f"duplicate tenant name {tenant.name}")
        names.add(tenant.name)
        for k, keyset in enumerate(tenant.keysets):
            identity = (tenant.roots.graph, tenant.tenant_id.lower(), keyset.id.lower())
            if identity in keysets:
                yield ConfigProblem(path=f"{path}.keysets[{k}].id", message=f"duplicate keyset {keyset.id}")
            keysets.add(identity)
            if defaults is None:
                continue
            try:
                keyset.policy(defaults)
            except PolicyError as error:
                yield ConfigProblem(path=f"{path}.keysets[{k}]", message=str(error))


def _digest(path: Path) -> bytes | None:
    """A digest of the content of a file; None where it cannot be read."""
    try:
        return hashlib.sha256(read_file(path)).digest()
    except OSError:
        return None
