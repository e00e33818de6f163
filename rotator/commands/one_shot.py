"""What the commands have in common that look once: the daemon's own loop, without its threads and its repetitions."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rotator.commands.report import Render, print_report
from rotator.core.events import Event, Looked
from rotator.core.outcome import Held, Observation, Outcome, Planned
from rotator.core.reasons import Refusal
from rotator.core.tenant import TenantId
from rotator.edges import logs
from rotator.edges.settings import Settings
from rotator.shell.jobs import JobQueue
from rotator.shell.loop import Loop
from rotator.wiring import timing, wire


class OneShot:
    """One pass over all keysets."""

    def __init__(self, path: Path, *, as_json: bool, dry_run: bool = False) -> None:
        """
        Read the configuration in *path*; nothing is asked of any tenant yet.

        dry_run: never write, whatever the configuration says

        Raises:
            ConfigError: the configuration is invalid.

        """
        self.program = wire(path, without_outcomes=not as_json)
        logs.log_crashes(self.program.log)
        self.settings: Settings = self.program.settings
        self.began: datetime = self.program.clock.now()
        self._tenants = self.program.tenants(self.settings)
        self._latest: dict[tuple[TenantId, str], Outcome] = {}
        self._queue = JobQueue(self.program.clock)
        self.program.stream.add(self._on_event)
        rules = timing(self.settings)
        self._loop = Loop(
            self._tenants,
            replace(rules, dry_run=rules.dry_run or dry_run, is_one_shot=True),
            concurrency=min(self.settings.concurrency, len(self._tenants)),
            clock=self.program.clock,
            scheduler=self._queue,
            tell=self.program.tell,
            jitter=self.program.jitter,
        )

    def stop(self) -> None:
        """Begin nothing more; may be called from any thread."""
        if not self.program.clock.is_stopping:
            self.program.clock.stop()
            self.program.log.info("rotator.stopping")

    def sweep(self) -> list[Outcome]:
        """Look at every keyset once."""
        self._loop.sweep()
        return self._outcomes()

    def finish(self) -> list[Outcome]:
        """Ask for what is due once it has settled, and wait until each key is seen or given up."""
        self._queue.run_until(None)
        self._loop.close()
        return [_final(outcome) for outcome in self._outcomes()]

    def report(self, render: Render, outcomes: list[Outcome], *, as_json: bool, dry_run: bool) -> None:
        """Print *outcomes*."""
        print_report(self.program, render, outcomes, self.began, as_json=as_json, dry_run=dry_run)

    def _outcomes(self) -> list[Outcome]:
        """The last outcome of each keyset, in the order of the configuration; one that was not looked at is held."""
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


def _final(outcome: Outcome) -> Outcome:
    """What has not come to its end, since a stop was asked for, is held."""
    return Held(observation=outcome.observation, reason=Refusal.STOPPING) if isinstance(outcome, Planned) else outcome
