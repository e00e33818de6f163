"""
The configuration file: YAML of plain data, in which no key is given twice.

PyYAML alone would take the last of two equal keys, and raise errors of many kinds. The only
door to PyYAML in the program; the emulator has its own.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.edges.files import read_file

CONFIG_VARIABLE = "ROTATOR_CONFIG"


class Loader(yaml.SafeLoader):
    """Reads plain data, and refuses a key that is given twice."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - PyYAML's own
        """The value of *node*; one that is not valid, such as a 30th of February, is an error of the file."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
            msg = f"not a valid {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, msg, node.start_mark) from error


def _mapping(loader: Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
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


Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """
    The mapping in *path*.

    Raises:
        ConfigError: it cannot be read, or does not hold a mapping; with the line where that is known.

    """
    try:
        content = yaml.load(read_file(path).decode("utf-8"), Loader)  # noqa: S506 - it is a SafeLoader
    except OSError as error:
        hint = (
            f"; name the file with --config or {CONFIG_VARIABLE}"
            if isinstance(error, FileNotFoundError | IsADirectoryError)
            else ""
        )
        _refuse(path, "", f"cannot be read: {error.strerror}{hint}")
    except UnicodeDecodeError:
        _refuse(path, "", "is not UTF-8 text")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        _refuse(path, where, error.problem or "is not valid YAML")
    except (yaml.YAMLError, RecursionError):
        _refuse(path, "", "is not valid YAML")
    if content is None:
        _refuse(path, "", "is empty; it must name at least one tenant with one keyset")
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        _refuse(path, "", "must be a mapping of names to values")
    return content


def _refuse(path: Path, where: str, message: str) -> NoReturn:
    raise ConfigError(str(path), (ConfigProblem(path=where, message=message),))
