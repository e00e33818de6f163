"""
Tenants in files of their own: a directory of files with `tenants` lists, merged with those of the configuration.

The files are the `*.yaml` and `*.yml` directly in the directory, in the order of their names, without hidden ones:
a projected volume of Kubernetes has links and directories whose names begin with a dot.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.core.text import printable
from rotator.edges.config_file import YamlFile, parse_yaml, read_content
from rotator.edges.config_words import Location, location_of, path_of

MAX_FILES = 1000
TENANTS = "tenants"

Seen = dict[Path, bytes | None]
"""Digests of what was read: of the content of a file, and of the names of the files in a directory."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One tenant of a file of the directory: the file, and its number there."""

    path: Path
    file: YamlFile
    number: int


@dataclass(frozen=True, slots=True)
class Origins:
    """
    The files that a configuration comes from, and where each part of it stands.

    file:  the configuration file
    own:   how many tenants are in it; those after them are in the directory
    parts: where each tenant of the directory stands
    """

    file: YamlFile
    own: int = 0
    parts: tuple[_Part, ...] = ()

    def problem(self, location: Location, message: str) -> ConfigProblem:
        """What is wrong with what *location*, in the merged configuration, leads to: with file, path and line there."""
        match location:
            case (str(first), int(number), *rest) if first == TENANTS and 0 <= number - self.own < len(self.parts):
                part = self.parts[number - self.own]
                there = (TENANTS, part.number, *rest)
                line, name = part.file.line(there), str(part.path)
                return ConfigProblem(path=path_of(there), message=message, line=line, file=name)
            case _:
                return ConfigProblem(path=path_of(location), message=message, line=self.file.line(location))

    def placed(self, problem: ConfigProblem) -> ConfigProblem:
        """*problem*, whose path is that in the merged configuration, with file, path and line."""
        return self.problem(location_of(problem.path), problem.message)


def merged(file: YamlFile, directory: object, seen: Seen) -> tuple[Mapping[str, Any], Origins, list[ConfigProblem]]:
    """
    The content of *file* with the tenants of *directory*, where each stands, and what is wrong with the files.

    directory: its path; any other value is left alone here, and refused by the validation of the settings
    seen:      gets what was read
    """
    own = file.content.get(TENANTS) or []
    if not isinstance(directory, str) or not isinstance(own, list):
        return file.content, Origins(file), []
    try:
        paths = list(tenant_files(Path(directory)))
    except OSError as error:
        problem = ConfigProblem(
            path="tenants_directory",
            message=f"cannot be read: {error.strerror}",
            line=file.line(("tenants_directory",)),
        )
        return file.content, Origins(file), [problem]
    seen[Path(directory)] = names_digest(paths)
    parts, tenants, problems = list[_Part](), list[Any](), list[ConfigProblem]()
    for path in paths:
        try:
            found, listed = _read(path, seen)
        except ConfigError as error:
            problems += [replace(each, file=printable(str(path))) for each in error.problems]
            continue
        parts += [_Part(path, found, number) for number in range(len(listed))]
        tenants += listed
    origins = Origins(file, len(own), tuple(parts))
    problems += _twice(own, tenants, origins)
    return {**file.content, TENANTS: [*own, *tenants]}, origins, problems


def tenant_files(directory: Path) -> Iterator[Path]:
    """
    The files of *directory* that are read, in order; at most `MAX_FILES`.

    Raises:
        OSError: it cannot be read.

    """
    found = sorted(
        each for each in directory.iterdir() if each.suffix in (".yaml", ".yml") and not each.name.startswith(".")
    )
    if len(found) > MAX_FILES:
        raise OSError(0, f"it has more than {MAX_FILES} files")
    yield from found


def names_digest(paths: list[Path]) -> bytes:
    """A digest of the names of files."""
    return hashlib.sha256("\0".join(each.name for each in paths).encode("utf-8", "surrogateescape")).digest()


def _read(path: Path, seen: Seen) -> tuple[YamlFile, list[Any]]:
    """
    One file, and its tenants.

    Raises:
        ConfigError: it has no list of tenants, or something else.

    """
    seen[path] = None  # it is there, and cannot be read
    text = read_content(path)
    seen[path] = hashlib.sha256(text).digest()
    file = parse_yaml(path, text)
    others = [name for name in file.content if name != TENANTS]
    if others:
        message = "a file of tenants_directory has only tenants; move it to the configuration file"
        problem = ConfigProblem(path=others[0], message=message, line=file.line((others[0],)))
        raise ConfigError(str(path), (problem,))
    listed = file.content[TENANTS]
    if not isinstance(listed, list):
        raise ConfigError(str(path), (ConfigProblem(path=TENANTS, message="must be a list", line=1),))
    return file, listed


def _twice(own: list[Any], tenants: list[Any], origins: Origins) -> Iterator[ConfigProblem]:
    """The tenants of the directory that another file has as well."""
    known: dict[str, str] = {}
    for number, tenant in enumerate([*own, *tenants]):
        name = tenant.get("tenant_id") if isinstance(tenant, dict) else None
        if not isinstance(name, str):
            continue
        where = "the configuration file" if number < origins.own else str(origins.parts[number - origins.own].path)
        first = known.setdefault(name.lower(), where)
        if first != where:
            yield origins.problem((TENANTS, number, "tenant_id"), f"the same tenant is in {first}; remove one of them")
