from datetime import timedelta

import pytest
from views.cases import HOUR, NOW, entry, failed, key, looked_at, policy, refused

from rotator.core.policy import Mode
from rotator.core.status import KeysetStatus
from rotator.views.assessment import Fact, KeysetAssessment, assess
from rotator.views.urgency import in_trouble

FINE = looked_at(key("a", -10, 81))
DUE = looked_at(key("a", -80, 11))


def assessed(found: KeysetStatus) -> KeysetAssessment:
    return assess(found, NOW, 2.5 * HOUR, dry_run=False)


def fact(label: str, text: str, days: float) -> Fact:
    return Fact(label=label, text=text, instant=NOW + timedelta(days=days))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        pytest.param(entry(looked_at(key("a", -10, 81))), "81d left", id="covered"),
        pytest.param(entry(looked_at(key("a", -90.5, 0.124))), "2h58m left", id="not for long"),
        pytest.param(entry(looked_at(key("a", -100, -9))), "the last one expired 9d ago", id="expired"),
        pytest.param(
            entry(looked_at(key("a", -10, 81, enabled=False))), "none of its keys is valid now", id="disabled"
        ),
        pytest.param(entry(looked_at()), "it has no keys", id="empty"),
        pytest.param(entry(looked_at(key("a", None, None))), "no end: the active key has no expiry", id="undated"),
        pytest.param(entry(looked_at(key("a", -1, None))), "no end: the active key has no expiry", id="endless"),
        pytest.param(
            entry(looked_at(key("a", -80, 11), key("b", 9, None))),
            "no end: the last key has no expiry",
            id="in the end",
        ),
        pytest.param(entry(failed("no")), "cover is unknown: never seen", id="never seen"),
    ],
)
def test_time_left_in_words(found: KeysetStatus, told: str) -> None:
    """How long is left is never a time that has no meaning."""
    assert assessed(found).time_left() == told


def test_failure_stands_while_a_plan_is_open() -> None:
    """A look that only calls for a key does not turn trouble into something that is merely due."""
    found = KeysetStatus(policy=policy())
    found = found.updated(refused(DUE, "no"), is_preliminary=False, failures=1, drift=())
    found = found.updated(DUE, is_preliminary=True, failures=1, drift=())
    assert assessed(found).label == "failed"


def test_troubles_in_the_order_of_urgency() -> None:
    """Keysets without a valid key come first, then by the end of cover; unknown cover is last."""
    found = {
        "a": entry(failed("wrong secret")),
        "b": entry(refused(FINE, "no")),
        "c": entry(FINE),
        "d": entry(looked_at(key("a", -90.5, 0.5))),
        "e": entry(looked_at()),
        "f": entry(failed("wrong secret")),
        "g": entry(looked_at(key("a", -90.5, 0.4))),
    }
    cases = {("contoso", name): assessed(each) for name, each in found.items()}
    assert [[keyset for _, keyset in group] for group in in_trouble(cases)] == [["e"], ["g", "d"], ["b"], ["a", "f"]]


@pytest.mark.parametrize(
    ("found", "facts"),
    [
        pytest.param(
            entry(FINE),
            [
                fact("covered until", "in 81d", 81),
                fact("due", "in 64d", 64),
                fact("publish by", "in 78d", 78),
                fact("takes over", "in 80d", 80),
            ],
            id="fine",
        ),
        pytest.param(
            entry(looked_at(key("a", -89, 2))),
            [
                fact("covered until", "in 2d", 2),
                fact("due", "15d ago", -15),
                fact("publish by", "1d ago", -1),
                fact("takes over", "in 1d", 1),
                Fact(label="falls short", text="lead by 1d"),
            ],
            id="late",
        ),
        pytest.param(
            entry(refused(looked_at(key("a", -100, -9)), "no")),
            [
                Fact(label="covered until", text="no valid key, the last one expired 9d ago"),
                Fact(label="falls short", text="lead by 2d"),
            ],
            id="expired",
        ),
        pytest.param(
            entry(looked_at(key("a", None, None), of=policy(mode=Mode.OBSERVE))),
            [Fact(label="covered until", text="no end: the active key has no expiry")],
            id="undated",
        ),
        pytest.param(
            entry(failed("no")), [Fact(label="covered until", text="unknown: never seen")], id="could not be read"
        ),
        pytest.param(KeysetStatus(policy=policy()), [], id="before the first look"),
    ],
)
def test_facts_are_the_cover_and_the_plan(found: KeysetStatus, facts: list[Fact]) -> None:
    """Page and terminal show the same facts under the same labels, and no instant that has no meaning."""
    assert list(assessed(found).facts()) == facts


def test_notes_are_what_no_condition_says() -> None:
    """The message of a failure is said once; its request-id and how often it failed are notes."""
    found = KeysetStatus(policy=policy(), outcome=failed("no"), effective_outcome=failed("no"), failures=3)
    assert list(assessed(found).notes()) == ["request-id r-1", "3 consecutive failures"]
