"""
One pass over all keysets, for commands: the daemon's loop, without its threads and repetitions.

If stderr is a terminal, it shows what the command waits for.
"""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from rotator.commands.progress import Progress
from rotator.commands.selection import Selection
from rotator.commands.terminal import StatusLine
from rotator.core.events import Event, InventoryTaken, Looked
from rotator.core.inventory import MAX_INVENTORY, Inventory
from rotator.core.keyset import Keyset
from rotator.core.outcome import Held, Observation, Outcome, Planned
from rotator.core.policy import RotationPolicy
from rotator.core.proof_events import Probed
from rotator.core.reasons import Refusal
from rotator.core.tenant import TenantId
from rotator.edges import logs
from rotator.edges.settings import Settings
from rotator.shell.jobs import JobQueue
from rotator.shell.loop import Loop, thread_pool
from rotator.shell.probe_budget import ProbeBudget
from rotator.shell.probe_once import probe_once
from rotator.wiring import timing, wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The configuration of a command, the selected part of it, and the format of the report."""

    path: Path
    as_json: bool
    selection: Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class _Probes:
    """The last probes, and when the sweep before them began; None before the first."""

    at: datetime | None = None
    found: tuple[Probed, ...] = ()


class OneShot:
    """One pass over all keysets."""

    def __init__(
        self,
        call: Call,
        *,
        dry_run: bool = False,
        has_others: bool = False,
        revise: Callable[[RotationPolicy, datetime], RotationPolicy] = lambda policy, _: policy,
    ) -> None:
        """
        Read the configuration; no request is made.

        dry_run:    never write, even if the configuration allows it
        has_others: also observe keysets that are not configured
        revise:     changes the policy of each keyset; the second argument is the instant of the start

        Raises:
            ConfigError: the configuration is invalid.
            SelectionError: a selected tenant or keyset is not in the configuration.

        """
        line = StatusLine(sys.stderr)
        self.program = wire(call.path, revise=call.selection.of, for_table=not call.as_json, stream=line)
        logs.log_crashes(self.program.log)
        self.settings: Settings = self.program.settings
        self.began: datetime = self.program.clock.now()
        max_others = MAX_INVENTORY if has_others else 0
        self._tenants = tuple(
            replace(each, max_others=max_others, policies=tuple(revise(policy, self.began) for policy in each.policies))
            for each in self.program.tenants(self.settings)
        )
        self._inventories: dict[TenantId, Inventory] = {}
        self._latest: dict[tuple[TenantId, str], Outcome] = {}
        self._queue = JobQueue(self.program.clock)
        self._budget = ProbeBudget(self.program.clock.monotonic)
        self._probes = _Probes()
        self._progress = Progress(line.show, self.program.clock.now)
        self.program.stream.add(self._on_event)
        if line.isatty():
            self.program.stream.add(self._progress.on_event)
            ticks = threading.Thread(target=self._progress.run, args=(threading.Event(),), name="progress", daemon=True)
            ticks.start()
        rules = timing(self.settings)
        self._loop = Loop(
            self._tenants,
            replace(rules, dry_run=rules.dry_run or dry_run, is_one_shot=True),
            concurrency=max(min(self.settings.concurrency, len(self._tenants)), 1),  # a shard may have no tenant
            clock=self.program.clock,
            scheduler=self._queue,
            tell=self.program.tell,
            jitter=self.program.jitter,
        )

    @property
    def is_stopping(self) -> bool:
        """True after a request to stop."""
        return self.program.clock.is_stopping

    def stop(self) -> None:
        """Start nothing more; may be called from any thread."""
        if not self.program.clock.is_stopping:
            self.program.clock.stop()
            self._progress.end()
            self.program.log.info("rotator.stopping")

    def sweep(self) -> list[Outcome]:
        """Look at every keyset once."""
        self.began = self.program.clock.now()
        self._progress.ask(tenant.name for tenant in self._tenants)
        self._loop.sweep()
        self._progress.end()
        return self._outcomes()

    def probe(self) -> tuple[Probed, ...]:
        """
        Probe the sign-in side of each tenant that has one, after a sweep; a failure is part of the result.

        If it is called again before the shortest `probe_interval` has passed, the result is that of the last probe.
        """
        tenants = [tenant for tenant in self._tenants if tenant.sign_in is not None]
        interval = min((tenant.sign_in.probe_interval for tenant in tenants if tenant.sign_in), default=timedelta())
        if not tenants or (self._probes.at is not None and self.began - self._probes.at < interval):
            return self._probes.found
        keysets: dict[TenantId, dict[str, Keyset]] = {}
        for (tenant_id, keyset_id), outcome in self._latest.items():
            if outcome.observation.keyset is not None:
                keysets.setdefault(tenant_id, {})[keyset_id] = outcome.observation.keyset
        self._progress.wait("probes of the sign-in side", self.began)
        with thread_pool(min(self.settings.concurrency, len(tenants)), "probe") as pool:
            found = probe_once(tenants, keysets, now=self.began, pool=pool, budget=self._budget)
        self._probes = _Probes(at=self.began, found=found)
        self._progress.end()
        return found

    def inventories(self) -> list[Inventory]:
        """The keysets that are not configured, for each tenant with `observe_others` that was listed."""
        return [self._inventories[each.id] for each in self._tenants if each.id in self._inventories]

    def pause(self, then: str, span: timedelta) -> bool:
        """Wait for *span* and show *then*, which names what follows; False if a stop ended the wait."""
        self._progress.wait(then, self.program.clock.now() + span)
        went_on = self.program.clock.sleep(span.total_seconds())
        self._progress.end()
        return went_on

    def finish(self) -> list[Outcome]:
        """Request the keys that are due after `settle`, and wait until each key is seen or given up."""
        due = self._queue.left().values()
        if due:
            self._progress.wait("second look", self.program.clock.now() + timedelta(seconds=min(due)))
        self._queue.run_until(None)
        self._loop.close()
        self._progress.end()
        return [_final(outcome) for outcome in self._outcomes()]

    def _outcomes(self) -> list[Outcome]:
        """The last outcome of each keyset, in the order of the configuration; held if there was no look."""
        observations = (
            Observation(tenant=tenant.name, tenant_id=tenant.id, policy=policy, now=self.began)
            for tenant in self._tenants
            for policy in tenant.policies
        )
        return [
            self._latest.get(each.identity, Held(observation=each, reason=Refusal.STOPPING)) for each in observations
        ]

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Looked):
            self._latest[event.outcome.observation.identity] = event.outcome
        if isinstance(event, InventoryTaken):
            self._inventories[event.inventory.tenant_id] = event.inventory


def _final(outcome: Outcome) -> Outcome:
    """*outcome*, or held instead of planned if a stop prevented the write."""
    return Held(observation=outcome.observation, reason=Refusal.STOPPING) if isinstance(outcome, Planned) else outcome
