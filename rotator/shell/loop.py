"""
When each tenant is visited.

A sweep at once, and then a round every `check_interval`, spread over it; a second look when a keyset has settled;
looks for a key that was asked for; another look where one failed. What each look leads to
is decided in `core.lifecycle`; the requests are made in `visit`.

Threads: the scheduler's only hand visits to pools, so none of them waits for a service.
There are two pools of `concurrency` threads each: one for looks, one for visits that act.
A key whose time has come therefore waits for no tenant that is only looked at, however many
of those hang; with a single pool it would wait for all of them. A tenant is visited by one
thread at a time, and no thread sleeps in a visit: to wait is a stage of a keyset.

`configure`, `pause` and `resume` replace the snapshot; one thread calls them (the daemon's
main thread), and visits only read it.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait

from rotator.core.events import Event, JobFailed, SweepFinished
from rotator.core.outcome import Outcome
from rotator.core.reasons import Refusal
from rotator.core.stages import Timing
from rotator.core.tenant import TenantId
from rotator.shell.agenda import Agenda, Booked, Kind, Result
from rotator.shell.clock import Clock
from rotator.shell.jobs import Scheduler
from rotator.shell.rounds import Rounds
from rotator.shell.snapshot import Snapshot
from rotator.shell.tenant import Tenant
from rotator.shell.visit import Visit

SWEEP_WAIT_SHARE = 0.9  # of a check interval: after that a sweep waits for no tenant, so that the next begins in time
STOP_GRACE = 5.0  # seconds that are given to looking for keys once the program was asked to stop
STOP_PAUSE = 0.5  # seconds between two looks then

Pools = Callable[[int, str], Executor]
"""Makes a pool of so many threads, with that name."""


def thread_pool(threads: int, name: str) -> Executor:
    """A pool of real threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix=name)


