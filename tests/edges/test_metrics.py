"""The counters by tenant: what they count, and that they follow the configuration."""

import re
from datetime import timedelta

import pytest
from core.builders import DAY, POLICY, T0, key, tenant_id
from simulation.simulator import SimulatedClock, SimulatedTenant

from rotator.core.drift import Change, ChangeKind
from rotator.core.errors import Failure, FailureKind
from rotator.core.events import KeysetChanged, Looked, TokenRequested
from rotator.core.keyset import Key, Keyset
from rotator.core.look import judge
from rotator.core.outcome import Failed, Observation
from rotator.core.status import KeysetSeries
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


def looked(metrics: Metrics, store: StatusStore, tenant: str, *keys: Key) -> None:
    """A look at the keyset of *tenant*, which has *keys*."""
    observation = Observation(tenant=tenant, tenant_id=tenant_id(tenant), policy=POLICY, now=T0)
    outcome = judge(observation, Keyset(id=POLICY.keyset_id, keys=keys))
    for consumer in (store, metrics):
        consumer.on_event(Looked(outcome=outcome, is_preliminary=False, failures=0))


def tenants_with(metrics: Metrics, name: str) -> set[str]:
    """The tenants of which a keyset has that series."""
    return set(re.findall(rf'^b2c_rotator_{name}{{.*tenant="(\w+)".*}}', metrics.render("")[0].decode(), re.MULTILINE))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [(KeysetSeries.ALL, {"contoso", "fabrikam"}), (KeysetSeries.DUE, {"fabrikam"}), (KeysetSeries.NONE, set())],
)
def test_keysets_that_have_series(
    metrics: Metrics, store: StatusStore, shown: KeysetSeries, expected: set[str]
) -> None:
    """Of a keyset with a year of cover, and one within its window, those that the setting names have series."""
    metrics.configure(timedelta(hours=1), dry_run=False, keysets=shown)
    looked(metrics, store, "contoso", key("long", T0 - DAY, T0 + 365 * DAY))
    looked(metrics, store, "fabrikam", key("short", T0 - 80 * DAY, T0 + 5 * DAY))
    for name in ("keyset_info", "keyset_coverage_end_timestamp_seconds", "rotations_total"):
        assert tenants_with(metrics, name) == expected
    assert 'failures_total{reason="forbidden"} 0.0' in metrics.render("")[0].decode()


def test_a_keyset_that_failed_counts_as_due(metrics: Metrics, store: StatusStore) -> None:
    """One that was seen once and cannot be looked at any more has series."""
    metrics.configure(timedelta(hours=1), dry_run=False, keysets=KeysetSeries.DUE)
    looked(metrics, store, "contoso", key("long", T0 - DAY, T0 + 365 * DAY))
    looked(metrics, store, "fabrikam", key("long", T0 - DAY, T0 + 365 * DAY))
    assert tenants_with(metrics, "keyset_info") == set()
    store.on_event(failed("contoso", FailureKind.NETWORK))
    assert tenants_with(metrics, "keyset_info") == {"contoso"}
