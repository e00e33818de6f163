"""The daemon's probes of the sign-in side, put together."""

from rotator.shell.jobs import Scheduler
from rotator.shell.loop import Pools
from rotator.shell.prober import Prober
from rotator.shell.status_store import StatusStore
from rotator.wiring import Program


def prober(program: Program, scheduler: Scheduler, store: StatusStore, pools: Pools) -> Prober:
    """What probes the tenants of *store* that have a sign-in side; nothing is probed yet."""
    return Prober(
        clock=program.clock,
        scheduler=scheduler,
        tell=program.tell,
        jitter=program.jitter,
        statuses=store.statuses,
        pools=pools,
    )
