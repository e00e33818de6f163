"""The counters and histograms of probes, updated by events. They are removed with their tenant."""

import threading
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rotator.core.events import Event
from rotator.core.proof_events import CanaryCredentialRead, KeyPublished, KeySigning, Probed

FETCHES = ("succeeded", "failed")
DELAYS = (60, 300, 600, 1200, 1800, 2700, 3600, 7200, 21600, 86400)
"""Upper bounds in seconds."""


class ProofMetrics:
    """The metrics of probes. A tenant that is not probed has no series."""

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        """Register the metrics."""
        self._lock = threading.Lock()  # guards which tenants have series: a reload may come during a probe
        self._tenants: frozenset[str] = frozenset()
        self._probed: set[str] = set()
        self._in_a_row: dict[str, dict[str, int]] = {}  # failures, by tenant and policy
        self._canaries: dict[str, datetime | None] = {}
        self._fetches = Counter(
            f"{prefix}jwks_fetches",
            "Number of reads of the tenant's JWKS, by outcome.",
            ("tenant", "outcome"),
            registry=registry,
        )
        self._tokens = Counter(
            f"{prefix}canary_tokens",
            "Number of requests for a token by the canary application, by outcome.",
            ("tenant", "outcome"),
            registry=registry,
        )
        self._failures = Gauge(
            f"{prefix}policy_jwks_consecutive_failures",
            "Number of reads of the policy's JWKS that failed in a row.",
            ("tenant", "policy"),
            registry=registry,
        )
        self._expiries = Gauge(
            f"{prefix}canary_credential_expiration_timestamp_seconds",
            "Unix time in seconds at which the credential of the canary application expires.",
            ("tenant",),
            registry=registry,
        )
        publication = "Seconds from the generation of a key until every policy lists it."
        self._publication = Histogram(
            f"{prefix}publication_delay_seconds", publication, buckets=DELAYS, registry=registry
        )
        activation = "Seconds from the nbf of a key until it is confirmed to be in use."
        self._activation = Histogram(f"{prefix}activation_delay_seconds", activation, buckets=DELAYS, registry=registry)

    def follow(self, tenants: frozenset[str]) -> None:
        """Create the series of *tenants*, and remove those of other tenants."""
        with self._lock:
            self._tenants = tenants
            for tenant in self._probed - tenants:
                for outcome in FETCHES:
                    self._fetches.remove(tenant, outcome)
                    self._tokens.remove(tenant, outcome)
                for policy in self._in_a_row.pop(tenant, {}):
                    self._failures.remove(tenant, policy)
            self._probed &= tenants
            for tenant, expires in self._canaries.items():
                self._show_expiry(tenant, expires)

    def on_event(self, event: Event) -> None:
        """Update the metrics for *event*, if it is an event of a probe."""
        match event:
            case CanaryCredentialRead(tenant=tenant, expires=expires):
                with self._lock:
                    self._canaries[tenant] = expires
                    self._show_expiry(tenant, expires)
            case Probed():
                with self._lock:
                    if event.tenant in self._tenants:
                        self._count(event)
            case KeyPublished(delay=delay) if delay is not None:
                self._publication.observe(delay.total_seconds())
            case KeySigning(delay=delay):
                self._activation.observe(delay.total_seconds())
            case _:
                pass

    def _count(self, event: Probed) -> None:
        tenant, probe = event.tenant, event.probe
        if tenant not in self._probed:
            self._probed.add(tenant)
            for outcome in FETCHES:
                self._fetches.labels(tenant, outcome)
                self._tokens.labels(tenant, outcome)
        self._fetches.labels(tenant, "succeeded").inc(len(probe.listed))
        self._fetches.labels(tenant, "failed").inc(len(probe.failures))
        self._tokens.labels(tenant, "succeeded").inc(probe.token is not None)
        self._tokens.labels(tenant, "failed").inc(probe.token_failure is not None)
        before = self._in_a_row.get(tenant, {})
        failing = {policy: before.get(policy, 0) + 1 for policy in probe.failures}
        self._in_a_row[tenant] = dict.fromkeys(probe.listed, 0) | failing
        for policy in before.keys() - self._in_a_row[tenant].keys():
            self._failures.remove(tenant, policy)
        for policy, number in self._in_a_row[tenant].items():
            self._failures.labels(tenant, policy).set(number)

    def _show_expiry(self, tenant: str, expires: datetime | None) -> None:
        if expires is None or tenant not in self._tenants:
            self._expiries.remove(tenant)
        else:
            self._expiries.labels(tenant).set(expires.timestamp())
