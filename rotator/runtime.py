"""What is global to a process: made by `app`, handed down, never imported."""

from dataclasses import dataclass
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from rotator.assembly import Assembly, Listeners
from rotator.clock import SystemClock
from rotator.edges.config import Sources
from rotator.edges.logs import Secrets
from rotator.edges.settings import Settings
from rotator.reconcile import Tenant


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """
    What every way of running needs; `tenants` are those of `settings`, which `sources` had.

    secrets: strikes out of everything that is printed or served what must not be told,
        even where a service sends it back to us as a name or an id
    """

    path: Path
    sources: Sources
    settings: Settings
    clock: SystemClock
    secrets: Secrets
    log: FilteringBoundLogger
    listeners: Listeners
    assembly: Assembly
    tenants: tuple[Tenant, ...]
