"""What happened to the process as a whole, as its page shows it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from core.builders import tenant_id

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.core.events import ConfigRejected, ConfigReloaded, CredentialRead, Event, JobMissed, RequestFinished
from rotator.core.exchange import Exchange
from rotator.core.proof_events import CanaryCredentialRead
from rotator.service.process_store import ProcessStore, place
from rotator.views.process import RefusedConfig

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def store(*events: Event) -> ProcessStore:
    """Each event comes a minute after the one before it."""
    minutes = iter(range(100))
    found = ProcessStore(lambda: NOW + timedelta(minutes=next(minutes)), Path("rotator.yaml"))
    for event in events:
        found.on_event(event)
    return found


def rejected(message: str) -> ConfigRejected:
    return ConfigRejected(error=ConfigError("rotator.yaml", (ConfigProblem(path="a", message=message),)))


def finished(tenant: str, skew: float | None) -> RequestFinished:
    exchange = Exchange(operation="token", client_request_id="c", status=200, seconds=0.1, skew=skew)
    return RequestFinished(tenant=tenant, tenant_id=tenant_id(), exchange=exchange)


def test_refused_configuration_since_the_first_refusal() -> None:
    """What is wrong is what the last reading found; since when, what the first one did. A valid one ends it."""
    assert store().refused is None
    twice = store(rejected("is wrong"), rejected("is missing"))
    assert twice.refused == RefusedConfig(since=NOW, problems=("a: is missing",))
    assert store(rejected("is wrong"), ConfigReloaded(data={}), JobMissed(job="x")).refused is None


def test_expiries_of_the_tenants_that_are_configured() -> None:
    """The last reading of a credential counts, and one that nobody knows the end of has none."""
    read: list[Event] = [
        CredentialRead(tenant="a", expires=NOW),
        CredentialRead(tenant="b", expires=NOW),
        CredentialRead(tenant="b", expires=None),
        CredentialRead(tenant="gone", expires=NOW),
        CanaryCredentialRead(tenant="b", expires=NOW),  # not that of the tenant
    ]
    assert store(*read).expiries(["a", "b", "new"]) == {"a": NOW}


def test_skews_of_the_tenants_that_are_configured() -> None:
    """The last answer with a date counts."""
    found = store(finished("a", 70.0), finished("a", -1.5), finished("a", None), finished("gone", 3.0))
    assert found.skews(["a", "new"]) == {"a": -1.5}


def test_place_is_a_pod_in_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is that of the machine, which is that of the pod in a cluster."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    label, name = place()
    assert (label, bool(name)) == ("host", True)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert place() == ("pod", name)
