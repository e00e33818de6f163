"""Promises of the loop as a whole that a bug or a tenant in trouble has broken before."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread

import pytest
from core.builders import KEYSET_ID, policy, tenant_id
from shell.test_gates import answer, looked, observation, planned, rotated
from shell.test_loop import DUE, LOST, SECOND_ID, SETTLE, TIMING, Daemon, due
from simulation.simulator import Crash, SimulatedClock, SimulatedTenant
from waiting import held_until, wait_for

from rotator.core import events
from rotator.core.events import JobFailed, Looked
from rotator.core.keyset import Keyset
from rotator.core.outcome import Failed, Planned, Rotated
from rotator.core.policy import KeySpec
from rotator.core.reasons import Reason, Refusal
from rotator.core.stages import Called, Progress
from rotator.core.status import outcomes as last_outcomes
from rotator.shell.agenda import Agenda
from rotator.shell.gates import RunawayGate, SkewGate, guarded, led
from rotator.shell.loop import thread_pool
from rotator.shell.snapshot import Snapshot
from rotator.shell.status_store import StatusStore
from rotator.shell.stream import Stream
from rotator.shell.tenant import Objection, Tenant, Writing
from rotator.shell.visit import Visit

MANY = 20


# --- a consumer that raises


def test_consumer_that_raises_costs_no_key() -> None:
    """A consumer that fails at every outcome keeps no keyset from its key, and its bug is told to the others."""
    daemon = Daemon(due(), due(SECOND_ID))
    stream, bugs = Stream(), list[JobFailed]()

    def fail(event: events.Event) -> None:
        if isinstance(event, Looked):
            raise ZeroDivisionError

    def note(event: events.Event) -> None:
        if isinstance(event, JobFailed):
            bugs.append(event)

    hear = daemon.hear
    for consumer in (fail, hear, note):
        stream.add(consumer)
    daemon.hear = stream.tell  # type: ignore[method-assign]
    daemon.loop.sweep()
    daemon.scheduler.run(SETTLE)
    assert daemon.kinds() == ["Planned", "Planned", "Rotated", "Rotated"]
    assert [len(daemon.service.there(each).keys) for each in (KEYSET_ID, SECOND_ID)] == [2, 2]
    assert [(bug.job, type(bug.error)) for bug in bugs] == [("event.Looked", ZeroDivisionError)] * 4


# --- tenants that hang


def test_key_waits_for_no_tenant_that_hangs() -> None:
    """While all threads for looks hang, a key that is due is made; a job does not wait for its visit."""
    hanging = tuple(f"hanging {number}" for number in range(8))
    daemon = Daemon(due(), names=("healthy", *hanging), concurrency=2, pools=thread_pool)
    answered, let_go, lock = Event(), Event(), threading.Lock()
    running, most = set[int](), list[int]()

    def hang(held: Callable[..., None]) -> Callable[[str], None]:
        def request(operation: str) -> None:
            with lock:
                running.add(threading.get_ident())
                most.append(len(running))
            if operation != "generate":
                held(operation)
            with lock:
                running.discard(threading.get_ident())

        return request

    for name in hanging:
        daemon.services[name].trouble = hang(held_until(answered))
    sweep = Thread(target=daemon.loop.sweep)
    sweep.start()
    try:
        wait_for(lambda: len(running) == 2)
        assert daemon.kinds() == ["Planned"]
        healthy = daemon.services["healthy"]
        healthy.trouble = hang(held_until(let_go))
        daemon.clock.sleep(SETTLE)
        job = daemon.scheduler.waiting.pop(f"act:{tenant_id('healthy')}")[2]
        visit = job()
        wait_for(lambda: len(running) == 3)
        assert not visit.done()  # type: ignore[attr-defined]
        assert healthy.asked("generate") == 0
        let_go.set()
        visit.result(20.0)  # type: ignore[attr-defined]
        assert healthy.asked("generate") == 1
        assert not answered.is_set()
        assert sum(daemon.services[name].asked("list_keysets") for name in hanging) == 2
    finally:
        let_go.set()
        answered.set()
        sweep.join(20.0)
        daemon.loop.close()
    assert max(most) <= 2 * 2


# --- writes that end in an exception


class CountingLead:
    """A lead that lasts; counts writes that have begun, and those that have ended."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0

    def begin_write(self, seconds: float) -> bool:
        assert seconds == 10.0
        self.begun += 1
        return True

    def end_write(self) -> None:
        self.ended += 1


class BuggyTenant(SimulatedTenant):
    """Raises an exception that is not a `RequestError` when a key is requested."""

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        super().generate(keyset_id, spec)
        raise ValueError


class DyingTenant(SimulatedTenant):
    """Raises an exception that nothing catches when a key is requested."""

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        super().generate(keyset_id, spec)
        raise Crash


def _inner(*, fails_before: bool = False, fails_after: bool = False) -> Writing:
    @contextmanager
    def writing(_: Planned) -> Iterator[Objection | None]:
        if fails_before:
            raise ZeroDivisionError
        yield None
        if fails_after:
            raise ZeroDivisionError

    return writing


