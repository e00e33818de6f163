from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotator.core.errors import Failure, FailureKind
from rotator.core.keyset import Key, Keyset
from rotator.core.outcome import Failed, Held, Observation, Outcome, Planned
from rotator.core.policy import KeySpec, Mode, RotationPolicy
from rotator.core.reasons import Reason, Refusal
from rotator.core.rotation import decide
from rotator.shell.status_store import Board

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def policy(keyset_id: str = "B2C_1A_X", mode: Mode = Mode.ROTATE) -> RotationPolicy:
    return RotationPolicy(
        keyset_id=keyset_id,
        use="sig",
        kty="RSA",
        mode=mode,
        rotate_every=90 * DAY,
        overlap=DAY,
        publication_lead=2 * DAY,
        renewal_window=14 * DAY,
    )


def observation(of: RotationPolicy) -> Observation:
    keyset = Keyset(id=of.keyset_id, keys=(Key(kid="a", nbf=NOW - DAY, exp=NOW + 90 * DAY),))
    return Observation(
        tenant="contoso", policy=of, now=NOW, keyset=keyset, assessment=decide(of, keyset, NOW).assessment
    )


def held(of: RotationPolicy) -> Held:
    return Held(observation=observation(of), reason=Reason.NOT_DUE)


def planned(of: RotationPolicy) -> Planned:
    spec = KeySpec(use="sig", kty="RSA", nbf=NOW, exp=NOW + DAY)
    return Planned(observation=observation(of), reason=Reason.RENEWAL_DUE, spec=spec)


def failed(of: RotationPolicy) -> Failed:
    unseen = Observation(tenant="contoso", policy=of, now=NOW + DAY)
    return Failed(observation=unseen, failure=Failure(kind=FailureKind.NETWORK, message="no"))


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param("f", 1, id="one"),
        pytest.param("ff", 2, id="two in a row"),
        pytest.param("ffh", 0, id="held after two"),
        pytest.param("fpf", 2, id="a first look between two failed rotations"),
        pytest.param("fp", 1, id="the second look is still to come"),
        pytest.param("fd", 0, id="a dry run has no second look"),
        pytest.param("p", 0, id="planned"),
    ],
)
def test_failures_in_a_row(looks: str, expected: int) -> None:
    """A row of failures ends with a look that has an end and did not fail, not with one that only called for a key."""
    board = Board([("contoso", policy())])
    outcomes: dict[str, Outcome] = {
        "f": failed(policy()),
        "h": held(policy()),
        "p": planned(policy()),
        "d": planned(policy()),
    }
    for look in looks:
        entry = board.record(outcomes[look], is_open=look == "p")
    assert entry.failures == expected


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param("f", "f", id="the last one"),
        pytest.param("fp", "f", id="a failure, and a plan that is open"),
        pytest.param("gp", "g", id="a guard, and a plan that is open"),
        pytest.param("fpp", "f", id="two open plans"),
        pytest.param("fd", "d", id="a dry run has no second look"),
        pytest.param("fph", "h", id="the second look ends it"),
        pytest.param("fpg", "g", id="the second look finds another"),
        pytest.param("hp", "p", id="there was no trouble"),
    ],
)
def test_standing_trouble_outlives_an_open_plan(looks: str, expected: str) -> None:
    """A look that only calls for a key does not hide that the last one which was to write failed, or was held back."""
    board = Board([("contoso", policy())])
    outcomes: dict[str, Outcome] = {
        "f": failed(policy()),
        "g": Held(observation=observation(policy()), reason=Refusal.RUNAWAY_GUARD),
        "h": held(policy()),
        "p": planned(policy()),
        "d": planned(policy()),
    }
    for look in looks:
        board.record(outcomes[look], is_open=look == "p")
    (entry,) = board.entries().values()
    assert entry.standing == outcomes[expected]
    assert board.outcomes() == [outcomes[looks[-1]]]


def test_board_keeps_the_last_sight_through_failures() -> None:
    """What was last seen of a keyset stays known while looks fail."""
    board = Board([("contoso", policy())])
    board.record(held(policy()))
    entry = board.record(failed(policy()))
    assert (entry.observation, entry.outcome) == (observation(policy()), failed(policy()))


def test_configure_keeps_what_stays_and_forgets_the_rest() -> None:
    """A keyset that stays configured is known as before, under its new policy; one that left is not known."""
    board = Board([("contoso", policy("B2C_1A_X")), ("contoso", policy("B2C_1A_Y"))])
    board.record(held(policy("B2C_1A_X")))
    observed = policy("B2C_1A_X", Mode.OBSERVE)
    board.configure([("contoso", policy("B2C_1A_Z")), ("contoso", observed)])
    entries = board.entries()
    assert list(entries) == [("contoso", "B2C_1A_Z"), ("contoso", "B2C_1A_X")]
    assert entries["contoso", "B2C_1A_X"].policy == observed
    assert entries["contoso", "B2C_1A_X"].outcome == held(policy("B2C_1A_X"))
    assert entries["contoso", "B2C_1A_Z"].outcome is None


def test_configure_forgets_a_tenant_that_is_another() -> None:
    """Of a tenant of the same name that is elsewhere now nothing is known, and of others all that was."""
    names = [("contoso", policy()), ("fabrikam", policy())]
    board = Board(names)
    for tenant, _ in names:
        board.record(replace(held(policy()), observation=replace(observation(policy()), tenant=tenant)))
    board.configure(names, anew={"contoso"})
    assert [entry.outcome is None for entry in board.entries().values()] == [True, False]
    assert [entry.observation is None for entry in board.entries().values()] == [True, False]


def test_record_of_a_keyset_that_left_is_forgotten() -> None:
    """The outcome of a look that began before its keyset left the configuration leaves nothing behind."""
    board = Board([("contoso", policy("B2C_1A_X"))])
    board.configure([("contoso", policy("B2C_1A_Y"))])
    assert board.record(held(policy("B2C_1A_X"))).failures == 0
    assert list(board.entries()) == [("contoso", "B2C_1A_Y")]
    assert board.outcomes() == []
