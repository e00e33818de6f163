"""The counters by tenant: what they count, and that they follow the configuration."""

import re
from datetime import timedelta

import pytest
from core.builders import POLICY, T0, tenant_id
from simulation.simulator import SimulatedClock, SimulatedTenant

from rotator.core.drift import Change, ChangeKind
from rotator.core.errors import Failure, FailureKind
from rotator.core.events import KeysetChanged, Looked, TokenRequested
from rotator.core.outcome import Failed, Observation
from rotator.edges.metrics import Metrics, Registry
from rotator.shell.gates import guarded
from rotator.shell.status_store import StatusStore
from rotator.shell.tenant import Tenant


def tenants(*names: str) -> list[Tenant]:
    """Tenants with a keyset each."""
    return [
        Tenant(
            name=name,
            id=tenant_id(name),
            policies=(POLICY,),
            keysets=SimulatedTenant(SimulatedClock(T0), ()),
            writing=guarded(()),
        )
        for name in names
    ]


@pytest.fixture
def store() -> StatusStore:
    return StatusStore(lambda _: None, tenants("contoso", "fabrikam"))


@pytest.fixture
def metrics(store: StatusStore) -> Metrics:
    metrics = Metrics(Registry(), store, lambda: T0)
    metrics.configure(timedelta(hours=1), dry_run=False)
    return metrics


def samples(metrics: Metrics, name: str) -> dict[str, float]:
    """The values of a counter by their labels, as they are written."""
    found = re.findall(rf"^b2c_rotator_{name}_total{{(.*)}} (\S+)$", metrics.render("")[0].decode(), re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def failed(tenant: str, kind: FailureKind) -> Looked:
    """A look at the keyset of *tenant* that failed."""
    observation = Observation(tenant=tenant, tenant_id=tenant_id(tenant), policy=POLICY, now=T0)
    outcome = Failed(observation=observation, failure=Failure(kind=kind, message="it failed"))
    return Looked(outcome=outcome, is_preliminary=False, failures=1)


def test_tokens_are_counted_by_tenant(metrics: Metrics) -> None:
    """The counter is at 0 for each tenant before the first request; the one without tenants counts all."""
    assert set(samples(metrics, "tenant_token_requests").values()) == {0}
    metrics.on_event(TokenRequested(tenant="contoso", is_granted=False))
    metrics.on_event(TokenRequested(tenant="fabrikam", is_granted=True))
    assert samples(metrics, "tenant_token_requests") == {
        'outcome="granted",tenant="contoso"': 0,
        'outcome="failed",tenant="contoso"': 1,
        'outcome="granted",tenant="fabrikam"': 1,
        'outcome="failed",tenant="fabrikam"': 0,
    }
    assert samples(metrics, "token_requests") == {'outcome="granted"': 1, 'outcome="failed"': 1}


def test_failures_are_counted_by_tenant(metrics: Metrics) -> None:
    """A series begins with the first failure; the counter without tenants has all reasons from the start."""
    assert samples(metrics, "tenant_failures") == {}
    for tenant in ("contoso", "contoso", "fabrikam"):
        metrics.on_event(failed(tenant, FailureKind.AUTH))
    metrics.on_event(failed("fabrikam", FailureKind.NETWORK))
    assert samples(metrics, "tenant_failures") == {
        'reason="auth",tenant="contoso"': 2,
        'reason="auth",tenant="fabrikam"': 1,
        'reason="network",tenant="fabrikam"': 1,
    }
    assert samples(metrics, "failures")['reason="auth"'] == 3


def test_tenant_that_left_the_configuration_has_no_counters(metrics: Metrics, store: StatusStore) -> None:
    """Its series are removed, and an answer that comes after that brings none of them back."""
    metrics.on_event(failed("fabrikam", FailureKind.AUTH))
    store.configure(tenants("contoso"))
    metrics.follow_store()
    metrics.on_event(failed("fabrikam", FailureKind.AUTH))
    metrics.on_event(TokenRequested(tenant="fabrikam", is_granted=True))
    assert samples(metrics, "tenant_failures") == {}
    assert {labels.partition("tenant=")[2] for labels in samples(metrics, "tenant_token_requests")} == {'"contoso"'}
    assert samples(metrics, "failures")['reason="auth"'] == 2
    assert samples(metrics, "token_requests")['outcome="granted"'] == 1


def test_changes_by_others_are_counted(metrics: Metrics, store: StatusStore) -> None:
    """By kind, for keysets that are configured; those of a keyset that left the configuration are gone."""
    change = Change(kind=ChangeKind.KEY_ADDED, seen=T0, kid="k")
    for tenant in ("contoso", "unknown"):
        metrics.on_event(KeysetChanged(tenant=tenant, keyset=POLICY.keyset_id, changes=(change, change)))
    found = samples(metrics, "keyset_changes")
    assert list(found.values()) == [2.0]
    (labels,) = found
    assert 'change="key_added"' in labels
    assert 'tenant="contoso"' in labels
    store.configure(tenants("fabrikam"))
    metrics.follow_store()
    assert samples(metrics, "keyset_changes") == {}
