import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from threading import Event, Thread, Timer
from typing import Any

import pytest
from core.builders import DAY, HOUR, KEYSET_ID, POLICY, SECOND, T0, key, keyset, policy, tenant_id
from simulation.simulator import Fault, SimulatedClock, SimulatedScheduler, SimulatedTenant, inline_pools, refusal
from waiting import held_until, wait_for

from rotator.core import events
from rotator.core.errors import Effect, Failure, FailureKind
from rotator.core.events import JobFailed, Looked, SweepFinished
from rotator.core.keyset import Key, Keyset
from rotator.core.outcome import Failed, Held, Outcome, Planned
from rotator.core.policy import RotationPolicy
from rotator.core.reasons import Refusal
from rotator.core.stages import Timing
from rotator.core.tenant import TenantId
from rotator.shell.gates import guarded, not_stopping
from rotator.shell.loop import Loop, Pools, thread_pool
from rotator.shell.sweeps import SWEEP_WAIT_SHARE
from rotator.shell.tenant import Tenant

SETTLE = 120.0
DUE = T0 + 74 * DAY
OURS = key("ours", T0, T0 + POLICY.validity)
SECOND_ID = "B2C_1A_Second"
TIMING = Timing(check_interval=HOUR, settle=timedelta(seconds=SETTLE), dry_run=False)
DRY = replace(TIMING, dry_run=True)
ACT, RETRY = f"act:{tenant_id()}", f"retry:{tenant_id()}"


class Daemon:
    """A loop over some tenants, each with the same keysets, and its events."""

    def __init__(
        self,
        *keysets: Keyset,
        now: Any = DUE,
        names: Sequence[str] = ("contoso",),
        timing: Timing = TIMING,
        rules: RotationPolicy = POLICY,
        concurrency: int = 8,
        pools: Pools = inline_pools,
    ) -> None:
        self.clock = SimulatedClock(now)
        self.scheduler = SimulatedScheduler(self.clock)
        self.told: list[Outcome] = []
        self.bugs: list[BaseException] = []
        self.swept: list[SweepFinished] = []
        self.policies = tuple(policy(keyset_id=found.id, mode=rules.mode) for found in keysets)
        self.services = {name: SimulatedTenant(self.clock, keysets) for name in names}
        self.directories: dict[str, TenantId] = {name: tenant_id(name) for name in names}
        self.may_write: Callable[[Planned], Refusal | Failure | None] = not_stopping(self.clock)
        self.loop = Loop(
            self.tenants(),
            timing,
            concurrency=concurrency,
            clock=self.clock,
            scheduler=self.scheduler,
            tell=self._tell,
            on_swept=self.swept.append,
            jitter=lambda: 0.0,
            pools=pools,
        )

    def _tell(self, event: events.Event) -> None:
        self.hear(event)

    def hear(self, event: events.Event) -> None:
        """Keep what is reported."""
        match event:
            case Looked(outcome=outcome):
                self.told.append(outcome)
            case JobFailed(error=error):
                self.bugs.append(error)
            case _:
                pass

    def ask(self, planned: Planned) -> Refusal | Failure | None:
        """The gate, as it is at the time."""
        return self.may_write(planned)

    def tenants(self) -> list[Tenant]:
        return [
            Tenant(
                name=name,
                id=self.directories[name],
                policies=self.policies,
                keysets=service,
                writing=guarded([self.ask]),
            )
            for name, service in self.services.items()
        ]

    @property
    def service(self) -> SimulatedTenant:
        return next(iter(self.services.values()))

    def kinds(self) -> list[str]:
        """The events so far, in short."""
        return [type(outcome).__name__ for outcome in self.told]


def _raise(error: BaseException) -> None:
    raise error


def during(operation: str, act: Callable[[], object]) -> Callable[[str], None]:
    """*act* comes in the middle of each request of one kind, and does it no harm."""

    def happen(asked: str) -> None:
        if asked == operation:
            act()

    return happen


def assert_looks_twice(daemon: Daemon) -> None:
    """The service is asked for its one key when two looks from now on have called for it, and not a second sooner."""
    daemon.loop.sweep()
    daemon.scheduler.run(SETTLE - 1)
    assert daemon.service.asked("generate") == 0
    daemon.scheduler.run(1)
    assert daemon.service.asked("generate") == 1


def due(keyset_id: str = KEYSET_ID, *more: Key) -> Keyset:
    return Keyset(id=keyset_id, keys=(OURS, *more))


