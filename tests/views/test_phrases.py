from dataclasses import replace
from datetime import timedelta

import pytest
from views.cases import NOW, failed, key, looked_at, many, policy, refused

from rotator.core.keyset import Key
from rotator.core.outcome import Exit, Held, Outcome, exit_code
from rotator.core.policy import Mode
from rotator.core.reasons import Refusal
from rotator.views.phrases import remaining
from rotator.views.report_json import row
from rotator.views.standing import Standing, assessed, problems, standing, totals
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


def test_totals_count_each_keyset_once() -> None:
    """The most urgent word that holds is counted, in the order of urgency."""
    outcomes = [
        looked_at(key("a", -10, 81)),
        refused(looked_at(key("a", -100, -9)), "no"),
        looked_at(key("a", -80, 11)),
        failed("no"),
        looked_at(key("a", -80, 11), of=policy(mode=Mode.OBSERVE)),
        Held(observation=failed("no").observation, reason=Refusal.STOPPING),
    ]
    told = "6 keysets: 1 urgent, 1 failed, 1 not looked at, 2 due, 1 fine"
    assert totals(standing(assessed(outcome, NOW)) for outcome in outcomes) == told
    assert totals([Standing.FINE]) == "1 keyset: 1 fine"
    assert [problems([outcome], NOW) != [] for outcome in outcomes] == [False, True, False, True, False, True]


def test_totals_are_urgent_where_the_exit_code_is_3() -> None:
    """A keyset that makes a run end with 3 is counted as urgent."""
    for entry in many(40).values():
        assert entry.outcome is not None
        if exit_code([entry.outcome], detailed=False) == Exit.AT_RISK:
            assert standing(assessed(entry.outcome, NOW)) is Standing.URGENT


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
    (line,) = [line for line in table([outcome], NOW, 200).splitlines() if line.startswith("  B2C_1A_X")]
    assert column in line


def test_what_falls_short_is_told_with_amounts() -> None:
    """Table and status say whether lead, overlap or cover is hurt, and by how much."""
    outcome = looked_at(key("a", -10, 40), of=replace(policy(), overlap=timedelta(days=61)))
    assert "falls short: overlap by 23d" in table([outcome], NOW, 200)
    assert any("falls short" in line and "overlap by 23d" in line for line in _status(outcome))


def test_certificate_is_told_what_to_do() -> None:
    """A keyset of certificates says who must act."""
    outcome = looked_at(replace(key("c", -350, 15), has_certificate=True))
    assert "upload the next certificate" in table([outcome], NOW, 200)
    assert any("upload the next certificate" in line for line in _status(outcome))


def _status(outcome: Outcome) -> list[str]:
    return status([outcome], NOW, 200, colour=False).splitlines()
