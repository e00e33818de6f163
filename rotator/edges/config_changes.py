"""Changes to the content of a configuration file before its check: KEY=VALUE, where KEY is the path of a setting."""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.edges.config_file import parse_value
from rotator.edges.settings import PREFIX

_PART = re.compile(r"(?:^|\.)([A-Za-z0-9_-]+)|\[(\d{1,6})\]")
SOURCE = "--set"


@dataclass(frozen=True, slots=True)
class Change:
    """The path of a setting, and its new value."""

    path: tuple[str | int, ...]
    value: Any

    @property
    def key(self) -> str:
        """The path as text: tenants[0].keysets[1].rotate_every."""
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip(".")


def parse_change(text: str) -> Change:
    """
    Parse a change such as defaults.renewal_window=3d; the value is YAML.

    Raises:
        ValueError: it is not KEY=VALUE; the message does not repeat the value, which could be a secret.

    """
    key, equals, value = text.partition("=")
    parts = list(_PART.finditer(key))
    if not equals or not parts or "".join(part[0] for part in parts) != key:
        raise ValueError("is not KEY=VALUE; write it like defaults.renewal_window=3d")
    path = tuple(int(part[2]) if part[2] else part[1] for part in parts)
    try:
        return Change(path, parse_value(value))
    except ValueError as error:
        msg = f"{key}: {error}"
        raise ValueError(msg) from error


def changed(content: dict[str, Any], changes: Sequence[Change], environ: Mapping[str, str]) -> dict[str, Any]:
    """
    *content* with *changes*; mappings that a path goes through are made where they are missing.

    Raises:
        ConfigError: a path does not exist, or an environment variable overrides the same setting.

    """
    if not changes:
        return content
    content = copy.deepcopy(content)
    for change in changes:
        _set(content, change)
        names = "__".join(str(part) for part in change.path).upper()
        winner = next((name for name in environ if _overrides(name.upper(), PREFIX + names)), None)
        if winner is not None:
            _refuse(change, f"the environment variable {winner} overrides it; unset {winner}")
    return content


def _overrides(variable: str, wanted: str) -> bool:
    return variable == wanted or wanted.startswith(f"{variable}__") or variable.startswith(f"{wanted}__")


def _set(content: dict[str, Any], change: Change) -> None:
    inner: Any = content
    *through, last = change.path
    for part in through:
        inner = _step(inner, part, change)
    if isinstance(last, int):
        _step(inner, last, change)
    elif not isinstance(inner, dict):
        _refuse(change, f"is not the path of a setting: {last} is not in a mapping")
    inner[last] = change.value


def _step(inner: Any, part: str | int, change: Change) -> Any:  # noqa: ANN401 - parts of a YAML file
    if isinstance(part, int):
        if not isinstance(inner, list) or part >= len(inner):
            _refuse(change, f"is not the path of a setting: there is no [{part}]")
        return inner[part]
    if not isinstance(inner, dict):
        _refuse(change, f"is not the path of a setting: {part} is not in a mapping")
    if inner.get(part) is None:
        inner[part] = {}
    return inner[part]


def _refuse(change: Change, message: str) -> NoReturn:
    raise ConfigError(SOURCE, (ConfigProblem(path=change.key, message=message),))
