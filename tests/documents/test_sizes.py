"""The sizes that docs/development.md names: 250 lines for a module, 40 for a function without its docstring."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "rotator"
MAX_MODULE, MAX_FUNCTION = 250, 40


def too_long(path: Path, text: str) -> Iterator[str]:
    if (lines := len(text.splitlines())) > MAX_MODULE:
        yield f"{path}: {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (lines := length(node)) > MAX_FUNCTION:
            yield f"{path}:{node.lineno} {node.name}: {lines} lines"


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    docstring = 0 if ast.get_docstring(function) is None else (first.end_lineno or 0) - first.lineno + 1
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_modules_and_functions_are_short() -> None:
    """No module and no function of the package is longer than the bounds."""
    modules = sorted(PACKAGE.rglob("*.py"))
    assert len(modules) > 200
    assert [found for path in modules for found in too_long(path, path.read_text())] == []


def test_length_counts_all_but_the_docstring() -> None:
    """The bounds themselves are allowed, one line more is found, and a docstring is free."""
    body = 'def f():\n    """\n    One.\n    """\n' + "    x = 1\n" * (MAX_FUNCTION - 1)
    path = Path("some.py")
    assert list(too_long(path, body)) == []
    assert list(too_long(path, body + "    x = 1\n")) == ["some.py:1 f: 41 lines"]
    assert list(too_long(path, "x = 1\n" * (MAX_MODULE + 1))) == ["some.py: 251 lines"]
