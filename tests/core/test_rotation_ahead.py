"""A rotation that somebody asked for ahead of time: the usual plan, with the key in use replaced now."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from core.builders import DAY, HOUR, SECOND, T0, certified, extended, key, keyset, made, policy
from core.strategies import keysets, policies
from hypothesis import given

from rotator.core.hold import PolicyHold
from rotator.core.keyset import Keyset
from rotator.core.policy import RotationPolicy
from rotator.core.reasons import Reason
from rotator.core.rotation import Hold, Rotate, decide

POLICY = policy()
ASKED = T0 + 10 * DAY
OURS = key("ours", T0, T0 + POLICY.validity)
AHEAD = replace(POLICY, replace_since=ASKED)


@pytest.mark.parametrize("later", [timedelta(), 2 * SECOND, HOUR])
def test_key_takes_over_after_the_lead(later: timedelta) -> None:
    """However long the looks take, within an hour, one and the same key is asked for, and the lead is whole."""
    decision = decide(AHEAD, keyset(OURS), ASKED + later)
    assert isinstance(decision, Rotate)
    assert (decision.reason, decision.spec.nbf) == (Reason.RENEWAL_DUE, ASKED + POLICY.publication_lead + HOUR)
    assert decision.spec.exp - decision.spec.nbf == POLICY.validity
    assert not decision.assessment.at_risk


def test_later_still_the_lead_is_kept() -> None:
    """A request that comes through only after two hours asks for a key that activates so much later."""
    decision = decide(AHEAD, keyset(OURS), ASKED + 2 * HOUR)
    assert isinstance(decision, Rotate)
    assert decision.spec.nbf == ASKED + 2 * HOUR + POLICY.publication_lead


def test_a_key_to_come_is_enough() -> None:
    """If a successor is there already, no key is generated, no matter who made it."""
    successor = key("next", ASKED + DAY, ASKED + DAY + POLICY.validity)
    decision = decide(AHEAD, keyset(OURS, successor), ASKED)
    assert isinstance(decision, Hold)
    assert decision.reason is Reason.NOT_DUE


def test_a_hold_is_obeyed() -> None:
    held = replace(AHEAD, hold=PolicyHold(until=date(2030, 2, 1)))
    decision = decide(held, keyset(OURS), ASKED)
    assert isinstance(decision, Hold)
    assert (decision.reason, decision.would) == (Reason.ON_HOLD, Reason.RENEWAL_DUE)


def test_a_certificate_is_left_alone() -> None:
    assert decide(AHEAD, keyset(certified(OURS)), ASKED).reason is Reason.CERTIFICATE


def test_the_usual_plan_where_it_is_sooner() -> None:
    """What is due sooner than the lead allows stays as it is."""
    asked = T0 + 89 * DAY
    usual = decide(POLICY, keyset(OURS), asked)
    assert decide(replace(POLICY, replace_since=asked), keyset(OURS), asked) == usual
    assert isinstance(usual, Rotate)


@given(policies(), keysets())
def test_one_key_and_then_hold(rules: RotationPolicy, found: Keyset) -> None:
    """Whatever people did, at most one key is generated, never in the past, and never with less cover than before."""
    ahead = replace(rules, replace_since=T0)
    decision = decide(ahead, found, T0)
    if isinstance(decision, Rotate):
        assert decision.spec.nbf >= T0
        after = extended(found, made(decision.spec, "new"))
        assert isinstance(decide(ahead, after, T0), Hold)


def test_replaced_at_leaves_a_later_key_alone() -> None:
    """A key that was not in use when somebody asked is not replaced: neither the new one nor one to come."""
    assert AHEAD.replaced_at(key("new", ASKED + SECOND, None)) == datetime.max.replace(tzinfo=UTC, microsecond=0)
