from dataclasses import replace
from datetime import timedelta

import pytest
from views.cases import NOW, failed, key, looked_at, policy

from rotator.core.keyset import Key
from rotator.core.outcome import Outcome
from rotator.views.phrases import by_outcome, remaining, summary
from rotator.views.report_json import row
from rotator.views.status import status
from rotator.views.table import table


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "now"),
        (1, "in 1s"),
        (-1, "1s ago"),
        (61, "in 1m1s"),
        (3600, "in 1h"),
        (90_061, "in 1d1h"),
        (86_399, "in 23h59m"),
    ],
)
def test_remaining_in_its_two_largest_units(seconds: int, expected: str) -> None:
    """A span is rounded to what somebody can grasp."""
    assert remaining(NOW.fromtimestamp(NOW.timestamp() + seconds, NOW.tzinfo), NOW) == expected


def test_summary_counts_labels_in_their_order() -> None:
    """How many keysets have which label, in the order in which the labels first appear."""
    assert summary(["failed", "held", "failed"]) == "3 keysets: 2 failed, 1 held"
    assert summary(["held"]) == "1 keyset: 1 held"


def test_summary_of_outcomes_begins_with_what_somebody_must_know() -> None:
    """Failures come first, and what is held last."""
    held, planned = looked_at(key("a", -10, 81)), looked_at(key("a", -80, 11))
    assert by_outcome([held, planned, failed("no"), held]) == ["failed", "planned", "held", "held"]


@pytest.mark.parametrize(
    ("found", "cover", "column"),
    [
        ([key("a", -10, 81)], "dated", "in 81d"),
        ([key("n", None, None)], "endless", "no end"),
        ([key("n", None, None, enabled=False)], "none", "no valid key"),
    ],
)
def test_cover_is_told_alike(found: list[Key], cover: str, column: str) -> None:
    """Cover that has no end is never told as now."""
    outcome = looked_at(*found)
    told = row(outcome)
    assert (told["cover"], told["covered_until"] is None) == (cover, cover != "dated")
    (line,) = [line for line in table([outcome], NOW, None).splitlines() if line.startswith("  B2C_1A_X")]
    assert column in line


def test_what_falls_short_is_told_with_amounts() -> None:
    """Table and status say whether lead, overlap or cover is hurt, and by how much."""
    outcome = looked_at(key("a", -10, 40), of=replace(policy(), overlap=timedelta(days=61)))
    assert "falls short: overlap by 23d" in table([outcome], NOW, None)
    assert any("falls short" in line and "overlap by 23d" in line for line in _status(outcome))


def test_certificate_is_told_what_to_do() -> None:
    """A keyset of certificates says who must act."""
    outcome = looked_at(replace(key("c", -350, 15), has_certificate=True))
    assert "upload the next certificate" in table([outcome], NOW, None)
    assert any("upload the next certificate" in line for line in _status(outcome))


def _status(outcome: Outcome) -> list[str]:
    return status([outcome], NOW, None, colour=False).splitlines()
