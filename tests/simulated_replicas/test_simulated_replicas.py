"""Elections among several replicas through hours of trouble, in no time: never two that write."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from random import Random

import pytest
from simulated_replicas.world import Network, Record, World

from rotator.core.lease import ElectionEvent, LeaseTimings
from rotator.shell.election import Elector

TIMINGS = LeaseTimings(lease_duration=6.0, renew_deadline=4.0, retry_period=1.0)
LONGEST = 2.0  # seconds that a write may take
WAKE_DELAY = 0.05  # seconds until the end of a write or a wish to stop is seen


class Clock:
    """One replica's: it runs a little fast or slow, and began at any time."""

    is_stopping = False

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.rate = random.uniform(0.95, 1.05)
        self.offset = random.uniform(0, 1e6)

    def now(self) -> datetime:
        raise AssertionError

    def monotonic(self) -> float:
        return self.offset + self.world.time * self.rate

    def sleep(self, seconds: float) -> bool:
        raise AssertionError(seconds)

    def sleep_uninterrupted(self, seconds: float) -> None:
        raise AssertionError(seconds)


class Pod:
    """A replica: its elector, which is frozen at times, and what it writes whenever it may."""

    def __init__(self, name: str, world: World, record: Record, seed: int) -> None:
        self.name = name
        self.world = world
        self.random = Random(f"{seed} {name}")
        self.clock = Clock(world, self.random)
        self.network = Network(world, record, self.random)
        self.frozen_until = 0.0
        self.killed = False
        self.writes: list[tuple[float, float, str]] = []
        self.news: list[tuple[float, ElectionEvent]] = []
        self.elector = Elector(
            self.network,
            TIMINGS,
            identity=name,
            clock=self.clock,
            jitter=self.random.random,
            tell=lambda news: self.news.append((world.time, news)),
            on_bug=world.errors.append,
        )
        world.spawn(self._elect)
        world.spawn(self._write)

    def _thaw(self) -> None:
        while self.world.time < self.frozen_until:
            self.world.sleep(self.frozen_until - self.world.time)

    def _elect(self) -> None:
        wait: float | None = 0.0
        while wait is not None and not self.killed:
            self._thaw()
            wait = self.elector.step()
            left = wait or 0.0
            while left > 0:  # a requested step is seen a little later than a real thread sees it
                may_be_woken = self.elector.state.is_stopping or self.elector.state.is_writing
                step = min(left, WAKE_DELAY) if may_be_woken else left
                self.world.sleep(step)
                left -= step
                if self.elector.state.wait(0.0):
                    break
            if wait == 0.0:
                self.world.sleep(0.0)

    def _write(self) -> None:
        while not self.killed:
            self.world.sleep(self.random.uniform(0.05, 1.0))
            self._thaw()
            if not self.elector.state.begin_write(LONGEST):
                continue
            began = self.world.time
            # Its own deadline ends a request, however long its process was frozen meanwhile.
            self.world.sleep(self.random.uniform(0.0, LONGEST * 0.9))
            self.writes.append((began, self.world.time, self.name))
            if not self.killed:
                self.elector.state.end_write()


@contextmanager
def pods(number: int, seed: int) -> Iterator[tuple[World, Record, list[Pod]]]:
    world = World()
    record = Record(world)
    try:
        yield world, record, [Pod(f"pod-{n}", world, record, seed) for n in range(number)]
    finally:
        world.close()


def trouble(world: World, members: list[Pod], seed: int, until: float) -> None:
    """Let all sorts of things go wrong until then, and all be well from then on."""
    random = Random(seed)
    time = 5.0
    while (time := time + random.expovariate(1 / 4)) < until:
        pod = random.choice(members)
        span = min(random.choice((0.5, 2.0, 5.0, 12.0)), until - time)
        match random.choice(("cut", "cut all", "slow", "lossy", "freeze", "freeze")):
            case "cut":
                _for(world, time, span, [pod], "is_cut", value=True)
            case "cut all":
                _for(world, time, span, members, "is_cut", value=True)
            case "slow":
                _for(world, time, span, members, "is_slow", value=True)
            case "lossy":
                _for(world, time, span, members, "loss", value=0.3)
            case _:
                world.at(time, lambda pod=pod, end=time + span: setattr(pod, "frozen_until", end))  # type: ignore[misc]


def _for(world: World, time: float, span: float, members: list[Pod], name: str, *, value: object) -> None:
    def turn(to: object) -> None:
        for pod in members:
            setattr(pod.network, name, to)

    world.at(time, lambda: turn(value))
    world.at(time + span, lambda: turn(type(value)()))


