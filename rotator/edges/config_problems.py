"""Problems of a configuration as people read them: where, what, and the name that was probably meant."""

import difflib
import re
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.edges.config_file import CONFIG_VARIABLE
from rotator.edges.config_words import Location, path_of, said
from rotator.edges.proxies import read_proxies
from rotator.edges.settings import PREFIX, Settings
from rotator.edges.tenants_directory import Origins


def unknown_variables(environ: Mapping[str, str]) -> Iterator[ConfigProblem]:
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


def wrong_proxies(environ: Mapping[str, str]) -> tuple[ConfigProblem, ...]:
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


def validation_problems(error: ValidationError, environ: Mapping[str, str], origins: Origins) -> list[ConfigProblem]:
    """The problems that *error* names, each with its file and line, or the variable in *environ* that it comes from."""
    details = error.errors(include_url=False, include_input=False)
    return [_problem(each, environ, origins) for each in details if not _follows(each, details)]


def _follows(details: ErrorDetails, others: list[ErrorDetails]) -> bool:
    """True if a list only counts as empty because of problems inside it, which are reported anyway."""
    inside = len(details["loc"])
    return details["type"] == "too_short" and any(
        len(other["loc"]) > inside and other["loc"][:inside] == details["loc"] for other in others
    )


def _problem(details: ErrorDetails, environ: Mapping[str, str], origins: Origins) -> ConfigProblem:
    location = details["loc"]
    path = path_of(location)
    if details["type"] == "extra_forbidden":
        return origins.problem(location, "unknown key" + _hint(location))
    variable = PREFIX + "__".join(str(part) for part in location).upper()
    origin = next((name for name in environ if name.upper() == variable and environ[name]), None)
    if origin is not None:
        return ConfigProblem(path=path, message=f"{said(details)} (from {origin})")
    return origins.problem(location, said(details))


def variable_problem(error: str) -> ConfigProblem:
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
