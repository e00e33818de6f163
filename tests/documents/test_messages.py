"""
Error messages have one form: `WHERE: WHAT (GOT); WHAT TO DO`.

Lower case, no final period, at most 200 characters without what is filled in. The messages are collected from the
source: what is passed as *message*, assigned to `message` or `msg`, raised, or handed to a function that refuses.
"""

import ast
import re
from collections.abc import Iterator

import pytest
from documents.pages import ROOT

PACKAGE = ROOT / "rotator"
MAX_LENGTH = 200
REFUSING = {"unreadable", "_fail", "_refuse", "error", "PydanticCustomError"}
"""Functions whose arguments with a blank in them are messages."""
ERRORS = {"CertificateError", "ConfigProblem", "OSError", "PolicyError", "SelectionError", "ValueError", "_SeedError"}
NAMES = ("Azure", "B2C", "Entra", "Graph", "JSON", "OpenID", "ROTATOR_")
"""Names with which a message may begin."""
UNCLEAR = re.compile(
    r"\b((?<!there )is no|(?<!there )are no"
    r"|makes? no sense|is none|none is|is called for|what stands|runs for long|mended|besides|whoever"
    r"|tells?|told|nobody|as long as|of its own|where (there|it|that|no)\b|goes? too)\b"
)
"""Words that need a second reading."""


def _texts(value: ast.expr | None) -> Iterator[str]:
    """The texts that *value* can be, with braces in place of what is filled in."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
        case ast.IfExp(body=first, orelse=second):
            yield from _texts(first)
            yield from _texts(second)
        case _:
            pass


def _messages(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="message" | "if_it_lasts", value=value):
                yield from _texts(value)
            case ast.Assign(targets=[ast.Name(id="message" | "msg")], value=value):
                yield from _texts(value)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if name in REFUSING | ERRORS:
                yield from (text for value in args for text in _texts(value) if " " in text)
            case _:
                pass


def _all() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if "emulator" not in path.parts:  # it answers in the words of Microsoft's services
            for text in _messages(ast.parse(path.read_text(encoding="utf-8"))):
                yield path.relative_to(ROOT).as_posix(), text


MESSAGES = sorted(set(_all()))


def test_messages_are_found() -> None:
    """The collection finds the messages of the settings, of Graph, of credentials and of the command line."""
    folders = {path.rpartition("/")[0] for path, _ in MESSAGES} | {path for path, _ in MESSAGES}
    assert {"rotator/core", "rotator/edges", "rotator/cli.py", "rotator/shell"} <= folders
    assert len(MESSAGES) >= 150


@pytest.mark.parametrize("message", sorted({text for _, text in MESSAGES}))
def test_message_has_the_form(message: str) -> None:
    """It begins in lower case or with a name, has no final period, is short, and is read once."""
    assert message[:1] in "{-'*" or message[:1].islower() or message[:1].isdigit() or message.startswith(NAMES)
    assert not message.rstrip().endswith(".")
    assert len(message.replace("{}", "")) <= MAX_LENGTH
    assert UNCLEAR.search(message) is None