SUCCESSOR = key("theirs", T0 + 90 * DAY, T0 + 90 * DAY + POLICY.validity)
PASSING = refusal(FailureKind.SERVICE)
LOST = refusal(FailureKind.TIMEOUT, Effect.UNKNOWN)


def test_sweep_tells_what_came_of_it() -> None:
    """A sweep looks at every keyset with one request a tenant, and tells each outcome, and then all."""
    fresh = Keyset(id=SECOND_ID, keys=(key("fresh", DUE, DUE + POLICY.validity),))
    daemon = Daemon(due(), fresh, names=("contoso", "fabrikam"))
    daemon.loop.sweep()
    assert sorted(daemon.kinds()) == ["Held", "Held", "Planned", "Planned"]
    (swept,) = daemon.swept
    assert [
        ("contoso", KEYSET_ID, Planned),
        ("contoso", SECOND_ID, Held),
        ("fabrikam", KEYSET_ID, Planned),
        ("fabrikam", SECOND_ID, Held),
    ] == [(each.observation.tenant, each.observation.policy.keyset_id, type(each)) for each in swept.outcomes]
    assert {outcome.observation.now for outcome in swept.outcomes} == {DUE}
    assert [len(service.requests) for service in daemon.services.values()] == [1, 1]


def test_sweep_nothing_due() -> None:
    """If nothing is due nothing is scheduled."""
    daemon = Daemon(due(), now=T0)
    daemon.loop.sweep()
    assert (daemon.kinds(), daemon.scheduler.waiting) == (["Held"], {})


def test_sweep_tells_how_long_it_took() -> None:
    """A sweep takes from its own beginning to its end."""
    daemon = Daemon(due())
    daemon.clock.sleep(100.0)
    daemon.service.trouble = lambda _: daemon.clock.sleep_uninterrupted(5.0)
    daemon.loop.sweep()
    assert [swept.seconds for swept in daemon.swept] == [5.0]


def test_second_look_comes_when_settled() -> None:
    """What is due is looked at again when it has settled, and not a second sooner; then the key is made."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    assert daemon.scheduler.left() == {ACT: SETTLE}
    daemon.scheduler.run(SETTLE - 1)
    assert daemon.kinds() == ["Planned"]
    daemon.scheduler.run(1)
    assert daemon.kinds() == ["Planned", "Rotated"]
    assert [DUE + timedelta(seconds=SETTLE)] == list(daemon.service.born.values())
    assert daemon.scheduler.waiting == {}


def test_second_look_is_not_put_off_by_another_first_look() -> None:
    """A sweep in between neither brings the second look forward nor puts it off."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    daemon.scheduler.run(SETTLE - 10)
    daemon.loop.sweep()
    assert daemon.scheduler.left() == {ACT: 10.0}
    daemon.scheduler.run(10)
    assert daemon.kinds() == ["Planned", "Planned", "Rotated"]
    daemon.loop.sweep()
    assert (daemon.kinds()[-1], daemon.scheduler.waiting) == ("Held", {})


def test_second_look_is_called_off() -> None:
    """Where a look in between calls for nothing any more, the second look is not made."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    daemon.scheduler.run(30)
    daemon.service.add(KEYSET_ID, SUCCESSOR)
    daemon.loop.sweep()
    daemon.scheduler.run(2 * SETTLE)
    assert daemon.kinds() == ["Planned", "Held"]
    assert daemon.service.asked("fetch") == 0


def test_first_look_stands_while_looks_fail() -> None:
    """A look that fails between the two throws nothing away: the first that succeeds after `settle` is the second."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    daemon.scheduler.run(30)
    daemon.service.fails("list_keysets", PASSING)
    daemon.loop.sweep()
    assert daemon.scheduler.left()[RETRY] == 60.0
    daemon.scheduler.run(60)
    assert daemon.kinds() == ["Planned", "Failed", "Planned"]
    assert daemon.scheduler.left() == {ACT: 30.0}
    daemon.scheduler.run(30)
    assert daemon.kinds()[-1] == "Rotated"


def test_second_look_that_fails_is_made_again() -> None:
    """Where the look right before the write fails, the next look that succeeds is followed by another one, at once."""
    daemon = Daemon(due())
    daemon.service.fails("fetch", PASSING)
    daemon.loop.sweep()
    daemon.scheduler.run(SETTLE)
    assert (daemon.kinds(), daemon.scheduler.left()) == (["Planned", "Failed"], {RETRY: 60.0})
    daemon.scheduler.run(60)
    assert daemon.kinds() == ["Planned", "Failed", "Planned", "Rotated"]
    assert daemon.service.asked("generate") == 1


