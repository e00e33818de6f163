"""
Where the emulated service stands: in this process, or behind real HTTPS on loopback.

Both are the same emulator, with its journal and its faults; they differ in the
`httpx` transport that leads there.
"""

import threading
from collections.abc import Callable
from itertools import count
from typing import Protocol

import httpx
from stateful.wire import ServedDirectly

from rotator.emulator.entra.login import Tokens
from rotator.emulator.faults.fault import FaultTable
from rotator.emulator.http.answers import Answer
from rotator.emulator.journal import Journal
from rotator.emulator.model.keys import POOL
from rotator.emulator.model.seed import TenantSeed
from rotator.emulator.model.tenants import Directory, Tenant
from rotator.emulator.server import Emulator
from rotator.emulator.service import Service


class Site(Protocol):
    """An emulated service with one tenant."""

    root: str
    tenant: Tenant
    faults: FaultTable

    def inner(self, own: httpx.BaseTransport) -> httpx.BaseTransport:
        """What carries a request there; *own* is the client's."""
        ...

    @property
    def errors(self) -> tuple[str, ...]:
        """Tracebacks of the emulator's own bugs."""
        ...


class InProcess:
    """Without sockets."""

    def __init__(self, seed: TenantSeed, clock: Callable[[], float]) -> None:
        directory, self.faults, self._journal = Directory(clock), FaultTable(), Journal()
        self._service = Service(
            directory=directory,
            tokens=Tokens(POOL.take()),
            faults=self.faults,
            journal=self._journal,
            control=lambda _: Answer(status=404),
            is_ours=lambda _: True,
            closing=threading.Event(),
        )
        self.root = "https://service.test"
        self.tenant = directory.add(seed)

    def inner(self, own: httpx.BaseTransport) -> httpx.BaseTransport:
        own.close()
        return ServedDirectly(self._service)

    @property
    def errors(self) -> tuple[str, ...]:
        return self._journal.errors


class OverHttps:
    """A its own tenant in an emulator that serves many."""

    def __init__(self, seed: TenantSeed, emulator: Emulator) -> None:
        self._emulator = emulator
        self.faults = emulator.faults
        self.root = emulator.url
        self.tenant = emulator.directory.add(seed)

    def inner(self, own: httpx.BaseTransport) -> httpx.BaseTransport:
        return own

    @property
    def errors(self) -> tuple[str, ...]:
        return self._emulator.errors


class Shared:
    """An emulator behind HTTPS, with the time of the example that uses it now."""

    def __init__(self) -> None:
        self.clock: Callable[[], float] = lambda: 0.0
        self.emulator = Emulator(clock=lambda: self.clock())  # noqa: PLW0108 - the clock is changed later
        self._numbers = count()

    def site(self, seed: TenantSeed, clock: Callable[[], float]) -> Site:
        """A fresh tenant, at the time of *clock*."""
        self.clock = clock
        return OverHttps(seed, self.emulator)
