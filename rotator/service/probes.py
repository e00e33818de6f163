"""Wires the daemon's probes of the sign-in side."""

from rotator.shell.jobs import Scheduler
from rotator.shell.loop import Pools
from rotator.shell.prober import Prober
from rotator.shell.status_store import StatusStore
from rotator.wiring import Program


def prober(program: Program, scheduler: Scheduler, store: StatusStore, pools: Pools) -> Prober:
    """The prober of the tenants that have a sign-in side; *store* has the statuses of their keysets."""
    return Prober(
        clock=program.clock,
        scheduler=scheduler,
        tell=program.tell,
        jitter=program.jitter,
        status=store.status,
        pools=pools,
    )