def test_second_look_finds_another_s_key() -> None:
    """A key that somebody made meanwhile is enough."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    daemon.service.add(KEYSET_ID, SUCCESSOR)
    daemon.scheduler.run(SETTLE)
    assert daemon.kinds() == ["Planned", "Held"]
    assert daemon.service.asked("generate") == 0


def test_second_look_is_graver_than_the_first() -> None:
    """If only the second look finds no valid key, a third has to find none as well."""
    daemon = Daemon(due(), now=OURS.expires - timedelta(seconds=SETTLE - 1))
    daemon.loop.sweep()
    daemon.scheduler.run(SETTLE)
    assert daemon.kinds() == ["Planned", "Planned"]
    assert daemon.scheduler.left() == {ACT: SETTLE}
    daemon.scheduler.run(SETTLE)
    assert daemon.kinds() == ["Planned", "Planned", "Rotated"]


def test_second_look_after_a_first_that_found_too_little() -> None:
    """An answer that lacks the keys for once makes none."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    daemon.scheduler.run(SETTLE / 2)
    daemon.service.turn(KEYSET_ID, "ours", enabled=False)
    daemon.loop.sweep()
    assert daemon.scheduler.left() == {ACT: SETTLE / 2}
    daemon.service.turn(KEYSET_ID, "ours", enabled=True)
    daemon.scheduler.run(SETTLE / 2)
    assert daemon.kinds() == ["Planned", "Planned"]
    daemon.scheduler.run(SETTLE / 2)
    assert daemon.kinds() == ["Planned", "Planned", "Rotated"]
    assert [made.nbf for made in daemon.service.there(KEYSET_ID).keys[1:]] == [T0 + 90 * DAY]


def test_second_looks_of_several_keysets() -> None:
    """Each keyset has its own time to settle."""
    daemon = Daemon(due(), Keyset(id=SECOND_ID, keys=(OURS, SUCCESSOR)))
    daemon.loop.sweep()
    daemon.scheduler.run(50)
    daemon.service.turn(SECOND_ID, "theirs", enabled=False)
    daemon.loop.sweep()
    daemon.scheduler.run(SETTLE)
    assert daemon.kinds() == ["Planned", "Held", "Planned", "Planned", "Rotated", "Rotated"]
    settled = [DUE + timedelta(seconds=SETTLE), DUE + timedelta(seconds=50 + SETTLE)]
    assert settled == list(daemon.service.born.values())


def test_second_look_is_no_sooner_for_another_s() -> None:
    """When one keyset has settled, another that has nearly settled waits nevertheless."""
    daemon = Daemon(Keyset(id=KEYSET_ID, keys=(OURS, SUCCESSOR)), due(SECOND_ID))
    daemon.loop.sweep()
    daemon.scheduler.run(1)
    daemon.service.turn(KEYSET_ID, "theirs", enabled=False)
    daemon.loop.sweep()
    daemon.scheduler.run(SETTLE)
    settled = [DUE + timedelta(seconds=SETTLE), DUE + timedelta(seconds=SETTLE + 1)]
    assert settled == list(daemon.service.born.values())
    assert [request.keyset_id for request in daemon.service.requests if request.operation == "generate"] == [
        SECOND_ID,
        KEYSET_ID,
    ]


def test_second_looks_of_three_keysets() -> None:
    """After each second look comes the one that is due next."""
    ids = (KEYSET_ID, SECOND_ID, "B2C_1A_Third")
    daemon = Daemon(*(Keyset(id=keyset_id, keys=(OURS, SUCCESSOR)) for keyset_id in ids))
    for keyset_id in ids:
        daemon.service.turn(keyset_id, "theirs", enabled=False)
        daemon.loop.sweep()
        daemon.scheduler.run(10)
    daemon.scheduler.run(SETTLE)
    assert [DUE + timedelta(seconds=SETTLE + n) for n in (0, 10, 20)] == list(daemon.service.born.values())


