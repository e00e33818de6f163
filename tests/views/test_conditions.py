from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml
from documents.pages import ROOT
from views.cases import HOUR, NOW, entry, failed, key, looked_at, policy, refused

from rotator.core.errors import FailureKind
from rotator.core.keyset import Key
from rotator.core.outcome import Held, Outcome, Planned, Rotated
from rotator.core.policy import Mode
from rotator.core.reasons import Reason, Refusal
from rotator.core.status import KeysetStatus
from rotator.views.assessment import KeysetAssessment, assess

STALE = 2.5 * HOUR
CERTIFICATE = replace(key("c", -300, 65), has_certificate=True)
ENDING = replace(key("c", -350, 15), has_certificate=True)
ENC = replace(policy(), use="enc")
FINE = looked_at(key("a", -10, 81))
DUE = looked_at(key("a", -80, 11))
OBSERVED = policy(mode=Mode.OBSERVE)


def assessed(found: KeysetStatus, *, dry_run: bool = False) -> KeysetAssessment:
    return assess(found, NOW, STALE, dry_run=dry_run)


def held(reason: Reason | Refusal) -> KeysetStatus:
    return entry(Held(observation=DUE.observation, reason=reason))


def seen(found: KeysetStatus, ago: timedelta) -> KeysetStatus:
    assert found.observation is not None
    return replace(found, observation=replace(found.observation, now=NOW - ago))


def rotated() -> KeysetStatus:
    assert isinstance(DUE, Planned)
    after = replace(looked_at(key("a", -80, 11), key("b", 10, 101)).observation, now=NOW - HOUR / 2)
    return entry(Rotated(before=DUE.observation, observation=after, reason=DUE.reason, spec=DUE.spec, kid="b"))


@pytest.mark.parametrize(
    ("found", "conditions"),
    [
        pytest.param(entry(FINE), ["fine fine"], id="fine"),
        pytest.param(entry(DUE), ["information due"], id="due"),
        pytest.param(rotated(), ["fine rotated"], id="rotated"),
        pytest.param(KeysetStatus(policy=policy()), ["information not seen yet"], id="before the first look"),
        pytest.param(entry(failed("no")), ["warning failed"], id="never seen"),
        pytest.param(entry(refused(FINE, "no")), ["warning failed"], id="failed"),
        pytest.param(
            entry(refused(looked_at(key("a", -100, -9)), "no")),
            ["critical no valid key", "warning failed"],
            id="nobody can sign in, and it failed",
        ),
        pytest.param(
            entry(refused(looked_at(key("a", -90.5, 0.5)), "no")),
            ["critical cover is ending", "warning failed", "warning overdue"],
            id="late, and it failed",
        ),
        pytest.param(seen(entry(FINE), STALE), ["fine fine"], id="as old as it may be"),
        pytest.param(seen(entry(FINE), 3 * HOUR), ["warning not seen for 3h"], id="older"),
        pytest.param(held(Refusal.RUNAWAY_GUARD), ["warning guarded", "information due"], id="guarded"),
        pytest.param(held(Refusal.NOT_LEADER), ["information waiting"], id="refused by the lease"),
        pytest.param(entry(looked_at(key("a", -10, 81), of=OBSERVED)), ["fine observed"], id="observed"),
        pytest.param(entry(looked_at(key("a", -80, 11), of=OBSERVED)), ["information due"], id="observed, and due"),
        pytest.param(entry(looked_at(key("n", None, None), of=OBSERVED)), ["fine observed"], id="observed, undated"),
        pytest.param(entry(looked_at(CERTIFICATE)), ["fine fine"], id="a certificate"),
        pytest.param(entry(looked_at(ENDING)), ["warning overdue"], id="a certificate that needs its next"),
        pytest.param(
            entry(looked_at(key("a", -10, 81), of=ENC)), ["warning use differs"], id="configured for another use"
        ),
        pytest.param(
            entry(looked_at(key("a", -80, 11), of=ENC)),
            ["warning overdue", "warning use differs"],
            id="due, and configured for another use",
        ),
        pytest.param(entry(looked_at(key("a", None, 700))), ["information due"], id="of unknown age"),
        pytest.param(entry(looked_at(key("a", -80, 8.5))), ["information due"], id="half of the window is left"),
        pytest.param(
            entry(looked_at(key("a", -80, 8.4))), ["warning cover is low", "information due"], id="less than half"
        ),
        pytest.param(
            entry(looked_at(key("a", -80, 4.25))), ["warning cover is low", "information due"], id="a quarter"
        ),
        pytest.param(
            entry(looked_at(key("a", -80, 4.2))), ["critical cover is ending", "information due"], id="less than that"
        ),
        pytest.param(
            entry(looked_at(key("a", -10, 81), key("b", 70, 200, enabled=False))),
            ["warning successor disabled"],
            id="a key to come is disabled",
        ),
        pytest.param(
            entry(looked_at(key("a", -70, 21), key("b", 22, 200), of=OBSERVED)), ["warning gap"], id="a gap is to come"
        ),
        pytest.param(
            entry(looked_at(key("a", -70, 21), key("b", 20.5, 200), of=OBSERVED)),
            ["warning overlap too short"],
            id="an overlap is too short",
        ),
    ],
)
def test_assessment_has_the_most_serious_condition_first(found: KeysetStatus, conditions: list[str]) -> None:
    """All conditions are reported, the most serious first; "fine" never appears beside another one."""
    assessment = assessed(found)
    assert [f"{each.level} {each.label}" for each in assessment.conditions] == conditions
    assert all(each.runbook for each in assessment.conditions if each.level.is_trouble)


