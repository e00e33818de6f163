"""A keyset that is missing: when it is created, and that it then gets one key, whatever fails in between."""

from dataclasses import replace
from datetime import timedelta

import pytest
from core.builders import HOUR, KEYSET_ID, T0, key, keyset, policy, tenant_id
from hypothesis import given
from hypothesis import strategies as st
from simulation.simulator import Fault, SimulatedClock, SimulatedTenant, refusal

from rotator.core.errors import Effect, FailureKind
from rotator.core.events import Event, KeysetCreated, Looked
from rotator.core.inventory import Listed
from rotator.core.outcome import Failed, Held, Outcome, Planned, Rotated
from rotator.core.policy import Mode, PolicyError
from rotator.core.reasons import Reason, Refusal, confirms
from rotator.core.stages import Called, Timing
from rotator.shell.agenda import Agenda
from rotator.shell.gates import guarded
from rotator.shell.snapshot import Snapshot
from rotator.shell.tenant import Tenant
from rotator.shell.visit import Visit

SETTLE = 120.0
TIMING = Timing(check_interval=HOUR, settle=timedelta(seconds=SETTLE), dry_run=False)
LOST = refusal(FailureKind.TIMEOUT, Effect.UNKNOWN)
FAULTS = {
    "none": None,
    "refused": Fault(error=refusal(FailureKind.THROTTLED, status=429)),
    "never sent": Fault(error=refusal(FailureKind.NETWORK)),
    "lost before": Fault(error=LOST),
    "lost after": Fault(error=LOST, after=True),
    "bad gateway after": Fault(error=refusal(FailureKind.SERVICE, Effect.UNKNOWN, status=502), after=True),
}


class Service(SimulatedTenant):
    """A tenant whose list may show backups."""

    backups: tuple[str, ...] = ()

    def list_keysets(self, wanted: object, max_others: int = 0) -> Listed:
        return replace(super().list_keysets(wanted, max_others), backups=self.backups)  # type: ignore[arg-type]

    def remove(self) -> None:
        """Delete the keyset, as a person does."""
        del self._current[KEYSET_ID]


class Bench:
    """One process that looks after a tenant without the keyset, unless it is given."""

    def __init__(self, service: Service, clock: SimulatedClock, timing: Timing = TIMING) -> None:
        self.service, self.clock, self.timing = service, clock, timing
        self.told: list[Outcome] = []
        self.created: list[KeysetCreated] = []
        self.objection: Refusal | None = None
        tenant = Tenant(
            name="contoso",
            id=tenant_id(),
            policies=(policy(create=True),),
            keysets=service,
            writing=guarded([lambda _: self.objection]),
        )
        self.snapshot = Snapshot(timing=timing).configured([tenant], timing)
        self.agenda = Agenda(tenant)
        self.agenda.revise(self.snapshot)
        self.visit = Visit(
            self.agenda, self.snapshot, objection=lambda: None, clock=clock, jitter=lambda: 0.0, tell=self.hear
        )

    def hear(self, event: Event) -> None:
        if isinstance(event, Looked):
            self.told.append(event.outcome)
        if isinstance(event, KeysetCreated):
            self.created.append(event)

    def run(self, sweeps: int = 4) -> Outcome:
        """Sweep, and act after each sweep until nothing is under way."""
        for _ in range(sweeps):
            self.visit.look()
            for _ in range(200):
                at = self.agenda.act_at(self.timing)
                if at is None:
                    break
                self.clock.sleep(max(at - self.clock.monotonic(), 0.0))
                self.visit.act()
            self.clock.sleep(HOUR.total_seconds())
        return self.told[-1]


def bench(*there: str, timing: Timing = TIMING) -> Bench:
    clock = SimulatedClock(T0)
    found = [keyset(key("ours", T0, T0 + timedelta(days=91)))] if there else []
    return Bench(Service(clock, found), clock, timing)


def test_created_and_its_first_key_generated() -> None:
    """The first look plans; a `settle` later the keyset is created, and a `settle` after it was seen, its key."""
    each = bench()
    (first,) = each.visit.look()
    assert isinstance(first, Planned)
    assert (first.reason, first.observation.keyset) == (Reason.MISSING, None)
    each.visit.act()
    assert each.service.asked("create") == 0
    each.clock.sleep(SETTLE)
    each.visit.act()
    assert (each.service.asked("create"), each.service.asked("generate")) == (1, 0)
    each.visit.act()
    assert each.created == [KeysetCreated(tenant="contoso", keyset=KEYSET_ID)]
    assert each.told[-1].name == "planned"
    assert each.agenda.progress[KEYSET_ID].stage == Called(since=each.clock.monotonic(), reason=Reason.NO_VALID_KEY)
    each.clock.sleep(SETTLE)
    each.visit.act()
    each.visit.act()
    assert isinstance(each.told[-1], Rotated)
    assert len(each.service.there(KEYSET_ID).keys) == 1


