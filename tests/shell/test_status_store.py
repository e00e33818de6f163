from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from core.builders import tenant_id
from simulation.simulator import SimulatedClock, SimulatedTenant

from rotator.core.drift import Change, ChangeKind
from rotator.core.errors import Failure, FailureKind
from rotator.core.events import Changed, Event, InventoryTaken, KeysetChanged, Looked
from rotator.core.inventory import Inventory, InventoryKeyset
from rotator.core.keyset import Key, Keyset
from rotator.core.outcome import Failed, Held, Observation, Outcome, Planned
from rotator.core.policy import KeySpec, Mode, RotationPolicy
from rotator.core.reasons import Reason, Refusal
from rotator.core.rotation import decide
from rotator.core.status import outcomes as last_outcomes
from rotator.shell.gates import guarded
from rotator.shell.status_store import StatusStore
from rotator.shell.tenant import Tenant

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
        tenant="contoso",
        tenant_id=tenant_id(),
        policy=of,
        now=NOW,
        keyset=keyset,
        assessment=decide(of, keyset, NOW).assessment,
    )


def held(of: RotationPolicy) -> Held:
    return Held(observation=observation(of), reason=Reason.NOT_DUE)


def planned(of: RotationPolicy) -> Planned:
    spec = KeySpec(use="sig", kty="RSA", nbf=NOW, exp=NOW + DAY)
    return Planned(observation=observation(of), reason=Reason.RENEWAL_DUE, spec=spec)


def failed(of: RotationPolicy) -> Failed:
    unseen = Observation(tenant="contoso", tenant_id=tenant_id(), policy=of, now=NOW + DAY)
    return Failed(observation=unseen, failure=Failure(kind=FailureKind.NETWORK, message="no"))


def tenant(*policies: RotationPolicy, name: str = "contoso", directory: str | None = None) -> Tenant:
    nothing = SimulatedTenant(SimulatedClock(NOW), ())
    where = tenant_id(directory or name)
    return Tenant(name=name, id=where, policies=policies, keysets=nothing, writing=guarded(()))


def looked(outcome: Outcome, *, is_preliminary: bool = False, failures: int = 0) -> Looked:
    return Looked(outcome=outcome, is_preliminary=is_preliminary, failures=failures)


def store(*tenants: Tenant) -> StatusStore:
    return StatusStore(lambda _: None, tenants)


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
    known = store(tenant(policy()))
    outcomes: dict[str, Outcome] = {
        "f": failed(policy()),
        "g": Held(observation=observation(policy()), reason=Refusal.RUNAWAY_GUARD),
        "h": held(policy()),
        "p": planned(policy()),
        "d": planned(policy()),
    }
    for look in looks:
        known.on_event(looked(outcomes[look], is_preliminary=look == "p"))
    (status,) = known.statuses().values()
    assert status.effective_outcome == outcomes[expected]
    assert last_outcomes(known.statuses()) == [outcomes[looks[-1]]]


def test_store_keeps_the_last_observation_through_failures() -> None:
    """What was last seen of a keyset stays known while looks fail, and how many have failed."""
    known = store(tenant(policy()))
    known.on_event(looked(held(policy())))
    known.on_event(looked(failed(policy()), failures=3))
    (status,) = known.statuses().values()
    assert (status.observation, status.outcome, status.failures) == (observation(policy()), failed(policy()), 3)


def test_store_knows_since_when_a_keyset_fails() -> None:
    """The first failure in a row counts, until a look succeeds."""
    known = store(tenant(policy()))
    first, later = failed(policy()), failed(policy())
    later = replace(later, observation=replace(later.observation, now=first.observation.now + timedelta(hours=1)))
    told = []
    for outcome, failures in ((held(policy()), 0), (first, 1), (later, 2), (held(policy()), 0), (later, 1)):
        known.on_event(looked(outcome, failures=failures))
        told += [status.failing_since for status in known.statuses().values()]
    assert told == [None, first.observation.now, first.observation.now, None, later.observation.now]


def test_configure_keeps_what_stays_and_forgets_the_rest() -> None:
    """A keyset that stays configured is known as before, under its new policy; one that left is not known."""
    known = store(tenant(policy("B2C_1A_X"), policy("B2C_1A_Y")))
    known.on_event(looked(held(policy("B2C_1A_X"))))
    observed = policy("B2C_1A_X", Mode.OBSERVE)
    known.configure([tenant(policy("B2C_1A_Z"), observed)])
    statuses = known.statuses()
    assert list(statuses) == [("contoso", "B2C_1A_Z"), ("contoso", "B2C_1A_X")]
    assert statuses["contoso", "B2C_1A_X"].policy == observed
    assert statuses["contoso", "B2C_1A_X"].outcome == held(policy("B2C_1A_X"))
    assert statuses["contoso", "B2C_1A_Z"].outcome is None


def test_configure_forgets_a_tenant_that_is_another() -> None:
    """Of a tenant of the same name that is elsewhere now nothing is known, and of others all that was."""
    known = store(tenant(policy()), tenant(policy(), name="fabrikam"))
    for name in ("contoso", "fabrikam"):
        seen = replace(observation(policy()), tenant=name, tenant_id=tenant_id(name))
        known.on_event(looked(replace(held(policy()), observation=seen)))
    known.configure([tenant(policy(), directory="elsewhere"), tenant(policy(), name="fabrikam")])
    assert [status.outcome is None for status in known.statuses().values()] == [True, False]
    assert [status.observation is None for status in known.statuses().values()] == [True, False]


