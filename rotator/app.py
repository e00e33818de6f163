"""
The composition root: wires the rooms together, and turns what came of it into output and exit codes.

All that is global to a process is made here, once, and handed down: clock, TLS
context, logger. What only a daemon needs is wired in `daemon`, which is imported
by the daemon alone, so that a dry run starts quickly.
"""

import contextlib
import json
import os
import queue
import random
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from rotator import report
from rotator.clock import SystemClock
from rotator.core.errors import ConfigError, FailureKind, Fault
from rotator.core.outcome import Exit, Outcome, Planned, exit_code
from rotator.core.rotation import Reason
from rotator.edges import config, logs
from rotator.edges.graph import GraphKeysets
from rotator.edges.http import Exchange, Http, trust
from rotator.edges.settings import CredentialSettings, Settings, TenantSettings
from rotator.edges.tokens import Certificate, ClientSecret, Credential, FederatedToken, Tokens
from rotator.reconcile import Tenant, look, reconcile, sweep

T = TypeVar("T")

STOP_TIMEOUT = 4.0  # seconds that a request may take which begins after we were asked to stop


@dataclass(frozen=True, kw_only=True)
class Listeners:
    """Who is told of what happens; each list is filled while the program is wired together."""

    outcome: list[Callable[[Outcome], None]] = field(default_factory=list)
    exchange: list[Callable[[str, Exchange], None]] = field(default_factory=list)
    retried: list[Callable[[FailureKind], None]] = field(default_factory=list)
    token: list[Callable[[bool], None]] = field(default_factory=list)

    def see(self, outcome: Outcome) -> None:
        """Tell everybody what came of a look."""
        for listener in self.outcome:
            listener(outcome)


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What every way of running needs."""

    path: Path
    settings: Settings
    clock: SystemClock
    secrets: logs.Secrets
    log: FilteringBoundLogger
    listeners: Listeners
    tenants: tuple[Tenant, ...]


def check_config(path: Path) -> int:
    """Say whether the configuration makes sense."""
    with _faults_told():
        settings = config.load(path)
        keysets = sum(len(tenant.keysets) for tenant in settings.tenants)
        print(f"{path}: nothing is wrong; {_count(len(settings.tenants), 'tenant')}, {_count(keysets, 'keyset')}")
    return Exit.OK


def print_schema() -> int:
    """Print the JSON Schema of the configuration."""
    print(json.dumps(config.schema(), indent=2))
    return Exit.OK


def dry_run(path: Path, *, as_json: bool, detailed: bool) -> int:
    """One sweep that only reads, and the plan."""
    with _faults_told(), _runtime(path, table=not as_json) as runtime:
        outcomes, now = _look_only(runtime)
        _print(report.table, outcomes, now, as_json=as_json, dry_run=True)
        return exit_code(outcomes, detailed=detailed)


def status(path: Path, *, as_json: bool) -> int:
    """One sweep that only reads, and every keyset with its keys."""
    with _faults_told(), _runtime(path, table=not as_json) as runtime:
        outcomes, now = _look_only(runtime)
        _print(report.status, outcomes, now, as_json=as_json, dry_run=True)
        return exit_code(outcomes, detailed=False)


def once(path: Path, *, as_json: bool) -> int:
    """One sweep that generates what is due, after a second look."""
    with _faults_told(), _runtime(path, table=not as_json) as runtime:
        _stop_on_signals(runtime.clock)
        now = runtime.clock.now()
        outcomes = _sweep(runtime, runtime.tenants, lambda tenant: look(tenant, now))
        if not runtime.settings.dry_run:
            outcomes = _second_looks(runtime, outcomes)
        _print(report.table, outcomes, now, as_json=as_json, dry_run=runtime.settings.dry_run)
        return exit_code(outcomes, detailed=False)


def daemon(path: Path) -> int:
    """Sweep after sweep, until SIGTERM or SIGINT."""
    with _faults_told(), _runtime(path, table=False) as runtime:
        from rotator.daemon import Daemon  # noqa: PLC0415 - scheduler, metrics and web are a daemon's alone

        _stop_on_signals(runtime.clock)
        return Daemon(runtime).run()


def _look_only(runtime: Runtime) -> tuple[list[Outcome], datetime]:
    # Nothing is under way that would have to be finished: Ctrl-C ends it on the spot.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    now = runtime.clock.now()
    return _sweep(runtime, runtime.tenants, lambda tenant: look(tenant, now)), now


def _second_looks(runtime: Runtime, outcomes: list[Outcome]) -> list[Outcome]:
    """*outcomes* with what became of those that were planned."""
    planned = {(each.sight.tenant, each.sight.policy.keyset_id) for each in outcomes if isinstance(each, Planned)}
    if not planned:
        return outcomes
    settle = runtime.settings.settle.total_seconds()
    runtime.log.info("sweep.settling", seconds=settle, keysets=len(planned))
    if not runtime.clock.sleep(settle):
        return outcomes

    def visit(tenant: Tenant) -> Iterator[Outcome]:
        for policy in tenant.policies:
            if (tenant.name, policy.keyset_id) in planned:
                yield reconcile(tenant, policy, runtime.clock, settle, random.random)

    seconds = _sweep(runtime, runtime.tenants, visit)
    became = {(each.sight.tenant, each.sight.policy.keyset_id): each for each in seconds}
    return [became.get((each.sight.tenant, each.sight.policy.keyset_id), each) for each in outcomes]


def _sweep(runtime: Runtime, tenants: Sequence[Tenant], visit: Callable[[Tenant], Iterable[Outcome]]) -> list[Outcome]:
    def told(tenant: Tenant) -> list[Outcome]:
        outcomes = []
        for outcome in visit(tenant):
            runtime.listeners.see(outcome)
            outcomes.append(outcome)
        return outcomes

    return sweep(tenants, told, runtime.settings.concurrency)


@contextlib.contextmanager
def _runtime(path: Path, *, table: bool) -> Iterator[Runtime]:
    """Everything wired together; with *table*, a person at a terminal is spared the lines that the table repeats."""
    settings = config.load(path)
    clock, secrets, listeners = SystemClock(), logs.Secrets(), Listeners()
    log = logs.logger(settings.log.level, settings.log.format, secrets)
    if not (table and sys.stderr.isatty()):
        listeners.outcome.append(lambda outcome: logs.log_outcome(log, outcome))
    listeners.exchange.append(lambda tenant, exchange: logs.log_exchange(log, tenant, exchange))
    try:
        context = trust(None if settings.ca_file is None else str(settings.ca_file))
    except OSError as error:
        fault = Fault(
            path="ca_file", message=f"{settings.ca_file} is no PEM bundle that can be read: {error.strerror or error}"
        )
        raise ConfigError(str(path), (fault,)) from error
    with contextlib.ExitStack() as stack:
        tenants = []
        for tenant in settings.tenants:
            http = Http(
                context,
                timeout=lambda: STOP_TIMEOUT if clock.is_stopping else settings.request_timeout.total_seconds(),
                clock=lambda: datetime.now(UTC),
                observe=_exchanged(listeners, tenant.name),
            )
            stack.callback(http.close)
            tenants.append(_tenant(settings, tenant, http, clock, listeners, secrets))
        yield Runtime(
            path=path,
            settings=settings,
            clock=clock,
            secrets=secrets,
            log=log,
            listeners=listeners,
            tenants=tuple(tenants),
        )


def _exchanged(listeners: Listeners, tenant: str) -> Callable[[Exchange], None]:
    def tell(exchange: Exchange) -> None:
        for listener in listeners.exchange:
            listener(tenant, exchange)

    return tell


def _tenant(
    settings: Settings,
    tenant: TenantSettings,
    http: Http,
    clock: SystemClock,
    listeners: Listeners,
    secrets: logs.Secrets,
) -> Tenant:
    tokens = Tokens(
        http,
        authority=f"{tenant.roots.login}/{tenant.tenant_id}",
        scope=f"{tenant.roots.graph}/.default",
        client_id=tenant.credential.client_id,
        credential=_credential(tenant.credential),
        observe=lambda granted: _tell(listeners.token, granted),
        learn=secrets.learn,
    )
    keysets = GraphKeysets(
        tenant.roots.graph,
        http,
        tokens,
        sleep=clock.sleep,
        chance=random.random,
        retried=lambda kind: _tell(listeners.retried, kind),
    )
    return Tenant(
        name=tenant.name,
        policies=settings.policies(tenant),
        keysets=keysets,
        may_write=lambda: Reason.STOPPING if clock.is_stopping else None,
    )


def _tell(listeners: list[Callable[[T], None]], what: T) -> None:
    for listener in listeners:
        listener(what)


def _credential(settings: CredentialSettings) -> Credential:
    if settings.certificate_file is not None:
        return Certificate(file=settings.certificate_file)
    if settings.federated_token_file is not None:
        return FederatedToken(file=settings.federated_token_file)
    return ClientSecret(file=settings.client_secret_file, variable=settings.client_secret_env)


def _stop_on_signals(clock: SystemClock) -> None:
    """
    Stop where SIGTERM or SIGINT comes.

    A handler runs in the midst of the main thread, which may hold the very lock
    that `stop` takes: it only drops a note, and another thread does the rest.
    """
    notes: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: notes.put(number))

    def heed() -> None:
        notes.get()
        clock.stop()

    threading.Thread(target=heed, name="signals", daemon=True).start()


@contextlib.contextmanager
def _faults_told() -> Iterator[None]:
    """A configuration that makes no sense ends the program with a line for each fault."""
    try:
        yield
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(Exit.CONFIG)


def _print(
    render: Callable[[Sequence[Outcome], datetime, int | None], str],
    outcomes: Sequence[Outcome],
    now: datetime,
    *,
    as_json: bool,
    dry_run: bool,
) -> None:
    if as_json:
        text = json.dumps(report.document(outcomes, now, dry_run=dry_run), indent=2)
    else:
        text = render(outcomes, now, shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
    print(text, flush=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
