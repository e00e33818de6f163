"""What is global to a process: made by `app`, handed down, never imported."""

from dataclasses import dataclass
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from rotator.assembly import Assembly, Listeners
from rotator.clock import SystemClock
from rotator.edges.settings import Settings
from rotator.reconcile import Tenant


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What every way of running needs; `tenants` are those of `settings`."""

    path: Path
    settings: Settings
    clock: SystemClock
    log: FilteringBoundLogger
    listeners: Listeners
    assembly: Assembly
    tenants: tuple[Tenant, ...]
