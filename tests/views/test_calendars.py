"""How calendars and holds are shown: with their zone, on every surface."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from core.calendars import calendar, window
from views.cases import NOW, PROCESS, entry, key, looked_at, policy

from rotator.core.hold import PolicyHold
from rotator.core.keyset import Key
from rotator.core.outcome import Outcome
from rotator.core.policy import Mode, RotationPolicy
from rotator.views.assessment import Fact, KeysetAssessment, assess
from rotator.views.page import page
from rotator.views.phrases import details, in_zone, is_open_now
from rotator.views.report_json import row
from rotator.views.status import status

OFFICE = calendar(window("tue", "09:00-16:00"))
OPEN = replace(policy(), calendar=OFFICE)
HOLD = PolicyHold(until=date(2030, 1, 8), by="alice@example.com", reason="CHG-1234")
HELD = replace(policy(), hold=HOLD)
FINE, DUE, GONE = key("a", -10, 81), key("a", -80, 11), key("a", -100, -9)


def assessed(outcome: Outcome) -> KeysetAssessment:
    """The keyset as it is shown; now is a Tuesday in winter, 01:00 in Berlin."""
    return assess(entry(outcome), NOW, timedelta(days=1), dry_run=False)


def facts(rules: RotationPolicy, *keys: Key) -> list[Fact]:
    """The facts that a calendar adds."""
    return [fact for fact in assessed(looked_at(*keys, of=rules)).facts() if fact.label in ("local time", "calendar")]


def test_facts_of_a_calendar() -> None:
    """When the key takes over by the calendar's clock, how much earlier that is, and whether it is open."""
    # The turn ends on Friday, 22 March, at 01:00.
    assert facts(OPEN, FINE) == [
        Fact(label="local time", text="Tue 19 Mar 15:59 Europe/Berlin, 2d9h earlier for the calendar"),
        Fact(label="calendar", text="office: closed now, opens Tue 1 Jan 09:00 Europe/Berlin"),
    ]
    assert facts(policy(), FINE) == []


def test_phrases_of_a_calendar() -> None:
    """Open or not, and when it opens, with the zone."""
    opens = NOW + timedelta(hours=8)
    assert in_zone(opens, OFFICE) == "Tue 1 Jan 09:00 Europe/Berlin"
    assert is_open_now(OFFICE, opens) == "open now"
    assert is_open_now(OFFICE, NOW) == "closed now, opens Tue 1 Jan 09:00 Europe/Berlin"


def test_page_and_status_show_the_zone() -> None:
    """Both surfaces show the same words."""
    outcome = looked_at(FINE, of=OPEN)
    words = "Tue 19 Mar 15:59 Europe/Berlin"
    assert words in status([outcome], NOW, 200, colour=False)
    assert words in page({("contoso", "B2C_1A_X"): entry(outcome)}, NOW, PROCESS)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (OPEN, ("office", 2 * 86400 + 9 * 3600 + 1)),
        (replace(OPEN, calendar=calendar()), ("office", 0)),
        (policy(), (None, None)),
    ],
    ids=["pulled", "open", "no calendar"],
)
def test_row_of_a_calendar(rules: RotationPolicy, expected: tuple[str | None, int | None]) -> None:
    """The name of the calendar, and how many seconds earlier the activation is."""
    found = row(looked_at(FINE, of=rules))
    assert (found["calendar"], found["activation_pulled_by_seconds"]) == expected


def test_window_missed_is_shown() -> None:
    """A key that is to take over while the calendar is closed: a condition, a note in the table, and in the report."""
    late = looked_at(key("a", -86, 5), of=OPEN)  # its turn ends on Saturday, and Tuesday is too soon
    (condition,) = [each for each in assessed(late).conditions if each.label == "window missed"]
    assert condition.sentence == "the next key takes over while its calendar is closed"
    assert condition.runbook == "B2CActivationOutsideWindow"
    assert "next key: takes over while its calendar is closed" in list(details(late))
    assert row(late)["notes"] == [{"kid": None, "note": "window_missed"}]
    there = assessed(looked_at(key("a", -86, 5), key("b", 4, 95), of=OPEN))
    sentences = [each.sentence for each in there.conditions if each.label == "window missed"]
    assert sentences == ["upcoming key b takes over while its calendar is closed"]


@pytest.mark.parametrize(
    ("found", "level", "label"),
    [(FINE, "fine", "on hold"), (DUE, "information", "on hold"), (GONE, "critical", "no valid key")],
    ids=["fine", "due", "no valid key"],
)
def test_hold_is_shown(found: Key, level: str, label: str) -> None:
    """Who holds the keyset, until when, and why, whatever its state."""
    shown = assessed(looked_at(found, of=HELD))
    assert (shown.level.value, shown.conditions[0].label) == (level, label)
    said = f"{shown.conditions[0].sentence} {shown.conditions[0].remedy}"
    assert "on hold until the end of 2030-01-08 UTC (alice@example.com, CHG-1234)" in said


def test_hold_in_the_report() -> None:
    """The reason, what it would be, and the key that would be generated."""
    found = row(looked_at(DUE, of=HELD))
    assert (found["outcome"], found["reason"], found["would"]) == ("held", "on_hold", "renewal_due")
    assert found["key"] is not None
    observed = row(looked_at(DUE, of=replace(HELD, mode=Mode.OBSERVE)))
    assert observed["reason"] == "observe"
