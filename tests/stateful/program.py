"""
The program as one process: wired as always, on simulated time.

All of it is the real thing, from the configuration file to the request, with
three exceptions: the clock is the world's, jobs and visits are run by whoever owns
the world, and requests go over a `Link`. A process that is killed takes all that it
remembers with it.
"""

import json
import re
import ssl
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import httpx
from stateful.time import Killed, SimClock, SimQueue, World

from rotator.core.events import Event, JobFailed, Looked
from rotator.core.outcome import Outcome
from rotator.edges.proxies import Proxies
from rotator.edges.transport import ProxiedTransport
from rotator.service.daemon import Daemon
from rotator.service.inbox import ReloadAsked
from rotator.shell.jobs import InlineExecutor
from rotator.wiring import wire

Plug = Callable[[httpx.BaseTransport], httpx.BaseTransport]
"""Gives a client another transport, made of the one it has."""


class Process:
    """One life of the program, until it is stopped or killed."""

    def __init__(self, world: World, path: Path, plug: Plug) -> None:
        """
        Start with the configuration in *path*.

        Raises:
            ConfigError: it is invalid, so the program ends at once.

        """
        self._world = world
        self.clock = SimClock(world)
        self.queue = SimQueue(world)
        self._outcomes: list[Outcome] = []
        self.mishaps: list[str] = []
        self._stream = StringIO()
        self._transports: list[httpx.BaseTransport] = []

        def connect(context: ssl.SSLContext) -> httpx.BaseTransport:
            transport = plug(ProxiedTransport(context, Proxies()))  # without the proxies of the machine
            self._transports.append(transport)
            return transport

        program = wire(path, clock=self.clock, transport=connect, stream=self._stream)
        program.stream.add(self._hear)
        self._daemon = Daemon(program, scheduler=self.queue, pools=lambda _, __: InlineExecutor())
        self.settings = self._daemon.settings
        self._daemon.sweep_now()

    def _hear(self, event: Event) -> None:
        match event:
            case Looked(outcome=outcome):
                self._outcomes.append(outcome)
            case JobFailed(job=job, error=error):
                self.mishaps.append(f"{job}: {error!r}")
            case _:
                pass

    # --- what it does

    def run_job(self) -> None:
        """Do what is due first, to its end or that of the process."""
        _, job = self.queue.take()
        try:
            job()
            self._handle_requests()
        except Killed:
            self._release()

    def _handle_requests(self) -> None:
        """Do what the main thread is asked to do."""
        for request in self._daemon.inbox.pending():
            self._daemon.handle(request)

    def reload(self) -> bool:
        """Read the configuration again, as at SIGHUP; whether it took over."""
        self._daemon.inbox.put_once(ReloadAsked())
        self._handle_requests()
        taken = self._daemon.settings is not self.settings
        self.settings = self._daemon.settings
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
        """End as the program ends if it was asked to stop; leave nothing open."""
        try:
            if not self.clock.is_dead:
                self._daemon.end()
        except Killed:
            pass
        self._release()

    def _release(self) -> None:
        for transport in self._transports:
            transport.close()
        self._transports.clear()

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
        wanted = "|".join(names)
        lines = re.findall(rf"^b2c_rotator_({wanted})_total(?:{{(.*)}})? (\S+)$", self._exposition(), re.MULTILINE)
        return {
            (name, tuple(sorted(re.findall(r'(\w+)="([^"]*)"', labels)))): float(value)
            for name, labels, value in lines
            if float(value)
        }

    def _exposition(self) -> str:
        return self._daemon.metrics.render("")[0].decode()
