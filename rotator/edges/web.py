"""
The HTTP side of a daemon: metrics, health and status. Standard library only.

Health never asks anybody else: an outage of Graph must not restart the program.
"""

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from rotator import __version__

CLIENT_TIMEOUT = 10.0  # seconds that a client may take to send its request


@dataclass(frozen=True, slots=True)
class Page:
    """What is served; `security` is its Content-Security-Policy."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    security: str = "default-src 'none'"


@dataclass(frozen=True, slots=True)
class Request:
    """What a page may depend on: the Accept header, and the query of the address, without its question mark."""

    accept: str = ""
    query: str = ""


Route = Callable[[Request], Page]
"""Makes a page."""


class Server:
    """Serves pages until it is stopped, each request in a thread of its own."""

    def __init__(self, host: str, port: int, routes: Mapping[str, Route], on_bug: Callable[[Exception], None]) -> None:
        """
        Listen; nothing is answered yet.

        on_bug: called with what a page raised, in the thread of its request

        Raises:
            OSError: the address cannot be bound.

        """
        kind = _Server6 if ":" in host else _Server
        self._server = kind((host, port), routes, on_bug)
        self._thread = threading.Thread(target=self._server.serve_forever, name="web", daemon=True)

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    timeout = CLIENT_TIMEOUT
    server_version = f"rotator/{__version__}"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        route = self.server.routes.get(address.path)
        if route is None:
            self._answer(Page(b"not found\n", status=HTTPStatus.NOT_FOUND))
            return
        try:
            page = route(Request(self.headers.get("Accept", ""), address.query))
        except Exception as error:  # noqa: BLE001 - a page's bug is logged, and costs this request alone
            self.server.on_bug(error)
            page = Page(b"a bug; see the log\n", status=HTTPStatus.INTERNAL_SERVER_ERROR)
        self._answer(page)

    def _refuse(self) -> None:
        self.close_connection = True  # a body, if there is one, is not read
        self._answer(Page(b"method not allowed\n", status=HTTPStatus.METHOD_NOT_ALLOWED))

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = _refuse  # noqa: N815

    def _answer(self, page: Page) -> None:
        self.send_response(page.status)
        if page.status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", page.security)
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's signature
        """Scrapes and probes are not worth a line."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], routes: Mapping[str, Route], on_bug: Callable[[Exception], None]
    ) -> None:
        self.routes = routes
        self.on_bug = on_bug
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a client that went away is not worth a line."""


class _Server6(_Server):
    address_family = socket.AF_INET6