def test_second_look_that_is_late() -> None:
    """A second look whose time has passed comes at once."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    daemon.scheduler.waiting.clear()
    daemon.clock.sleep(SETTLE + 10)
    daemon.loop.sweep()
    assert daemon.scheduler.left() == {ACT: 0.0}


def test_second_look_refused() -> None:
    """What a gate holds is due again with the next sweep, and not before."""
    daemon = Daemon(due())
    daemon.may_write = lambda _: Refusal.RUNAWAY_GUARD
    daemon.loop.sweep()
    daemon.scheduler.run(10 * SETTLE)
    assert (daemon.kinds(), daemon.scheduler.waiting) == (["Planned", "Held"], {})
    assert daemon.service.asked("generate") == 0


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_failed_look_is_made_again(failures: int) -> None:
    """What failed and may pass is looked at again soon, and then ever more slowly."""
    daemon = Daemon(due(), now=T0)
    daemon.service.fails("list_keysets", *[PASSING] * failures)
    daemon.loop.sweep()
    waits = []
    while daemon.scheduler.waiting:
        (wait,) = daemon.scheduler.left().values()
        waits.append(wait)
        daemon.scheduler.run(wait)
    assert [60.0, 120.0, 240.0][:failures] == waits
    assert ["Failed"] * failures + ["Held"] == daemon.kinds()


@pytest.mark.parametrize(
    ("now", "timing", "wait"),
    [
        pytest.param(T0, TIMING, 60.0, id="held: the end of a row"),
        pytest.param(DUE, TIMING, 120.0, id="planned: the second look is still to come"),
        pytest.param(DUE, DRY, 60.0, id="planned in a dry run: there is no second look"),
    ],
)
def test_failed_look_after_another_and_one_that_did_not(now: Any, timing: Timing, wait: float) -> None:
    """A row of failures ends with a look that is the last word."""
    daemon = Daemon(due(), now=now, timing=timing)
    daemon.service.fails("list_keysets", PASSING, None, PASSING)
    daemon.loop.sweep()
    daemon.scheduler.run(60)
    daemon.loop.sweep()
    assert daemon.scheduler.left()[RETRY] == wait


def test_failed_look_when_the_service_says() -> None:
    """The wait that the service asks for is used."""
    daemon = Daemon(due(), now=T0)
    daemon.service.fails("list_keysets", refusal(FailureKind.THROTTLED, retry_after=timedelta(minutes=25)))
    daemon.loop.sweep()
    assert daemon.scheduler.left() == {RETRY: 1500.0}


def test_failed_look_for_a_person() -> None:
    """What a person must fix is looked at with the next sweep."""
    daemon = Daemon(due())
    daemon.service.fails("list_keysets", refusal(FailureKind.FORBIDDEN))
    daemon.loop.sweep()
    assert (daemon.kinds(), daemon.scheduler.waiting) == (["Failed"], {})


def test_failed_look_while_cover_runs_out() -> None:
    """Where cover is known to end soon, an eighth of what is left is the longest wait, whatever failed."""
    daemon = Daemon(due(), now=OURS.expires - 2 * HOUR)
    daemon.loop.sweep()
    daemon.service.fails("list_keysets", refusal(FailureKind.FORBIDDEN))
    daemon.loop.sweep()
    assert daemon.scheduler.left()[RETRY] == 900.0


def test_failed_look_of_one_tenant() -> None:
    """A tenant in trouble costs the others nothing, and is alone looked at again."""
    daemon = Daemon(due(), names=("contoso", "fabrikam"))
    daemon.service.fails("list_keysets", PASSING)
    daemon.loop.sweep()
    assert daemon.scheduler.left() == {RETRY: 60.0, f"act:{tenant_id('fabrikam')}": SETTLE}
    daemon.scheduler.run(60 + SETTLE)
    assert [len(service.born) for service in daemon.services.values()] == [1, 1]
    assert [service.asked("list_keysets") for service in daemon.services.values()] == [2, 1]


def test_lost_answer_is_adopted() -> None:
    """A key whose answer was lost is found, and is the only one."""
    daemon = Daemon(due())
    daemon.service.fails("generate", Fault(error=LOST, after=True))
    daemon.loop.sweep()
    daemon.scheduler.run(3600)
    assert (daemon.kinds(), daemon.service.asked("generate")) == (["Planned", "Rotated"], 1)


def test_open_outcome_begins_anew() -> None:
    """If it is unknown what a request did, and no look shows a key, two more looks come before the next request."""
    daemon = Daemon(due())
    daemon.service.fails("generate", LOST)
    daemon.loop.sweep()
    daemon.scheduler.run(2 * SETTLE)
    assert daemon.kinds() == ["Planned", "Failed"]
    assert daemon.scheduler.left() == {RETRY: 60.0}
    daemon.scheduler.run(60)
    assert daemon.kinds() == ["Planned", "Failed", "Planned"]
    assert daemon.scheduler.left() == {ACT: SETTLE}
    daemon.scheduler.run(SETTLE)
    assert daemon.kinds() == ["Planned", "Failed", "Planned", "Rotated"]
    assert daemon.service.asked("generate") == 2
    assert keyset(OURS, *daemon.service.there(KEYSET_ID).keys[1:]) == daemon.service.there(KEYSET_ID)
    assert len(daemon.service.there(KEYSET_ID).keys) == 2


def test_dry_run_never_writes() -> None:
    """A dry run tells what is due with every sweep, and makes no second look."""
    daemon = Daemon(due(), timing=DRY)
    for _ in range(100):
        daemon.loop.sweep()
        daemon.scheduler.run(3600)
    assert {"Planned"} == set(daemon.kinds())
    assert {"list_keysets"} == {request.operation for request in daemon.service.requests}
    assert daemon.scheduler.waiting == {}


def test_dry_run_plans_no_second_look() -> None:
    """What is due in a dry run is due with the next sweep again, and not before."""
    daemon = Daemon(due(), timing=DRY)
    daemon.loop.sweep()
    assert (daemon.kinds(), daemon.scheduler.waiting) == (["Planned"], {})


def test_dry_run_failed_look_is_made_again() -> None:
    """A dry run is as persistent as any other."""
    daemon = Daemon(due(), timing=DRY)
    daemon.service.fails("list_keysets", PASSING)
    daemon.loop.sweep()
    daemon.scheduler.run(60)
    assert daemon.kinds() == ["Failed", "Planned"]


def test_stop_before_a_sweep() -> None:
    """After a request to stop, no sweep begins, and none is reported."""
    daemon = Daemon(due())
    daemon.clock.stop()
    daemon.loop.sweep()
    assert (daemon.told, daemon.swept, daemon.service.requests) == ([], [], [])


def test_stop_in_the_midst_of_a_sweep() -> None:
    """A sweep over which the program was asked to stop is not told as one."""
    daemon = Daemon(due())
    daemon.service.trouble = lambda _: daemon.clock.stop()
    daemon.loop.sweep()
    assert (daemon.kinds(), daemon.swept) == (["Planned"], [])


def test_stop_before_a_second_look() -> None:
    """Once the program is to stop, no second look begins."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    (*_, job) = daemon.scheduler.waiting[ACT]
    daemon.clock.sleep(SETTLE)
    daemon.clock.stop()
    job()
    daemon.loop.close()
    assert (daemon.kinds(), daemon.service.asked("fetch")) == (["Planned"], 0)


