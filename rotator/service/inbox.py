"""What the daemon's main thread is asked to do, and the signals that ask for it."""

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
    """It is time to see whether the configuration has changed on disk."""


Request: TypeAlias = StopAsked | ReloadAsked | FilesDue | SweepFinished | Acquired | Lost | Released


class Inbox:
    """A queue that any thread may fill, and the main thread empties."""

    def __init__(self) -> None:
        """It is empty."""
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._pending: set[type] = set()  # of requests of which one waits already; set operations are atomic

    def put(self, request: Request) -> None:
        """Ask for something; does not wait."""
        self._requests.put(request)

    def put_once(self, request: Request) -> None:
        """Ask for something, unless the same is asked for already and was not begun."""
        if type(request) not in self._pending:
            self._pending.add(type(request))
            self._requests.put(request)

    def pending(self) -> Iterator[Request]:
        """The requests that are there; waits for none."""
        while not self._requests.empty():
            yield self.get()

    def get(self) -> Request:
        """The next request; waits for it."""
        request = self._requests.get()
        self._pending.discard(type(request))
        return request


def heed_signals(on_stop: Callable[[], None], on_reload: Callable[[], None] | None = None) -> None:
    """
    Call *on_stop* where SIGTERM or SIGINT comes, and *on_reload* where SIGHUP does.

    Both are called in a thread that does nothing else, and must not wait: whatever the rest of
    the program does, a stop is heard. Python runs signal handlers in the main thread alone,
    which may be asleep in a lock while the kernel gives the signal to another thread; what the
    handler in C writes to the wakeup fd comes whichever thread it was. Where signals come
    faster than they are read, the fd is full: those that are lost are like one that waits.
    """
    numbers = {signal.SIGTERM: on_stop, signal.SIGINT: on_stop, **({signal.SIGHUP: on_reload} if on_reload else {})}
    receiver, sender = socket.socketpair()
    sender.settimeout(0)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda *_: None)

    def listen(_sender: socket.socket) -> None:
        # The thread holds the sender, so that its descriptor belongs to nothing else until the process ends.
        while True:
            for number in set(receiver.recv(4096)):
                on_signal = numbers.get(signal.Signals(number))
                if on_signal is not None:
                    on_signal()

    threading.Thread(target=listen, args=(sender,), name="signals", daemon=True).start()
