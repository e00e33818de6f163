"""
The connected clients of the web server, limited so that they cannot use up threads and descriptors.

Source: socket(7); "Slowloris" (CVE-2007-6750) for what this defends against.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable


class Clients:
    """The open connections, at most *limit*: a further one closes the one that has waited longest for its client."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Start without connections.

        clock: returns monotonic seconds
        """
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._waits_since: dict[socket.socket, float | None] = {}  # None: its page is being made

    def __len__(self) -> int:
        return len(self._waits_since)

    def add(self, client: socket.socket) -> bool:
        """Add *client*; False if the limit is reached and no waiting connection can be closed instead."""
        with self._lock:
            if len(self._waits_since) >= self._limit and not self._close_oldest():
                return False
            self._waits_since[client] = self._clock()
            return True

    def make_room(self) -> bool:
        """Close the connection that has waited longest; False if there is none."""
        with self._lock:
            return self._close_oldest()

    def remove(self, client: socket.socket) -> None:
        """Forget *client*, whose connection is closed."""
        with self._lock:
            self._waits_since.pop(client, None)

    def set_waiting(self, client: socket.socket, *, is_waiting: bool) -> None:
        """*is_waiting*: the connection waits for its client, to send a request or to take an answer."""
        with self._lock:
            if client in self._waits_since:
                self._waits_since[client] = self._clock() if is_waiting else None

    def _close_oldest(self) -> bool:
        waiting = [(since, client) for client, since in self._waits_since.items() if since is not None]
        if not waiting:
            return False
        _, oldest = min(waiting, key=lambda each: each[0])
        del self._waits_since[oldest]
        with contextlib.suppress(OSError):
            oldest.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it, which closes it
        return True