def check(record: Record, members: list[Pod]) -> None:
    """No two writes of different replicas overlap, and who writes holds the lease from begin to end."""
    writes = sorted(write for pod in members for write in pod.writes)
    for (_, end, one), (begin, _, other) in pairwise(writes):
        assert one == other or end < begin, f"{one} wrote until {end}, {other} from {begin}"
    for begin, end, name in writes:
        assert (name, name) == (record.holder_at(begin), record.holder_at(end)), (begin, end, name)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("number", [2, 5])
def test_world_never_two_that_write(number: int, seed: int) -> None:
    """Cut, lossy and slow networks, frozen processes, fast and slow clocks: one at most writes, and later one leads."""
    with pods(number, seed) as (world, record, members):
        trouble(world, members, seed, until=600.0)
        world.run(600.0 + 20.0)
        check(record, members)
        assert [pod.elector.state.is_leading for pod in members if pod.elector.state.is_leading] == [True]
        assert {pod.elector.state.leader() for pod in members} == {record.get().holder}
        assert len(record.holders) > 4, "there was not much of an election"


@pytest.mark.parametrize("seed", range(8))
def test_world_whose_record_is_deleted(seed: int) -> None:
    """
    Among all that trouble somebody deletes the record, now and then: one at most writes, and later one leads.

    Not while it is about to be created: a record that comes and goes between two looks, nobody else can know of.
    """
    with pods(3, seed) as (world, record, members):
        random, deletions = Random(seed), 0
        world.run(10.0)  # each has read a record; one that never has can't know that there was one

        def delete() -> None:
            nonlocal deletions
            record.delete(min_age=TIMINGS.lease_duration)
            deletions += record.lease is None

        trouble(world, members, seed, until=600.0)
        time = 15.0
        while (time := time + random.expovariate(1 / 20)) < 600.0:
            world.at(time, delete)
        world.run(600.0 + 20.0)
        check(record, members)
        assert [pod.elector.state.is_leading for pod in members if pod.elector.state.is_leading] == [True]
        assert {pod.elector.state.leader() for pod in members} == {record.get().holder}
        assert deletions > 5, "there was nothing to create"


def test_world_that_begins_at_once() -> None:
    """Replicas that all find no record at the same moment: one creates it, and the others follow."""
    with pods(5, 1) as (world, record, members):
        for pod in members:
            pod.network._way = lambda: 0.01  # type: ignore[method-assign]  # noqa: SLF001 - a good network
        world.run(5.0)
        assert {pod.elector.state.leader() for pod in members} == {record.get().holder}
        assert len(record.holders) == 1


@pytest.mark.parametrize("seed", range(4))
def test_world_without_trouble(seed: int) -> None:
    """If nothing goes wrong one replica leads for good."""
    with pods(5, seed) as (world, record, members):
        world.run(300.0)
        check(record, members)
        assert len(record.holders) == 1
        assert len({name for pod in members for *_, name in pod.writes}) == 1


@pytest.mark.parametrize("seed", range(6))
def test_world_of_restarts(seed: int) -> None:
    """Replicas that stop or die one after the other: who stops writes to the end, and there is always one to follow."""
    with pods(3, seed) as (world, record, members):
        random, alive = Random(seed), list(members)
        for generation in range(20):
            world.run(world.time + random.uniform(1.0, 15.0))
            pod = random.choice([each for each in alive if each.elector.state.is_leading] or alive)
            alive.remove(pod)
            if random.random() < 0.5:
                pod.killed = True
            else:
                pod.elector.state.stop()
            alive.append(Pod(f"pod-{generation + 3}", world, record, seed))
            members.append(alive[-1])
        world.run(world.time + 20.0)
        check(record, [pod for pod in members if not pod.killed])
        assert sum(pod.elector.state.is_leading for pod in alive) == 1


def test_world_hands_over_at_once() -> None:
    """A leader that is stopped is followed within two seconds after its last write."""
    with pods(3, 1) as (world, record, members):
        for pod in members:
            pod.network._way = lambda: 0.01  # type: ignore[method-assign]  # noqa: SLF001 - a good network
        world.run(30.0)
        (leader,) = [pod for pod in members if pod.elector.state.is_leading]
        leader.elector.state.stop()
        world.run(30.0 + LONGEST + 2.0)
        (follower,) = [pod for pod in members if pod.elector.state.is_leading]
        taken = next(since for since, holder in record.holders if holder == follower.name)
        done = max([30.0, *(end for _, end, _ in leader.writes)])
        assert taken - done < 2.0
        check(record, members)
