"""Rounds over many tenants: one sweep at once, and then looks that are spread over the interval."""

from collections import Counter
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta

from core.builders import HOUR, KEYSET_ID, T0, keyset, tenant_id
from shell.test_loop import OURS, TIMING, Daemon
from simulation.simulator import refusal

from rotator.core.errors import FailureKind
from rotator.core.events import SweepFinished
from rotator.core.outcome import Outcome
from rotator.core.spread import offset
from rotator.core.stages import Timing
from rotator.shell.rounds import Round

NAMES = tuple(f"tenant{n}" for n in range(120))
HOUR_SECONDS = HOUR.total_seconds()


def begun(names: tuple[str, ...] = NAMES, timing: Timing = TIMING) -> Daemon:
    """A loop over *names*, in which nothing is due; its first sweep is over."""
    daemon = Daemon(keyset(OURS), now=T0, names=names, timing=timing)
    daemon.scheduler.every("sweep", timing.check_interval, daemon.loop.rounds())
    daemon.scheduler.run(0)
    return daemon


def looks(daemon: Daemon) -> Counter[str]:
    """How often each tenant was looked at so far."""
    return Counter({name: service.asked("list_keysets") for name, service in daemon.services.items()})


def test_first_sweep_is_at_once() -> None:
    """Everybody is looked at once when it begins."""
    assert set(looks(begun()).values()) <= {1, 2}


def test_rounds_are_spread() -> None:
    """In each hour every tenant is looked at once, at its own offset, and in no minute are there many."""
    daemon = begun()
    for hour in range(3):
        before = looks(daemon)
        per_minute = []
        for _ in range(60):
            so_far = looks(daemon)
            daemon.scheduler.run(60)
            per_minute.append((looks(daemon) - so_far).total())
        gained = looks(daemon) - before
        assert max(per_minute) <= 8
        assert hour == 0 or set(gained.values()) == {1}
    assert len(daemon.swept) == 1 + 3
    assert all(not each.late and len(each.outcomes) == len(NAMES) for each in daemon.swept)


def test_no_look_is_later_than_the_interval() -> None:
    """Two looks are never further apart than `check_interval`: the first round begins with the first sweep."""
    daemon = begun(("contoso",))
    own = offset(tenant_id("contoso"), HOUR).total_seconds()
    assert own > 0
    daemon.scheduler.run(own - 1)
    assert looks(daemon)["contoso"] == 1
    daemon.scheduler.run(2)
    assert looks(daemon)["contoso"] == 2
    daemon.scheduler.run(HOUR_SECONDS - 2)
    assert looks(daemon)["contoso"] == 2
    daemon.scheduler.run(2)
    assert looks(daemon)["contoso"] == 3


def test_what_fails_keeps_its_own_pace() -> None:
    """A tenant that cannot be looked at is looked at again before its next turn; the others are not."""
    daemon = Daemon(keyset(OURS), now=T0, names=NAMES)
    daemon.services["tenant7"].fails("list_keysets", refusal(FailureKind.NETWORK))
    daemon.scheduler.every("sweep", HOUR, daemon.loop.rounds())
    daemon.scheduler.run(0)
    retried = daemon.scheduler.left()[f"retry:{tenant_id('tenant7')}"]
    daemon.scheduler.run(retried)
    assert looks(daemon)["tenant7"] >= 2
    assert daemon.told[-1].observation.policy.keyset_id == KEYSET_ID


def test_short_interval_is_swept_at_once() -> None:
    """With an interval of seconds all are looked at together."""
    daemon = begun(timing=replace(TIMING, check_interval=timedelta(seconds=30)))
    daemon.scheduler.run(29)
    assert set(looks(daemon).values()) == {1}
    daemon.scheduler.run(1)
    assert set(looks(daemon).values()) == {2}


def test_configuration_that_changes_ends_the_round() -> None:
    """The round of the configuration before is dropped without news, and the new one begins with a sweep."""
    daemon = begun()
    daemon.scheduler.run(600)
    daemon.loop.configure(daemon.tenants(), TIMING)
    daemon.scheduler.every("sweep", HOUR, daemon.loop.rounds())
    swept = len(daemon.swept)
    before = looks(daemon)
    daemon.scheduler.run(0)
    assert min((looks(daemon) - before).values()) == 1
    assert len(daemon.swept) == swept + 1
    daemon.scheduler.run(HOUR_SECONDS - 1)
    assert len(daemon.swept) == swept + 2
    assert set((looks(daemon) - before).values()) == {2}, "one in the sweep, and one in the round after it"
    assert not any(each.late for each in daemon.swept)


def test_lead_that_is_lost_ends_the_round() -> None:
    """A follower looks at nobody, and tells of no sweep."""
    daemon = begun()
    daemon.scheduler.run(600)
    daemon.loop.pause()
    before = looks(daemon)
    daemon.scheduler.run(2 * HOUR_SECONDS)
    assert looks(daemon) == before
    assert len(daemon.swept) == 1


def test_tenant_that_hangs_is_late() -> None:
    """A round that the next one ends tells how many tenants were not looked at, and tells it once."""
    daemon, told = Daemon(keyset(OURS), now=T0, names=("contoso", "fabrikam")), list[SweepFinished]()
    hanging: Future[list[Outcome]] = Future()
    done: Future[list[Outcome]] = Future()
    done.set_result([])
    round_ = Round(
        daemon.tenants(),
        timedelta(seconds=30),
        began=daemon.clock.monotonic(),
        clock=daemon.clock,
        scheduler=daemon.scheduler,
        visit=lambda tenant: hanging if tenant.name == "contoso" else done,
        is_wanted=lambda: True,
        on_end=told.append,
    )
    round_.step()
    assert told == []
    round_.end()
    hanging.set_result([])
    assert [(each.late, each.seconds) for each in told] == [(1, 0.0)]
