"""
The composition root: it creates the objects of all packages and connects them.

Objects that the whole process shares are created here once and passed down: clock, redactor, log,
event stream, gates. Tests and simulations can pass their own clock, transport and stream of log
lines. `Program.tenants` creates the objects that belong to one configuration: the tenants, with
their HTTP clients and tokens. A reload creates them again.
"""

import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
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
from rotator.edges.graph_requests import GraphRequests
from rotator.edges.http import Http, Transport, TransportFactory
from rotator.edges.log_events import EventLog
from rotator.edges.logs import Logger, LogStream
from rotator.edges.process_settings import LogFormat
from rotator.edges.proxies import read_proxies
from rotator.edges.redacted import RedactedKeysets, RedactedSignIn
from rotator.edges.redactor import Redactor
from rotator.edges.settings import Settings
from rotator.edges.shared_transport import SharedTransport
from rotator.edges.sign_in import SignIn
from rotator.edges.tenant_settings import TenantSettings
from rotator.edges.tls import trust
from rotator.edges.tokens import Tokens
from rotator.edges.transport import transport as proxied_transport
from rotator.shell.clock import SystemClock
from rotator.shell.directories import Directories, OneDirectory
from rotator.shell.gates import RunawayGate, SkewGate, also, guarded, not_stopping
from rotator.shell.stream import Stream
from rotator.shell.tenant import Tenant, Writing

STOP_TIMEOUT = 4.0  # seconds; the timeout of a request that begins after a request to stop


@dataclass(frozen=True, kw_only=True)
class Program:
    """
    The objects that every command needs. A reload does not replace them; `settings` are those of the start.

    redactor:  redacts everything that is printed or served, since a service may return a secret as a
        name or an id
    tell:      hands an event to every consumer
    writing:   the gates of every write
    transport: creates the transport of the requests to a tenant; None: a pool of connections, as configured
    keysets:   creates the client of Graph for a tenant; that of an emergency can do more
    memory:    limits the memory for large answers, over all tenants
    """

    path: Path
    sources: Sources
    settings: Settings
    clock: SystemClock
    redactor: Redactor
    log: Logger
    stream: Stream
    writing: Writing
    transport: TransportFactory | None = None
    jitter: Callable[[], float] = field(default=random.random)
    memory: AnswerMemory = field(default_factory=AnswerMemory)
    keysets: Callable[..., GraphKeysets] = GraphKeysets

    @property
    def tell(self) -> Callable[[Event], None]:
        """Hands an event to every consumer."""
        return self.stream.tell

    def tenants(self, settings: Settings) -> tuple[Tenant, ...]:
        """
        Create the tenants of a configuration, with one TLS context and one pool of connections; no request is made.

        Raises:
            ConfigError: `ca_file`, or the file that an environment variable names instead, cannot be used.

        """
        try:
            context = trust(None if settings.ca_file is None else str(settings.ca_file))
        except ConfigError as error:
            raise ConfigError(str(self.path), error.problems) from error
        make = self.transport or partial(proxied_transport, max_connections=settings.max_connections)
        carrier = SharedTransport(make(context))
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
        tokens = self._tokens(tenant, http, lambda directory: directories.note(name, directory))
        requests = GraphRequests(http, tokens, clock=clock, jitter=self.jitter, on_retry=on_retry)
        keysets = self.keysets(tenant.roots.graph, requests, clock=clock)
        sign_in = self._sign_in(tenant, carrier, keysets, timeout)
        return Tenant(
            name=name,
            id=tenant_id,
            policies=settings.policies(tenant),
            keysets=OneDirectory(RedactedKeysets(keysets, self.redactor.redact), directories, name),
            writing=also(directories, self.writing),
            sign_in=None if sign_in is None else RedactedSignIn(sign_in, self.redactor.redact),
            max_others=MAX_INVENTORY if tenant.observe_others else 0,
        )

    def _tokens(self, tenant: TenantSettings, http: Http, on_directory: Callable[[str], None]) -> Tokens:
        name, tell = tenant.name, self.tell
        return Tokens(
            http,
            authority=f"{tenant.roots.login}/{tenant.tenant_id}",
            scope=f"{tenant.roots.graph}/.default",
            client_id=tenant.credential.client_id,
            credential=credential_of(tenant.credential),
            clock=self.clock,
            on_attempt=lambda granted: tell(TokenRequested(tenant=name, is_granted=granted)),
            on_secret=self.redactor.register,
            on_expiry=lambda expires: tell(CredentialRead(tenant=name, expires=expires)),
            on_directory=on_directory,
        )

    def _sign_in(
        self, tenant: TenantSettings, carrier: Transport, keysets: GraphKeysets, timeout: Callable[[], float]
    ) -> SignIn | None:
        """The sign-in side of a tenant. It has its own client, so that its clock skew does not prevent writes."""
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
    transport: TransportFactory | None = None,
    keysets: Callable[..., GraphKeysets] = GraphKeysets,
) -> Program:
    """
    Read the configuration and create a `Program`; no thread is started, and no request is made.

    text:      the configuration, if it is not in a file; *path* is then only its name in messages
    revise:    changes each configuration that is read
    for_table: the command prints a table: log lines are for people unless the configuration asks for
        JSON, and outcomes are not logged, since the table shows them
    stream:    gets the log lines
    transport: creates the transport of requests from a TLS context; None: a pool of connections, as configured
    keysets:   creates the client of Graph for a tenant

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
    """The timing of looks, as configured."""
    return Timing(check_interval=settings.check_interval, settle=settings.settle, dry_run=settings.dry_run)


def identity(tenant: TenantSettings) -> TenantId:
    """The identity of a configured tenant."""
    roots = tenant.roots
    return TenantId(roots.graph.lower(), roots.login.lower(), tenant.tenant_id.lower())
