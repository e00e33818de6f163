"""
The loop: when each tenant is visited.

There is a sweep at the start and then a round in every `check_interval`, spread over it, a second look at
a keyset after `settle`, looks for a requested key, and another look after a failure. `core.lifecycle` decides
what follows from each look; `visit` makes the requests.

Threads: the threads of the scheduler only hand visits to pools, so they never wait for a service.
There are two pools of `concurrency` threads each: one for looks, one for visits that act.
So a key that is due does not wait for tenants that are only looked at, even if many of those
hang; with a single pool it would wait for all of them. One thread at a time visits a tenant, and
no thread sleeps during a visit: a keyset that has to wait is in a stage that says until when.

`configure`, `pause` and `resume` replace the snapshot. One thread calls them (the daemon's
main thread); visits only read the snapshot.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from rotator.core.events import Event, JobFailed, SweepFinished
from rotator.core.outcome import Outcome
from rotator.core.reasons import Refusal
from rotator.core.stages import Timing
from rotator.core.tenant import TenantId
from rotator.shell.agenda import Agenda, Booked, Kind, Result
from rotator.shell.clock import Clock
from rotator.shell.jobs import Scheduler
from rotator.shell.snapshot import Snapshot
from rotator.shell.sweeps import Sweeps
from rotator.shell.tenant import Tenant
from rotator.shell.visit import Visit

STOP_GRACE = 5.0  # seconds for which requested keys are looked for after a request to stop
STOP_PAUSE = 0.5  # seconds between two of these looks

Pools = Callable[[int, str], Executor]
"""Creates a pool with a number of threads and a name."""


def thread_pool(threads: int, name: str) -> Executor:
    """A pool of *threads* threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix=name)


