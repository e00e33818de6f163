"""
Every metric. The only door to prometheus-client.

Counters are told what happened; the series of the keysets are read from the
store when somebody scrapes, so that a keyset that is no longer configured, or
was not seen for long, leaves nothing behind that looks like news.

Instants are exported, never spans: the query subtracts. What is unknown is
absent, never 0. Labels are tenant and keyset, never a kid, a URL or a message.
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
    ConfigRejected,
    ConfigReloaded,
    CredentialRead,
    Event,
    JobFailed,
    JobMissed,
    KeysetChanged,
    Looked,
    RequestFinished,
    RequestRetried,
    SweepFinished,
    TokenRequested,
)
from rotator.core.lease import Acquired, LeaseRequestFailed, Renewed
from rotator.core.outcome import Failed, Held, Outcome, Planned, Rotated
from rotator.core.shard import WHOLE, Shard
from rotator.core.status import KeysetSeries
from rotator.edges.instruments import OPERATIONS, PREFIX, TOKENS, Instruments, SweepOutcome
from rotator.edges.proof_metrics import ProofMetrics
from rotator.edges.rotation_counts import RotationCounts
from rotator.edges.series import keyset_series
from rotator.shell.status_store import StatusStore

Registry = CollectorRegistry
"""What holds the metrics of a daemon."""

STALE = 2.5  # check intervals after which a keyset counts as not seen
FORMATS = {"application/openmetrics-text": ("", "0.0.1", "1.0.0"), "text/plain": ("", "0.0.4", "1.0.0")}
"""The versions of each format that an Accept header may name; a request for anything else gets `text/plain`."""
END = b"# EOF\n"  # of an exposition in OpenMetrics
SWEEP = "sweep"
"""The job whose failures are counted as sweeps."""


class Metrics:
    """All metrics of a daemon."""

    def __init__(
        self, registry: Registry, store: StatusStore, clock: Callable[[], datetime], shard: Shard = WHOLE
    ) -> None:
        """The series of the keysets are read from *store*; `configure` must be called before the first scrape."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._store = store
        self._clock = clock
        self._naming = threading.Lock()  # of who has series: a configuration may come while tenants are looked at
        self._rotations = RotationCounts()
        self._tenants: set[str] = set()
        self._expiries: dict[str, datetime | None] = {}
        self._stale = timedelta.max
        self._shown = KeysetSeries.ALL
        self.registry = registry
        self._instruments = Instruments(registry)
        self._instruments.show_shard(shard)
        self._proof = ProofMetrics(registry, PREFIX)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)

    def configure(self, check_interval: timedelta, *, dry_run: bool, keysets: KeysetSeries = KeysetSeries.ALL) -> None:
        """Take another configuration, after the store did; *keysets*: those that have series."""
        self._shown = keysets
        self._instruments.check_interval.set(check_interval.total_seconds())
        self._instruments.dry_run.set(dry_run)
        self._stale = check_interval * STALE
        self.follow_store()
        self._instruments.reload_successful.set(1)
        self._instruments.reload_success.set(self._clock().timestamp())

    def follow_store(self) -> None:
        """Have the counters of the keysets that are on the store, and of no other."""
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
        Have the counters of *tenants*; those of other tenants are removed.

        A counter of failures begins with the first failure: a series for each tenant and kind would be many.
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
        """There is an election: *is_leading* tells whether this process leads."""
        self._instruments.leader.set_function(is_leading)

    def set_dropped_lines(self, dropped: Callable[[], int]) -> None:
        """Lines are logged by a thread: *dropped* tells how many were lost."""
        self._instruments.dropped_lines.follow(dropped)

    def on_event(self, event: Event) -> None:
        """Count *event*, or show what it says."""
        has = self._instruments
        match event:
            case Looked(outcome=outcome):
                self._looked(outcome)
            case KeysetChanged():
                self._changed(event)
            case SweepFinished():
                self._swept(event)
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
                self._process(event)

    def rejected(self) -> None:
        """Count that the configuration could not be read, for a bug of ours."""
        self._instruments.reload_successful.set(0)
        self._instruments.reloads.labels("rejected").inc()

    def _process(self, event: Event) -> None:
        """Count what happened to the program as such."""
        has = self._instruments
        match event:
            case JobFailed(job=job):
                has.failures.labels(FailureKind.INTERNAL).inc()
                if job == SWEEP:
                    has.sweeps.labels(SweepOutcome.RAISED).inc()
            case JobMissed(job=job) if job == SWEEP:
                has.sweeps.labels(SweepOutcome.MISSED).inc()
            case ConfigReloaded() | ConfigRejected():
                is_accepted = isinstance(event, ConfigReloaded)
                has.reload_successful.set(is_accepted)
                has.reloads.labels("accepted" if is_accepted else "rejected").inc()
            case _:
                self._election(event)

    def _election(self, event: Event) -> None:
        has = self._instruments
        match event:
            case Acquired():
                has.transitions.inc()
                has.last_renew.set(self._clock().timestamp())
            case Renewed():
                has.last_renew.set(self._clock().timestamp())
            case LeaseRequestFailed():
                has.renew_failures.inc()
            case _:
                self._proof.on_event(event)

    def forget_sweeps(self) -> None:
        """Have no series of the last sweep: this process has stopped leading, and it would look like news."""
        self._instruments.last_sweep.clear()
        self._instruments.last_success.clear()

    def _looked(self, outcome: Outcome) -> None:
        """Count what came of one look; that of a keyset that has left the configuration meanwhile leaves no series."""
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
        """Count changes by others; a keyset that has left the configuration meanwhile leaves no series."""
        with self._naming:
            if (event.tenant, event.keyset) in self._rotations:
                for change in event.changes:
                    self._instruments.changes.labels(event.tenant, event.keyset, change.kind.value).inc()

    def _swept(self, event: SweepFinished) -> None:
        has = self._instruments
        is_failed = event.late > 0 or any(isinstance(outcome, Failed) for outcome in event.outcomes)
        now = self._clock().timestamp()
        has.sweep_seconds.observe(event.seconds)
        has.last_sweep.set(now)
        has.sweeps.labels(SweepOutcome.FAILED if is_failed else SweepOutcome.SUCCEEDED).inc()
        if not is_failed:
            has.last_success.set(now)

    def _request(self, event: RequestFinished) -> None:
        """Count a request; that of a tenant that has left the configuration meanwhile leaves no series."""
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
        """Count a request for a token; a tenant that has left the configuration meanwhile gets no series."""
        outcome = "granted" if event.is_granted else "failed"
        self._instruments.tokens.labels(outcome).inc()
        with self._naming:
            if event.tenant in self._tenants:
                self._instruments.tenant_tokens.labels(event.tenant, outcome).inc()

    def render(self, accept: str) -> tuple[bytes, str]:
        """The exposition that an Accept header asks for, and its content type."""
        encode, content_type = choose_encoder(_understood(accept))
        page = encode(self.registry)
        begin = page.removesuffix(END)
        end = page[len(begin) :]
        return b"".join((begin, self._keysets(is_openmetrics=bool(end)), end)), content_type

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


def _understood(accept: str) -> str:
    """
    What *accept* names that this program can produce.

    prometheus-client parses any version that is not one (an exception), and copies it into the content type.
    """
    kept = []
    for each in accept.split(","):
        media_type, *parameters = (part.strip() for part in each.split(";"))
        version = next((part.removeprefix("version=") for part in parameters if part.startswith("version=")), "")
        if version in FORMATS.get(media_type, ()):
            kept.append(";".join((media_type, *parameters)))
    return ",".join(kept)
