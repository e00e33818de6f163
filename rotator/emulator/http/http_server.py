"""
Sockets: HTTP/1.1 over TLS, a thread per connection.

The TLS handshake happens in the connection's own thread, so a client that stalls in it
blocks nobody else. Answers are written by hand, since faults need to break them: a
reset is an RST (SO_LINGER with no time), a truncated body ends before its length.

Framing: RFC 9112.
"""

import contextlib
import select
import socket
import socketserver
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http import HTTPStatus
from http.client import responses
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from rotator.emulator.http.answers import Answer, Delivery, Ending, Peer, Request
from rotator.emulator.http.routes import parse_query

_HANDSHAKE_TIMEOUT = 10
_IDLE_TIMEOUT = 300
_ACCEPT_RETRY_SECONDS = 0.05  # after the process ran out of sockets
_MAX_BODY = 4 * 1024 * 1024


class TlsServer(socketserver.ThreadingTCPServer):
    """
    Listens, and serves every connection in a thread.

    *serve* answers a request; *origin* gives the root under which a client knows the emulator,
    from its Host header; *clock* is the time in the Date header; *on_error* is called with every
    exception that is not the end of a connection.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(
        self,
        address: tuple[str, int],
        context: ssl.SSLContext,
        *,
        serve: Callable[[Request, Peer], Delivery],
        origin: Callable[[str | None], str],
        clock: Callable[[], float],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.context = context
        self.serve, self.origin, self.clock, self.on_error = serve, origin, clock, on_error
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self.stopping = threading.Event()
        super().__init__(address, Connection)

    def accept(self) -> None:
        """Accept connections until stopped; waits without polling, so that a stop is immediate."""
        while not self.stopping.is_set():
            try:
                connection, address = self.get_request()
            except OSError:
                self.stopping.wait(_ACCEPT_RETRY_SECONDS)
                continue
            if self.stopping.is_set():
                connection.close()
            else:
                self.process_request(connection, address)

    def stop(self) -> None:
        """Accept no further connections."""
        self.stopping.set()
        host, port = self.server_address[:2]
        with contextlib.suppress(OSError):  # a last one, to wake `accept`
            socket.create_connection((str(host), int(port)), timeout=1).close()

    def track(self, connection: socket.socket, *, is_open: bool) -> None:
        """Store an open connection, which is closed with the server."""
        with self._lock:
            (self._connections.add if is_open else self._connections.discard)(connection)

    def cut_connections(self) -> None:
        """Close every connection, so that no client waits for a stopped server."""
        with self._lock:
            connections = tuple(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave are expected; everything else is a bug."""
        del request, client_address
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.on_error(error)


class Connection(BaseHTTPRequestHandler):
    """One connection; also the `Peer` of its requests."""

    protocol_version = "HTTP/1.1"
    server: TlsServer

    def setup(self) -> None:
        raw: socket.socket = self.request
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.settimeout(_HANDSHAKE_TIMEOUT)
        self.request = self.server.context.wrap_socket(raw, server_side=True)
        self.request.settimeout(_IDLE_TIMEOUT)
        self.server.track(self.request, is_open=True)
        super().setup()

    def finish(self) -> None:
        """Close the connection in any state."""
        self.server.track(self.request, is_open=False)
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        with contextlib.suppress(OSError):
            self.request.close()

    def is_gone(self) -> bool:
        """Whether the client has left: one that waits sends nothing, so what can be read now is the end."""
        poll = select.poll()
        try:
            poll.register(self.request.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        except ValueError:
            return True
        return bool(poll.poll(0))

    def log_message(self, *_: object) -> None:
        """Log nothing: the journal has every request."""

    def _serve(self) -> None:
        length = self._body_length()
        if length is None:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        path, _, query = self.path.partition("?")
        request = Request(
            method=self.command,
            path=unquote(path),
            origin=self.server.origin(self.headers.get("host")),
            query=parse_query(query),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )
        self._deliver(self.server.serve(request, self))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _body_length(self) -> int | None:
        """None: too long, or of no stated length (no client of Graph sends chunks)."""
        if "transfer-encoding" in self.headers:
            return None
        text = self.headers.get("content-length", "0")
        return int(text) if text.isdecimal() and int(text) <= _MAX_BODY else None

    def _deliver(self, delivery: Delivery) -> None:
        match delivery.ending:
            case Ending.RESET:
                self._reset()
            case Ending.CLOSE:
                self.close_connection = True
            case Ending.SEND:
                with contextlib.suppress(OSError):
                    self._send(delivery)
                    return
                self.close_connection = True

    def _send(self, delivery: Delivery) -> None:
        answer = delivery.answer
        date = self.server.clock() + delivery.skew
        head = _head(answer, date, closing=self.close_connection)
        pieces = _pieces(answer, head, with_body=self.command != "HEAD")
        if delivery.drip is not None:
            pieces = self._dripping(pieces, delivery.drip)
        if delivery.truncated:
            pieces = iter([_first_half(b"".join(pieces))])
            self.close_connection = True
        for piece in pieces:
            self.request.sendall(piece)

    def _dripping(self, pieces: Iterator[bytes], interval: float) -> Iterator[bytes]:
        """A byte at a time, until the emulator closes."""
        for piece in pieces:
            for at in range(len(piece)):
                yield piece[at : at + 1]
                if self.server.stopping.wait(interval):
                    return

    def _reset(self) -> None:
        """Close with an RST, which the kernel sends if there is no time to linger."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.server.track(self.request, is_open=False)
            linger = struct.pack("ii", 1, 0)
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            socket.close(self.request.detach())


def _head(answer: Answer, date: float, *, closing: bool) -> bytes:
    """Status line and headers; *date* in epoch seconds."""
    length = len(answer.body) if isinstance(answer.body, bytes) else answer.body.length
    headers = [("Date", formatdate(date, usegmt=True))]
    if not any(name == "Cache-Control" for name, _ in answer.headers):
        headers.append(("Cache-Control", "no-cache"))
    if answer.content_type:
        headers.append(("Content-Type", answer.content_type))
    if answer.status != HTTPStatus.NO_CONTENT:
        headers.append(("Content-Length", str(length)))
    headers += answer.headers
    if closing:
        headers.append(("Connection", "close"))
    lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _pieces(answer: Answer, head: bytes, *, with_body: bool) -> Iterator[bytes]:
    """The pieces of the answer, in their order."""
    if not with_body:
        yield head
    elif isinstance(answer.body, bytes):
        yield head + answer.body  # one record, one packet
    else:
        yield head
        yield from answer.body.chunks()


def _first_half(message: bytes) -> bytes:
    """The head, and half of the body that it promises."""
    head, blank, body = message.partition(b"\r\n\r\n")
    return head + blank + body[: len(body) // 2]
