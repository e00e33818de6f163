"""
Running for long.

A sweep at once and then every `check_interval`, second looks when they are due,
and another look where one failed.

Who is due is remembered here and nowhere else; a process that starts anew knows
nothing, and so looks twice before it writes.

Each tenant is visited by one thread at a time. A stop is a state of the clock:
nothing new begins, and what is under way finishes. `rest` is the same for a while:
whoever does not lead looks at nothing. What was due before it is forgotten, since
others may have written meanwhile.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from rotator.core.errors import Failure
from rotator.core.outcome import Failed, Outcome, Planned
from rotator.core.pace import next_look
from rotator.core.policy import RotationPolicy
from rotator.core.reasons import Reason, Refusal, confirms
from rotator.shell.clock import Clock
from rotator.shell.reconcile import Tenant, look, reconcile
from rotator.shell.status_store import Board, Entry

PATIENCE = 0.9  # of a check interval: after that a sweep waits for nobody, so that the next one begins in time


class Scheduler(Protocol):
    """Runs jobs in threads of its own."""

    def once(self, key: str, seconds: float, job: Callable[[], None]) -> None:
        """Run *job* in *seconds*, unless one with that *key* is waiting already and comes sooner."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """
    A sweep that has ended: how long it took, in seconds, and what came of each keyset.

    late: how many tenants were not done in time; theirs are not among the outcomes
    """

    seconds: float
    outcomes: tuple[Outcome, ...]
    late: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How often and how carefully; spans, and how many tenants side by side."""

    check_interval: timedelta
    settle: timedelta
    concurrency: int
    dry_run: bool


