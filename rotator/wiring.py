"""
The composition root: the one place where the rooms are put together.

All that is global to a process is made here, once, and handed down: clock, redaction, log,
event stream, gates. What a test or a simulation replaces comes in as an argument: the clock,
the transport of requests, and the stream of log lines. What belongs to a configuration (tenants,
with their HTTP clients and tokens) is made anew by `Program.tenants` for each, and goes with it.
"""

import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rotator.core.errors import ConfigError, FailureKind
from rotator.core.events import CredentialRead, Event, RequestFinished, RequestRetried, TokenRequested
from rotator.core.exchange import Exchange
from rotator.core.inventory import MAX_INVENTORY
from rotator.core.proof_events import CanaryCredentialRead
from rotator.core.stages import Timing
from rotator.core.tenant import TenantId
from rotator.edges import logs
from rotator.edges.answer_memory import AnswerMemory
from rotator.edges.config import Sources
from rotator.edges.configured_credential import credential_of
from rotator.edges.graph import GraphKeysets
from rotator.edges.http import Http, Transport, TransportFactory
from rotator.edges.log_events import EventLog
from rotator.edges.logs import Logger, LogStream, Redactor
from rotator.edges.process_settings import LogFormat
from rotator.edges.proxies import read_proxies
from rotator.edges.settings import Settings, TenantSettings
from rotator.edges.shared_transport import SharedTransport
from rotator.edges.sign_in import SignIn
from rotator.edges.tls import trust
from rotator.edges.tokens import Tokens
from rotator.edges.transport import transport as proxied_transport
from rotator.shell.clock import SystemClock
from rotator.shell.directories import Directories
from rotator.shell.gates import RunawayGate, SkewGate, also, guarded, not_stopping
from rotator.shell.stream import Stream
from rotator.shell.tenant import Tenant, Writing

STOP_TIMEOUT = 4.0  # seconds that a request may take that begins after the program was asked to stop


@dataclass(frozen=True, kw_only=True)
class Program:
    """
    What every command needs. It outlives configurations; `settings` are those of the start.

    redactor:  redacts everything that is printed or served, even where a service sends a secret back
        to us as a name or an id
    tell:      gives an event to every consumer
    writing:   the gates that every write goes through
    transport: makes what carries the requests to a tenant
    keysets:   the client of Graph; that of an emergency can do more
    memory:    what large answers may take at once, over all tenants
    """

    path: Path
    sources: Sources
    settings: Settings
    clock: SystemClock
    redactor: Redactor
    log: Logger
    stream: Stream
    writing: Writing
    transport: TransportFactory = proxied_transport
    jitter: Callable[[], float] = field(default=random.random)
    memory: AnswerMemory = field(default_factory=AnswerMemory)
    keysets: type[GraphKeysets] = GraphKeysets

    @property
    def tell(self) -> Callable[[Event], None]:
        """Gives an event to every consumer."""
        return self.stream.tell

    def tenants(self, settings: Settings) -> tuple[Tenant, ...]:
        """
        The tenants of a configuration, with one TLS context and one pool of connections; nothing is asked of them yet.

        Raises:
            ConfigError: `ca_file`, or a file of the environment in its place, cannot be used.

        """
        try:
            context = trust(None if settings.ca_file is None else str(settings.ca_file))
        except ConfigError as error:
            raise ConfigError(str(self.path), error.problems) from error
        carrier = SharedTransport(self.transport(context))
        directories = Directories({each.name: [keyset.id for keyset in each.keysets] for each in settings.tenants})
        return tuple(self._tenant(settings, tenant, carrier, directories) for tenant in settings.tenants)

    def _tenant(
        self, settings: Settings, tenant: TenantSettings, carrier: Transport, directories: Directories
    ) -> Tenant:
        name, clock, tell, tenant_id = tenant.name, self.clock, self.tell, identity(tenant)

        def timeout() -> float:
            return STOP_TIMEOUT if clock.is_stopping else settings.request_timeout.total_seconds()

        def on_exchange(exchange: Exchange) -> None:
            tell(RequestFinished(tenant=name, tenant_id=tenant_id, exchange=exchange))

        def on_retry(kind: FailureKind) -> None:
            tell(RequestRetried(kind=kind))

        http = Http(
            carrier,
            clock=clock,
            on_exchange=on_exchange,
            timeout=timeout,
            memory=self.memory,
            has_ca_file=settings.ca_file is not None,
        )
        tokens = Tokens(
            http,
            authority=f"{tenant.roots.login}/{tenant.tenant_id}",
            scope=f"{tenant.roots.graph}/.default",
            client_id=tenant.credential.client_id,
            credential=credential_of(tenant.credential),
            clock=clock,
            on_attempt=lambda granted: tell(TokenRequested(tenant=name, is_granted=granted)),
            on_secret=self.redactor.register,
            on_expiry=lambda expires: tell(CredentialRead(tenant=name, expires=expires)),
            on_directory=lambda directory: directories.note(name, directory),
        )
        keysets = self.keysets(tenant.roots.graph, http, tokens, clock=clock, jitter=self.jitter, on_retry=on_retry)
        policies = settings.policies(tenant)
        sign_in = self._sign_in(tenant, carrier, keysets, timeout)
        writing = also(directories, self.writing)
        return Tenant(
            name=name,
            id=tenant_id,
            policies=policies,
            keysets=keysets,
            writing=writing,
            sign_in=sign_in,
            max_others=MAX_INVENTORY if tenant.observe_others else 0,
        )

    def _sign_in(
        self, tenant: TenantSettings, carrier: Transport, keysets: GraphKeysets, timeout: Callable[[], float]
    ) -> SignIn | None:
        """The sign-in side of a tenant. It has a client of its own, so what its clock says stops no write."""
        settings, url = tenant.sign_in, tenant.sign_in_url
        if settings is None or url is None:
            return None
        http = Http(carrier, clock=self.clock, on_exchange=lambda _: None, timeout=timeout, memory=self.memory)
        canary, issuer = settings.canary, None
        if canary is not None:
            issuer = Tokens(
                http,
                authority=f"{url}/{tenant.tenant_id}/{settings.policies[0]}",
                scope=canary.scope,
                client_id=canary.client_id,
                credential=credential_of(canary),
                clock=self.clock,
                on_attempt=lambda _: None,
                on_secret=self.redactor.register,
                on_expiry=lambda expires: self.tell(CanaryCredentialRead(tenant=tenant.name, expires=expires)),
            )
        return SignIn(
            url,
            tenant.tenant_id,
            settings.policies,
            http,
            probe_interval=settings.probe_interval,
            clock=self.clock,
            directory=keysets,
            issuer=issuer,
        )


