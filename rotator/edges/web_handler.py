"""
Answers the requests of one connection: `http.server` with deadlines, and with plain-text errors.

`http.server` limits each read but not the request, and each header line but not their sum; its error
pages are HTML. It does not read the body of a request, and would parse it as the next request; so
a connection with a request that has a body is closed.

Sources: RFC 9110 and 9112; "Fetch Metadata Request Headers" (W3C).
"""

import contextlib
import gzip
import http.client
import io
import ipaddress
import socket
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from rotator import __version__
from rotator.edges.web_clients import Clients

REQUEST_TIMEOUT = 10.0  # seconds that a client may take to send a whole request
ANSWER_TIMEOUT = 30.0  # seconds that it may take to accept an answer
MAX_REQUEST_BYTES = 32 * 1024
MAX_UNREAD_BYTES = 64 * 1024  # of a body that are read and dropped, so that the client gets its answer
UNREAD_TIMEOUT = 1.0  # seconds to read and drop them
MIN_GZIP_BYTES = 1024


@dataclass(frozen=True)
class Page:
    """A response; `security` is its Content-Security-Policy."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    security: str = "default-src 'none'"

    @cached_property
    def compressed(self) -> bytes:
        """The body in gzip; it is compressed once and kept."""
        return gzip.compress(self.body, 5, mtime=0)


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a request that pages use: the Accept header, and the query of the URL, without its question mark."""

    accept: str = ""
    query: str = ""


Route = Callable[[Request], Page]
"""Renders a page."""


class Site(Protocol):
    """The server, as its handlers see it; *private*: the paths that pages of other sites may not read."""

    routes: Mapping[str, Route]
    private: Collection[str]
    clients: Clients
    on_bug: Callable[[Exception], None]


class _Requests(io.RawIOBase):
    """Reads a connection, each request within one deadline and one size."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.begin()

    def begin(self) -> None:
        """Start the limits of the next request."""
        self._until = time.monotonic() + REQUEST_TIMEOUT
        self._left = MAX_REQUEST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - the standard library's signature
        seconds = self._until - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        if self._left <= 0:
            raise http.client.HTTPException("request too large")
        self._connection.settimeout(seconds)
        count = self._connection.recv_into(buffer, min(len(buffer), self._left))
        self._left -= count
        return count


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server_version = f"rotator/{__version__}"
    sys_version = ""
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self._requests = _Requests(self.connection)
        self.rfile = io.BufferedReader(self._requests)

    @property
    def _site(self) -> Site:
        return cast("Site", self.server)

    def handle_one_request(self) -> None:
        self._requests.begin()
        self._site.clients.set_waiting(self.connection, is_waiting=True)
        try:
            super().handle_one_request()
        except http.client.HTTPException:
            self.requestline, self.command = "", ""
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)

    def handle_expect_100(self) -> bool:
        """Refuse to read a body, even if the client sends `Expect: 100-continue`."""
        return True

    def do_GET(self) -> None:
        self._answer(self._page())

    do_HEAD = do_GET  # noqa: N815

    def _refuse(self) -> None:
        self._answer(Page(b"method not allowed\n", status=HTTPStatus.METHOD_NOT_ALLOWED))

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = _refuse  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request that `http.server` cannot handle, in the form of every other answer."""
        del message, explain
        status = HTTPStatus(code)
        self.request_version = self.protocol_version  # the default is that of HTTP 0.9, which has no headers
        self._answer(Page(f"{status.phrase.lower()}\n".encode(), status=status), is_unread=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's signature
        """Do nothing: scrapes and probes are not logged."""

    def _page(self) -> Page:
        try:
            address = urlsplit(self.path)
        except ValueError:
            return Page(b"the target of the request is not valid\n", status=HTTPStatus.BAD_REQUEST)
        path = address.path
        route = self._site.routes.get(path)
        if route is None:
            return Page(b"not found\n", status=HTTPStatus.NOT_FOUND)
        if path in self._site.private and self._is_foreign():
            return Page(b"not served to pages of other sites\n", status=HTTPStatus.FORBIDDEN)
        self._site.clients.set_waiting(self.connection, is_waiting=False)
        try:
            return route(Request(self.headers.get("Accept", ""), address.query))
        except Exception as error:  # noqa: BLE001 - an exception of a page is logged, and fails this request only
            self._site.on_bug(error)
            return Page(b"a bug; see the log\n", status=HTTPStatus.INTERNAL_SERVER_ERROR)
        finally:
            self._site.clients.set_waiting(self.connection, is_waiting=True)

    def _is_foreign(self) -> bool:
        """
        True if the request comes from a page of another site, in a browser.

        A site whose name was changed to point here (DNS rebinding) looks like this site. On a local
        connection its Host header shows it, because that is not a name of this machine.
        """
        if self.headers.get("Sec-Fetch-Site") == "cross-site":
            return True
        is_browser = "Sec-Fetch-Site" in self.headers or "Mozilla/" in self.headers.get("User-Agent", "")
        is_local = ipaddress.ip_address(self.connection.getsockname()[0].partition("%")[0]).is_loopback
        return is_browser and is_local and not _is_own_name(self.headers.get("Host", ""))

    def _answer(self, page: Page, *, is_unread: bool = False) -> None:
        """Send *page*; *is_unread*: more of the request than was read may follow."""
        is_unread = is_unread or self._has_body()
        if is_unread:
            self.close_connection = True
        body = page.body
        self.send_response(page.status)
        if page.status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        if len(page.body) >= MIN_GZIP_BYTES:
            self.send_header("Vary", "Accept-Encoding")
            if _takes_gzip(self._header("Accept-Encoding")):
                body = page.compressed
                self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", page.security)
        self.send_header("Referrer-Policy", "no-referrer")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.connection.settimeout(ANSWER_TIMEOUT)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if is_unread:
            self._drop_rest()

    def _header(self, name: str) -> str:
        headers = getattr(self, "headers", None)  # missing if the request line was refused
        return "" if headers is None else headers.get(name, "")

    def _has_body(self) -> bool:
        return self._header("Content-Length") not in ("", "0") or bool(self._header("Transfer-Encoding"))

    def _drop_rest(self) -> None:
        """Read and drop the rest for a moment: a connection closed with unread data is reset, and the answer lost."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            until, left = time.monotonic() + UNREAD_TIMEOUT, MAX_UNREAD_BYTES
            while left > 0 and (seconds := until - time.monotonic()) > 0:
                self.connection.settimeout(seconds)
                count = len(self.connection.recv(min(left, 8192)))
                if count == 0:
                    break
                left -= count


def _takes_gzip(accept_encoding: str) -> bool:
    """Whether *accept_encoding* names gzip (RFC 9110, section 12.5.3)."""
    for each in accept_encoding.lower().split(","):
        coding, *parameters = (part.replace(" ", "").strip() for part in each.split(";"))
        if coding == "gzip":
            return not any(part.startswith("q=") and not part[2:].strip("0.") for part in parameters)
    return False


def _is_own_name(host: str) -> bool:
    """Whether a Host header has an address, localhost, or the name of this machine."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return name == "localhost" or name.endswith(".localhost") or name == socket.gethostname().lower()