class Loop:
    """The visits to all tenants. The scheduler begins them at their time; threads of the pools make them."""

    def __init__(
        self,
        tenants: Sequence[Tenant],
        timing: Timing,
        *,
        concurrency: int,
        clock: Clock,
        scheduler: Scheduler,
        tell: Callable[[Event], None],
        jitter: Callable[[], float],
        on_swept: Callable[[SweepFinished], None] = lambda _: None,
        on_confirmed: Callable[[], None] = lambda: None,
        pools: Pools = thread_pool,
    ) -> None:
        """
        Start without tenants; see `configure`.

        tell:         gets each outcome, from several threads, and each bug
        jitter:       draws from [0, 1)
        on_swept:     gets each sweep during which the lead did not change
        on_confirmed: called when a tenant has no requested key left that is not confirmed
        """
        self._clock = clock
        self._scheduler = scheduler
        self._tell = tell
        self._jitter = jitter
        self._on_confirmed = on_confirmed
        self._pools = pools
        self._concurrency = concurrency
        self._looks = pools(concurrency, "look")
        self._acts = pools(concurrency, "act")
        self._snapshot = Snapshot(timing=timing).configured(tenants, timing)
        self._agendas: dict[TenantId, Agenda] = {}
        self._opening = threading.Lock()  # guards the agendas: several threads may be the first to visit a tenant
        self._sweeps = Sweeps(
            lambda: self._snapshot,
            clock=clock,
            scheduler=scheduler,
            visit=lambda tenant: self._begin(self._agenda(tenant), Kind.SWEEP),
            on_swept=on_swept,
        )

    # --- configuration and lead

    def configure(self, tenants: Sequence[Tenant], timing: Timing) -> None:
        """Use another configuration; the progress of keysets that do not change is kept."""
        self._snapshot = self._snapshot.configured(tenants, timing)

    def pause(self) -> None:
        """Make no looks until `resume`, except those for requested keys."""
        self._snapshot = self._snapshot.paused()

    def resume(self) -> None:
        """Make looks again, without the progress from before, like a new process."""
        self._snapshot = self._snapshot.resumed()

    def is_confirming(self) -> bool:
        """True if a key was requested that no look has shown yet."""
        return any(agenda.is_confirming for agenda in tuple(self._agendas.values()))

    def is_visiting(self) -> bool:
        """True if a visit runs, or waits for a thread."""
        return any(agenda.is_visited for agenda in tuple(self._agendas.values()))

    # --- sweeps

    def rounds(self) -> Callable[[], None]:
        """What must be called at once and then every `check_interval`; new for each configuration and each lead."""
        return self._sweeps.rounds()

    def sweep(self) -> None:
        """Look at every keyset of every tenant, and wait until that is done."""
        self._sweeps.sweep()

    # --- the end

    def close(self) -> None:
        """
        Finish the visits and rotations in progress after a request to stop.

        Waits for the visits that run. Then looks for requested keys for at most `STOP_GRACE`
        seconds, because a key that is not enabled now would later look as if a person had
        disabled it. At last it reports the outcome of each rotation that is not finished.
        """
        for pool in (self._looks, self._acts):
            pool.shutdown(wait=True)
        agendas = tuple(self._agendas.values())
        until = self._clock.monotonic() + STOP_GRACE
        while asked := [agenda for agenda in agendas if agenda.is_confirming]:
            pool = self._pools(self._concurrency, "stop")
            for agenda in asked:
                pool.submit(self._visit_of(agenda, self._snapshot).look_for_keys, is_urgent=True)
            pool.shutdown(wait=True)
            if (now := self._clock.monotonic()) >= until:
                break
            next_look = min(agenda.confirm_at(now) for agenda in asked)
            self._clock.sleep_uninterrupted(max(min(STOP_PAUSE, until - now, next_look - now), 0.0))
        for agenda in agendas:
            self._visit_of(agenda, self._snapshot).give_up()

    # --- visits

    def _agenda(self, tenant: Tenant) -> Agenda:
        with self._opening:
            return self._agendas.setdefault(tenant.id, Agenda(tenant))

    def _begin(self, agenda: Agenda, kind: Kind) -> Result:
        """Let a thread visit the tenant, at once or after the visit that runs."""
        visit, is_new = agenda.book(kind)
        if is_new:
            self._submit(agenda, visit)
        return visit.result

    def _submit(self, agenda: Agenda, visit: Booked) -> None:
        """Hand *visit* to the pool for its kind, so that visits that act do not wait for looks that hang."""
        pool = self._acts if visit.kind is Kind.ACT and not agenda.is_failing else self._looks
        try:
            pool.submit(self._visit, agenda, visit)
        except RuntimeError:  # the pool is closed: the program is ending
            visit.result.set_result([])

    def _visit(self, agenda: Agenda, visit: Booked) -> None:
        outcomes: list[Outcome] = []
        was_confirming = agenda.is_confirming
        try:
            try:
                outcomes = self._carry_out(agenda, visit.kind)
            finally:
                self._plan(agenda)
        except Exception as error:  # noqa: BLE001 - a bug ends this visit only
            self._tell(JobFailed(job=visit.kind, error=error))
        following = agenda.end()
        visit.result.set_result(outcomes)
        if was_confirming and not agenda.is_confirming:
            self._on_confirmed()
        if following is not None:
            self._submit(agenda, following)

    def _carry_out(self, agenda: Agenda, kind: Kind) -> list[Outcome]:
        snapshot = self._snapshot
        agenda.revise(snapshot)
        visit = self._visit_of(agenda, snapshot)
        if self._clock.is_stopping:
            return []  # `close` looks for keys
        if snapshot.is_paused or agenda.tenant.id not in snapshot.tenants:
            visit.look_for_keys()
            return []
        if kind is Kind.ACT:
            visit.act()
            return []
        retry_at = agenda.retry_at()
        if kind is Kind.RETRY and (retry_at is None or retry_at > self._clock.monotonic()):
            return []  # a look since then has succeeded
        return visit.look()

    def _visit_of(self, agenda: Agenda, snapshot: Snapshot) -> Visit:
        return Visit(
            agenda,
            snapshot,
            objection=lambda: self._objection(snapshot),
            clock=self._clock,
            jitter=self._jitter,
            tell=self._tell,
        )

    def _objection(self, snapshot: Snapshot) -> Refusal | None:
        """Why a key that was planned under *snapshot* must not be requested any more; None if it may be."""
        current = self._snapshot
        if current is snapshot:
            return None
        return Refusal.NOT_LEADER if current.term != snapshot.term else Refusal.RECONFIGURED

    def _plan(self, agenda: Agenda) -> None:
        """Schedule the next visits of the tenant."""
        now, key = self._clock.monotonic(), agenda.tenant.id
        act_at, retry_at = agenda.act_at(self._snapshot.timing), agenda.retry_at()
        if act_at is not None:
            self._scheduler.once(f"act:{key}", max(act_at - now, 0.0), lambda: self._begin(agenda, Kind.ACT))
        if retry_at is not None:
            self._scheduler.once(f"retry:{key}", max(retry_at - now, 0.0), lambda: self._begin(agenda, Kind.RETRY))