SEVERITIES = {
    found["alert"]: found["labels"]["severity"]
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yaml").read_text(encoding="utf-8"))["groups"]
    for found in group["rules"]
    if "alert" in found
}


@pytest.mark.parametrize(
    "found",
    [
        failed("no"),
        *(refused(FINE, "no", kind) for kind in FailureKind),
        refused(looked_at(key("a", -90.5, 0.5)), "no"),
        looked_at(key("a", -80, 8.4)),
        looked_at(key("a", -100, -9)),
        looked_at(ENDING),
        looked_at(key("a", -80, 11), of=ENC),
        looked_at(key("a", -10, 81), key("b", 70, 200, enabled=False)),
        Held(observation=DUE.observation, reason=Refusal.RUNAWAY_GUARD),
    ],
)
def test_level_is_the_severity_of_the_alert(found: Outcome) -> None:
    """A condition has the severity of its alert; without an alert it is not trouble."""
    conditions = [each for each in assessed(entry(found)).conditions if each.runbook]
    assert conditions
    assert [each.level for each in conditions] == [SEVERITIES[each.runbook] for each in conditions]


@pytest.mark.parametrize(
    ("found", "dry_run", "told"),
    [
        pytest.param(looked_at(), False, "rotator generates a key at its second look", id="it acts"),
        pytest.param(looked_at(), True, "dry run: rotator does not generate keys", id="a dry run"),
        pytest.param(looked_at(of=OBSERVED), False, "mode observe: rotator does not generate keys", id="observed"),
        pytest.param(refused(looked_at(), "no"), False, "once the failure is resolved", id="it failed"),
        pytest.param(
            looked_at(key("b", 0.1, 91), of=replace(policy(), minimum_lead=3 * HOUR)),
            False,
            "would take over sooner",
            id="a key is coming",
        ),
        pytest.param(
            Held(observation=looked_at(key("a", -90.5, 0.5)).observation, reason=Refusal.RUNAWAY_GUARD),
            False,
            "while the runaway guard holds",
            id="guarded",
        ),
    ],
)
def test_remedy_says_whether_rotator_acts(found: Any, dry_run: bool, told: str) -> None:  # noqa: FBT001
    """Where a key is missing, it says whether this program will make one."""
    assert [each for each in assessed(entry(found), dry_run=dry_run).conditions if told in each.remedy] != []


def test_dry_run_generates_nothing() -> None:
    """In a dry run, no key is announced."""
    (condition,) = assessed(entry(DUE), dry_run=True).conditions
    assert condition.sentence == "the next key is due, but a dry run does not generate it"


def test_no_valid_key_says_when_the_next_takes_over() -> None:
    """If an upcoming key takes over later, the condition says when users can sign in again."""
    (condition, *_) = assessed(entry(looked_at(key("b", 0.125, 91)))).conditions
    assert condition.sentence.endswith("; the next key takes over in 3h")


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    ("found", "use", "remedy"),
    [
        pytest.param(ENDING, "sig", "upload the next certificate", id="certificate"),
        pytest.param(key("a", -80, 11), "enc", "correct use and kty in the configuration", id="another use"),
    ],
)
def test_remedy_where_no_generated_key_would_serve(found: Key, use: str, remedy: str, mode: Mode) -> None:
    """If no generated key would serve, the remedy is never to generate one."""
    found_now = assessed(entry(looked_at(found, of=replace(policy(mode=mode), use=use))))
    remedies = {condition.label: condition.remedy for condition in found_now.conditions}
    assert remedy in remedies["overdue"]
    assert not [text for text in remedies.values() if "generate" in text.replace("cannot generate", "")]
