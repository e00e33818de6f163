"""
A login host and a Graph that answer with raw bytes: for what no honest HTTP library would send.

Discovery and token are answered well. The token says which tenant asked, so that each
tenant's keysets can be listed with bytes of their own, one chunk after the other.
"""

import contextlib
import hashlib
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from rotator.emulator.http.certificates import LOOPBACK_NAMES, make_authority, server_context

LONGEST = 60.0  # seconds after which an answer without end ends all the same


class RawServer:
    """Answers each tenant's list of keysets with the bytes of *answers*; everything else well."""

    def __init__(self, answers: Mapping[str, Iterable[bytes]]) -> None:
        authority = make_authority()
        self.ca_pem = authority.certificate_pem
        self._context = server_context(authority, LOOPBACK_NAMES)
        self._answers = answers
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._closing = threading.Event()
        self.url = f"https://localhost:{self._socket.getsockname()[1]}"

    def accept(self) -> None:
        """Serve until it is closed."""
        while True:
            try:
                raw, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def close(self) -> None:
        """Serve no more."""
        self._closing.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self, raw: socket.socket) -> None:
        with contextlib.suppress(OSError), self._context.wrap_socket(raw, server_side=True) as connection:
            connection.settimeout(LONGEST)
            while request := _request(connection):
                for chunk in self._answer(request):
                    connection.sendall(chunk)
                if b"keySets" in request:
                    return

    def _answer(self, request: bytes) -> Iterator[bytes]:
        path = request.split(b" ", 2)[1].decode()
        tenant = path.split("/")[1]
        if path.endswith("/openid-configuration"):
            root = f"{self.url}/{tenant}"
            yield _json(
                {
                    "token_endpoint": f"{root}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                    "issuer": f"{root}/v2.0",
                }
            )
        elif path.endswith("/token"):
            yield _json(
                {"token_type": "Bearer", "expires_in": 3599, "access_token": token_of(tenant.partition(".")[0])}
            )
        else:
            (name,) = (name for name in self._answers if f"Bearer {token_of(name)}".encode() in request)
            until = time.monotonic() + LONGEST
            for chunk in self._answers[name]:
                if self._closing.is_set() or time.monotonic() > until:
                    return
                yield chunk


def token_of(tenant: str) -> str:
    """The token of the tenant of that name; no JWT."""
    return hashlib.sha256(tenant.encode()).hexdigest()[:40]


@contextmanager
def raw_server(answers: Mapping[str, Iterable[bytes]]) -> Iterator[RawServer]:
    """A raw server for a while."""
    server = RawServer(answers)
    thread = threading.Thread(target=server.accept)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


def _request(connection: ssl.SSLSocket) -> bytes:
    """One request, its body included; empty where there no longer exists."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65_536)
        if not chunk:
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    while found and len(body) < int(found.group(1)):
        body += connection.recv(65_536)
    return head


def _json(content: Mapping[str, object]) -> bytes:
    body = json.dumps(content).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