def test_stop_between_two_keysets() -> None:
    """A write under way is finished when the program is to stop; the next keyset's is not begun."""
    daemon = Daemon(due(), due(SECOND_ID))
    daemon.service.lag = lambda: 30.0
    daemon.loop.sweep()
    daemon.service.trouble = during("generate", daemon.clock.stop)
    daemon.scheduler.run(2 * SETTLE)
    daemon.loop.close()
    first, second, last = daemon.told
    assert (Planned, Planned) == (type(first), type(second))
    assert isinstance(last, Failed)
    assert last.failure.kind == FailureKind.UNCONFIRMED
    assert [request.keyset_id for request in daemon.service.requests if request.operation == "generate"] == [KEYSET_ID]


def test_pause_and_wake() -> None:
    """Nothing is looked at while the loop rests, and what was due before is due again after."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    daemon.loop.pause()
    daemon.scheduler.run(2 * SETTLE)
    daemon.loop.sweep()
    assert (daemon.kinds(), len(daemon.swept)) == (["Planned"], 1)
    daemon.loop.resume()
    daemon.loop.sweep()
    assert daemon.scheduler.left() == {ACT: SETTLE}
    daemon.scheduler.run(SETTLE)
    assert daemon.kinds() == ["Planned", "Planned", "Rotated"]


def test_pause_before_another_look() -> None:
    """A look that failed before a rest is not made again during it."""
    daemon = Daemon(due(), now=T0)
    daemon.service.fails("list_keysets", PASSING)
    daemon.loop.sweep()
    daemon.loop.pause()
    daemon.scheduler.run(600)
    assert (daemon.kinds(), daemon.service.asked("list_keysets")) == (["Failed"], 1)


def test_pause_between_two_tenants() -> None:
    """A sweep that a rest comes over looks at no further tenant."""
    daemon = Daemon(due(), names=("contoso", "fabrikam"), concurrency=1)
    daemon.service.trouble = lambda _: daemon.loop.pause()
    daemon.loop.sweep()
    assert [service.asked("list_keysets") for service in daemon.services.values()] == [1, 0]
    assert daemon.swept == []


def test_configure_keeps_what_is_due() -> None:
    """Another configuration does not put off the second look of a keyset that stays."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    daemon.scheduler.run(SETTLE - 10)
    daemon.loop.configure(daemon.tenants(), TIMING)
    daemon.scheduler.run(10)
    assert daemon.kinds() == ["Planned", "Rotated"]


