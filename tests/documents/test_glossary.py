"""
Each label that a user sees is a term of the glossary.

A label is a word or two beside a value or a keyset: a constant of `views.phrases`, the label of a condition or a
fact, a column of a table, an item of a legend, the state of a key, an outcome, a finding of the probes, a group in the
summary of `discover`. Sentences are not labels.
"""

import ast
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest
from documents.pages import ROOT, read, rows
from views.cases import NOW, PROCESS, many

from rotator.commands import discovered
from rotator.core.findings import FindingKind
from rotator.core.history import Promise
from rotator.core.keyset import KeyState
from rotator.core.outcome import OutcomeName
from rotator.core.policy import Mode
from rotator.views import conditions, doctor, phrases, proof, simulation, status, style, table
from rotator.views.condition import Level
from rotator.views.glossary import TERMS as OF_PAGE
from rotator.views.page import page
from rotator.views.timeline import Band

VIEWS = ROOT / "rotator" / "views"
MAX_WORDS = 3  # of a label
TERMS = [cells for cells in rows(read("docs/glossary.md")) if cells != ["term", "meaning"]]


def _of_phrases() -> Iterator[str]:
    for name, value in vars(phrases).items():
        if name.isupper() and isinstance(value, str) and len(value.split()) <= MAX_WORDS:
            yield value


def _of_conditions() -> Iterator[str]:
    yield from _labels(VIEWS / "conditions.py")
    yield from _labels(VIEWS / "process.py")
    yield from (label for label, _ in vars(conditions)["_INEFFECTIVE"].values())


def _of_facts() -> Iterator[str]:
    yield from _labels(VIEWS / "assessment.py")
    template = "".join(path.read_text(encoding="utf-8") for path in (VIEWS / "templates").iterdir())
    yield from re.findall(r'entry\("([^"]+)"', template)
    yield from re.findall(r"<dt>(\w[^<]*)</dt>", template)


def _labels(path: Path) -> Iterator[str]:
    """What a module hands over as a label: `label=...`, `label, ... = ...`, `self._instant(...)`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.keyword(arg="label", value=value):
                yield from _texts(value)
            case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id="label"), *_])], value=ast.Tuple(elts=[value, *_])):
                yield from _texts(value)
            case ast.Call(func=ast.Attribute(attr="_instant"), args=[value, *_]):
                yield from _texts(value)
            case _:
                pass


def _texts(value: ast.expr) -> Iterator[str]:
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            yield text.strip()
        case _:
            pass


def _of_tables() -> Iterator[str]:
    yield from (cell.lower() for cell in vars(table)["_HEADER"])
    head = (VIEWS / "status.py").read_text(encoding="utf-8")
    yield from (word.lower() for word in re.findall(r"'([A-Z]{3}[A-Z ]*)':", head))
    yield from (word.lower() for word in re.findall(r"\} (EXPIRES)\"", head))


def _of_legends() -> Iterator[str]:
    """A legend says "planned key, active": two terms."""
    for text in style.SWATCHES.values():
        yield from text.split(", ")
    for line in status.LEGEND:
        yield from re.findall(r"[a-z]{2,}(?: [a-z]{2,})*", line)


def _of_words() -> Iterator[str]:
    words: tuple[type[StrEnum], ...] = (KeyState, OutcomeName, Mode, Band, Level)
    yield from (word.value for each in words for word in each)


def _of_proof() -> Iterator[str]:
    """A finding is shown by its name, with spaces in it, as in `finding_conditions`."""
    yield proof.PROOF
    yield from (kind.value.replace("_", " ") for kind in FindingKind)


def _of_simulate() -> Iterator[str]:
    yield from (cell.lower() for cell in vars(simulation)["_HEADER"])
    yield from (promise.value for promise in Promise)


def _of_discover() -> Iterator[str]:
    yield from (label for label, _ in vars(discovered)["_GROUPS"])


def _of_doctor() -> Iterator[str]:
    yield from (cell.lower() for cell in doctor.HEADER)


def _of_rendered() -> Iterator[str]:
    """What is rendered, so that a label counts wherever the code has it: terms, headings of columns and badges."""
    entries = many(10)
    shown = page(entries, NOW, PROCESS)
    yield from re.findall(r"<(?:dt|th)\b[^>]*>\s*([^<]+?)\s*</", shown)
    for label in re.findall(r'<span class="badge[^>]*>\s*\S+ ([^<]+?)\s*</span>', shown):
        yield re.sub(r" \d.*$", "", label)  # not seen for 3h
    outcomes = [entry.outcome for entry in entries.values() if entry.outcome is not None]
    for text in (status.status(outcomes, NOW, 100, colour=False), table.table(outcomes, NOW, 100)):
        for line in text.splitlines():
            if re.fullmatch(r" *[A-Z]{3,}(?: +[A-Z]+)+", line):
                yield from (label.lower() for label in re.split(r" {2,}| (?=STATE)", line.strip()))


SURFACES = {
    "phrases": (_of_phrases, 5),
    "conditions": (_of_conditions, 15),
    "facts": (_of_facts, 3),
    "tables": (_of_tables, 9),
    "legends": (_of_legends, 12),
    "proof": (_of_proof, 13),
    "simulate": (_of_simulate, 10),
    "discover": (_of_discover, 4),
    "doctor": (_of_doctor, 3),
    "rendered": (_of_rendered, 45),
    "words": (_of_words, 15),
}
"""Where labels come from, and how many there are at least, so that none of these finds nothing unnoticed."""


@pytest.mark.parametrize("surface", SURFACES)
def test_glossary_has_each_label(surface: str) -> None:
    """Each label of a surface is a term of the glossary, word for word."""
    collect, least = SURFACES[surface]
    labels = list(collect())
    assert len(labels) >= least, labels
    assert set(labels) - {cells[0] for cells in TERMS} == set()


def test_page_explains_terms_as_the_glossary_does() -> None:
    """The legend of the status page has the sentences of docs/glossary.md, word for word, and shows all of them."""
    glossary = {cells[0]: cells[1] for cells in TERMS}
    assert {term: glossary.get(term) for term in OF_PAGE} == dict(OF_PAGE)
    shown = page(many(10), NOW, PROCESS)
    entries = re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", shown.partition("<summary>Glossary</summary>")[2])
    assert entries[: len(OF_PAGE)] == list(OF_PAGE.items())


def test_glossary_has_each_term_once() -> None:
    """No term is explained twice."""
    terms = [cells[0] for cells in TERMS]
    assert sorted(set(terms)) == sorted(terms)


def test_glossary_has_a_sentence_for_each_term() -> None:
    """A term has one sentence, and one of at most 30 words."""
    for term, meaning in TERMS:
        assert re.fullmatch(r"[^.]*(?:\.\w[^.]*)*\.", meaning), term
        assert len(meaning.split()) <= 30, term
