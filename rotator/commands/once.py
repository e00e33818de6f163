"""The command `--once`: one sweep that generates what is due, then exits."""

import random
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from rotator.commands.check import faults_told
from rotator.commands.report import print_report
from rotator.commands.signals import heed_signals
from rotator.core.outcome import Held, Observation, Outcome, Planned, exit_code
from rotator.core.reasons import Refusal
from rotator.shell.reconcile import Tenant, look, reconcile
from rotator.views.table import table
from rotator.wiring import Runtime, sweep_told, wire


def once(path: Path, *, as_json: bool) -> int:
    """One sweep that generates what is due, after a second look."""
    with faults_told():
        runtime = wire(path, table=not as_json)
        heed_signals(runtime)
        now = runtime.clock.now()

        def visit(tenant: Tenant) -> Iterable[Outcome]:
            return _not_now(tenant, now) if runtime.clock.is_stopping else look(tenant, now)

        outcomes = sweep_told(runtime, visit)
        if not runtime.settings.dry_run:
            outcomes = _second_looks(runtime, outcomes)
        print_report(runtime, table, outcomes, now, as_json=as_json, dry_run=runtime.settings.dry_run)
        return exit_code(outcomes, detailed=False)


def _not_now(tenant: Tenant, now: datetime) -> Iterator[Outcome]:
    """What comes of a tenant that is not looked at, since the program is to stop."""
    for policy in tenant.policies:
        yield Held(observation=Observation(tenant=tenant.name, policy=policy, now=now), reason=Refusal.STOPPING)


def _second_looks(runtime: Runtime, outcomes: list[Outcome]) -> list[Outcome]:
    """*outcomes* with what became of those that were planned."""
    planned = {each.observation.name: each for each in outcomes if isinstance(each, Planned)}
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
                yield Held(observation=first.observation, reason=Refusal.STOPPING)
            else:
                yield reconcile(tenant, policy, first.reason, clock=runtime.clock, settle=settle, chance=random.random)

    seconds = sweep_told(runtime, visit)
    became = {each.observation.name: each for each in seconds}
    return [became.get(each.observation.name, each) for each in outcomes]