def test_configure_in_the_middle_of_a_second_look() -> None:
    """What an old configuration planned is not written any more, even if it was looked at already."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    (old,) = daemon.policies

    def reconfigure() -> None:
        daemon.policies = (replace(old, rotate_every=old.rotate_every + DAY),)
        daemon.loop.configure(daemon.tenants(), TIMING)

    daemon.service.trouble = during("fetch", reconfigure)
    daemon.scheduler.run(SETTLE)
    last = daemon.told[-1]
    assert isinstance(last, Held)
    assert (last.reason, daemon.service.asked("generate")) == (Refusal.RECONFIGURED, 0)


def test_configure_as_a_dry_run_in_the_middle_of_a_second_look() -> None:
    """A dry run begins at once: what was looked at already is not written any more."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    daemon.service.trouble = lambda _: daemon.loop.configure(daemon.tenants(), DRY)
    daemon.scheduler.run(SETTLE)
    last = daemon.told[-1]
    assert isinstance(last, Held)
    assert (last.reason, daemon.service.asked("generate")) == (Refusal.RECONFIGURED, 0)


def test_configure_as_a_dry_run() -> None:
    """Once the configuration says that nothing is to be written, nothing is, whatever was due."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    daemon.loop.configure(daemon.tenants(), DRY)
    daemon.scheduler.run(10 * SETTLE)
    assert (daemon.kinds(), daemon.service.asked("fetch")) == (["Planned"], 0)


def test_configure_without_the_keyset() -> None:
    """A keyset that is configured no more is not due any more."""
    daemon = Daemon(due(), due(SECOND_ID))
    daemon.loop.sweep()
    daemon.policies = daemon.policies[:1]
    daemon.loop.configure(daemon.tenants(), TIMING)
    daemon.scheduler.run(10 * SETTLE)
    assert [request.keyset_id for request in daemon.service.requests if request.operation == "generate"] == [KEYSET_ID]


def test_sweep_after_a_visit_that_could_not_be_planned() -> None:
    """A scheduler that takes no job costs that job, and not every look that is to come."""
    daemon = Daemon(due())
    once = daemon.scheduler.once

    def fail(*_: object) -> None:
        daemon.scheduler.once = once  # type: ignore[method-assign]
        raise MemoryError

    daemon.scheduler.once = fail  # type: ignore[assignment, method-assign]
    for _ in range(2):
        daemon.loop.sweep()
    assert [MemoryError] == [type(bug) for bug in daemon.bugs]
    assert daemon.service.asked("list_keysets") == 2


def test_sweep_waits_for_no_tenant_that_hangs() -> None:
    """A tenant that does not answer costs its own look alone, and is not asked again before that is done."""
    daemon = Daemon(
        due(), names=("contoso", "fabrikam"), timing=replace(TIMING, check_interval=SECOND), pools=thread_pool
    )
    answered = Event()
    daemon.service.trouble = held_until(answered)
    for _ in range(2):
        daemon.loop.sweep()
    answered.set()
    daemon.loop.close()
    assert [swept.late for swept in daemon.swept] == [1, 1]
    assert {"fabrikam"} == {outcome.observation.tenant for swept in daemon.swept for outcome in swept.outcomes}
    assert [service.asked("list_keysets") for service in daemon.services.values()] == [1, 2]


def test_sweep_ends_before_the_next_is_due() -> None:
    """A tenant that hangs is waited for, but no longer than until shortly before the next sweep."""
    interval = 2 * SECOND
    daemon = Daemon(due(), timing=replace(TIMING, check_interval=interval), pools=thread_pool)
    answered = Event()
    daemon.service.trouble = held_until(answered)
    began = time.monotonic()
    daemon.loop.sweep()
    assert time.monotonic() - began >= interval.total_seconds() * SWEEP_WAIT_SHARE
    assert [swept.late for swept in daemon.swept] == [1]
    answered.set()
    daemon.loop.close()


def test_sweeps_that_meet() -> None:
    """Of several sweeps that come while one runs, one follows it."""
    daemon = Daemon(due(), pools=thread_pool)
    answered, (first, *others) = Event(), [Thread(target=daemon.loop.sweep) for _ in range(3)]
    daemon.service.trouble = held_until(answered)
    first.start()
    wait_for(lambda: daemon.service.requests)
    for sweep in others:
        sweep.start()
    wait_for(lambda: sum(sweep.is_alive() for sweep in others) == 1)
    answered.set()
    for sweep in (first, *others):
        sweep.join(20.0)
    assert (len(daemon.swept), daemon.service.asked("list_keysets")) == (2, 2)


def test_sweep_that_meets_a_bug() -> None:
    """A bug in a visit is reported, and ends only that visit."""
    daemon = Daemon(due(), names=("contoso", "fabrikam"))
    hear = daemon.hear

    def tell(event: events.Event) -> None:
        if isinstance(event, Looked) and event.outcome.observation.tenant == "contoso":
            raise ZeroDivisionError
        hear(event)

    daemon.hear = tell  # type: ignore[method-assign]
    for _ in range(2):
        daemon.loop.sweep()
    assert [ZeroDivisionError] * 2 == [type(bug) for bug in daemon.bugs]
    assert [outcome.observation.tenant for swept in daemon.swept for outcome in swept.outcomes] == ["fabrikam"] * 2
    assert [service.asked("list_keysets") for service in daemon.services.values()] == [2, 2]


def test_close_waits_for_what_is_under_way() -> None:
    """The end waits for a look that has begun, and lets none begin that is still queued."""
    timing = replace(TIMING, check_interval=SECOND / 20)
    daemon = Daemon(due(), names=("contoso", "fabrikam"), timing=timing, concurrency=1, pools=thread_pool)
    answered = Event()
    daemon.service.trouble = held_until(answered)
    daemon.loop.sweep()
    daemon.clock.stop()
    Timer(0.2, answered.set).start()
    daemon.loop.close()
    assert daemon.kinds() == ["Planned"]
    assert [service.asked("list_keysets") for service in daemon.services.values()] == [1, 0]


def test_configure_without_the_keyset_in_the_middle_of_a_look() -> None:
    """A keyset that is removed from the configuration during a look has no second look."""
    daemon = Daemon(due(), due(SECOND_ID))

    def reconfigure() -> None:
        daemon.policies = daemon.policies[:1]
        daemon.loop.configure(daemon.tenants(), TIMING)

    daemon.service.trouble = during("list_keysets", reconfigure)
    daemon.loop.sweep()
    for _ in range(3):
        daemon.scheduler.run(SETTLE)
    assert [request.keyset_id for request in daemon.service.requests if request.operation == "generate"] == [KEYSET_ID]
    assert daemon.scheduler.left() == {}


def test_configure_without_the_tenant() -> None:
    """A tenant that is configured no more is not swept any more."""
    daemon = Daemon(due(), names=("contoso", "fabrikam"))
    daemon.loop.configure(daemon.tenants()[1:], TIMING)
    daemon.loop.sweep()
    assert [len(service.requests) for service in daemon.services.values()] == [0, 1]
    assert daemon.swept[-1].late == 0


def test_configure_without_the_tenant_that_hangs() -> None:
    """A tenant that is configured no more is not late, even if its last look has not ended."""
    daemon = Daemon(
        due(), names=("contoso", "fabrikam"), timing=replace(TIMING, check_interval=SECOND), pools=thread_pool
    )
    answered = Event()
    daemon.service.trouble = held_until(answered)
    daemon.loop.sweep()
    daemon.loop.configure(daemon.tenants()[1:], TIMING)
    daemon.loop.sweep()
    answered.set()
    daemon.loop.close()
    assert [swept.late for swept in daemon.swept] == [1, 0]


def test_configure_without_the_tenant_whose_keyset_is_due() -> None:
    """What was due in a tenant that is configured no more is not due any more."""
    daemon = Daemon(due(), names=("contoso", "fabrikam"))
    daemon.loop.sweep()
    daemon.loop.configure(daemon.tenants()[1:], TIMING)
    daemon.scheduler.run(10 * SETTLE)
    assert [service.asked("generate") for service in daemon.services.values()] == [0, 1]
    assert [service.asked("fetch") > 0 for service in daemon.services.values()] == [False, True]


def test_configure_without_the_tenant_in_the_middle_of_a_second_look() -> None:
    """What was planned in a tenant that is configured no more is not written, even if it was looked at already."""
    daemon = Daemon(due(), names=("contoso", "fabrikam"))
    daemon.loop.sweep()
    daemon.service.trouble = during("fetch", lambda: daemon.loop.configure(daemon.tenants()[1:], TIMING))
    daemon.scheduler.run(10 * SETTLE)
    (last,) = (outcome for outcome in daemon.told[2:] if outcome.observation.tenant == "contoso")
    assert isinstance(last, Held)
    assert last.reason is Refusal.RECONFIGURED
    assert [service.asked("generate") for service in daemon.services.values()] == [0, 1]


def test_configure_without_the_tenant_that_failed() -> None:
    """A tenant that is configured no more is not looked at again, whatever failed in it."""
    daemon = Daemon(due())
    daemon.service.trouble = lambda _: _raise(PASSING)
    daemon.loop.sweep()
    daemon.loop.configure((), TIMING)
    daemon.scheduler.run(HOUR.total_seconds())
    assert (daemon.kinds(), daemon.scheduler.left()) == (["Failed"], {})


def test_configure_with_the_tenant_again() -> None:
    """A tenant that comes back is looked at again, and its keys are made once."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    daemon.loop.configure((), TIMING)
    daemon.scheduler.run(SETTLE)
    daemon.loop.configure(daemon.tenants(), TIMING)
    assert_looks_twice(daemon)


