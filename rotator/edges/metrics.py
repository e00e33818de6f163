"""
Every metric. The only door to prometheus-client.

Counters are told what happened; the series of the keysets are read from the
board when somebody scrapes, so that a keyset that is no longer configured, or
was not seen for long, leaves nothing behind that looks like news.

Instants are exported, never spans: the query subtracts. What is unknown is
absent, never 0. Labels are tenant and keyset, never a kid, a URL or a message.
"""

import platform
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from rotator import __version__
from rotator.core.errors import FailureKind
from rotator.core.exchange import Exchange
from rotator.core.outcome import Failed, Held, Outcome, Planned, Rotated
from rotator.edges.series import keyset_series
from rotator.shell.status_store import Board, Name

Registry = CollectorRegistry
"""What holds the metrics of a daemon."""

PREFIX = "b2c_rotator_"
STALE = 2.5  # check intervals after which a keyset counts as not seen
END = b"# EOF\n"  # of an exposition in OpenMetrics

ROTATIONS = ("rotated", "failed")
OPERATIONS = ("list_keysets", "get_keyset", "generate_key", "enable_key")
CODES = ("200", "401", "403", "429", "500", "503", "error")
"""What most requests are answered with, `error` where they are not: there at 0, so that the first one is a change."""


class SweepOutcome(StrEnum):
    """What came of a sweep."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # it ended, and at least one keyset failed, or a tenant took too long
    RAISED = "raised"  # a bug ended it
    MISSED = "missed"  # it did not begin, since the one before it still ran


class Metrics:
    """All metrics of a daemon."""

    def __init__(self, registry: Registry, board: Board, clock: Callable[[], datetime]) -> None:
        """The series of the keysets are read from *board*; `configure` must be called before the first scrape."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._board = board
        self._clock = clock
        self._naming = threading.Lock()  # of who has series: a configuration may come while tenants are looked at
        self._counted: set[Name] = set()
        self._tenants: set[str] = set()
        self._expiries: dict[str, datetime | None] = {}
        self._stale = timedelta.max
        self._registry = registry
        self._configuration()
        self._outcomes()
        self._requests()
        self._election()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)

    def configure(self, check_interval: timedelta, *, dry_run: bool) -> None:
        """Take another configuration, after the board did."""
        self._check_interval.set(check_interval.total_seconds())
        self._dry_run.set(dry_run)
        self._stale = check_interval * STALE
        self.follow_board()
        self._reload_successful.set(1)
        self._reload_success.set(self._clock().timestamp())

    def follow_board(self) -> None:
        """Have the counters of the keysets that are on the board, and of no other."""
        with self._naming:
            configured = self._board.entries().keys()
            for tenant, keyset in configured:
                for outcome in ROTATIONS:
                    self._rotations.labels(tenant, keyset, outcome)
            for tenant, keyset in self._counted - configured:
                for outcome in ROTATIONS:
                    self._rotations.remove(tenant, keyset, outcome)
            tenants = {tenant for tenant, _ in configured}
            gone, self._tenants = self._tenants - tenants, tenants
            self._counted = set(configured)
            for tenant in gone:
                self._skew.remove(tenant)
            for tenant in tuple(self._expiries):
                self._show_expiry(tenant)

    def _show_expiry(self, tenant: str) -> None:
        expires = self._expiries[tenant] if tenant in self._tenants else None
        if expires is None:
            self._credentials.remove(tenant)
        else:
            self._credentials.labels(tenant).set(expires.timestamp())

    def led_by(self, is_leading: Callable[[], bool]) -> None:
        """There is an election: *is_leading* tells whether this process leads."""
        self._leader.set_function(is_leading)

    def lead(self) -> None:
        """Count that this process became the leader."""
        self._transitions.inc()

    def renewed(self) -> None:
        """Take note that the lease was renewed."""
        self._last_renew.set(self._clock().timestamp())

    def renew_failed(self) -> None:
        """Count a request about the lease that failed."""
        self._renew_failures.inc()

    def follow(self) -> None:
        """Forget what only a leader knows, after the board did: it would look like news."""
        self.follow_board()
        self._last_sweep.clear()
        self._last_success.clear()

    def reloaded(self, *, accepted: bool) -> None:
        """Count that the configuration was read again."""
        self._reload_successful.set(accepted)
        self._reloads.labels("accepted" if accepted else "rejected").inc()

    def outcome(self, outcome: Outcome) -> None:
        """Count what came of one look; that of a keyset that has left the configuration meanwhile leaves no series."""
        labels = outcome.observation.name
        with self._naming:
            match outcome:
                case Rotated() if labels in self._counted:
                    self._rotations.labels(*labels, "rotated").inc()
                case Failed(failure=failure, spec=spec):
                    self._failures.labels(failure.kind.value).inc()
                    if spec is not None and labels in self._counted:
                        self._rotations.labels(*labels, "failed").inc()
                case Held() | Planned() | Rotated():
                    pass

    def swept(self, seconds: float, outcomes: Iterable[Outcome], *, late: int) -> None:
        """Count a sweep that has ended; *late* is how many tenants it did not wait for."""
        failed = late > 0 or any(isinstance(outcome, Failed) for outcome in outcomes)
        now = self._clock().timestamp()
        self._sweep_seconds.observe(seconds)
        self._last_sweep.set(now)
        if failed:
            self._sweeps.labels(SweepOutcome.FAILED).inc()
        else:
            self._sweeps.labels(SweepOutcome.SUCCEEDED).inc()
            self._last_success.set(now)

    def mishap(self, outcome: SweepOutcome) -> None:
        """Count a sweep that raised or was missed."""
        self._sweeps.labels(outcome).inc()
        if outcome is SweepOutcome.RAISED:
            self._failures.labels(FailureKind.INTERNAL).inc()

    def exchange(self, tenant: str, exchange: Exchange) -> None:
        """Count a request; that of a tenant that has left the configuration meanwhile leaves no series."""
        with self._naming:
            if exchange.skew is not None and tenant in self._tenants:
                self._skew.labels(tenant).set(round(exchange.skew, 1))
        if exchange.operation not in OPERATIONS:
            return
        code = "error" if exchange.status is None else str(exchange.status)
        self._requests_total.labels(exchange.operation, code).inc()
        exemplar = {"client_request_id": exchange.client_request_id}
        self._request_seconds.labels(exchange.operation).observe(exchange.seconds, exemplar)

    def retried(self, kind: FailureKind) -> None:
        """Count a request that is sent again."""
        self._retries.labels(kind.value).inc()

    def credential(self, tenant: str, expires: datetime | None) -> None:
        """Take note of when what we log in with expires; None: nobody knows."""
        with self._naming:
            self._expiries[tenant] = expires
            self._show_expiry(tenant)

    def token(self, *, granted: bool) -> None:
        """Count a request for a token."""
        self._tokens.labels("granted" if granted else "failed").inc()

    def render(self, accept: str) -> tuple[bytes, str]:
        """The exposition that an Accept header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        page = encode(self._registry)
        begin = page.removesuffix(END)
        return b"".join((begin, self._keysets(), page[len(begin) :])), content_type

    def _keysets(self) -> bytes:
        return "".join(keyset_series(PREFIX, self._board.entries(), self._clock(), self._stale)).encode()

    def _configuration(self) -> None:
        info = self._gauge("build_info", "The program that runs; always 1.", "version", "python_version")
        info.labels(__version__, platform.python_version()).set(1)
        self._dry_run = self._gauge("dry_run", "1 where the program never writes, whatever is due.")
        self._check_interval = self._gauge("check_interval_seconds", "How often every keyset is looked at.")
        self._reload_successful = self._gauge(
            "config_last_reload_successful", "1 where the configuration was last read without a fault."
        )
        self._reload_success = self._instant("config_last_reload_success", "When the configuration in force was read.")
        self._reloads = self._counter(
            "config_reloads", "How often the configuration was read again, by what came of it.", "outcome"
        )
        for outcome in ("accepted", "rejected"):
            self._reloads.labels(outcome)

    def _outcomes(self) -> None:
        self._rotations = self._counter(
            "rotations", "Keys asked for, by what came of it.", "tenant", "keyset", "outcome"
        )
        self._failures = self._counter("failures", "Looks and rotations that failed, by error.kind.", "reason")
        for kind in FailureKind:
            self._failures.labels(kind.value)
        self._sweeps = self._counter("sweeps", "Passes over all keysets, by what came of them.", "outcome")
        for swept in SweepOutcome:
            self._sweeps.labels(swept.value)
        self._sweep_seconds = self._histogram(
            "sweep_duration_seconds", "How long a pass over all keysets takes.", (0.1, 0.5, 1, 5, 15, 60, 300)
        )
        self._last_sweep = self._instant("last_sweep", "When the last sweep ended.")
        self._last_success = self._instant("last_success", "When the last sweep ended in which nothing failed.")

    def _requests(self) -> None:
        self._requests_total = self._counter(
            "graph_requests", "Requests to Graph, by HTTP status.", "operation", "code"
        )
        self._request_seconds = self._histogram(
            "graph_request_duration_seconds",
            "How long Graph takes to answer.",
            (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            "operation",
        )
        for operation in OPERATIONS:
            for code in CODES:
                self._requests_total.labels(operation, code)
            self._request_seconds.labels(operation)
        self._requests_total.labels("enable_key", "204")
        self._retries = self._counter(
            "graph_retries", "Requests to Graph that were sent again, by error.kind.", "reason"
        )
        for kind in (FailureKind.THROTTLED, FailureKind.NETWORK, FailureKind.TIMEOUT, FailureKind.SERVICE):
            self._retries.labels(kind.value)
        self._tokens = self._counter("token_requests", "Requests for an access token, by what came of them.", "outcome")
        for outcome in ("granted", "failed"):
            self._tokens.labels(outcome)
        self._credentials = self._gauge(
            "credential_expiration_timestamp_seconds",
            "When the certificate, or the client secret whose end is configured, expires.",
            "tenant",
        )
        self._skew = self._gauge(
            "clock_skew_seconds", "How far the local clock is ahead of the service's Date header.", "tenant"
        )

    def _election(self) -> None:
        self._leader = self._gauge("leader", "1 where this process is the one that works, or there is no election.")
        self._leader.set(1)
        self._transitions = self._counter("leader_transitions", "How often this process became the leader.")
        self._renew_failures = self._counter("lease_renew_failures", "Requests about the lease that failed.")
        self._last_renew = self._instant("lease_last_renew", "When this process last renewed the lease.")

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
    """A gauge that is absent until it is set for the first time: 0 would look like 1970."""

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
