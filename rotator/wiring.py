"""
The composition root: the one place where the edges are put together.

What outlives a configuration (clock, secrets, listeners, gates) is handed in; the
rest is made anew for each configuration, and goes with it.
"""

import random
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from ssl import SSLContext
from typing import TypeVarTuple

from rotator.core.errors import ConfigError, FailureKind, Fault
from rotator.core.exchange import Exchange
from rotator.core.outcome import Outcome
from rotator.edges import logs
from rotator.edges.config import Sources
from rotator.edges.graph import GraphKeysets
from rotator.edges.http import Http, trust
from rotator.edges.logs import Logger, Secrets
from rotator.edges.settings import CredentialSettings, Settings, TenantSettings
from rotator.edges.tokens import Certificate, ClientSecret, Credential, FederatedToken, Tokens
from rotator.shell.clock import SystemClock
from rotator.shell.gates import Gate, RunawayGate, SkewGate, first_refusal, not_stopping
from rotator.shell.reconcile import Tenant, sweep

STOP_TIMEOUT = 4.0  # seconds that a request may take which begins after we were asked to stop

Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, kw_only=True)
class Listeners:
    """Who is told of what happens; each list is filled while the program is wired together."""

    outcome: list[Callable[[Outcome], None]] = field(default_factory=list)
    exchange: list[Callable[[str, Exchange], None]] = field(default_factory=list)
    retried: list[Callable[[FailureKind], None]] = field(default_factory=list)
    token: list[Callable[[bool], None]] = field(default_factory=list)
    credential: list[Callable[[str, datetime | None], None]] = field(default_factory=list)

    def see(self, outcome: Outcome) -> None:
        """Tell everybody what came of a look."""
        _tell(self.outcome, outcome)


class Assembly:
    """Makes the tenants of a configuration."""

    def __init__(self, path: Path, clock: SystemClock, secrets: Secrets, listeners: Listeners, may_write: Gate) -> None:
        """*path* is the configuration's, for faults."""
        self._path = path
        self._clock = clock
        self._secrets = secrets
        self._listeners = listeners
        self._may_write = may_write

    def tenants(self, settings: Settings) -> tuple[Tenant, ...]:
        """
        The tenants, with one TLS context for all; nothing is asked of them yet.

        Raises:
            ConfigError: `ca_file` can't be used.

        """
        try:
            context = trust(None if settings.ca_file is None else str(settings.ca_file))
        except OSError as error:
            message = f"{settings.ca_file} is no PEM bundle that can be read: {error.strerror or error}"
            raise ConfigError(str(self._path), (Fault(path="ca_file", message=message),)) from error

        return tuple(self._tenant(settings, tenant, context) for tenant in settings.tenants)

    def _tenant(self, settings: Settings, tenant: TenantSettings, context: SSLContext) -> Tenant:
        listeners = self._listeners

        def timeout() -> float:
            return STOP_TIMEOUT if self._clock.is_stopping else settings.request_timeout.total_seconds()

        http = Http(
            context,
            timeout=timeout,
            clock=lambda: datetime.now(UTC),
            observe=lambda exchange: _tell(listeners.exchange, tenant.name, exchange),
        )
        tokens = Tokens(
            http,
            authority=f"{tenant.roots.login}/{tenant.tenant_id}",
            scope=f"{tenant.roots.graph}/.default",
            client_id=tenant.credential.client_id,
            credential=_credential(tenant.credential),
            observe=lambda granted: _tell(listeners.token, granted),
            learn=self._secrets.learn,
            expires=lambda expires: _tell(listeners.credential, tenant.name, expires),
        )
        keysets = GraphKeysets(
            tenant.roots.graph,
            http,
            tokens,
            sleep=self._clock.sleep,
            chance=random.random,
            retried=lambda kind: _tell(listeners.retried, kind),
        )
        return Tenant(
            name=tenant.name,
            place=f"{tenant.roots.graph}/{tenant.tenant_id}".lower(),
            policies=settings.policies(tenant),
            keysets=keysets,
            may_write=self._may_write,
        )


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """
    What every way of running needs; `tenants` are those of `settings`, which `sources` had.

    secrets: strikes out of everything that is printed or served what must not be told,
        even where a service sends it back to us as a name or an id
    """

    path: Path
    sources: Sources
    settings: Settings
    clock: SystemClock
    secrets: Secrets
    log: Logger
    listeners: Listeners
    assembly: Assembly
    tenants: tuple[Tenant, ...]


def wire(path: Path, *, table: bool) -> Runtime:
    """Everything wired together; with *table*, a person at a terminal is spared the lines that the table repeats."""
    sources = Sources(path)
    settings = sources.load()
    clock, secrets, listeners = SystemClock(), Secrets(), Listeners()
    log = logs.logger(settings.log.level, settings.log.format, secrets)
    logs.log_crashes(log)
    skew, runaway = SkewGate(lambda tenant, seconds: logs.log_skew(log, tenant, seconds)), RunawayGate()
    if not (table and sys.stderr.isatty()):
        listeners.outcome.append(lambda outcome: logs.log_outcome(log, outcome))
    listeners.outcome.append(runaway.note)
    listeners.exchange.append(lambda tenant, exchange: logs.log_exchange(log, tenant, exchange))
    listeners.exchange.append(skew.note)
    may_write = first_refusal((not_stopping(clock), skew, runaway))
    assembly = Assembly(path, clock, secrets, listeners, may_write)
    return Runtime(
        path=path,
        sources=sources,
        settings=settings,
        clock=clock,
        secrets=secrets,
        log=log,
        listeners=listeners,
        assembly=assembly,
        tenants=assembly.tenants(settings),
    )


def sweep_told(runtime: Runtime, visit: Callable[[Tenant], Iterable[Outcome]]) -> list[Outcome]:
    """*visit* every tenant, and tell each outcome as it comes."""

    def told(tenant: Tenant) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for outcome in visit(tenant):
            runtime.listeners.see(outcome)
            outcomes.append(outcome)
        return outcomes

    return sweep(runtime.tenants, told, runtime.settings.concurrency)


def _tell(listeners: Sequence[Callable[[*Ts], None]], *what: *Ts) -> None:
    """Tell each in turn; one that fails keeps no other from hearing of it."""
    with ExitStack() as stack:
        for listener in reversed(listeners):
            stack.callback(listener, *what)


def _credential(settings: CredentialSettings) -> Credential:
    if settings.certificate_file is not None:
        return Certificate(file=settings.certificate_file)
    if settings.federated_token_file is not None:
        return FederatedToken(file=settings.federated_token_file)
    day = settings.client_secret_expires
    expires = None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)
    return ClientSecret(file=settings.client_secret_file, variable=settings.client_secret_env, expires=expires)
