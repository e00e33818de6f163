"""
The configuration: one YAML file, and ROTATOR_ variables over it.

pydantic-settings alone would be too kind: a missing or empty file would be an
empty configuration, a key given twice would count once, and a mistyped variable
not at all. Here each of them is a fault, named with its path, and all faults are
told at once.
"""

import contextlib
import difflib
import hashlib
import os
import re
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from rotator.core.errors import ConfigError, Fault
from rotator.core.policy import PolicyError
from rotator.edges.settings import PREFIX, PolicySettings, Settings, TenantSettings

CONFIG_VARIABLE = "ROTATOR_CONFIG"


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """
    The configuration in *path*, with the ROTATOR_ variables of the process over it.

    *environ* is only searched for names that mean nothing.

    Raises:
        ConfigError: with every fault.

    """
    source = str(path)
    content = _read_yaml(path)
    faults = list(_unknown_variables(environ))
    try:
        settings = Settings(**content)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        faults += [_fault(each, environ) for each in details if not _follows(each, details)]
        faults += _collisions(*_whole_parts(content, environ))
    except SettingsError as error:
        faults.append(Fault(path="environment", message=str(error)))
    else:
        faults += _collisions(dict(enumerate(settings.tenants)), settings.defaults)
        if not faults:
            return settings
    raise ConfigError(source, tuple(faults))


class Sources:
    """The files that a configuration comes from, and whether they still say what was read."""

    def __init__(self, path: Path) -> None:
        """Nothing was read yet; *path* is the configuration file."""
        self._path = path
        self._read: dict[Path, bytes | None] = {}  # replaced as a whole: somebody may be comparing

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


class _Loader(yaml.SafeLoader):
    """Reads plain data, and refuses a key that is given twice."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - PyYAML's own
        """The value of *node*; where it is none of its kind (a 30th of February), that is a fault like any other."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
            msg = f"what stands here is no {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, msg, node.start_mark) from error


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: set[object] = set()
    for key_node, _ in node.value:
        key = key_node.value
        if key_node.tag != "tag:yaml.org,2002:merge" and isinstance(key, str):
            if key in seen:
                msg = f"{key} is given twice"
                raise yaml.constructor.ConstructorError(None, None, msg, key_node.start_mark)
            seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - it is a SafeLoader
    except OSError as error:
        hint = (
            f"; name the file with --config or {CONFIG_VARIABLE}"
            if isinstance(error, FileNotFoundError | IsADirectoryError)
            else ""
        )
        _refuse(path, "", f"cannot be read: {error.strerror}{hint}")
    except UnicodeDecodeError:
        _refuse(path, "", "is no UTF-8 text")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        _refuse(path, where, error.problem or "is no YAML")
    except (yaml.YAMLError, RecursionError):
        _refuse(path, "", "is no YAML")
    if content is None:
        _refuse(path, "", "is empty; it must name at least one tenant with one keyset")
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        _refuse(path, "", "must be a mapping of names to values")
    return content


def _refuse(path: Path, where: str, message: str) -> NoReturn:
    raise ConfigError(str(path), (Fault(path=where, message=message),))


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[Fault]:
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
        yield Fault(path=name, message=f"is an environment variable that means nothing here{hint}")


def _variables(model: type[BaseModel], prefix: str) -> set[str]:
    """The variables that set something, sections and what is in them."""
    found = set[str]()
    for name, field in model.model_fields.items():
        found.add(f"{prefix}{name.upper()}")
        for inner in () if name == "tenants" else _models(field):
            found |= _variables(inner, f"{prefix}{name.upper()}__")
    return found


def _follows(details: ErrorDetails, others: list[ErrorDetails]) -> bool:
    """Whether a list only counts as empty because of faults inside it, which are told anyway."""
    inside = len(details["loc"])
    return details["type"] == "too_short" and any(
        len(other["loc"]) > inside and other["loc"][:inside] == details["loc"] for other in others
    )


def _fault(details: ErrorDetails, environ: Mapping[str, str]) -> Fault:
    location = details["loc"]
    path = _path(location)
    if details["type"] == "extra_forbidden":
        return Fault(path=path, message="is no key of the configuration" + _hint(location))
    message = _SAID.get(details["type"], details["msg"])
    variable = PREFIX + "__".join(str(part) for part in location).upper()
    origin = next((f" (from {name})" for name in environ if name.upper() == variable), "")
    return Fault(path=path, message=message[:1].lower() + message[1:] + origin)


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
        return "; a secret never stands in this file: use client_secret_file or client_secret_env"
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


def _collisions(tenants: Mapping[int, TenantSettings], defaults: PolicySettings | None) -> Iterator[Fault]:
    """What is wrong between values that are right each for itself."""
    names, keysets = set[str](), set[tuple[str, str, str]]()
    for t, tenant in tenants.items():
        path = f"tenants[{t}]"
        if tenant.name in names:
            yield Fault(path=f"{path}.name", message=f"{tenant.name} is the name of another tenant already")
        names.add(tenant.name)
        for k, keyset in enumerate(tenant.keysets):
            identity = (tenant.roots.graph, tenant.tenant_id.lower(), keyset.id.lower())
            if identity in keysets:
                yield Fault(path=f"{path}.keysets[{k}].id", message=f"{keyset.id} of this tenant is listed already")
            keysets.add(identity)
            if defaults is None:
                continue
            try:
                keyset.policy(defaults)
            except PolicyError as error:
                yield Fault(path=f"{path}.keysets[{k}]", message=str(error))


def _digest(path: Path) -> bytes | None:
    """What stands for the content of a file; None where it can't be read."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return None