@pytest.mark.parametrize("at_generate", FAULTS)
@pytest.mark.parametrize("at_create", FAULTS)
def test_one_keyset_and_one_key_under_each_fault(at_create: str, at_generate: str) -> None:
    """Whatever becomes of either request, the tenant ends with one key, and the keyset was created once."""
    each = bench()
    each.service.fails("create", FAULTS[at_create])
    each.service.fails("generate", FAULTS[at_generate])
    assert isinstance(each.run(sweeps=6), Rotated | Held)
    assert len(each.service.there(KEYSET_ID).keys) == 1
    assert each.created == [KeysetCreated(tenant="contoso", keyset=KEYSET_ID)]


@given(st.lists(st.sampled_from([None, *FAULTS.values()]), max_size=6), st.integers(0, 12))
def test_one_key_wherever_the_process_dies(faults: list[Fault | None], acts: int) -> None:
    """A process that ends after any number of visits leaves the rest to the next one, which adds no second key."""
    first = bench()
    first.service.fails("create", *faults[::2])
    first.service.fails("generate", *faults[1::2])
    first.visit.look()
    for _ in range(acts):
        at = first.agenda.act_at(TIMING)
        first.clock.sleep(0.0 if at is None else max(at - first.clock.monotonic(), 0.0))
        first.visit.act()
    second = Bench(first.service, first.clock)
    second.run(sweeps=10)
    assert len(first.service.there(KEYSET_ID).keys) == 1


def test_not_created_beside_its_backup() -> None:
    """A deleted keyset leaves a backup: whether it is recreated is for a person to say."""
    each = bench()
    each.service.backups = (f"{KEYSET_ID}.bak",)
    outcome = each.run()
    assert isinstance(outcome, Failed)
    assert outcome.failure.kind is FailureKind.NOT_FOUND
    assert "recreated" in outcome.failure.message
    assert each.service.asked("create") == 0


def test_not_created_where_the_backup_appears_before_the_write() -> None:
    """The look right before the write is a list, so it shows the backup."""
    each = bench()
    each.visit.look()
    each.service.backups = (f"{KEYSET_ID}.bak",)
    each.clock.sleep(SETTLE)
    each.visit.act()
    assert isinstance(each.told[-1], Failed)
    assert each.service.asked("create") == 0


@pytest.mark.parametrize("begins_anew", [False, True])
def test_not_created_where_it_was_seen(*, begins_anew: bool) -> None:
    """A keyset that vanished is not created again, not even after the lead was lost and regained."""
    each = bench("there")
    each.visit.look()
    each.service.remove()
    if begins_anew:
        each.agenda.since = -2
        each.agenda.revise(each.snapshot)
    assert isinstance(each.run(), Failed)
    assert each.service.asked("create") == 0


def test_gates_and_dry_run_hold_the_creation() -> None:
    """A gate that objects holds it, and a dry run never gets that far."""
    held, dry = bench(), bench(timing=replace(TIMING, dry_run=True))
    held.objection = Refusal.NOT_LEADER
    held.visit.look()
    held.clock.sleep(SETTLE)
    held.visit.act()
    assert isinstance(held.told[-1], Held)
    assert held.told[-1].reason is Refusal.NOT_LEADER
    assert isinstance(dry.run(), Planned)
    assert (held.service.asked("create"), dry.service.asked("create")) == (0, 0)


@pytest.mark.parametrize("reason", [each for each in Reason if each is not Reason.MISSING])
def test_missing_confirms_nothing_else(reason: Reason) -> None:
    """A look at a missing keyset says nothing of its keys, nor the other way round."""
    assert not confirms(Reason.MISSING, reason)
    assert not confirms(reason, Reason.MISSING)
    assert confirms(Reason.MISSING, Reason.MISSING)


def test_observe_refuses_create() -> None:
    """What never writes creates nothing."""
    with pytest.raises(PolicyError, match=r"^create: true needs mode: rotate"):
        policy(create=True, mode=Mode.OBSERVE)


def test_not_created_without_the_setting() -> None:
    """Without `create`, a keyset that is missing fails as before."""
    process = bench()
    process.agenda.progress[KEYSET_ID] = replace(process.agenda.progress[KEYSET_ID], policy=policy())
    (outcome,) = process.visit.look()
    assert isinstance(outcome, Failed)
