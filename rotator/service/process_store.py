"""
The process store: the state of the configuration, the credentials and the clocks, for the status page.

Threads that emit events write to it, threads that render pages read it. Every value is replaced as a whole.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from rotator.core.events import ConfigRejected, ConfigReloaded, CredentialRead, Event, RequestFinished
from rotator.views.process import RefusedConfig


class ProcessStore:
    """The state of the process, collected from events."""

    def __init__(self, now: Callable[[], datetime], config: Path) -> None:
        """*config* is the path of the configuration."""
        self.config = config
        self._now = now
        self._lock = threading.Lock()  # guards the two attributes below
        self._expiries: dict[str, datetime | None] = {}
        self._skews: dict[str, float] = {}
        self.refused: RefusedConfig | None = None

    def on_event(self, event: Event) -> None:
        """Store the content of *event*."""
        match event:
            case ConfigRejected(error=error):
                since = self._now() if self.refused is None else self.refused.since
                self.refused = RefusedConfig(since=since, problems=tuple(str(each) for each in error.problems))
            case ConfigReloaded():
                self.refused = None
            case CredentialRead(tenant=tenant, expires=expires):
                with self._lock:
                    self._expiries[tenant] = expires
            case RequestFinished(tenant=tenant, exchange=exchange) if exchange.skew is not None:
                with self._lock:
                    self._skews[tenant] = exchange.skew
            case _:
                pass

    def expiries(self, tenants: Iterable[str]) -> dict[str, datetime]:
        """By tenant, when its credential expires; tenants for which that is unknown are absent."""
        with self._lock:
            found = {tenant: self._expiries.get(tenant) for tenant in tenants}
        return {tenant: expires for tenant, expires in found.items() if expires is not None}

    def skews(self, tenants: Iterable[str]) -> dict[str, float]:
        """By tenant, by how many seconds the local clock was last ahead of its service's; absent if unknown."""
        with self._lock:
            return {tenant: self._skews[tenant] for tenant in tenants if tenant in self._skews}


def place() -> tuple[str, str]:
    """A label and a name for where this process runs: the pod in Kubernetes, otherwise the host."""
    return "pod" if os.environ.get("KUBERNETES_SERVICE_HOST") else "host", socket.gethostname()
