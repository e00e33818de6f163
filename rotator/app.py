"""
The composition root: wires the rooms together, and turns what came of it into output and exit codes.

All that is global to a process is made here, once, and handed down: clock, TLS
context, logger. What only a daemon needs is wired in `daemon`, which is imported
by the daemon alone, so that a dry run starts quickly.
"""

import json
import os
import random
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from rotator.assembly import Assembly, Listeners
from rotator.clock import SystemClock
from rotator.core.outcome import Held, Outcome, Planned, Sight, exit_code
from rotator.core.rotation import Reason
from rotator.edges import config, logs
from rotator.gates import RunawayGate, SkewGate, first_refusal, not_stopping
from rotator.output import say
from rotator.reconcile import Tenant, look, reconcile, sweep
from rotator.runtime import Runtime
from rotator.validate import faults_told
from rotator.views.document import document
from rotator.views.status import status as render_status
from rotator.views.table import table


def dry_run(path: Path, *, as_json: bool, detailed: bool) -> int:
    """One sweep that only reads, and the plan."""
    with faults_told():
        runtime = _runtime(path, table=not as_json)
        outcomes, now = _look_only(runtime)
        _print(runtime, table, outcomes, now, as_json=as_json, dry_run=True)
        return exit_code(outcomes, detailed=detailed)


def status(path: Path, *, as_json: bool) -> int:
    """One sweep that only reads, and every keyset with its keys."""
    with faults_told():
        runtime = _runtime(path, table=not as_json)
        outcomes, now = _look_only(runtime)
        _print(runtime, _status, outcomes, now, as_json=as_json, dry_run=True)
        return exit_code(outcomes, detailed=False)


def once(path: Path, *, as_json: bool) -> int:
    """One sweep that generates what is due, after a second look."""
    with faults_told():
        runtime = _runtime(path, table=not as_json)
        _heed_signals(runtime)
        now = runtime.clock.now()

        def visit(tenant: Tenant) -> Iterable[Outcome]:
            return _not_now(tenant, now) if runtime.clock.is_stopping else look(tenant, now)

        outcomes = _sweep(runtime, visit)
        if not runtime.settings.dry_run:
            outcomes = _second_looks(runtime, outcomes)
        _print(runtime, table, outcomes, now, as_json=as_json, dry_run=runtime.settings.dry_run)
        return exit_code(outcomes, detailed=False)


def daemon(path: Path) -> int:
    """Sweep after sweep, until SIGTERM or SIGINT."""
    with faults_told():
        from rotator.daemon import Daemon  # noqa: PLC0415 - scheduler, metrics and web are a daemon's alone

        runtime = _runtime(path, table=False)
        running = Daemon(runtime)
        _heed_signals(runtime, running.reload)
        return running.run()


def _look_only(runtime: Runtime) -> tuple[list[Outcome], datetime]:
    now = runtime.clock.now()
    return _sweep(runtime, lambda tenant: look(tenant, now)), now


def _not_now(tenant: Tenant, now: datetime) -> Iterator[Outcome]:
    """What comes of a tenant that is not looked at, since the program is to stop."""
    for policy in tenant.policies:
        yield Held(sight=Sight(tenant=tenant.name, policy=policy, now=now), reason=Reason.STOPPING)


def _second_looks(runtime: Runtime, outcomes: list[Outcome]) -> list[Outcome]:
    """*outcomes* with what became of those that were planned."""
    planned = {each.sight.name: each for each in outcomes if isinstance(each, Planned)}
    if not planned:
        return outcomes
    settle = runtime.settings.settle.total_seconds()
    runtime.log.info("sweep.settling", seconds=settle, keysets=len(planned))
    runtime.clock.sleep(settle)

    def visit(tenant: Tenant) -> Iterator[Outcome]:
        for policy in tenant.policies:
            first = planned.get((tenant.name, policy.keyset_id))
            if first is None:
                continue
            if runtime.clock.is_stopping:
                yield Held(sight=first.sight, reason=Reason.STOPPING)
            else:
                yield reconcile(tenant, policy, first.reason, clock=runtime.clock, settle=settle, chance=random.random)

    seconds = _sweep(runtime, visit)
    became = {each.sight.name: each for each in seconds}
    return [became.get(each.sight.name, each) for each in outcomes]


def _sweep(runtime: Runtime, visit: Callable[[Tenant], Iterable[Outcome]]) -> list[Outcome]:
    def told(tenant: Tenant) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for outcome in visit(tenant):
            runtime.listeners.see(outcome)
            outcomes.append(outcome)
        return outcomes

    return sweep(runtime.tenants, told, runtime.settings.concurrency)


def _runtime(path: Path, *, table: bool) -> Runtime:
    """Everything wired together; with *table*, a person at a terminal is spared the lines that the table repeats."""
    sources = config.Sources(path)
    settings = sources.load()
    clock, secrets, listeners = SystemClock(), logs.Secrets(), Listeners()
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


def _heed_signals(runtime: Runtime, reload: Callable[[], None] | None = None) -> None:
    """
    Stop where SIGTERM or SIGINT comes, *reload* where SIGHUP does.

    Python runs its handlers in the main thread alone, which may be asleep in a lock
    while the kernel gives the signal to another one: nobody would hear of it. What
    is written to the wakeup fd comes from whichever thread it was.
    """
    numbers = (signal.SIGTERM, signal.SIGINT, *((signal.SIGHUP,) if reload else ()))
    hears, tells = socket.socketpair()
    tells.settimeout(0)
    signal.set_wakeup_fd(tells.fileno())
    for number in numbers:
        signal.signal(number, lambda *_: None)

    def heed(_: socket.socket) -> None:
        # To the end of the process: a signal that comes twice must not be written to whatever has the number by then.
        while True:
            for number in hears.recv(1):
                if number == signal.SIGHUP and reload:
                    reload()
                elif number in numbers and not runtime.clock.is_stopping:
                    runtime.clock.stop()  # first: a log that nobody reads must not hold it up
                    runtime.log.info("rotator.stopping")

    threading.Thread(target=heed, args=(tells,), name="signals", daemon=True).start()


def _status(outcomes: Sequence[Outcome], now: datetime, width: int | None) -> str:
    return render_status(outcomes, now, width, colour=_is_terminal() and not os.environ.get("NO_COLOR"))


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _print(
    runtime: Runtime,
    render: Callable[[Sequence[Outcome], datetime, int | None], str],
    outcomes: Sequence[Outcome],
    now: datetime,
    *,
    as_json: bool,
    dry_run: bool,
) -> None:
    if as_json:
        text = json.dumps(document(outcomes, now, dry_run=dry_run), indent=2)
    else:
        text = render(outcomes, now, shutil.get_terminal_size().columns if _is_terminal() else None)
    say(runtime.secrets.strike(text))
