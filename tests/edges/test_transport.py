"""The transport: what carries a request, directly or through a proxy."""

import ssl

import httpx
import pytest
from edges.harness import Line, failure
from edges.test_http import listener

from rotator.core.errors import ConfigError, FailureKind
from rotator.edges.http import Http
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
