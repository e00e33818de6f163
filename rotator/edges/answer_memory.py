"""
The memory that large answers may take at once, over all tenants of a process.

A service could be hostile: an answer of `MAX_ANSWER_BYTES` takes several times its size while it is
parsed. One process serves many tenants, so without a common bound the answers of a few would end it
for all. Answers of up to `SMALL_ANSWER` bytes need no room.
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
    """`MAX_BYTES` of memory for large answers. For any thread."""

    def __init__(self) -> None:
        """All of it is free."""
        self._changed = threading.Condition()
        self._free = MAX_BYTES
        self._parsing = threading.Lock()

    @contextmanager
    def room(self) -> Iterator["Room"]:
        """Room for one answer at a time, until the end of the block."""
        room = Room(self)
        try:
            yield room
        finally:
            self._give_back(room.taken)

    def take(self, size: int, until: float) -> bool:
        """Wait for *size* bytes until that instant of `time.monotonic`; whether they were free."""
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
        A block that parses an answer of *size* bytes and leaves nothing of its JSON behind.

        Large answers are parsed one after the other, which costs no time: Python runs one thread at a time.
        """
        if size <= SMALL_ANSWER:
            yield
        else:
            with self._parsing:
                yield


class Room:
    """What was taken of an `AnswerMemory`. For one thread."""

    def __init__(self, memory: AnswerMemory) -> None:
        self._memory = memory
        self.taken = 0  # bytes

    def fits(self, size: int, at_most: int, until: float) -> bool:
        """
        Whether *size* bytes of an answer may be held; waits for room until that instant of `time.monotonic`.

        at_most: how long the answer may become; taken at once, since of two clients that each held a
            part and waited for more none would go on
        """
        if size <= max(SMALL_ANSWER, self.taken):
            return True
        more = max(size, at_most) - self.taken
        if not self._memory.take(more, until):
            return False
        self.taken += more
        return True


def no_room(where: str) -> RequestError:
    """The error for an answer of the host *where* that waited for room in vain."""
    message = f"the answer of {where} found no room in memory beside large answers of other tenants; it is tried again"
    return RequestError(Failure(kind=FailureKind.TIMEOUT, message=message), Effect.UNKNOWN)
