"""Short sentences in plain words: documents, and above all what somebody reads who was woken up by an alert."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from documents.pages import OF_OURS, ROOT, sentences

MAX_WORDS = 35
MAX_WORDS_ON_CALL = 30
RUNBOOK = ROOT / "deploy" / "runbook.md"
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
RULE_TESTS = ROOT / "tests" / "monitoring" / "rule_tests.yaml"
PAGES = (*OF_OURS, ROOT / "deploy" / "README.md", RUNBOOK)
AVOIDED = (
    r"\bmend",
    r"\bmakes? no sense\b",
    r"\bruns for long\b",
    r"\bis none\b",
    r"\basks for itself\b",
    r"\b(?:it|this|that|which|what) is no \w",
)
"""Words that somebody who has learned English as a second language stumbles over."""


def _alerts() -> Iterator[dict[str, Any]]:
    content = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    yield from (rule for group in content["groups"] for rule in group["rules"] if "alert" in rule)


def _rendered() -> Iterator[tuple[str, dict[str, str]]]:
    """What promtool must render as the annotations of each alert."""
    content = yaml.safe_load(RULE_TESTS.read_text(encoding="utf-8"))
    for check in (check for test in content["tests"] for check in test.get("alert_rule_test", [])):
        for alert in check["exp_alerts"]:
            if "exp_annotations" in alert:
                yield check["alertname"], alert["exp_annotations"]


ALERTS = {alert["alert"]: alert["annotations"] for alert in _alerts()}
RENDERED = list(_rendered())


def _too_long(text: str, limit: int) -> list[str]:
    return [sentence for sentence in sentences(text) if len(sentence.split()) > limit]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_documents_have_short_sentences(page: Path) -> None:
    """No sentence of a document has more than 35 words, and none of the runbook more than 30."""
    limit = MAX_WORDS_ON_CALL if page == RUNBOOK else MAX_WORDS
    assert _too_long(page.read_text(encoding="utf-8"), limit) == []


@pytest.mark.parametrize("name", ALERTS)
def test_annotations_have_short_sentences(name: str) -> None:
    """No sentence of an alert has more than 30 words, as Prometheus renders it in the tests of the rules."""
    rendered = [annotations for alert, annotations in RENDERED if alert == name]
    assert rendered
    for annotation in rendered:
        assert _too_long(annotation["summary"], MAX_WORDS_ON_CALL) == []
        assert _too_long(annotation["description"], MAX_WORDS_ON_CALL) == []


@pytest.mark.parametrize("name", ALERTS)
def test_alert_says_for_whom_since_when_and_what_first(name: str) -> None:
    """The description ends with what to do first; the runbook begins with who is affected, since when, and the same."""
    assert re.search(r"(?:^|\. )First: [a-z].*\.$", ALERTS[name]["description"])
    section = RUNBOOK.read_text(encoding="utf-8").partition(f"\n## {name}\n")[2]
    opening = " ".join(section.partition("**What it means.**")[0].split())
    assert re.search(r"Affected: .+ Since: .+ First: .+\.$", opening), opening


@pytest.mark.parametrize("page", [*PAGES, RULES], ids=lambda page: str(page.relative_to(ROOT)))
def test_documents_have_plain_words(page: Path) -> None:
    """No document, and no alert, uses a phrase that has to be read twice."""
    found = re.findall("|".join(AVOIDED), page.read_text(encoding="utf-8"), re.IGNORECASE)
    assert found == []


def test_sentences_are_told_apart() -> None:
    """The tests above see sentences as a reader does: items, cells and paragraphs end one, code is one word."""
    text = """\
# A heading is none

One of `a b. c d` words. And (two.) Really?
It goes on.

- an item
  on two lines
1. another [with a link](x.md#y)

| a cell | one more. And another |
|---|---|

```sh
not this. one
```
The end
"""
    assert list(sentences(text)) == [
        *("One of CODE words.", "And (two.", "Really?", "It goes on.", "an item on two lines", "another with a link"),
        *("a cell", "one more.", "And another", "---", "---", "The end"),
    ]
