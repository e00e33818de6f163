from collections.abc import Sequence

import pytest
from core.builders import POLICY, T0, key, keyset, tenant_id

from rotator.core.assessment import Assessment, Plan
from rotator.core.errors import Failure, FailureKind
from rotator.core.outcome import (
    Exit,
    Failed,
    Held,
    Observation,
    Outcome,
    Planned,
    Rotated,
    exit_code,
    reason_name,
)
from rotator.core.policy import KeySpec
from rotator.core.reasons import Reason, Refusal

PLAN = Plan(renewal_due=T0, publish_by=T0, activation=T0)
SPEC = KeySpec(use="sig", kty="RSA", nbf=T0, exp=T0 + POLICY.validity)
BLIND = Observation(tenant="contoso", tenant_id=tenant_id(), policy=POLICY, now=T0)


def observation(*, hurt: bool) -> Observation:
    only = key("only", T0, T0 + POLICY.validity)
    assessment = Assessment(active=only, covered_until=only.expires, plan=PLAN, at_risk=hurt)
    return Observation(
        tenant="contoso", tenant_id=tenant_id(), policy=POLICY, now=T0, keyset=keyset(only), assessment=assessment
    )


WELL, HURT = observation(hurt=False), observation(hurt=True)
HELD = Held(observation=WELL, reason=Reason.NOT_DUE)
HELD_HURT = Held(observation=HURT, reason=Reason.OVERDUE)
PLANNED = Planned(observation=WELL, reason=Reason.RENEWAL_DUE, spec=SPEC)
PLANNED_HURT = Planned(observation=HURT, reason=Reason.OVERDUE, spec=SPEC)
ROTATED = Rotated(before=HURT, observation=WELL, reason=Reason.OVERDUE, spec=SPEC, kid="new")
ROTATED_HURT = Rotated(before=HURT, observation=HURT, reason=Reason.NO_VALID_KEY, spec=SPEC, kid="new")
FAILED = Failed(observation=BLIND, failure=Failure(kind=FailureKind.NETWORK, message="no answer"))
CERTIFICATE = Held(observation=HURT, reason=Reason.CERTIFICATE)
OBSERVED_HURT = Held(observation=HURT, reason=Reason.OBSERVE)
STOPPED = Held(observation=BLIND, reason=Refusal.STOPPING)


@pytest.mark.parametrize(
    ("outcomes", "code", "detailed"),
    [
        pytest.param([], Exit.OK, Exit.OK, id="nothing configured"),
        pytest.param([HELD], Exit.OK, Exit.OK, id="held"),
        pytest.param([STOPPED], Exit.FAILED, Exit.FAILED, id="held unseen"),
        pytest.param([ROTATED], Exit.OK, Exit.OK, id="rotated"),
        pytest.param([ROTATED_HURT], Exit.OK, Exit.OK, id="rotated, and it takes a while"),
        pytest.param([PLANNED], Exit.OK, Exit.DUE, id="planned"),
        pytest.param([HELD_HURT], Exit.AT_RISK, Exit.AT_RISK, id="held though hurt"),
        pytest.param([OBSERVED_HURT], Exit.AT_RISK, Exit.AT_RISK, id="observed though hurt"),
        pytest.param([CERTIFICATE], Exit.AT_RISK, Exit.AT_RISK, id="a certificate that runs out"),
        pytest.param([PLANNED_HURT], Exit.AT_RISK, Exit.AT_RISK, id="planned though hurt"),
        pytest.param([FAILED], Exit.FAILED, Exit.FAILED, id="failed"),
        pytest.param([HELD, PLANNED, ROTATED], Exit.OK, Exit.DUE, id="due before well"),
        pytest.param([PLANNED, HELD_HURT, HELD], Exit.AT_RISK, Exit.AT_RISK, id="hurt before due"),
        pytest.param([PLANNED, FAILED, HELD_HURT], Exit.FAILED, Exit.FAILED, id="failed before hurt and due"),
        pytest.param([FAILED, ROTATED], Exit.FAILED, Exit.FAILED, id="failed before rotated"),
    ],
)
def test_exit_code_precedence(outcomes: Sequence[Outcome], code: Exit, detailed: Exit) -> None:
    """The gravest outcome gives the code: failed, then hurt, then, where details are requested, due."""
    assert (code, detailed) == (exit_code(outcomes, detailed=False), exit_code(outcomes, detailed=True))
    assert code == exit_code(outcomes[::-1], detailed=False)


def test_exit_values() -> None:
    """The numbers are those of the interface."""
    assert {code.name: code.value for code in Exit} == {
        "OK": 0,
        "FAILED": 1,
        "DUE": 2,
        "AT_RISK": 3,
        "NOT_DISABLED": 4,
        "USAGE": 64,
        "CONFIG": 78,
    }


@pytest.mark.parametrize(
    ("outcome", "name", "reason"),
    [
        (HELD, "held", "not_due"),
        (PLANNED, "planned", "renewal_due"),
        (ROTATED, "rotated", "overdue"),
        (FAILED, "failed", "network"),
    ],
)
def test_outcome_name_and_reason_name(outcome: Outcome, name: str, reason: str) -> None:
    """An outcome has a name and a reason of the interface."""
    assert (name, reason) == (outcome.name, reason_name(outcome))


def test_failed_does_not_show_its_bug() -> None:
    """What an exception quotes may be secret, so it is for the log alone, which knows how to write one."""
    failure = Failure(kind=FailureKind.INTERNAL, message="a bug in rotator")
    assert "hunter2" not in repr(Failed(observation=BLIND, failure=failure, bug=ValueError("hunter2")))