class Loop:
    """The visits to all tenants; the scheduler decides when they begin, the pools' threads make them."""

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
        Nothing is looked at yet.

        tell:         gets each outcome, from several threads, and each bug
        jitter:       draws from [0, 1)
        on_swept:     gets each sweep that ended under the lead that it began with
        on_confirmed: called when a tenant has no key left that was asked for and not seen
        """
        self._clock = clock
        self._scheduler = scheduler
        self._tell = tell
        self._jitter = jitter
        self._on_swept = on_swept
        self._on_confirmed = on_confirmed
        self._pools = pools
        self._concurrency = concurrency
        self._looks = pools(concurrency, "look")
        self._acts = pools(concurrency, "act")
        self._snapshot = Snapshot(timing=timing).configured(tenants, timing)
        self._agendas: dict[TenantId, Agenda] = {}
        self._opening = threading.Lock()  # of the agendas: several threads may visit a new tenant first
        # Of several sweeps that come while one runs, one waits: it holds `_next`, and then takes `_sweeping`.
        self._next = threading.Lock()
        self._sweeping = threading.Lock()
        self._rounds: Rounds | None = None

    # --- what is wanted

    def configure(self, tenants: Sequence[Tenant], timing: Timing) -> None:
        """Take another configuration: what is known of keysets that stay as they are is kept."""
        self._snapshot = self._snapshot.configured(tenants, timing)

    def pause(self) -> None:
        """Look at no keyset until `resume`, except for keys that were asked for."""
        self._snapshot = self._snapshot.paused()

    def resume(self) -> None:
        """Begin anew, as a process does that has just started."""
        self._snapshot = self._snapshot.resumed()

    def is_confirming(self) -> bool:
        """Whether a key was asked for that no look has shown yet."""
        return any(agenda.is_confirming for agenda in tuple(self._agendas.values()))

    def is_visiting(self) -> bool:
        """Whether a visit runs, or waits for a thread."""
        return any(agenda.is_visited for agenda in tuple(self._agendas.values()))

    # --- sweeps

    def rounds(self) -> Callable[[], None]:
        """What is to be called at once and then every `check_interval`; anew for each configuration and each lead."""
        self._rounds = rounds = Rounds(
            lambda: self._snapshot,
            clock=self._clock,
            scheduler=self._scheduler,
            sweep=self.sweep,
            visit=lambda tenant: self._begin(self._agenda(tenant), Kind.SWEEP),
            goes_on=lambda snapshot: self._rounds is rounds and self._goes_on(snapshot),
            on_swept=self._on_swept,
        )
        return rounds

    def _goes_on(self, snapshot: Snapshot) -> bool:
        """Whether the lead under which *snapshot* was taken goes on."""
        return not self._is_idle(self._snapshot) and self._snapshot.term == snapshot.term

    def sweep(self) -> None:
        """
        Look at every keyset of every tenant, and wait for that.

        A tenant that takes nearly as long as `check_interval` is not waited for, and is not
        looked at again before it is done: it costs its own thread, and nobody else's look.
        """
        if not self._next.acquire(blocking=False):
            return
        with self._sweeping:
            self._next.release()
            self._sweep()

    def _sweep(self) -> None:
        snapshot, began = self._snapshot, self._clock.monotonic()
        if self._is_idle(snapshot):
            return
        timing = snapshot.timing
        patience = None if timing.is_one_shot else timing.check_interval.total_seconds() * SWEEP_WAIT_SHARE
        visits = [self._begin(self._agenda(tenant), Kind.SWEEP) for tenant in snapshot.tenants.values()]
        done, _ = wait(visits, timeout=patience)
        outcomes = [outcome for visit in visits if visit in done for outcome in visit.result()]
        if self._goes_on(snapshot):
            seconds = self._clock.monotonic() - began
            late = len(visits) - len(done)
            self._on_swept(SweepFinished(seconds=seconds, outcomes=tuple(outcomes), late=late))

    # --- the end

    def close(self) -> None:
        """
        End what is under way, once the program was asked to stop.

        Visits that run are waited for. Then keys that were asked for are looked for, for
        `STOP_GRACE` seconds at most: a key that is not enabled now would look as if a person
        had disabled it. Then what is known is told.
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
            self._clock.linger(max(min(STOP_PAUSE, until - now, next_look - now), 0.0))
        for agenda in agendas:
            self._visit_of(agenda, self._snapshot).give_up()

    # --- visits

    def _agenda(self, tenant: Tenant) -> Agenda:
        with self._opening:
            return self._agendas.setdefault(tenant.id, Agenda(tenant))

    def _begin(self, agenda: Agenda, kind: Kind) -> Result:
        """Have a thread visit the tenant, at once or when the visit that runs has ended."""
        visit, is_new = agenda.book(kind)
        if is_new:
            self._submit(agenda, visit)
        return visit.result

    def _submit(self, agenda: Agenda, visit: Booked) -> None:
        """Hand *visit* to a pool; one to a tenant that does not answer is none that others should wait for."""
        pool = self._acts if visit.kind is Kind.ACT and not agenda.is_failing else self._looks
        try:
            pool.submit(self._visit, agenda, visit)
        except RuntimeError:  # the pool is closed: the program ends
            visit.result.set_result([])

    def _visit(self, agenda: Agenda, visit: Booked) -> None:
        outcomes: list[Outcome] = []
        was_confirming = agenda.is_confirming
        try:
            try:
                outcomes = self._carry_out(agenda, visit.kind)
            finally:
                self._plan(agenda)
        except Exception as error:  # noqa: BLE001 - a bug costs this visit alone, whoever waits for it
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
        """Why nothing may be written any more that was planned under *snapshot*."""
        current = self._snapshot
        if current is snapshot:
            return None
        return Refusal.NOT_LEADER if current.term != snapshot.term else Refusal.RECONFIGURED

    def _plan(self, agenda: Agenda) -> None:
        """See to the next visit."""
        now, key = self._clock.monotonic(), agenda.tenant.id
        act_at, retry_at = agenda.act_at(self._snapshot.timing), agenda.retry_at()
        if act_at is not None:
            self._scheduler.once(f"act:{key}", max(act_at - now, 0.0), lambda: self._begin(agenda, Kind.ACT))
        if retry_at is not None:
            self._scheduler.once(f"retry:{key}", max(retry_at - now, 0.0), lambda: self._begin(agenda, Kind.RETRY))

    def _is_idle(self, snapshot: Snapshot) -> bool:
        return self._clock.is_stopping or snapshot.is_paused
