"""The queries for Azure Monitor ask for events and members that the program logs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy" / "azure-monitor" / "queries.kql").read_text(encoding="utf-8")
QUERIES = {block.splitlines()[0][3:]: block for block in TEXT.split("\n\n") if re.match(r"// \d\. ", block)}
ON_EVERY_LINE = {"timestamp", "level", "event"}


def _members() -> dict[str, set[str]]:
    """The members of each event, by the calls that log it."""
    members: dict[str, set[str]] = {}
    for path in (ROOT / "rotator").rglob("*.py"):
        if "emulator" in path.parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args):
            name = call.args[0]
            if isinstance(name, ast.Constant) and re.fullmatch(r"[a-z]+\.[a-z]+", str(name.value)):
                found = members.setdefault(str(name.value), set())
                found |= {keyword.arg for keyword in call.keywords if keyword.arg}
                if any(keyword.arg is None for keyword in call.keywords):  # of mappings that are built in the module
                    found |= set(_written(tree))
    return members


def _written(tree: ast.AST) -> Iterator[str]:
    """The keys of every mapping that a module builds."""
    for node in ast.walk(tree):
        keys = [*node.keys] if isinstance(node, ast.Dict) else [node.slice] if isinstance(node, ast.Subscript) else []
        yield from (key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


MEMBERS = _members()


def test_queries_are_numbered() -> None:
    """There are seven, each with a question above it."""
    assert [title[:2] for title in QUERIES] == [f"{number}." for number in range(1, 8)]
    assert all("?" in title for title in QUERIES)


@pytest.mark.parametrize("title", QUERIES)
def test_query_asks_for_what_is_logged(title: str) -> None:
    """Its events are events of the program; each member that it reads is one of at least one of them."""
    query = QUERIES[title]
    (condition,) = re.findall(r"Entry\.event (?:==|in) (\(.*?\)|\"[^\"]*\")", query)
    events = re.findall(r'"([^"]+)"', condition)
    assert events
    assert set(events) <= set(MEMBERS)
    there = ON_EVERY_LINE.union(*(MEMBERS[event] for event in events))
    # A sweep counts the outcomes by their names.
    there |= {"held", "planned", "rotated", "failed"} if "sweep.finished" in events else set()
    asked = set(re.findall(r"\bEntry\.(\w+)", query))
    assert len(asked) > 1
    assert asked - there == set()


@pytest.mark.parametrize("title", QUERIES)
def test_query_is_well_formed(title: str) -> None:
    """It begins with the table, every line after that with a pipe and an operator, and every bracket is closed."""
    lines = [line for line in QUERIES[title].splitlines() if not line.startswith("//")]
    assert re.match(r"ContainerLogV2 \| where TimeGenerated > ago\(\d+[hd]\) \| extend Entry = ", lines[0])
    assert all(re.match(r"\| (?:where|project|summarize|extend|order by) ", line) for line in lines[1:])
    for line in lines:
        text = re.sub(r'"[^"]*"', "", line)
        assert text.count("(") == text.count(")"), line
        assert '"' not in text, line
