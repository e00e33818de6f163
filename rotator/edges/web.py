"""
The web server of the daemon: metrics, health and status. Standard library only.

/healthz makes no request to other services: an outage of Graph must not restart rotator.

A slow client does not delay others, and does not use up the descriptors that requests to Graph need:
a whole request has one deadline, and `MAX_CONNECTIONS` limits the clients. cheroot, waitress
and the standard library limit only the pause between two bytes of a request (cheroot 11, with
its ten threads and a timeout of 3 s, left a request unanswered while ten clients sent a byte a second).
"""

import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from http.server import ThreadingHTTPServer
from typing import Any

from rotator.edges.web_clients import Clients
from rotator.edges.web_handler import Handler, Page, Request, Route

__all__ = ["Page", "Request", "Route", "Server"]

MAX_CONNECTIONS = 64
MAX_DESCRIPTOR_SHARE = 0.25  # of the process's descriptors; the rest is for requests to Graph
BACKLOG = 128
STOP_POLL = 0.1  # seconds between two checks for a request to stop
ACCEPT_PAUSE = 0.05  # seconds until the next attempt if no connection can be accepted


class Server:
    """Serves pages until it is stopped, with one thread for each connection."""

    def __init__(
        self,
        host: str,
        port: int,
        routes: Mapping[str, Route],
        on_bug: Callable[[Exception], None],
        private: Collection[str] = (),
    ) -> None:
        """
        Bind the port; requests are not answered yet.

        on_bug:  called with an exception of a page, in the thread of its request
        private: the paths that pages of other sites may not read

        Raises:
            OSError: the address cannot be bound.

        """
        kind = _Server6 if ":" in host else _Server
        self._server = kind((host, port), routes, on_bug, private)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(STOP_POLL,), name="web", daemon=True)

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Start to answer requests."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(
        self,
        address: tuple[str, int],
        routes: Mapping[str, Route],
        on_bug: Callable[[Exception], None],
        private: Collection[str],
    ) -> None:
        self.routes = routes
        self.on_bug = on_bug
        self.private = private
        self.clients = Clients(max_connections(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
        super().__init__(address, Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError:  # no descriptor is free, for example: the listener stays readable
            if not self.clients.make_room():
                time.sleep(ACCEPT_PAUSE)
            raise

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401 - the standard library's
        """True if there is room for one more client."""
        del client_address
        return self.clients.add(request)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - the standard library's
        self.clients.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Report exhausted memory and threads; a client that disconnects is not logged."""
        del request, client_address
        error = sys.exception()
        if isinstance(error, MemoryError | RuntimeError):  # RuntimeError: a thread cannot be started
            self.on_bug(error)


class _Server6(_Server):
    address_family = socket.AF_INET6


def max_connections(descriptors: int) -> int:
    """The maximum number of clients for a process with a limit of *descriptors*."""
    if descriptors == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, int(descriptors * MAX_DESCRIPTOR_SHARE)))
