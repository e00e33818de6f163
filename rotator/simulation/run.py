"""
Runs the daemon's loop over simulated years.

Decisions, stages, retries and gates are those of the daemon: `Loop` on a `JobQueue`, with a simulated
clock and keysets in memory. This module only skips sweeps that would change nothing: the outcome of a
look at a keyset that is not due stays the same until its renewal is due, a key becomes valid or
expires, or a hold ends. Sweeps happen at the same instants as those of the daemon, and none is skipped
around outages.

Tenants do not affect each other, so each has its own loop.
"""

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.core.events import Event, JobFailed, Looked
from rotator.core.history import KeysetHistory, Outage, RecordedKey, Simulated
from rotator.core.keyset import NEVER, Keyset
from rotator.core.outcome import Rotated
from rotator.core.policy import RotationPolicy
from rotator.core.spread import offset
from rotator.core.stages import Timing
from rotator.core.tenant import TenantId
from rotator.shell.gates import RunawayGate, guarded, not_stopping
from rotator.shell.jobs import InlineExecutor, JobQueue
from rotator.shell.loop import Loop
from rotator.shell.stream import Stream
from rotator.shell.tenant import Tenant
from rotator.simulation.changes import next_change
from rotator.simulation.clock import JumpingClock
from rotator.simulation.keysets import LivingKeysets

