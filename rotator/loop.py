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
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from rotator.board import Board, Entry
from rotator.clock import Clock
from rotator.core.outcome import Failed, Outcome, Planned
from rotator.core.pace import next_look
from rotator.core.rotation import Reason, is_called_for
from rotator.reconcile import Tenant, look, reconcile, sweep


class Scheduler(Protocol):
    """Runs jobs in threads of its own."""

    def once(self, key: str, seconds: float, job: Callable[[], None]) -> None:
        """Run *job* in *seconds*, unless one with that *key* is waiting already and comes sooner."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """A sweep that has ended: how long it took, and what came of each keyset. Seconds."""

    seconds: float
    outcomes: tuple[Outcome, ...]


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
        chance: Callable[[], float],
    ) -> None:
        """*observe* is told each outcome, from several threads; *swept* each sweep that ended."""
        self._rhythm = rhythm
        self._clock = clock
        self._scheduler = scheduler
        self._board = board
        self._observe = observe
        self._swept = swept
        self._chance = chance
        self._visits = [_Visits(tenant) for tenant in tenants]
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
        """Take another configuration: keysets that stay are due as they were."""
        known = {visits.tenant.name: visits for visits in self._visits}
        self._rhythm = rhythm
        self._visits = [known.get(tenant.name, _Visits(tenant)) for tenant in tenants]
        for visits, tenant in zip(self._visits, tenants, strict=True):
            visits.tenant = tenant

    def sweep(self) -> None:
        """Look at every keyset of every tenant."""
        if self._is_idle:
            return
        began, rests = self._clock.monotonic(), self._rests
        outcomes = sweep(self._visits, self._look, self._rhythm.concurrency)
        if not self._is_idle and rests == self._rests:
            self._swept(Swept(seconds=self._clock.monotonic() - began, outcomes=tuple(outcomes)))

    def _look(self, visits: "_Visits") -> list[Outcome]:
        with visits.lock:
            if self._is_idle:
                return []
            self._forget_if_rested(visits)
            outcomes = look(visits.tenant, self._clock.now())
            for outcome in outcomes:
                self._note(visits, outcome)
            self._plan_second_looks(visits)
            return outcomes

    def _second_looks(self, visits: "_Visits") -> None:
        """Reconcile the keysets of one tenant whose first look is `settle` ago."""
        with visits.lock:
            self._forget_if_rested(visits)
            for policy in visits.tenant.policies:
                due = visits.due.get(policy.keyset_id)
                if due is None or self._left(due) > 0:
                    continue
                if self._is_idle or visits.rests != self._rests:
                    return
                outcome = reconcile(
                    visits.tenant,
                    policy,
                    due.reason,
                    clock=self._clock,
                    settle=self._settle,
                    chance=self._chance,
                )
                self._note(visits, outcome)
            self._plan_second_looks(visits)

    def _note(self, visits: "_Visits", outcome: Outcome) -> None:
        """Tell what came of a look, and see to the next one."""
        is_open = isinstance(outcome, Planned) and not self._rhythm.dry_run
        entry = self._board.record(outcome, is_open=is_open)
        self._observe(outcome)
        keyset_id = outcome.sight.policy.keyset_id
        match outcome:
            case Planned(reason=reason):
                due = visits.due.get(keyset_id)
                if due is None or not is_called_for(due.reason, reason):
                    visits.due[keyset_id] = _Due(since=self._clock.monotonic(), reason=reason)
            case Failed():
                visits.due.pop(keyset_id, None)
                self._plan_another(visits, outcome, entry)
            case _:
                visits.due.pop(keyset_id, None)

    def _plan_second_looks(self, visits: "_Visits") -> None:
        if visits.due and not self._rhythm.dry_run:
            soonest = max(min(map(self._left, visits.due.values())), 0.0)
            self._scheduler.once(f"second:{visits.tenant.name}", soonest, lambda: self._second_looks(visits))

    def _plan_another(self, visits: "_Visits", failed: Failed, entry: Entry) -> None:
        left = None
        if entry.sight is not None and entry.sight.outlook is not None:
            left = entry.sight.outlook.covered_until - self._clock.now()
        wait = next_look(failed.failure, entry.failures, left, self._rhythm.check_interval)
        if wait is not None:
            self._scheduler.once(f"again:{visits.tenant.name}", wait.total_seconds(), lambda: self._again(visits))

    def _again(self, visits: "_Visits") -> None:
        self._look(visits)

    def _forget_if_rested(self, visits: "_Visits") -> None:
        if visits.rests != self._rests:
            visits.rests = self._rests
            visits.due.clear()

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
    """Since when (monotonic) a keyset calls for a key, and why."""

    since: float
    reason: Reason


class _Visits:
    """One tenant, whose turn it is, and which of its keysets call for a key."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.lock = threading.Lock()
        self.due: dict[str, _Due] = {}
        self.rests = 0  # how many the loop had had when `due` was begun