def wire(
    path: Path,
    *,
    text: bytes | None = None,
    revise: Callable[[Settings], Settings] = lambda settings: settings,
    for_table: bool = False,
    clock: SystemClock | None = None,
    stream: LogStream = sys.stderr,
    transport: TransportFactory = proxied_transport,
    keysets: type[GraphKeysets] = GraphKeysets,
) -> Program:
    """
    Read the configuration and put everything together; nothing runs, and no request is made.

    text:      the configuration, where it is not in a file; *path* is what messages call it then
    revise:    changes each configuration that is read
    for_table: a person reads the log beside a table: lines are readable unless the configuration wants
        JSON, and outcomes are not logged, since the table has them
    stream:    where log lines go
    transport:        makes what carries requests, of a TLS context
    keysets:          the client of Graph

    Raises:
        ConfigError: the configuration is invalid.

    """
    sources = Sources(path, revise, text)
    settings = sources.load()
    clock = clock or SystemClock()
    redactor, events = Redactor(), Stream()
    for secret in read_proxies(os.environ).secrets:
        redactor.register(secret, permanent=True)
    is_read = for_table and settings.log.format is not LogFormat.JSON
    log = logs.logger(settings.log.level, LogFormat.CONSOLE if is_read else settings.log.format, redactor, stream)
    skew, runaway = SkewGate(events.tell), RunawayGate()
    events.add(EventLog(log, without_outcomes=is_read).on_event)
    events.add(skew.on_event)
    events.add(runaway.on_event)
    return Program(
        path=path,
        sources=sources,
        settings=settings,
        clock=clock,
        redactor=redactor,
        log=log,
        stream=events,
        writing=guarded((not_stopping(clock), skew, runaway)),
        transport=transport,
        keysets=keysets,
    )


def timing(settings: Settings) -> Timing:
    """How often keysets are looked at, as configured."""
    return Timing(check_interval=settings.check_interval, settle=settings.settle, dry_run=settings.dry_run)


def identity(tenant: TenantSettings) -> TenantId:
    """Which tenant a configuration means."""
    roots = tenant.roots
    return TenantId(roots.graph.lower(), roots.login.lower(), tenant.tenant_id.lower())
