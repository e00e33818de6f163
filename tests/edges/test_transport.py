"""The transport: what carries a request, directly or through a proxy."""

import gc
import ssl
import subprocess
import sys

import httpx
import pytest
from edges.harness import Line, failure
from edges.test_http import listener

from rotator.core.errors import ConfigError, FailureKind
from rotator.edges.http import Http
from rotator.edges.shared_transport import SharedTransport
from rotator.edges.transport import transport
from rotator.shell.clock import SystemClock


def test_transport_proxy_of_the_environment(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY is used, and NO_PROXY keeps a host out of it."""
    with listener(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        ask = lambda: line.http().send("discovery", "GET", line.discovery, headers={})  # noqa: E731
        assert failure(ask).kind is FailureKind.NETWORK
        assert not line.emulator.requests
        monkeypatch.setenv("NO_PROXY", "localhost")
        assert ask().status == 200


def test_transport_proxy_password(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """User and password in the proxy's URL are sent to the proxy as a header."""
    heard: list[bytes] = []
    with listener(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", heard) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:pass%21@127.0.0.1:{port}")
        answer = line.http().send("discovery", "GET", "http://graph.example/", headers={})
    assert (answer.status, answer.body) == (200, b"{}")
    assert b"GET http://graph.example/ HTTP/1.1" in heard[0]
    assert b"Proxy-Authorization: Basic dXNlcjpwYXNzIQ==" in heard[0]


def test_transport_proxy_over_tls(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is reached over TLS is verified by the same authorities as everything else."""
    monkeypatch.setenv("HTTPS_PROXY", line.emulator.url)
    http = line.http()
    found = failure(lambda: http.send("discovery", "GET", "https://graph.example/", headers={}))
    assert "501" in found.message, "TLS to the proxy was established, which then refused to CONNECT"


@pytest.mark.parametrize("proxy", ["ftp://proxy:1", "http://proxy:port"])
def test_transport_proxy_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """A proxy that cannot be used is an error before the first request, and never passed over."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigError, match="HTTPS_PROXY"):
        transport(ssl.create_default_context())


def test_http_goes_over_the_transport_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is handed in carries every request, whatever proxy is set, and is closed with the client."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    closed: list[bool] = []

    class Fake(httpx.MockTransport):
        def close(self) -> None:
            closed.append(True)

    fake = Fake(lambda request: httpx.Response(418, stream=httpx.ByteStream(request.url.host.encode())))
    http = Http(fake, clock=SystemClock(), on_exchange=lambda _: None)
    answer = http.send("discovery", "GET", "https://graph.example/", headers={})
    assert (answer.status, answer.body, closed) == (418, b"graph.example", [])
    http.close()
    assert closed == [True]


FEW_FILES = """
import os, resource
from rotator.edges.deadline import Backend
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (32, hard))
try:
    while True:
        os.dup(0)
except OSError:
    pass
try:
    Backend().connect_tcp("127.0.0.1", 9)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_limit_of_open_files_is_named() -> None:
    """A connection that cannot be opened for want of descriptors says which limit is reached."""
    done = subprocess.run([sys.executable, "-c", FEW_FILES], capture_output=True, text=True, check=True)
    assert done.stdout == "ConnectError the limit of 32 open files is reached (RLIMIT_NOFILE)\n"


class Counted(httpx.BaseTransport):
    """Counts how often it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(204, request=request)

    def close(self) -> None:
        self.closed += 1


def test_shared_transport_is_closed_with_the_last_client() -> None:
    """A client that is closed closes nothing for the others; when none is left, the transport is closed."""
    inner = Counted()
    shared = SharedTransport(inner)
    first, second = httpx.Client(transport=shared), httpx.Client(transport=shared)
    del shared
    first.close()
    assert second.get("https://graph.example/").status_code == 204
    assert inner.closed == 0
    del first
    second.close()
    del second
    gc.collect()
    assert inner.closed == 1


def test_pool_is_as_large_as_configured(line: Line) -> None:
    """A request beyond `max_connections` waits for a connection."""
    with (
        httpx.Client(transport=transport(line.context, max_connections=1)) as client,
        client.stream("GET", line.discovery),
        pytest.raises(httpx.PoolTimeout),
    ):
        client.get(line.discovery, timeout=httpx.Timeout(5.0, pool=0.01))
