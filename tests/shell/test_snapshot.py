from dataclasses import FrozenInstanceError, replace

import pytest
from core.builders import DAY, HOUR, POLICY, SECOND, T0, tenant_id
from simulation.simulator import SimulatedClock, SimulatedTenant

from rotator.core.stages import Timing
from rotator.shell.gates import guarded
from rotator.shell.snapshot import Snapshot
from rotator.shell.tenant import Tenant

TIMING = Timing(check_interval=HOUR, settle=120 * SECOND, dry_run=False)
CONTOSO, FABRIKAM = tenant_id("contoso"), tenant_id("fabrikam")


def tenant(name: str) -> Tenant:
    nothing = SimulatedTenant(SimulatedClock(T0), ())
    return Tenant(name=name, id=tenant_id(name), policies=(POLICY,), keysets=nothing, writing=guarded(()))


def configured(*names: str) -> Snapshot:
    return Snapshot(timing=TIMING).configured([tenant(name) for name in names], TIMING)


def test_snapshot_is_frozen() -> None:
    """Whoever planned something under a snapshot finds it unchanged."""
    with pytest.raises(FrozenInstanceError):
        configured("contoso").is_paused = True  # type: ignore[misc]


def test_reload_keeps_since_when_tenants_are_known() -> None:
    """A tenant that stays is known since it came; one that comes, or comes back, begins again."""
    first = configured("contoso")
    both = first.configured([tenant("contoso"), tenant("fabrikam")], replace(TIMING, check_interval=DAY))
    assert both.since == {CONTOSO: first.number, FABRIKAM: both.number}
    assert (list(both.tenants), both.timing.check_interval) == ([CONTOSO, FABRIKAM], DAY)
    without = both.configured([tenant("fabrikam")], TIMING)
    back = without.configured([tenant("contoso"), tenant("fabrikam")], TIMING)
    assert back.since == {CONTOSO: back.number, FABRIKAM: both.number}
    assert first.number < both.number < without.number < back.number


def test_lost_lead_begins_every_tenant_anew() -> None:
    """What was learnt before the lead was lost counts for nothing; the term tells writes of before and after apart."""
    leading = configured("contoso", "fabrikam")
    paused = leading.paused()
    assert (paused.is_paused, paused.term) == (True, leading.term + 1)
    assert paused.since == {CONTOSO: paused.number, FABRIKAM: paused.number}
    resumed = paused.resumed()
    assert (resumed.is_paused, resumed.term, resumed.since) == (False, paused.term, paused.since)
    assert resumed.number > paused.number
    assert (leading.is_paused, leading.term) == (False, 0)


def test_reload_does_not_resume() -> None:
    """A configuration that comes while another replica leads is not looked at before the lead is regained."""
    snapshot = configured("contoso").paused().configured([tenant("fabrikam")], TIMING)
    assert (snapshot.is_paused, list(snapshot.tenants), snapshot.term) == (True, [FABRIKAM], 1)