class Loop:
    """The jobs of a daemon; the scheduler decides when they run."""

    def __init__(
        self,
        tenants: Sequence[Tenant],
        rhythm: Rhythm,
        *,
        clock: Clock,
        scheduler: Scheduler,
        board: Board,
        observe: Callable[[Outcome], None],
        swept: Callable[[Swept], None],
        raised: Callable[[BaseException], None],
        chance: Callable[[], float],
    ) -> None:
        """
        Nothing is looked at yet.

        observe: is told each outcome, from several threads
        swept:   is told each sweep that ended
        raised:  is told a bug that ended a look, since a sweep may not have waited for it
        """
        self._rhythm = rhythm
        self._clock = clock
        self._scheduler = scheduler
        self._board = board
        self._observe = observe
        self._swept = swept
        self._raised = raised
        self._chance = chance
        self._pool = ThreadPoolExecutor(rhythm.concurrency, thread_name_prefix="tenant")
        self._visits = {tenant.name: _Visits(tenant) for tenant in tenants}
        self._sweeping = threading.Lock()  # of two sweeps at once the second would find everybody busy
        self._next = threading.Lock()  # whose holder sweeps next
        self._resting = False
        self._rests = 0

    def rest(self) -> None:
        """Look at nothing until `wake`; a write that is under way finishes."""
        self._resting = True
        self._rests += 1

    def wake(self) -> None:
        """Begin anew, as a process does that has just started."""
        self._resting = False

    def configure(self, tenants: Sequence[Tenant], rhythm: Rhythm) -> None:
        """Take another configuration: keysets that stay as they are are due as they were, others no more."""
        self._rhythm = rhythm
        configured = {tenant.name: tenant for tenant in tenants}
        for name, visits in self._visits.items():
            visits.configure(configured.pop(name, None))
        self._visits = self._visits | {name: _Visits(tenant) for name, tenant in configured.items()}

    def sweep(self) -> None:
        """
        Look at every keyset of every tenant.

        A tenant that takes nearly as long as `check_interval` is not waited for, and is not
        looked at anew before it is done: it costs its own slot, and nobody else's look.
        Of several sweeps that come while one runs, one follows it.
        """
        if not self._next.acquire(blocking=False):
            return
        with self._sweeping:
            self._next.release()
            self._sweep()

    def _sweep(self) -> None:
        if self._is_idle:
            return
        began, rests = self._clock.monotonic(), self._rests
        tenants = [visits for visits in self._visits.values() if visits.stay is not None]
        looks = [self._pool.submit(self._look_in_turn, visits) for visits in tenants if visits.take_turn()]
        done, _ = wait(looks, timeout=self._rhythm.check_interval.total_seconds() * PATIENCE)
        outcomes = [outcome for each in looks if each in done for outcome in each.result()]
        if not self._is_idle and rests == self._rests:
            late = len(tenants) - len(done)
            self._swept(Swept(seconds=self._clock.monotonic() - began, outcomes=tuple(outcomes), late=late))

    def close(self) -> None:
        """Wait for the looks that are under way; none begins any more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _look_in_turn(self, visits: "_Visits") -> list[Outcome]:
        try:
            return self._look(visits)
        except Exception as error:  # noqa: BLE001 - whoever is waited for or not: a bug is told, and costs this look alone
            self._raised(error)
            return []
        finally:
            visits.end_turn()

    def _look(self, visits: "_Visits") -> list[Outcome]:
        with visits.lock:
            stay = self._begin(visits)
            if stay is None:
                return []
            outcomes = look(stay.tenant, self._clock.now())
            for outcome in outcomes:
                self._note(visits, stay, outcome)
            self._plan_second_look(visits, stay)
            return outcomes

    def _second_look(self, visits: "_Visits") -> None:
        """Reconcile one keyset whose first look is `settle` ago; others of its tenant have theirs after that."""
        with visits.lock:
            stay = self._begin(visits)
            if stay is None or self._rhythm.dry_run:
                return
            asked = stay.tenant
            tenant = replace(asked, may_write=lambda planned: self._may_write(visits, stay, asked, planned))
            for policy in tenant.policies:
                due = stay.due.get(policy.keyset_id)
                if due is not None and due.policy == policy and self._left(due) <= 0:
                    outcome = reconcile(
                        tenant, policy, due.reason, clock=self._clock, settle=self._settle, chance=self._chance
                    )
                    self._note(visits, stay, outcome)
                    break
            self._plan_second_look(visits, stay)

    def _may_write(self, visits: "_Visits", stay: "_Stay", asked: Tenant, planned: Planned) -> Refusal | Failure | None:
        """The tenant's own word, unless the lead was lost or another configuration took over meanwhile."""
        if stay.rests != self._rests:
            return Refusal.NOT_LEADER  # and may be back: that takes two looks
        if self._rhythm.dry_run or visits.stay is not stay or stay.tenant is not asked:
            return Refusal.RECONFIGURED
        return asked.may_write(planned)

    def _note(self, visits: "_Visits", stay: "_Stay", outcome: Outcome) -> None:
        """See to the next look, and tell what came of this one."""
        is_open = isinstance(outcome, Planned) and not self._rhythm.dry_run
        entry = self._board.record(outcome, is_open=is_open)
        policy = outcome.observation.policy
        match outcome:
            case Planned(reason=reason):
                due = stay.due.get(policy.keyset_id)
                if due is None or not confirms(due.reason, reason):
                    stay.due[policy.keyset_id] = _Due(since=self._clock.monotonic(), reason=reason, policy=policy)
            case Failed():
                stay.due.pop(policy.keyset_id, None)
                self._plan_another(visits, outcome, entry)
            case _:
                stay.due.pop(policy.keyset_id, None)
        self._observe(outcome)

    def _plan_second_look(self, visits: "_Visits", stay: "_Stay") -> None:
        if stay.due and not self._rhythm.dry_run:
            soonest = max(min(map(self._left, stay.due.values())), 0.0)
            self._scheduler.once(f"second:{visits.name}", soonest, lambda: self._second_look(visits))

    def _plan_another(self, visits: "_Visits", failed: Failed, entry: Entry) -> None:
        left = None
        if entry.observation is not None and entry.observation.assessment is not None:
            left = entry.observation.assessment.cover_left(self._clock.now())
        pause = next_look(failed.failure, entry.failures, left, self._rhythm.check_interval)
        if pause is not None:
            self._scheduler.once(f"again:{visits.name}", pause.total_seconds(), lambda: self._again(visits))

    def _again(self, visits: "_Visits") -> None:
        self._look(visits)

    def _begin(self, visits: "_Visits") -> "_Stay | None":
        """The tenant to look at, if any, after what is due no more was forgotten."""
        stay = visits.stay
        if stay is None or self._is_idle:
            return None
        before, stay.rests = stay.rests, self._rests
        kept = stay.tenant.policies if stay.rests == before else ()
        stay.due = {keyset_id: due for keyset_id, due in stay.due.items() if due.policy in kept}
        return stay

    @property
    def _is_idle(self) -> bool:
        return self._clock.is_stopping or self._resting

    @property
    def _settle(self) -> float:
        return self._rhythm.settle.total_seconds()

    def _left(self, due: "_Due") -> float:
        return due.since + self._settle - self._clock.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """Since when (monotonic) a keyset calls for a key, why, and by which policy."""

    since: float
    reason: Reason
    policy: RotationPolicy


class _Stay:
    """
    A tenant, for as long as it is configured and stays where it is.

    tenant: as configured now
    due:    which of its keysets call for a key; changed by whoever has the lock of the visits
    rests:  how many the loop had had when `due` was begun
    """

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.due: dict[str, _Due] = {}
        self.rests = 0


class _Visits:
    """The looks at the tenant of one name, of which one has its turn; `stay` is None where there is no such tenant."""

    def __init__(self, tenant: Tenant) -> None:
        self.name = tenant.name
        self.stay: _Stay | None = _Stay(tenant)
        self.lock = threading.Lock()
        self._turn = threading.Lock()

    def configure(self, tenant: Tenant | None) -> None:
        """Take another configuration; whoever comes back, or is elsewhere now, begins anew."""
        if tenant is None:
            self.stay = None
        elif self.stay is None or self.stay.tenant.place != tenant.place:
            self.stay = _Stay(tenant)
        else:
            self.stay.tenant = tenant

    def take_turn(self) -> bool:
        """Whether a sweep may queue a look; not while one that was queued before is not done."""
        return self._turn.acquire(blocking=False)

    def end_turn(self) -> None:
        """The look is done."""
        self._turn.release()
