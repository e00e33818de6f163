"""
Sweeps and rounds: one look at every tenant, at once or spread over `check_interval`.

Threads: a scheduler's thread sweeps and waits for the visits; threads of the pools make them.
"""

import threading
from collections.abc import Callable
from concurrent.futures import wait

from rotator.core.events import SweepFinished
from rotator.shell.agenda import Result
from rotator.shell.clock import Clock
from rotator.shell.jobs import Scheduler
from rotator.shell.rounds import Rounds
from rotator.shell.snapshot import Snapshot
from rotator.shell.tenant import Tenant

SWEEP_WAIT_SHARE = 0.9  # of a check interval: a sweep waits no longer for its tenants, so that the next begins in time


class Sweeps:
    """Looks at every tenant, under the configuration and the lead in force."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        *,
        clock: Clock,
        scheduler: Scheduler,
        visit: Callable[[Tenant], Result],
        on_swept: Callable[[SweepFinished], None],
    ) -> None:
        """
        No look is made yet.

        snapshot: returns the one in force
        visit:    lets a thread look at the tenant
        on_swept: gets each sweep and round during which the lead did not change
        """
        self._snapshot = snapshot
        self._clock = clock
        self._scheduler = scheduler
        self._visit = visit
        self._on_swept = on_swept
        # If several sweeps begin while one runs, one of them waits: it holds `_next`, and then takes `_sweeping`.
        self._next = threading.Lock()
        self._sweeping = threading.Lock()
        self._rounds: Rounds | None = None

    def rounds(self) -> Callable[[], None]:
        """What must be called at once and then every `check_interval`; the rounds that it returned before end."""
        self._rounds = rounds = Rounds(
            self._snapshot,
            clock=self._clock,
            scheduler=self._scheduler,
            sweep=self.sweep,
            visit=self._visit,
            goes_on=lambda snapshot: self._rounds is rounds and self._goes_on(snapshot),
            on_swept=self._on_swept,
        )
        return rounds

    def sweep(self) -> None:
        """
        Look at every keyset of every tenant, and wait until that is done.

        The wait ends after `SWEEP_WAIT_SHARE` of `check_interval`. A tenant that takes longer is not
        looked at again before its visit ends: it blocks one thread, but no look at another tenant.
        """
        if not self._next.acquire(blocking=False):
            return
        with self._sweeping:
            self._next.release()
            self._sweep()

    def _sweep(self) -> None:
        snapshot, began = self._snapshot(), self._clock.monotonic()
        if self._is_idle(snapshot):
            return
        timing = snapshot.timing
        patience = None if timing.is_one_shot else timing.check_interval.total_seconds() * SWEEP_WAIT_SHARE
        visits = [self._visit(tenant) for tenant in snapshot.tenants.values()]
        done, _ = wait(visits, timeout=patience)
        outcomes = [outcome for visit in visits if visit in done for outcome in visit.result()]
        if self._goes_on(snapshot):
            seconds = self._clock.monotonic() - began
            late = len(visits) - len(done)
            self._on_swept(SweepFinished(seconds=seconds, outcomes=tuple(outcomes), late=late))

    def _goes_on(self, snapshot: Snapshot) -> bool:
        """True if the lead under which *snapshot* was taken goes on."""
        current = self._snapshot()
        return not self._is_idle(current) and current.term == snapshot.term

    def _is_idle(self, snapshot: Snapshot) -> bool:
        return self._clock.is_stopping or snapshot.is_paused
