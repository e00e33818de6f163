"""What the page says of the process beside its keysets."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from views.cases import DAY, HOUR, NOW, PROCESS
from views.test_conditions import SEVERITIES

from rotator.views.process import RefusedConfig, process_conditions

REFUSED = RefusedConfig(since=NOW - 2 * HOUR, problems=("a: is wrong", "b: is missing"))


@pytest.mark.parametrize(
    ("process", "words"),
    [
        pytest.param({"swept": NOW - PROCESS.stale}, [], id="swept"),
        pytest.param({"swept": NOW - 3 * HOUR}, ["critical no sweep has finished for 3h"], id="swept long ago"),
        pytest.param({}, [], id="begun"),
        pytest.param({"began": NOW - DAY}, ["critical no sweep has finished for 1d"], id="begun long ago"),
        pytest.param({"began": NOW - DAY, "is_idle": True, "leader": "pod-b"}, [], id="another leads"),
        pytest.param({"began": NOW - DAY, "is_idle": True}, ["critical there is no leader"], id="nobody leads"),
        pytest.param({"silence": HOUR}, ["critical no heartbeat from the scheduler for 1h"], id="dead"),
        pytest.param({"dry_run": True}, ["information dry run"], id="dry run"),
        pytest.param(
            {"dry_run": True, "began": NOW - 2 * DAY, "swept": NOW}, ["warning dry run"], id="dry run for days"
        ),
        pytest.param(
            {"refused": REFUSED},
            ["warning the changed configuration is refused since 2029-12-31T22:00:00Z (2h ago)"],
            id="configuration",
        ),
        pytest.param({"expiries": {"contoso": NOW + 21 * DAY}}, [], id="a credential for three weeks"),
        pytest.param(
            {"expiries": {"contoso": NOW + 20 * DAY, "fabrikam": NOW - DAY}},
            [
                "warning the credential of fabrikam has expired 1d ago",
                "warning the credential of contoso expires in 20d",
            ],
            id="credentials",
        ),
        pytest.param({"skews": {"contoso": 60.0, "fabrikam": -60.0}}, [], id="clocks that differ little"),
        pytest.param(
            {"skews": {"contoso": 61.0, "fabrikam": -301.0}},
            [
                "warning the local clock is 1m1s ahead of that of contoso's",
                "warning the local clock is 5m1s behind that of fabrikam's",
            ],
            id="clocks",
        ),
        pytest.param(
            {"election_variables": ("A", "B")}, ["information A is set", "information B is set"], id="by hand"
        ),
        pytest.param(
            {"dry_run": True, "refused": REFUSED, "silence": HOUR},
            ["critical no heart", "warning the changed", "information dry run"],
            id="the most serious first",
        ),
    ],
)
def test_conditions_of_the_process(process: dict[str, Any], words: list[str]) -> None:
    """What is wrong with the process is said, the most serious first, and nothing where all is well."""
    found = process_conditions(replace(PROCESS, **{"began": NOW - HOUR, "swept": None, **process}), NOW)
    texts = [f"{condition.level} {condition.sentence}" for condition in found]
    assert [text[: len(word)] for word, text in zip(words, texts, strict=True)] == words


def test_refused_configuration_is_told_with_its_problems() -> None:
    """The page shows the problems of a refused configuration."""
    (found,) = process_conditions(replace(PROCESS, refused=REFUSED), NOW)
    assert found.sentence.endswith("stays in force: a: is wrong; b: is missing")


def test_levels_are_the_severities_of_the_alerts() -> None:
    """A condition without an alert is not shown as trouble; a dry run is one only after a day."""
    process = replace(
        PROCESS,
        began=NOW - 2 * DAY,
        swept=NOW - DAY,
        silence=HOUR,
        dry_run=True,
        refused=REFUSED,
        expiries={"contoso": NOW},
        skews={"contoso": 99.0},
    )
    found = [*process_conditions(process, NOW), *process_conditions(replace(process, is_idle=True), NOW)]
    assert len({condition.runbook for condition in found}) == 6
    assert [each.level for each in found] == [SEVERITIES[each.runbook] for each in found]


def test_next_sweep_is_a_check_interval_after_the_last() -> None:
    """Before the first sweep has finished, the next one is unknown."""
    assert replace(PROCESS, check_interval=timedelta(hours=2)).next_sweep == NOW + 1.5 * HOUR
    assert replace(PROCESS, swept=None).next_sweep is None