def _deaf(event: events.Event) -> None:
    """A bug in a consumer is reported."""
    del event
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("service", "inner", "tell", "begun"),
    [
        pytest.param(SimulatedTenant, _inner(), lambda _: None, 1, id="nothing"),
        pytest.param(BuggyTenant, _inner(), lambda _: None, 1, id="generate raises"),
        pytest.param(BuggyTenant, _inner(), _deaf, 1, id="generate and tell raise"),
        pytest.param(DyingTenant, _inner(), lambda _: None, 1, id="generate raises what nobody catches"),
        pytest.param(SimulatedTenant, _inner(), _deaf, 1, id="tell raises"),
        pytest.param(SimulatedTenant, _inner(fails_before=True), lambda _: None, 0, id="a gate raises"),
        pytest.param(SimulatedTenant, _inner(fails_after=True), lambda _: None, 1, id="the gate raises at the end"),
    ],
)
def test_write_that_began_has_ended_whatever_is_raised(
    service: type[SimulatedTenant], inner: Writing, tell: Callable[[events.Event], None], begun: int
) -> None:
    """However a write ends, the lead knows that it has ended: it would keep its lease for ever otherwise."""
    clock, lead = SimulatedClock(DUE), CountingLead()
    tenant = Tenant(
        name="contoso",
        id=tenant_id(),
        policies=(policy(),),
        keysets=service(clock, [due()]),
        writing=led(inner, lead, lambda: 10.0),
    )
    snapshot = Snapshot(timing=TIMING).configured([tenant], TIMING)
    agenda = Agenda(tenant)
    agenda.revise(snapshot)
    agenda.keep(Progress(policy=policy(), stage=Called(since=-SETTLE, reason=Reason.RENEWAL_DUE)))
    visit = Visit(agenda, snapshot, objection=lambda: None, clock=clock, jitter=lambda: 0.0, tell=tell)
    try:
        visit.act()
        visit.act()
    except (ZeroDivisionError, Crash):
        pass
    assert (lead.begun, lead.ended) == (begun, begun)


# --- a name that is pointed at another directory


def test_name_of_another_directory_inherits_nothing() -> None:
    """What was learnt of a directory, and made in it, does not count against the one that its name means now."""
    old, new = observation(), replace(observation(), tenant_id=tenant_id("elsewhere"))
    runaway, skew = RunawayGate(), SkewGate(lambda _: None)
    for kid in ("one", "two"):
        runaway.on_event(looked(rotated(kid, old)))
    skew.on_event(answer(900.0))
    assert runaway(planned(old)) is Refusal.RUNAWAY_GUARD
    assert skew(planned(old)) is not None
    assert (runaway(planned(new)), skew(planned(new))) == (None, None)
    nothing = SimulatedTenant(SimulatedClock(DUE), ())
    before = Tenant(name="contoso", id=old.tenant_id, policies=(policy(),), keysets=nothing, writing=guarded(()))
    store = StatusStore(lambda _: None, [before])
    store.on_event(looked(planned(old)))
    assert [type(outcome) for outcome in last_outcomes(store.statuses())] == [Planned]
    store.configure([replace(before, id=new.tenant_id)])
    store.on_event(looked(rotated("late", old)))
    assert last_outcomes(store.statuses()) == []
    store.on_event(looked(planned(new)))
    assert [outcome.observation.tenant_id for outcome in last_outcomes(store.statuses())] == [new.tenant_id]


# --- many keysets of one tenant


def _many() -> list[Keyset]:
    return [due(f"B2C_1A_Key{number}") for number in range(MANY)]


def test_many_keysets_of_one_tenant_in_half_a_minute() -> None:
    """Twenty keysets that are due at once, with answers of half a second, have their keys soon, and by few requests."""
    daemon = Daemon(*_many())
    daemon.service.trouble = lambda _: daemon.clock.sleep_uninterrupted(0.5)
    ends = list[float]()
    hear = daemon.hear

    def note(event: events.Event) -> None:
        hear(event)
        if isinstance(event, Looked) and isinstance(event.outcome, Rotated):
            ends.append(daemon.clock.monotonic())

    daemon.hear = note  # type: ignore[method-assign]
    daemon.loop.sweep()
    daemon.scheduler.run(10 * SETTLE)
    assert (
        len({outcome.observation.policy.keyset_id for outcome in daemon.told if isinstance(outcome, Rotated)}) == MANY
    )
    assert len(ends) == daemon.service.asked("generate") == MANY
    assert max(ends) <= SETTLE + 28.0
    assert len(daemon.service.requests) <= 47


def test_request_in_doubt_holds_up_no_other_keyset() -> None:
    """While one keyset's key is looked for, since it is unknown whether it was made, the others get theirs."""
    daemon = Daemon(due(), due(SECOND_ID))
    daemon.service.fails("generate", LOST)
    daemon.loop.sweep()
    daemon.scheduler.run(SETTLE)
    assert daemon.service.asked("generate") == 2
    assert [outcome.observation.policy.keyset_id for outcome in daemon.told if isinstance(outcome, Rotated)] == [
        SECOND_ID
    ]
    assert daemon.loop.is_confirming()
    assert not any(isinstance(outcome, Failed) for outcome in daemon.told)
    daemon.scheduler.run(SETTLE)
    assert daemon.kinds().count("Failed") == 1
    assert daemon.service.asked("generate") == 2