def test_configure_knows_a_tenant_by_another_name() -> None:
    """What is remembered belongs to the directory, and not to its name in the configuration."""
    known = store(tenant(policy()))
    known.on_event(looked(held(policy())))
    known.configure([tenant(policy(), name="renamed", directory="contoso")])
    assert known.statuses()["renamed", "B2C_1A_X"].outcome == held(policy())


def test_status_is_found_by_identity() -> None:
    """The directory and the keyset name it, whatever the configuration calls the tenant; another directory has none."""
    known = store(tenant(policy()))
    known.on_event(looked(held(policy())))
    known.configure([tenant(policy(), name="renamed", directory="contoso"), tenant(policy(), directory="elsewhere")])
    found = known.status(tenant_id("contoso"), "B2C_1A_X")
    assert found is not None
    assert found.outcome == held(policy())
    same_name = known.status(tenant_id("elsewhere"), "B2C_1A_X")
    assert same_name is not None
    assert same_name.outcome is None
    assert known.status(tenant_id("gone"), "B2C_1A_X") is None
    assert known.status(tenant_id("contoso"), "B2C_1A_Y") is None


def test_outcome_of_a_keyset_that_left_is_forgotten() -> None:
    """The outcome of a look that began before its keyset left the configuration leaves nothing behind."""
    known = store(tenant(policy("B2C_1A_X")))
    known.configure([tenant(policy("B2C_1A_Y"))])
    known.on_event(looked(held(policy("B2C_1A_X"))))
    assert list(known.statuses()) == [("contoso", "B2C_1A_Y")]
    assert last_outcomes(known.statuses()) == []


def test_changes_are_told() -> None:
    """A look that shows something else than the one before is reported with both; one that shows the same is not."""
    events: list[Event] = []
    known = StatusStore(events.append, [tenant(policy())])
    first, later = held(policy()), replace(held(policy()), observation=replace(observation(policy()), now=NOW + DAY))
    for outcome in (first, later, failed(policy()), planned(policy())):
        known.on_event(looked(outcome))
    changes = [event for event in events if isinstance(event, Changed)]
    assert [(change.before.outcome, change.after.outcome) for change in changes] == [
        (None, first),
        (later, failed(policy())),
        (failed(policy()), planned(policy())),
    ]


def taken(name: str = "contoso") -> InventoryTaken:
    """Two keysets of a tenant that are not configured."""
    keysets = tuple(InventoryKeyset(id=each, keyset=None) for each in ("B2C_1A_A", "B2C_1A_B"))
    inventory = Inventory(tenant=name, tenant_id=tenant_id(name), now=NOW, keysets=keysets, left_out=0, backups=0)
    return InventoryTaken(inventory=inventory)


def test_inventories_follow_the_configuration() -> None:
    """They are kept where others are observed, under the tenant's name, and without what is configured by now."""
    observing = replace(tenant(policy()), max_others=500)
    known = store(observing, tenant(policy(), name="fabrikam"))
    known.on_event(taken())
    known.on_event(taken("fabrikam"))
    assert known.inventories() == [taken().inventory]
    known.configure([replace(observing, name="Contoso EU", policies=(policy(), policy("b2c_1a_a")))])
    (found,) = known.inventories()
    assert (found.tenant, [each.id for each in found.keysets]) == ("Contoso EU", ["B2C_1A_B"])
    known.configure([replace(observing, max_others=0)])
    known.configure([observing])
    assert known.inventories() == []


def test_changes_by_others_are_told_once() -> None:
    """Nothing at the first look; then what differs from the last look that showed the keyset."""
    told: list[Event] = []
    known = StatusStore(told.append, [tenant(policy())])
    first = held(policy())
    keys = first.observation.keyset.keys if first.observation.keyset else ()
    more = Keyset(id="B2C_1A_X", keys=(*keys, Key(kid="b", nbf=NOW, exp=NOW + DAY)))
    second = replace(first, observation=replace(first.observation, keyset=more, now=NOW + DAY))
    for outcome in (first, first, failed(policy()), second, second):
        known.on_event(looked(outcome))
    added = Change(kind=ChangeKind.KEY_ADDED, seen=NOW + DAY, kid="b")
    assert [each for each in told if isinstance(each, KeysetChanged)] == [
        KeysetChanged(tenant="contoso", keyset="B2C_1A_X", changes=(added,))
    ]
    (status,) = known.statuses().values()
    assert status.changes == (added,)


@pytest.mark.parametrize(("has_backup", "expected"), [(True, 1), (False, 0)])
def test_changes_of_a_keyset_that_is_deleted(*, has_backup: bool, expected: int) -> None:
    """It is deleted where its backup is there, which is reported once; a keyset that is only not listed is not."""
    told: list[Event] = []
    known = StatusStore(told.append, [tenant(policy())])
    lost = failed(policy())
    gone = replace(
        lost,
        observation=replace(lost.observation, has_backup=has_backup),
        failure=Failure(kind=FailureKind.NOT_FOUND, message="no"),
    )
    for outcome in (gone, held(policy()), gone, gone):
        known.on_event(looked(outcome))
    kinds = [change.kind for each in told if isinstance(each, KeysetChanged) for change in each.changes]
    assert kinds == [ChangeKind.KEYSET_DELETED] * expected
