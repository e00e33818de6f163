"""The inbox of the daemon's main thread, and the handling of signals."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeAlias

from rotator.core.events import SweepFinished
from rotator.core.lease import Acquired, Lost, Released


@dataclass(frozen=True, slots=True)
class StopAsked:
    """SIGTERM or SIGINT came."""


@dataclass(frozen=True, slots=True)
class ReloadAsked:
    """SIGHUP came."""


@dataclass(frozen=True, slots=True)
class FilesDue:
    """It is time to check whether the configuration has changed on disk."""


Request: TypeAlias = StopAsked | ReloadAsked | FilesDue | SweepFinished | Acquired | Lost | Released


class Inbox:
    """A queue of requests. Any thread may put requests into it; the main thread takes them out."""

    def __init__(self) -> None:
        """Start with an empty queue."""
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._pending: set[type] = set()  # types of requests of which one waits; set operations are atomic

    def put(self, request: Request) -> None:
        """Add *request*; does not block."""
        self._requests.put(request)

    def put_once(self, request: Request) -> None:
        """Add *request*, unless one of the same type is waiting already; does not block."""
        if type(request) not in self._pending:
            self._pending.add(type(request))
            self._requests.put(request)

    def pending(self) -> Iterator[Request]:
        """The waiting requests; does not block."""
        while not self._requests.empty():
            yield self.get()

    def get(self) -> Request:
        """The next request; blocks until there is one."""
        request = self._requests.get()
        self._pending.discard(type(request))
        return request


def heed_signals(on_stop: Callable[[], None], on_reload: Callable[[], None] | None = None) -> None:
    """
    Call *on_stop* on SIGTERM or SIGINT, and *on_reload* on SIGHUP.

    Both are called in a thread that does nothing else, and must not block; so a stop is noticed
    even if all other threads hang. Python runs signal handlers only in the main thread, which may
    wait for a lock while the kernel delivers the signal to another thread. The handler in C,
    however, writes to the wakeup fd in any thread. If signals arrive faster than they are read, the
    fd is full; a lost signal does no harm, because the same request is waiting already.
    """
    numbers = {signal.SIGTERM: on_stop, signal.SIGINT: on_stop, **({signal.SIGHUP: on_reload} if on_reload else {})}
    receiver, sender = socket.socketpair()
    sender.settimeout(0)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda *_: None)

    def listen(_sender: socket.socket) -> None:
        # The argument keeps the sender alive, so that no other file gets its descriptor before the process ends.
        while True:
            for number in set(receiver.recv(4096)):
                on_signal = numbers.get(signal.Signals(number))
                if on_signal is not None:
                    on_signal()

    threading.Thread(target=listen, args=(sender,), name="signals", daemon=True).start()
