"""
Limits the memory that large answers may use at once, over all tenants of a process.

An answer of `MAX_ANSWER_BYTES` takes several times its size while it is parsed. One process serves
many tenants, so without a common limit a few large (perhaps hostile) answers could exhaust the memory of
the process. Answers of up to `SMALL_ANSWER` bytes do not count.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rotator.core.errors import Effect, Failure, FailureKind, RequestError

MAX_ANSWER_BYTES = 8 * 1024 * 1024  # 10,000 RSA keys with their moduli are about 6 MB
SMALL_ANSWER = 256 * 1024  # bytes
MAX_BYTES = 3 * MAX_ANSWER_BYTES


class AnswerMemory:
    """`MAX_BYTES` of memory for large answers. Thread-safe."""

    def __init__(self) -> None:
        """Start with all of it free."""
        self._changed = threading.Condition()
        self._free = MAX_BYTES
        self._parsing = threading.Lock()

    @contextmanager
    def room(self) -> Iterator["Room"]:
        """A context manager: room for one answer at a time until the block ends."""
        room = Room(self)
        try:
            yield room
        finally:
            self._give_back(room.taken)

    def take(self, size: int, until: float) -> bool:
        """Take *size* bytes; waits until *until* (`time.monotonic`) and returns False if they did not become free."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._free >= size, max(until - time.monotonic(), 0.0)):
                return False
            self._free -= size
            return True

    def _give_back(self, size: int) -> None:
        with self._changed:
            self._free += size
            self._changed.notify_all()

    @contextmanager
    def parsing(self, size: int) -> Iterator[None]:
        """
        A context manager around parsing an answer of *size* bytes; the block must not keep any of its JSON.

        Large answers are parsed one after the other. This is not slower, because Python runs one thread at a time.
        """
        if size <= SMALL_ANSWER:
            yield
        else:
            with self._parsing:
                yield


class Room:
    """The part of an `AnswerMemory` that one answer uses. For one thread."""

    def __init__(self, memory: AnswerMemory) -> None:
        self._memory = memory
        self.taken = 0  # bytes

    def fits(self, size: int, at_most: int, until: float) -> bool:
        """
        True if *size* bytes of an answer fit; waits for room until *until* (`time.monotonic`).

        at_most: the largest size of the answer; taken at once, because two clients that each hold a
            part and wait for more would wait forever
        """
        if size <= max(SMALL_ANSWER, self.taken):
            return True
        more = max(size, at_most) - self.taken
        if not self._memory.take(more, until):
            return False
        self.taken += more
        return True


def no_room(where: str) -> RequestError:
    """The error for an answer of the host *where* for which there was no room in time."""
    message = f"{where}: no memory for its answer beside large answers of other tenants; rotator tries again"
    return RequestError(Failure(kind=FailureKind.TIMEOUT, message=message), Effect.UNKNOWN)
