"""
Sockets: HTTP/1.1 over TLS, a thread per connection.

The TLS handshake happens in the connection's own thread, so a client that stalls in it
keeps nobody else out. Answers are written by hand, since faults need to break them: a
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
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from rotator.emulator import framing
from rotator.emulator.answers import Request
from rotator.emulator.havoc import Delivery, Ending
from rotator.emulator.journal import Journal
from rotator.emulator.routes import parse_query
from rotator.emulator.service import Service

_HANDSHAKE_TIMEOUT = 10
_IDLE_TIMEOUT = 300
_OUT_OF_SOCKETS = 0.05  # seconds to wait for one to be freed
_MAX_BODY = 4 * 1024 * 1024


class TlsServer(socketserver.ThreadingTCPServer):
    """Listens, and gives every connection a thread."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(
        self,
        address: tuple[str, int],
        service: Service,
        context: ssl.SSLContext,
        origin: Callable[[str | None], str],
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.service = service
        self.context = context
        self.origin = origin
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._stopping = threading.Event()
        super().__init__(address, Connection)

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self.server_address[1])

    @property
    def journal(self) -> Journal:
        """Where bugs are written."""
        return self.service.journal

    def accept(self) -> None:
        """Take connections until stopped; waits without polling, so closing takes no time."""
        while not self._stopping.is_set():
            try:
                connection, address = self.get_request()
            except OSError:
                self._stopping.wait(_OUT_OF_SOCKETS)
                continue
            if self._stopping.is_set():
                connection.close()
            else:
                self.process_request(connection, address)

    def stop(self) -> None:
        """Take no more connections."""
        self._stopping.set()
        host, port = self.server_address[:2]
        with contextlib.suppress(OSError):  # a last one, to wake `accept`
            socket.create_connection((str(host), int(port)), timeout=1).close()

    def opened(self, connection: socket.socket) -> None:
        """A connection to be cut when the server closes."""
        with self._lock:
            self._connections.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """It is over."""
        with self._lock:
            self._connections.discard(connection)

    def cut_connections(self) -> None:
        """End every connection, so that no client waits for a server that is gone."""
        with self._lock:
            connections = tuple(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave are daily life; the rest are bugs."""
        del request, client_address
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.journal.failed(error)


class Connection(BaseHTTPRequestHandler):
    """One connection; also the `Peer` of its requests."""

    protocol_version = "HTTP/1.1"
    server: TlsServer

    def setup(self) -> None:
        """Shake hands."""
        raw: socket.socket = self.request
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.settimeout(_HANDSHAKE_TIMEOUT)
        self.request = self.server.context.wrap_socket(raw, server_side=True)
        self.request.settimeout(_IDLE_TIMEOUT)
        self.server.opened(self.request)
        super().setup()

    def finish(self) -> None:
        """Close, whatever state the connection is in."""
        self.server.closed(self.request)
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        with contextlib.suppress(OSError):
            self.request.close()

    def is_gone(self) -> bool:
        """
        Whether the client has left.

        A client that waits for an answer sends nothing: whatever can be read now is the
        end of the connection.
        """
        poll = select.poll()
        try:
            poll.register(self.request.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        except ValueError:
            return True
        return bool(poll.poll(0))

    def log_message(self, *_: object) -> None:
        """The journal knows; stderr is not for us."""

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
        self._deliver(self.server.service.serve(request, self))

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
        date = self.server.service.directory.now() + delivery.skew
        head = framing.head(answer, date, closing=self.close_connection)
        pieces = framing.pieces(answer, head, with_body=self.command != "HEAD")
        if delivery.drip is not None:
            pieces = self._dripping(pieces, delivery.drip)
        if delivery.truncated:
            pieces = iter([framing.first_half(b"".join(pieces))])
            self.close_connection = True
        for piece in pieces:
            self.request.sendall(piece)

    def _dripping(self, pieces: Iterator[bytes], interval: float) -> Iterator[bytes]:
        """A byte at a time, until the emulator closes."""
        for piece in pieces:
            for at in range(len(piece)):
                yield piece[at : at + 1]
                if self.server.service.closing.wait(interval):
                    return

    def _reset(self) -> None:
        """Close without a goodbye: no time to linger makes the kernel send an RST."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.server.closed(self.request)
            linger = struct.pack("ii", 1, 0)
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            socket.close(self.request.detach())
