"""The documents as text: which there are, their sections, tables, links and snippets."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
OF_OURS = (
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
)
"""The documents that users read first; those below deploy/ have tests of their own."""

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)


def read(name: str) -> str:
    """The text of the document *name*, such as docs/logs.md."""
    return (ROOT / name).read_text(encoding="utf-8")


def section(name: str, title: str) -> str:
    """What document *name* has below the heading *title*, up to the next heading."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", read(name), re.MULTILINE | re.DOTALL)
    assert found, f"{name} has no section {title}"
    return found.group(1)


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in *text*, without the rows of hyphens; headings are rows as well."""
    lines = re.findall(r"^\| (.*) \|$", text, re.MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


def first_cells(text: str) -> list[str]:
    """The names in code style of the first column of the tables in *text*."""
    return [name for cells in rows(text) for name in re.findall(r"`([^`]+)`", cells[0])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A fenced block of a document, without its indentation."""

    page: str
    line: int
    language: str
    text: str

    @property
    def id(self) -> str:
        """Where it is."""
        return f"{self.page}:{self.line}"


def snippets(language: str | None = None) -> Iterator[Snippet]:
    """The fenced blocks in *language*, of all languages if it is None."""
    for path in OF_OURS:
        text = path.read_text(encoding="utf-8")
        for found in _FENCE.finditer(text):
            if language in (None, found["language"]):
                yield Snippet(
                    page=str(path.relative_to(ROOT)),
                    line=text.count("\n", 0, found.start()) + 1,
                    language=found["language"],
                    text=re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
                )


def calls(text: str) -> Iterator[list[str]]:
    """The words of each call in a block for a shell, without redirections; calls that a pipe joins are apart."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        is_target = False
        for word in [*lexer, ";"]:
            if is_target:
                is_target = False
            elif set(word) <= set("<>&") and set(word) & set("<>"):
                is_target = True
            elif set(word) <= set("|&;()"):
                if words:
                    yield words
                words = []
            else:
                words.append(word)


def prose(path: Path) -> str:
    """The text of a document without its fenced blocks."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def sentences(text: str) -> Iterator[str]:
    """
    The sentences of a document or an annotation, without markup and fenced blocks.

    An item of a list, a cell of a table and a paragraph end a sentence. A span in code style is one word.
    """
    text = re.sub(r"`[^`]*`", "CODE", _FENCE.sub("\n\n", text))
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^\s*(?:[-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"^#.*$", "\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"^\|.*$", lambda row: row[0].replace("|", "\n\n"), text, flags=re.MULTILINE)
    for block in re.split(r"\n\s*\n", text):
        for sentence in re.split(r"(?<=[.?!])[*_)\"]*\s+", " ".join(block.split())):
            if sentence:
                yield sentence


def anchors(path: Path) -> set[str]:
    """The anchors of the headings of a document, as GitHub and GitLab make them."""
    titles = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
