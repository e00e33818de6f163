"""
The program as one process: wired as `app` and `daemon` wire it, on simulated time.

All of it is the real thing, from the configuration file to the request, with
three exceptions: the clock is the world's, the scheduler's threads are a queue
that the world empties, and requests go over a `Link`. A process that is killed
takes all that it remembers with it.
"""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import cast

import httpx
from stateful.time import Killed, SimClock, SimQueue, World

from rotator.core.outcome import Outcome
from rotator.edges import config, logs
from rotator.edges.graph import GraphKeysets
from rotator.edges.scheduler import Mishap
from rotator.edges.settings import Settings
from rotator.service.daemon import SWEEP, Daemon
from rotator.shell.gates import Gate, RunawayGate, SkewGate, first_refusal, not_stopping
from rotator.shell.reconcile import Tenant
from rotator.wiring import Assembly, Listeners, Runtime

Plug = Callable[[httpx.BaseTransport], httpx.BaseTransport]
"""Gives a client another transport, made of the one it has."""


class Process:
    """One life of the program, until it is stopped or killed."""

    def __init__(self, world: World, path: Path, plug: Plug) -> None:
        """
        Start with the configuration in *path*.

        Raises:
            ConfigError: it makes no sense, so the program ends at once.

        """
        self._world = world
        self._sources = config.Sources(path)
        self.settings = self._sources.load()
        self.clock = SimClock(world)
        self.queue = SimQueue(world)
        self._outcomes: list[Outcome] = []
        self.mishaps: list[str] = []
        self._stream = StringIO()
        self._clients: list[httpx.Client] = []
        self._daemon = self._wired(path, plug)
        self.queue.every(SWEEP, self.settings.check_interval, self._daemon._loop.sweep)  # noqa: SLF001

    def _wired(self, path: Path, plug: Plug) -> Daemon:
        secrets, listeners = logs.Secrets(), Listeners()
        log = logs.logger("info", "json", secrets, self._stream)
        skew, runaway = SkewGate(lambda tenant, seconds: logs.log_skew(log, tenant, seconds)), RunawayGate()
        listeners.outcome.extend((self._outcomes.append, lambda outcome: logs.log_outcome(log, outcome), runaway.note))
        listeners.exchange.extend((lambda tenant, exchange: logs.log_exchange(log, tenant, exchange), skew.note))
        may_write = first_refusal((not_stopping(self.clock), skew, runaway))
        assembly = _Assembly(path, self.clock, secrets, listeners, may_write, self._plugged(plug))
        runtime = Runtime(
            path=path,
            sources=self._sources,
            settings=self.settings,
            clock=self.clock,
            secrets=secrets,
            log=log,
            listeners=listeners,
            assembly=assembly,
            tenants=assembly.tenants(self.settings),
        )
        daemon = Daemon(runtime)
        # The one seam that the program does not have: whose threads run its jobs.
        for holder in (daemon, daemon._loop):  # noqa: SLF001
            setattr(holder, "_scheduler", self.queue)  # noqa: B010 - mypy knows it as the real one
        return daemon

    def _plugged(self, plug: Plug) -> Callable[[Tenant], None]:
        def connect(tenant: Tenant) -> None:
            http = cast("GraphKeysets", tenant.keysets)._http  # noqa: SLF001
            http._clock = self.clock.exact  # noqa: SLF001
            client = http._client  # noqa: SLF001
            client._transport = plug(client._transport)  # noqa: SLF001
            client._mounts.clear()  # noqa: SLF001 - no proxy of whoever runs the tests
            self._clients.append(client)

        return connect

    # --- what it does

    def run_job(self) -> None:
        """Do what is due first, to its end or that of the process."""
        key, job = self.queue.take()
        try:
            job()
        except Killed:
            self.close()
        except Exception as error:  # noqa: BLE001 - the scheduler's duty
            self.mishaps.append(f"{key}: {error!r}")
            self._daemon._mishap(key, Mishap.RAISED, error)  # noqa: SLF001

    def reload(self) -> bool:
        """Read the configuration again, as at SIGHUP; whether it took over."""
        self._daemon.reload()
        taken = self._daemon._settings is not self.settings  # noqa: SLF001
        self.settings = self._daemon._settings  # noqa: SLF001
        return taken

    def die(self) -> None:
        """Be killed: what is under way ends where time next passes."""
        self.clock.is_dead = True

    def stop(self) -> None:
        """Be asked to stop."""
        self.clock.stop()

    @property
    def is_up(self) -> bool:
        """Whether it runs, and is not about to end."""
        return not (self.clock.is_dead or self.clock.is_stopping)

    def close(self) -> None:
        """Leave nothing open."""
        self._daemon._loop.close()  # noqa: SLF001
        for client in self._clients:
            client.close()
        self._clients.clear()

    # --- what it tells

    def told(self) -> list[Outcome]:
        """The outcomes since the last call."""
        outcomes = self._outcomes[:]
        self._outcomes.clear()
        return outcomes

    def log_lines(self) -> list[dict[str, object]]:
        """The log lines since the last call."""
        lines = self._stream.getvalue().splitlines()
        self._stream.seek(0)
        self._stream.truncate()
        return [json.loads(line) for line in lines]

    def counted(self, *names: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """The values of these counters, by name and labels; those at zero are left out."""
        registry = self._daemon._metrics._registry  # noqa: SLF001
        wanted = registry.restricted_registry([f"b2c_rotator_{name}_total" for name in names])
        return {
            (
                sample.name.removeprefix("b2c_rotator_").removesuffix("_total"),
                tuple(sorted(sample.labels.items())),
            ): sample.value
            for family in wanted.collect()
            for sample in family.samples
            if sample.value
        }


class _Assembly(Assembly):
    """Connects each tenant that it makes to the world."""

    def __init__(
        self,
        path: Path,
        clock: SimClock,
        secrets: logs.Secrets,
        listeners: Listeners,
        may_write: Gate,
        connect: Callable[[Tenant], None],
    ) -> None:
        super().__init__(path, clock, secrets, listeners, may_write)
        self._connect = connect

    def tenants(self, settings: Settings) -> tuple[Tenant, ...]:
        tenants = super().tenants(settings)
        for tenant in tenants:
            self._connect(tenant)
        return tenants
