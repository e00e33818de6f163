"""
All metrics. Only this module and those that it uses import prometheus-client.

Counters count events. The series of the keysets are computed from the status store at each
scrape, so that a keyset that is not configured any more, or was not seen for a long time,
has no series that looks current.

Instants are exported, never spans: the query subtracts. An unknown value is absent,
never 0. Labels are tenant and keyset, never a kid, a URL or a message.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from rotator.core.drift import ChangeKind
from rotator.core.errors import FailureKind
from rotator.core.events import (
    CredentialRead,
    Event,
    KeysetChanged,
    Looked,
    RequestFinished,
    RequestRetried,
    TokenRequested,
)
from rotator.core.outcome import Failed, Held, Outcome, Planned, Rotated
from rotator.core.shard import WHOLE, Shard
from rotator.core.status import KeysetSeries
from rotator.edges.exposition_formats import understood
from rotator.edges.instruments import OPERATIONS, PREFIX, TOKENS, Instruments
from rotator.edges.process_metrics import ProcessMetrics
from rotator.edges.proof_metrics import ProofMetrics
from rotator.edges.rotation_counts import RotationCounts
from rotator.edges.series import keyset_series
from rotator.shell.status_store import StatusStore

Registry = CollectorRegistry
"""The registry of the daemon's metrics."""

STALE = 2.5  # check intervals after which a keyset counts as not seen
END = b"# EOF\n"  # of an exposition in OpenMetrics