def elsewhere(daemon: Daemon) -> tuple[SimulatedTenant, SimulatedTenant]:
    """The tenant as it was, and that which has its name from now on."""
    before, after = daemon.service, SimulatedTenant(daemon.clock, [due()])
    daemon.services, daemon.directories = {"contoso": after}, {"contoso": tenant_id("elsewhere")}
    daemon.loop.configure(daemon.tenants(), TIMING)
    return before, after


def test_configure_another_tenant_of_the_same_name_between_the_looks() -> None:
    """Where a name stands for another directory, nothing is known of its keysets: two looks come before a key."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    daemon.scheduler.run(SETTLE - 1)
    before, after = elsewhere(daemon)
    assert daemon.service is after
    assert_looks_twice(daemon)
    assert before.asked("generate") == 0


def test_configure_another_tenant_of_the_same_name_in_the_middle_of_a_second_look() -> None:
    """Where a name stands for another directory, the former one gets no key any more."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    places: list[tuple[SimulatedTenant, SimulatedTenant]] = []
    daemon.service.trouble = during("fetch", lambda: places.append(elsewhere(daemon)))
    daemon.scheduler.run(SETTLE)
    last, ((before, after),) = daemon.told[-1], places
    assert isinstance(last, Held)
    assert last.reason is Refusal.RECONFIGURED
    assert (before.asked("generate"), len(after.requests)) == (0, 0)


