import pytest
from views.cases import NOW

from rotator.views.phrases import by_outcome, remaining, summary


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
    assert by_outcome(["held", "planned", "failed", "rotated"]) == ["failed", "rotated", "planned", "held"]
