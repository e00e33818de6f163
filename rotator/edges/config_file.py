"""
Reads the configuration file: YAML with plain data and without duplicate keys.

PyYAML alone uses the last of two equal keys, raises errors of many types, and lets a few
aliases stand for millions of values. Only this module and the emulator import PyYAML.

libyaml reads a file ten times as fast as PyYAML's own parser. PyYAML's own parser only reads what libyaml
refuses, so that the messages are the same with and without libyaml. libyaml composes nodes recursively in C:
a file that is nested deeper than `MAX_FAST_DEPTH` is left to PyYAML, which raises an exception instead of a crash.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import yaml

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.core.text import printable
from rotator.edges.files import read_file

CONFIG_VARIABLE = "ROTATOR_CONFIG"
MAX_VALUES = 250_000  # aliases resolved; a file of 1 MiB without aliases has fewer
MAX_NUMBER = 100  # characters of a whole number; Python refuses to print one of more than 4,300 digits
MAX_FAST_DEPTH = 50  # levels of mappings and lists


class _Strict(yaml.constructor.SafeConstructor):
    """Refuses duplicate keys, and aliases that stand for too many values."""

    def get_single_node(self) -> yaml.Node | None:
        """The document as nodes; the number of its values is checked before any is created."""
        node: yaml.Node | None = super().get_single_node()  # type: ignore[misc]
        if node is not None and _values(node, {}) > MAX_VALUES:
            msg = f"with its aliases it has more than {MAX_VALUES} values"
            raise yaml.constructor.ConstructorError(None, None, msg, node.start_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - PyYAML's own
        """The value of *node*; an invalid value, such as a 30th of February, is an error of the file."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
            msg = f"not a valid {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, msg, node.start_mark) from error


def _values(node: yaml.Node, known: dict[yaml.Node, int | None]) -> int:
    """How many values *node* stands for; *known*: of the nodes before, None while a node is counted."""
    if node in known:
        count = known[node]
        if count is None:
            raise yaml.constructor.ConstructorError(None, None, "an alias that contains itself", node.start_mark)
        return count
    known[node] = None
    inner = node.value if isinstance(node, yaml.CollectionNode) else ()
    parts = [each for pair in inner for each in pair] if isinstance(node, yaml.MappingNode) else inner
    known[node] = count = 1 + sum(_values(each, known) for each in parts)
    return count


def _mapping(loader: _Strict, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: set[object] = set()
    for key_node, _ in node.value:
        key = key_node.value
        if key_node.tag != "tag:yaml.org,2002:merge" and isinstance(key, str):
            if key in seen:
                msg = f"duplicate key {key}"
                raise yaml.constructor.ConstructorError(None, None, msg, key_node.start_mark)
            seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _whole_number(loader: _Strict, node: yaml.ScalarNode) -> int:
    if len(node.value) > MAX_NUMBER:
        raise ValueError
    return int(loader.construct_yaml_int(node))


_Strict.add_constructor("tag:yaml.org,2002:map", _mapping)  # type: ignore[type-var]
_Strict.add_constructor("tag:yaml.org,2002:int", _whole_number)  # type: ignore[type-var]


class Loader(_Strict, yaml.SafeLoader):
    """Reads plain data; PyYAML's own parser."""


if yaml.__with_libyaml__:

    class _FastLoader(_Strict, yaml.CSafeLoader):
        """Reads plain data; libyaml."""


@dataclass(frozen=True)
class YamlFile:
    """
    The content of a file, and the line of each part.

    text: the file; its nodes take ten times the memory, and only a problem needs them
    """

    content: dict[str, Any]
    text: str = field(repr=False)

    def line(self, location: tuple[int | str, ...]) -> int:
        """The line (from 1) of *location*, or of its longest part that is in the file."""
        root = self._root
        node, mark = root, root.start_mark
        for part in location:
            if isinstance(node, yaml.MappingNode):
                found = next(((key, value) for key, value in node.value if key.value == part), None)
                if found is None:
                    break
                mark, node = found[0].start_mark, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                mark = node.start_mark
            else:
                break
        return int(mark.line) + 1

    @cached_property
    def _root(self) -> yaml.Node:
        loader = Loader(self.text)
        try:
            root = loader.get_single_node()
            assert root is not None  # a file without a document is refused  # noqa: S101
            return root
        finally:
            loader.dispose()


def read_content(path: Path) -> bytes:
    """
    The content of *path*.

    Raises:
        ConfigError: the file cannot be read, is too large, or was not read in time.

    """
    try:
        return read_file(path)
    except OSError as error:
        hint = (
            f"; name the file with --config or {CONFIG_VARIABLE}"
            if isinstance(error, FileNotFoundError | IsADirectoryError)
            else ""
        )
        _refuse(path, "", f"cannot be read: {error.strerror}{hint}")


def parse_yaml(path: Path, text: bytes) -> YamlFile:
    """
    The mapping in *text*, which was read from *path*.

    Raises:
        ConfigError: it is not a mapping; with the line if it is known.

    """
    try:
        decoded = text.decode("utf-8")
        is_empty, content = _parsed(decoded)
    except UnicodeDecodeError:
        _refuse(path, "", "is not UTF-8 text")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        _refuse(path, where, error.problem or "is not valid YAML")
    except (yaml.YAMLError, RecursionError):
        _refuse(path, "", "is not valid YAML")
    if is_empty or content is None:
        _refuse(path, "", "is empty; it must name at least one tenant with one keyset")
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        _refuse(path, "", "must be a mapping of names to values")
    return YamlFile(content, decoded)


def parse_value(text: str) -> Any:  # noqa: ANN401 - whatever YAML can say
    """
    Parse *text* as the value of a setting in YAML: 3d, true, [a, b].

    Raises:
        ValueError: it is not valid YAML.

    """
    try:
        return _parsed(text)[1]
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError("is not valid YAML") from error


def _parsed(text: str) -> tuple[bool, Any]:
    """Whether *text* has no document, and the data of the only one."""
    if yaml.__with_libyaml__:
        try:
            if _depth(text) <= MAX_FAST_DEPTH:
                return _loaded(_FastLoader(text))
        except yaml.YAMLError:
            pass  # PyYAML's own parser says what is wrong
    return _loaded(Loader(text))


def _loaded(loader: Any) -> tuple[bool, Any]:  # noqa: ANN401 - one of two loaders, which share no base with these methods
    try:
        root = loader.get_single_node()
        return root is None, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _depth(text: str) -> int:
    """How deeply mappings and lists are nested in *text*."""
    depth = deepest = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            deepest = max(deepest, depth)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return deepest


def _refuse(path: Path, where: str, message: str) -> NoReturn:
    raise ConfigError(printable(str(path)), (ConfigProblem(path=where, message=printable(message)),))
