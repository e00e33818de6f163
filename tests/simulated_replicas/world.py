"""
Several replicas at once in a time of our own: threads that take turns, and no second passes.

Only one thread runs at any moment; a thread that waits starts the next one. So a
run is repeatable, and a blocking request of one replica takes time for all of them.
"""

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.lease import Lease


class _GoneError(BaseException):
    """Ends a thread whose world has ended."""


class World:
    """Time, and what happens when."""

    def __init__(self) -> None:
        self.time = 0.0
        self._numbers = count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._idle = threading.Semaphore(0)
        self._over = False
        self._threads: list[tuple[threading.Thread, threading.Semaphore]] = []
        self._current: threading.Semaphore | None = None
        self.errors: list[BaseException] = []

    def at(self, time: float, act: Callable[[], None]) -> None:
        """Let *act*, which does not wait, happen then."""
        heapq.heappush(self._queue, (time, next(self._numbers), act))

    def spawn(self, live: Callable[[], None]) -> None:
        """A its own life, which may `sleep`, from now on."""
        turn = threading.Semaphore(0)

        def thread() -> None:
            turn.acquire()
            try:
                if not self._over:
                    live()
            except _GoneError:
                pass
            except BaseException as error:  # noqa: BLE001 - the test tells it
                self.errors.append(error)
            finally:
                self._idle.release()

        started = threading.Thread(target=thread, daemon=True)
        self._threads.append((started, turn))
        started.start()
        self.at(self.time, lambda: self._wake(turn))

    def sleep(self, seconds: float) -> None:
        """Wait; called by what was spawned."""
        turn = self._current
        assert turn is not None
        self.at(self.time + max(seconds, 0.0), lambda: self._wake(turn))
        self._idle.release()
        turn.acquire()
        if self._over:
            raise _GoneError

    def run(self, until: float) -> None:
        """Let everything happen until then."""
        while self._queue and self._queue[0][0] <= until:
            self.time, _, act = heapq.heappop(self._queue)
            act()
            if self.errors:
                raise self.errors[0]
        self.time = until

    def close(self) -> None:
        """End every life."""
        self._over = True
        for thread, turn in self._threads:
            while thread.is_alive():
                turn.release()
                thread.join(0.01)

    def _wake(self, turn: threading.Semaphore) -> None:
        self._current = turn
        turn.release()
        self._idle.acquire()


@dataclass
class Record:
    """The record, and who held it from when on."""

    world: World
    lease: Lease | None = None
    holders: list[tuple[float, str]] = field(default_factory=list)
    version: int = 0
    created_at: float = 0.0

    def get(self) -> Lease:
        """The record as it is."""
        if self.lease is None:
            raise RequestError(Failure(kind=FailureKind.NOT_FOUND, message="none"))
        return self.lease

    def post(self, lease: Lease) -> Lease:
        """Create it."""
        if self.lease is not None:
            raise RequestError(Failure(kind=FailureKind.CONFLICT, message="exists"))
        self.created_at = self.world.time
        return self._store(lease)

    def delete(self, min_age: float) -> None:
        """Delete the record if it has that version; the holder still leads until its deadline."""
        if self.world.time >= self.created_at + min_age:
            self.lease = None

    def put(self, lease: Lease) -> Lease:
        """Replace it, by its version."""
        if self.lease is None or lease.version != self.lease.version:
            raise RequestError(Failure(kind=FailureKind.CONFLICT, message="stale"))
        return self._store(lease)

    def _store(self, lease: Lease) -> Lease:
        if not self.holders or lease.holder != self.holders[-1][1]:
            self.holders.append((self.world.time, lease.holder))
        self.version += 1
        self.lease = replace(lease, version=str(self.version))
        return self.lease

    def holder_at(self, time: float) -> str:
        """Who held it then."""
        return next((holder for since, holder in reversed(self.holders) if since <= time), "")


class Network:
    """
    The way of one replica to the record: slow, lossy, and cut at times.

    What the client gave up on is carried out all the same, if it was not lost on its way.
    """

    def __init__(self, world: World, record: Record, random: Random) -> None:
        self.world = world
        self.record = record
        self.random = random
        self.is_cut = False
        self.is_slow = False
        self.loss = 0.0

    def read(self, timeout: float) -> Lease:
        """Through the network."""
        return self._ask(self.record.get, timeout)

    def create(self, lease: Lease, timeout: float) -> Lease:
        """Through the network."""
        return self._ask(lambda: self.record.post(lease), timeout)

    def write(self, lease: Lease, timeout: float) -> Lease:
        """Through the network."""
        return self._ask(lambda: self.record.put(lease), timeout)

    def _ask(self, do: Callable[[], Lease], timeout: float) -> Lease:
        assert timeout >= 0
        there, back = self._way(), self._way()
        answer: list[Lease | RequestError] = []

        def arrive() -> None:
            try:
                answer.append(do())
            except RequestError as error:
                answer.append(error)

        if there is not None:
            self.world.at(self.world.time + there, arrive)
        if there is None or back is None or there + back >= timeout:
            self.world.sleep(timeout)
            raise RequestError(Failure(kind=FailureKind.TIMEOUT, message="no answer"))
        self.world.sleep(there + back)
        (found,) = answer
        if isinstance(found, RequestError):
            raise found
        return found

    def _way(self) -> float | None:
        """How long a message is on its way; None if it is lost."""
        if self.is_cut or self.random.random() < self.loss:
            return None
        return self.random.uniform(0.1, 3.0) if self.is_slow else self.random.choice((0.005, 0.02, 0.1))