class Metrics:
    """All metrics of a daemon."""

    def __init__(
        self, registry: Registry, store: StatusStore, clock: Callable[[], datetime], shard: Shard = WHOLE
    ) -> None:
        """The series of the keysets are read from *store*; `configure` must be called before the first scrape."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._store = store
        self._clock = clock
        self._naming = threading.Lock()  # guards which keysets have series: a reload may come during looks
        self._rotations = RotationCounts()
        self._tenants: set[str] = set()
        self._expiries: dict[str, datetime | None] = {}
        self._stale = timedelta.max
        self._shown = KeysetSeries.ALL
        self.registry = registry
        self._instruments = Instruments(registry)
        self._instruments.show_shard(shard)
        self.process = ProcessMetrics(self._instruments, clock)
        self._proof = ProofMetrics(registry, PREFIX)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)

    def configure(self, check_interval: timedelta, *, dry_run: bool, keysets: KeysetSeries = KeysetSeries.ALL) -> None:
        """
        Use another configuration; call it after the status store has got it.

        keysets: which keysets have series
        """
        self._shown = keysets
        self._instruments.check_interval.set(check_interval.total_seconds())
        self._instruments.dry_run.set(dry_run)
        self._stale = check_interval * STALE
        self.follow_store()
        self.process.accepted()

    def follow_store(self) -> None:
        """Create the counters of keysets that are new in the status store, and remove those of keysets that left it."""
        with self._naming:
            configured = self._store.statuses().keys()
            for tenant, keyset in self._rotations.follow(configured):
                for change in ChangeKind:
                    self._instruments.changes.remove(tenant, keyset, change.value)
            self._follow_tenants({tenant for tenant, _ in configured})
            self._proof.follow(frozenset(self._tenants))
            for tenant in tuple(self._expiries):
                self._show_expiry(tenant)

    def _follow_tenants(self, tenants: set[str]) -> None:
        """
        Create the counters of *tenants*, and remove those of other tenants.

        A counter of failures is created by the first failure, since one for each tenant and kind would be too many.
        """
        has, gone = self._instruments, self._tenants - tenants
        for tenant in tenants - self._tenants:
            for outcome in TOKENS:
                has.tenant_tokens.labels(tenant, outcome)
        for tenant in gone:
            has.skew.remove(tenant)
            for outcome in TOKENS:
                has.tenant_tokens.remove(tenant, outcome)
            for kind in FailureKind:
                has.tenant_failures.remove(tenant, kind.value)
        self._tenants = tenants

    def _show_expiry(self, tenant: str) -> None:
        expires = self._expiries[tenant] if tenant in self._tenants else None
        if expires is None:
            self._instruments.credentials.remove(tenant)
        else:
            self._instruments.credentials.labels(tenant).set(expires.timestamp())

    def set_leader_probe(self, is_leading: Callable[[], bool]) -> None:
        """Use *is_leading* for the metric `leader`; called if leader election is on."""
        self._instruments.leader.set_function(is_leading)

    def set_dropped_lines(self, dropped: Callable[[], int]) -> None:
        """Use *dropped*, which returns the number of dropped log lines, for its metric."""
        self._instruments.dropped_lines.follow(dropped)

    def on_event(self, event: Event) -> None:
        """Update the metrics for *event*."""
        has = self._instruments
        match event:
            case Looked(outcome=outcome):
                self._looked(outcome)
            case KeysetChanged():
                self._changed(event)
            case RequestFinished():
                self._request(event)
            case RequestRetried(kind=kind):
                has.retries.labels(kind.value).inc()
            case TokenRequested():
                self._token(event)
            case CredentialRead(tenant=tenant, expires=expires):
                with self._naming:
                    self._expiries[tenant] = expires
                    self._show_expiry(tenant)
            case _:
                self.process.on_event(event)
                self._proof.on_event(event)

    def _looked(self, outcome: Outcome) -> None:
        """Count the outcome of a look, unless its keyset is not configured any more."""
        has, labels = self._instruments, outcome.observation.name
        with self._naming:
            match outcome:
                case Rotated():
                    self._rotations.add(labels, "rotated")
                case Failed(failure=failure, spec=spec):
                    has.failures.labels(failure.kind.value).inc()
                    if outcome.observation.tenant in self._tenants:
                        has.tenant_failures.labels(outcome.observation.tenant, failure.kind.value).inc()
                    if spec is not None:
                        self._rotations.add(labels, "failed")
                case Held() | Planned():
                    pass

    def _changed(self, event: KeysetChanged) -> None:
        """Count changes by others, unless the keyset is not configured any more."""
        with self._naming:
            if (event.tenant, event.keyset) in self._rotations:
                for change in event.changes:
                    self._instruments.changes.labels(event.tenant, event.keyset, change.kind.value).inc()

    def _request(self, event: RequestFinished) -> None:
        """Count a request, unless its tenant is not configured any more."""
        has, exchange = self._instruments, event.exchange
        with self._naming:
            if exchange.skew is not None and event.tenant in self._tenants:
                has.skew.labels(event.tenant).set(round(exchange.skew, 1))
        if exchange.operation not in OPERATIONS:
            return
        code = "error" if exchange.status is None else str(exchange.status)
        has.requests.labels(exchange.operation, code).inc()
        exemplar = {"client_request_id": exchange.client_request_id}
        has.request_seconds.labels(exchange.operation).observe(exchange.seconds, exemplar)

    def _token(self, event: TokenRequested) -> None:
        """Count a request for a token, unless its tenant is not configured any more."""
        outcome = "granted" if event.is_granted else "failed"
        self._instruments.tokens.labels(outcome).inc()
        with self._naming:
            if event.tenant in self._tenants:
                self._instruments.tenant_tokens.labels(event.tenant, outcome).inc()

    def render(self, accept: str) -> tuple[bytes, str]:
        """The exposition that an Accept header asks for, and its content type."""
        encode, content_type = choose_encoder(understood(accept))
        # Failures are counted before rotations, and read after them: so each failed rotation has its failure.
        keysets = self._keysets(is_openmetrics="openmetrics" in content_type)
        page = encode(self.registry)
        begin = page.removesuffix(END)
        return b"".join((begin, keysets, page[len(begin) :])), content_type

    def _keysets(self, *, is_openmetrics: bool) -> bytes:
        if self._shown is KeysetSeries.NONE:
            return b""
        entries, now = self._store.statuses(), self._clock()
        if self._shown is KeysetSeries.DUE:
            entries = {name: each for name, each in entries.items() if each.needs_attention(now, self._stale)}
        with self._naming:
            rotations = "".join(self._rotations.lines(PREFIX, entries.keys(), is_openmetrics=is_openmetrics))
        series = keyset_series(PREFIX, entries, now, self._stale, self._store.inventories())
        return "".join((rotations, *series)).encode()
