"""
Rounds over all tenants, spread over `check_interval`, so that many tenants cause no burst of requests.

Threads: a scheduler's thread takes the steps of a round, one after the other; the threads of visits tell it
that they have ended.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count

from rotator.core.events import SweepFinished
from rotator.core.outcome import Outcome
from rotator.core.spread import is_spread, offset
from rotator.shell.agenda import Result
from rotator.shell.clock import Clock
from rotator.shell.jobs import Scheduler
from rotator.shell.snapshot import Snapshot
from rotator.shell.tenant import Tenant

TOLERANCE = 0.001  # seconds that a step may come too early, since clocks count in fractions of different sizes
_numbers = count(1)


class Round:
    """One look at every tenant, each at its own offset from the begin of the round."""

    def __init__(
        self,
        tenants: Sequence[Tenant],
        check_interval: timedelta,
        *,
        began: float,
        clock: Clock,
        scheduler: Scheduler,
        visit: Callable[[Tenant], Result],
        is_wanted: Callable[[], bool],
        on_end: Callable[[SweepFinished], None],
    ) -> None:
        """
        No tenant is looked at yet: `step` begins.

        began:     when the round began, in monotonic seconds
        is_wanted: whether to go on
        on_end:    called once, when all visits have ended, or when `end` is called before that
        """
        self._key = f"round:{next(_numbers)}"
        waiting = ((offset(tenant.id, check_interval).total_seconds(), tenant) for tenant in tenants)
        self._waiting = deque(sorted(waiting, key=lambda each: each[0]))
        self._began = began
        self._clock = clock
        self._scheduler = scheduler
        self._visit = visit
        self._is_wanted = is_wanted
        self._on_end = on_end
        self._lock = threading.Lock()  # of the three below
        self._left = len(tenants)
        self._outcomes: list[Outcome] = []
        self._is_over = False

    def step(self) -> None:
        """Begin the visits whose time has come, and see to the next step."""
        if not self._is_wanted():
            return
        passed = self._clock.monotonic() - self._began
        while self._waiting and self._waiting[0][0] <= passed + TOLERANCE:
            self._visit(self._waiting.popleft()[1]).add_done_callback(self._on_visited)
        if self._waiting:
            self._scheduler.once(self._key, max(self._waiting[0][0] - passed, 0.0), self.step)

    def end(self) -> None:
        """The next round begins: tenants that were not looked at are late."""
        self._finish(())

    def _on_visited(self, result: Result) -> None:
        self._finish(result.result(), visited=1)

    def _finish(self, outcomes: Sequence[Outcome], visited: int = 0) -> None:
        with self._lock:
            self._outcomes += outcomes
            self._left -= visited
            if self._is_over or (visited and self._left):
                return
            self._is_over = True
            late, found = self._left, tuple(self._outcomes)
        self._on_end(SweepFinished(seconds=self._clock.monotonic() - self._began, outcomes=found, late=late))


class Rounds:
    """
    What looks at all tenants again and again: called at once, and then every `check_interval`.

    The first call sweeps. From then on the tenants are looked at one after the other, each at its offset from the
    call, so that no keyset waits longer than `check_interval`; a short interval is swept at each call.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        *,
        clock: Clock,
        scheduler: Scheduler,
        sweep: Callable[[], None],
        visit: Callable[[Tenant], Result],
        goes_on: Callable[[Snapshot], bool],
        on_swept: Callable[[SweepFinished], None],
    ) -> None:
        """
        Nothing is looked at yet.

        snapshot: the one in force
        goes_on:  whether these rounds, and the lead under which a snapshot was taken, go on
        on_swept: gets each round that ended under the lead that it began with
        """
        self._snapshot = snapshot
        self._clock = clock
        self._scheduler = scheduler
        self._sweep = sweep
        self._visit = visit
        self._goes_on = goes_on
        self._on_swept = on_swept
        self._is_first = True
        self._round: Round | None = None

    def __call__(self) -> None:
        """Sweep, or begin a round; of the round before, tenants that were not looked at are late."""
        began, snapshot = self._clock.monotonic(), self._snapshot()
        is_first, self._is_first = self._is_first, False
        if is_first or not is_spread(snapshot.timing.check_interval):
            self._sweep()
        if not is_spread(snapshot.timing.check_interval):
            return
        if self._round is not None:
            self._round.end()
        if not self._goes_on(snapshot):
            return
        self._round = current = Round(
            tuple(snapshot.tenants.values()),
            snapshot.timing.check_interval,
            began=began,
            clock=self._clock,
            scheduler=self._scheduler,
            visit=self._visit,
            is_wanted=lambda: self._round is current and self._goes_on(snapshot),
            on_end=lambda event: self._on_swept(event) if self._goes_on(snapshot) else None,
        )
        current.step()