WRITES = frozenset({"generate", "enable"})
JITTER = 0.5  # in place of a random number from [0, 1): the same simulation has the same result each time


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A tenant to simulate: its rotation policies, and the keysets that it starts with; the others are empty."""

    name: str
    id: TenantId
    policies: tuple[RotationPolicy, ...]
    keysets: tuple[Keyset, ...] = ()


def simulate(
    tenants: Sequence[Wanted],
    timing: Timing,
    *,
    start: datetime,
    end: datetime,
    outages: Sequence[Outage] = (),
    on_progress: Callable[[float], None] = lambda _: None,
) -> Simulated:
    """
    Simulate the rotations of the keysets of *tenants* from *start* to *end*.

    on_progress: gets the share that is done, from 0 to 1
    """
    histories: list[KeysetHistory] = []
    requests = 0
    for number, tenant in enumerate(tenants):

        def on_share(share: float, number: int = number) -> None:
            on_progress((number + share) / len(tenants))

        life = TenantLife(tenant, timing, start, outages)
        life.run(end, on_share)
        histories += life.histories()
        requests += life.requests(end)
    return Simulated(start=start, end=end, keysets=tuple(histories), requests=requests, outages=tuple(outages))


class TenantLife:
    """One tenant and the loop that rotates its keysets."""

    def __init__(self, wanted: Wanted, timing: Timing, start: datetime, outages: Sequence[Outage] = ()) -> None:
        """Begin at *start*, right before the daemon starts."""
        self._wanted = wanted
        self._timing = timing
        self._start = start
        self._outages = outages
        self._clock = JumpingClock(start)
        self._queue = JobQueue(self._clock)
        found = {keyset.id: keyset for keyset in wanted.keysets}
        self._first = {
            each.keyset_id: found.get(each.keyset_id, Keyset(id=each.keyset_id, keys=())) for each in wanted.policies
        }
        self._keysets = LivingKeysets(self._clock, self._first.values(), self._is_unavailable)
        self._places = {policy.keyset_id: place for place, policy in enumerate(wanted.policies)}
        self._wakes = [start] * len(wanted.policies)
        self._waiting = [(start, place) for place in range(len(wanted.policies))]  # a heap; may have outdated entries
        self._cover_left: dict[tuple[str, str | None], timedelta | None] = {}
        self._sweeps = 0
        self._end = start
        self._on_share: Callable[[float], None] = lambda _: None
        self._loop = self._wired()

    def _wired(self) -> Loop:
        stream, runaway = Stream(), RunawayGate()
        stream.add(runaway.on_event)
        self._writing = guarded([not_stopping(self._clock), runaway])

        def tell(event: Event) -> None:
            stream.tell(event)
            self._on_event(event)

        return Loop(
            [self._tenant(self._wanted.policies)],
            self._timing,
            concurrency=1,
            clock=self._clock,
            scheduler=self._queue,
            tell=tell,
            jitter=lambda: JITTER,
            pools=lambda _, __: InlineExecutor(),
        )

    def _tenant(self, policies: tuple[RotationPolicy, ...]) -> Tenant:
        wanted = self._wanted
        return Tenant(name=wanted.name, id=wanted.id, policies=policies, keysets=self._keysets, writing=self._writing)

    def run(self, end: datetime, on_share: Callable[[float], None] = lambda _: None) -> None:
        """Simulate until *end*; *on_share* gets the share that is done, from 0 to 1."""
        self._end, self._on_share = end, on_share
        self._queue.once("sweep", 0.0, self._sweep)
        self._queue.run_until((end - self._start).total_seconds())

    # --- which sweeps change something

    def _sweep(self) -> None:
        now = self._clock.now()
        self._on_share((now - self._start) / (self._end - self._start))
        policies = self._due(now)
        if any(begin <= now <= finish for begin, finish in self._full_spans()):
            policies = self._wanted.policies
        if policies:
            self._sweeps += 1
            self._loop.configure([self._tenant(policies)], self._timing)
            self._loop.sweep()
        wakes = [wake for wake, _ in self._waiting[:1]]
        self._book(min([*wakes, *(begin for begin, finish in self._full_spans() if finish > now)], default=NEVER))

    def _due(self, now: datetime) -> tuple[RotationPolicy, ...]:
        """Remove and return the policies of the keysets whose next look may have another outcome."""
        due = set()
        while self._waiting and self._waiting[0][0] <= now:
            wake, place = heapq.heappop(self._waiting)
            if wake == self._wakes[place]:
                due.add(place)
        return tuple(self._wanted.policies[place] for place in sorted(due))

    def _full_spans(self) -> Iterator[tuple[datetime, datetime]]:
        """The spans in which no sweep is skipped: around outages, since failed looks are repeated."""
        margin = 2 * self._timing.check_interval
        return ((each.begin - margin, each.end + margin) for each in self._outages)

    def _book(self, wake: datetime) -> None:
        """Schedule a sweep at the daemon's first sweep at or after *wake*."""
        every, elapsed = self._timing.check_interval.total_seconds(), self._clock.monotonic()
        first = offset(self._wanted.id, self._timing.check_interval).total_seconds()
        wanted = math.ceil(((wake - self._start).total_seconds() - first) / every)
        number = max(wanted, math.floor((elapsed - first) / every) + 1)
        self._queue.once("sweep", first + number * every - elapsed, self._sweep)

    def _on_event(self, event: Event) -> None:
        match event:
            case Looked(outcome=outcome):
                wake = next_change(outcome)
                place = self._places[outcome.observation.policy.keyset_id]
                self._wakes[place] = wake
                heapq.heappush(self._waiting, (wake, place))
                self._book(wake)
                if isinstance(outcome, Rotated):
                    self._record(outcome)
            case JobFailed(error=error):
                raise error
            case _:
                pass

    # --- results

    def _record(self, outcome: Rotated) -> None:
        before = outcome.before
        if before.assessment is not None and before.keyset is not None and before.keyset.keys:
            left = before.assessment.cover_left(before.now)
            self._cover_left[before.policy.keyset_id, outcome.kid] = left

    def _is_unavailable(self, operation: str) -> bool:
        now = self._clock.now()
        return any(each.fails(now, is_write=operation in WRITES) for each in self._outages)

    def requests(self, end: datetime) -> int:
        """How many requests the daemon would make until *end*, including the skipped sweeps."""
        every = self._timing.check_interval
        first = offset(self._wanted.id, every)
        rounds = (end - self._start - first) // every + 1
        daemon_sweeps = rounds + 1 if first else rounds  # the first sweep is the first round where the offset is 0
        return len(self._keysets.requests) + max(daemon_sweeps - self._sweeps, 0)

    def histories(self) -> list[KeysetHistory]:
        """The history of each keyset, in the order of the configuration."""
        return [self._history(policy) for policy in self._wanted.policies]

    def _history(self, policy: RotationPolicy) -> KeysetHistory:
        there = frozenset(self._first[policy.keyset_id].keys)
        recorded = (
            RecordedKey(
                key=key,
                generated=None if key in there else self._keysets.born.get(key.kid or ""),
                cover_left=self._cover_left.get((policy.keyset_id, key.kid)),
            )
            for key in self._keysets.there(policy.keyset_id).keys
        )
        return KeysetHistory(
            tenant=self._wanted.name,
            directory=self._wanted.id.directory,
            policy=policy,
            keys=tuple(sorted(recorded, key=lambda each: (each.key.activates, each.key.expires))),
        )
