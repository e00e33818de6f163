"""
The instruments: every metric except the series of the keysets, with name, help and labels.

Counters whose labels are known exist from the start with the value 0, so that `increase()` sees the first change.
"""

import platform
from collections.abc import Callable, Iterator
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from rotator import __version__
from rotator.core.errors import FailureKind
from rotator.core.shard import Shard

PREFIX = "b2c_rotator_"

OPERATIONS = ("list_keysets", "get_keyset", "create_keyset", "generate_key", "enable_key")
TOKENS = ("granted", "failed")
CREATED = "create_keyset"  # answered with 201; the other operations with 200
FAILED_CODES = ("401", "403", "429", "500", "503", "error")
"""The usual codes of failures; `error`: no answer. Their series exist from the start with the value 0."""


class SweepOutcome(StrEnum):
    """The outcome of a sweep."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # at least one keyset failed, or a tenant took too long
    RAISED = "raised"  # an unexpected exception ended it
    MISSED = "missed"  # it did not begin, because the sweep before it still ran


class Instruments:
    """All instruments of a daemon, registered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register all instruments with their first values."""
        self._registry = registry
        self._configuration()
        self._outcomes()
        self._requests()
        self._election()
        self._process()

    def _configuration(self) -> None:
        info = self._gauge(
            "build_info", "The versions of rotator and Python, in labels; always 1.", "version", "python_version"
        )
        info.labels(__version__, platform.python_version()).set(1)
        self._shard = self._gauge(
            "shard_info", "The share of the tenants of this process, in labels; always 1.", "index", "total"
        )
        self.dry_run = self._gauge("dry_run", "1 if rotator never writes, even if a key is due; otherwise 0.")
        self.check_interval = self._gauge(
            "check_interval_seconds", "Seconds from one look at every keyset to the next, as configured."
        )
        self.reload_successful = self._gauge(
            "config_last_reload_successful", "1 if the last read of the configuration was successful; otherwise 0."
        )
        self.reload_success = self._instant(
            "config_last_reload_success", "Unix time in seconds at which the configuration in force was read."
        )
        self.reloads = self._counter(
            "config_reloads", "Number of times that the configuration was read again, by outcome.", "outcome"
        )
        for outcome in ("accepted", "rejected"):
            self.reloads.labels(outcome)

    def show_shard(self, shard: Shard) -> None:
        """Have the series of *shard*."""
        self._shard.labels(str(shard.index), str(shard.total)).set(1)

    def _outcomes(self) -> None:
        self.failures = self._counter(
            "failures", "Number of looks and rotations that failed, by kind of failure.", "reason"
        )
        for kind in FailureKind:
            self.failures.labels(kind.value)
        self.changes = self._counter(
            "keyset_changes",
            "Number of changes of a keyset by others, seen between two looks.",
            "tenant",
            "keyset",
            "change",
        )
        self.tenant_failures = self._counter(
            "tenant_failures",
            "Number of looks and rotations of a tenant that failed, by kind of failure.",
            "tenant",
            "reason",
        )
        self.sweeps = self._counter("sweeps", "Number of sweeps (one look at every keyset), by outcome.", "outcome")
        for swept in SweepOutcome:
            self.sweeps.labels(swept.value)
        self.sweep_seconds = self._histogram(
            "sweep_duration_seconds", "Seconds that a sweep takes.", (0.1, 0.5, 1, 5, 15, 60, 300)
        )
        self.last_sweep = self._instant("last_sweep", "Unix time in seconds at which the last sweep ended.")
        self.last_success = self._instant(
            "last_success", "Unix time in seconds at which the last sweep without a failure ended."
        )

    def _requests(self) -> None:
        self.requests = self._counter(
            "graph_requests", "Number of requests to Graph, by operation and HTTP status.", "operation", "code"
        )
        self.request_seconds = self._histogram(
            "graph_request_duration_seconds",
            "Seconds that Graph takes to answer, by operation.",
            (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            "operation",
        )
        for operation in OPERATIONS:
            for code in ("201" if operation == CREATED else "200", *FAILED_CODES):
                self.requests.labels(operation, code)
            self.request_seconds.labels(operation)
        self.requests.labels("enable_key", "204")
        self.retries = self._counter(
            "graph_retries", "Number of requests to Graph that were sent again, by kind of failure.", "reason"
        )
        for kind in (FailureKind.THROTTLED, FailureKind.NETWORK, FailureKind.TIMEOUT, FailureKind.SERVICE):
            self.retries.labels(kind.value)
        self.tokens = self._counter("token_requests", "Number of requests for an access token, by outcome.", "outcome")
        for outcome in TOKENS:
            self.tokens.labels(outcome)
        self.tenant_tokens = self._counter(
            "tenant_token_requests",
            "Number of requests for an access token of a tenant, by outcome.",
            "tenant",
            "outcome",
        )
        self.credentials = self._gauge(
            "credential_expiration_timestamp_seconds",
            "Unix time in seconds at which the certificate expires, or the client secret if its expiry is configured.",
            "tenant",
        )
        self.skew = self._gauge(
            "clock_skew_seconds",
            "Seconds that the local clock is ahead of the service's Date header; negative if it is behind.",
            "tenant",
        )

    def _election(self) -> None:
        self.leader = self._gauge("leader", "1 if this process leads, or if there is no leader election; otherwise 0.")
        self.leader.set(1)
        self.transitions = self._counter("leader_transitions", "Number of times that this process became the leader.")
        self.renew_failures = self._counter("lease_renew_failures", "Number of requests about the lease that failed.")
        self.last_renew = self._instant(
            "lease_last_renew", "Unix time in seconds at which this process last renewed the lease."
        )

    def _process(self) -> None:
        self.dropped_lines = _Followed(
            f"{PREFIX}log_lines_dropped", "Number of log lines that were dropped because they were not read in time."
        )
        self._registry.register(self.dropped_lines)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, text, labels, registry=self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(PREFIX + name, text, labels, buckets=buckets, registry=self._registry)

    def _instant(self, name: str, text: str) -> "_Instant":
        instant = _Instant(f"{PREFIX}{name}_timestamp_seconds", text)
        self._registry.register(instant)
        return instant


class _Instant(Collector):
    """A gauge for an instant. It is absent until it is set for the first time, because 0 would mean 1970."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self._value: float | None = None

    def set(self, value: float) -> None:
        self._value = value

    def clear(self) -> None:
        self._value = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(self._name, self._text, value=self._value)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(self._name, self._text)


class _Followed(Collector):
    """A counter whose value is computed elsewhere; 0 until `follow` is called."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self._count: Callable[[], int] = lambda: 0

    def follow(self, count: Callable[[], int]) -> None:
        self._count = count

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._text, value=self._count())

    def describe(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._text)