def test_configure_in_the_middle_of_a_second_look_that_changes_nothing_of_it() -> None:
    """Whatever else a configuration changes (a credential, a timeout), nothing is written any more by the old one."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    daemon.service.trouble = during("fetch", lambda: daemon.loop.configure(daemon.tenants(), TIMING))
    daemon.scheduler.run(SETTLE)
    assert daemon.kinds() == ["Planned", "Held"]
    daemon.service.trouble = lambda _: None
    daemon.loop.sweep()
    daemon.scheduler.run(SETTLE)
    assert daemon.kinds() == ["Planned", "Held", "Planned", "Rotated"]


def test_configure_after_a_dry_run_without_the_tenant() -> None:
    """However long a tenant was away, what called for a key before takes no look off those that it takes now."""
    daemon = Daemon(due(), timing=DRY)
    daemon.loop.sweep()
    daemon.loop.configure((), DRY)
    daemon.clock.sleep(10 * SETTLE)
    daemon.loop.configure(daemon.tenants(), TIMING)
    assert_looks_twice(daemon)


def test_configure_another_policy_between_the_looks() -> None:
    """Two looks find the same policy calling for a key before there is one."""
    daemon = Daemon(due())
    daemon.loop.sweep()
    daemon.scheduler.run(SETTLE - 1)
    (old,) = daemon.policies
    daemon.policies = (replace(old, rotate_every=old.rotate_every - DAY),)
    daemon.loop.configure(daemon.tenants(), TIMING)
    assert_looks_twice(daemon)
