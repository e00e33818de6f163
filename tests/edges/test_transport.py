"""The transport: which proxy a URL goes through, by the environment, and what carries a request."""

import gc
import ssl
import subprocess
import sys
from collections.abc import Mapping

import httpx
import pytest
from edges.harness import Line, failure
from edges.test_http import listener

from rotator.core.errors import FailureKind
from rotator.edges.http import Http
from rotator.edges.shared_transport import SharedTransport
from rotator.edges.transport import ProxyRule, proxy_rules, transport
from rotator.shell.clock import SystemClock


def proxy_of(environment: Mapping[str, str], url: str) -> str | None:
    """The proxy that *url* goes through."""
    fitting = (rule.proxy for rule in proxy_rules(environment) if rule.matches(httpx.URL(url)))
    return next(fitting, None)


PROXIES = {"https": "http://proxy:1", "http": "http://proxy:2", "all": "http://proxy:3"}


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://graph.example/x", "http://proxy:1"),
        ("http://graph.example/x", "http://proxy:2"),
        ("ftp://graph.example/x", "http://proxy:3"),
    ],
)
def test_proxy_by_scheme(url: str, proxy: str) -> None:
    """The proxy of the URL's scheme goes before the one for all."""
    assert proxy_of(PROXIES, url) == proxy


@pytest.mark.parametrize(("given", "proxy"), [("proxy:1", "http://proxy:1"), ("https://proxy:1", "https://proxy:1")])
def test_proxy_without_a_scheme(given: str, proxy: str) -> None:
    """A proxy that is named without a scheme is an HTTP proxy."""
    assert proxy_of({"all": given}, "https://graph.example/") == proxy


@pytest.mark.parametrize(
    ("no_proxy", "direct", "proxied"),
    [
        pytest.param("", [], ["graph.example"], id="empty"),
        pytest.param("*", ["graph.example", "10.0.0.1"], [], id="all hosts"),
        pytest.param("other, *", ["graph.example"], [], id="all hosts, among others"),
        pytest.param("example", ["example", "graph.example"], ["anexample", "example.org"], id="domain and subdomains"),
        pytest.param(".example", ["graph.example"], ["example", "graphexample"], id="only subdomains"),
        pytest.param("GRAPH.example", ["graph.example"], ["login.example"], id="case of letters"),
        pytest.param("localhost", ["localhost"], ["my.localhost"], id="localhost"),
        pytest.param("10.0.0.1", ["10.0.0.1"], ["10.0.0.12", "x.10.0.0.1"], id="IPv4"),
        pytest.param("10.0.0.0/8", ["10.0.0.0"], ["10.0.0.1"], id="a network is only its first address"),
        pytest.param("::1", ["[::1]"], ["[::2]"], id="IPv6"),
        pytest.param("a.example , b.example", ["a.example", "b.example"], ["c.example"], id="several"),
        pytest.param("a.example:8443", ["a.example:8443"], ["a.example", "a.example:9443"], id="with a port"),
        pytest.param("https://a.example", ["a.example"], ["b.a.example"], id="with a scheme"),
        pytest.param("http://a.example", [], ["a.example"], id="of another scheme"),
    ],
)
def test_no_proxy(no_proxy: str, direct: list[str], proxied: list[str]) -> None:
    """Hosts in NO_PROXY are connected to directly, all others through the proxy."""
    environment = {"https": "http://proxy:1", "no": no_proxy}
    assert {host: proxy_of(environment, f"https://{host}/") for host in (*direct, *proxied)} == {
        **dict.fromkeys(direct),
        **dict.fromkeys(proxied, "http://proxy:1"),
    }


def test_proxy_rules_most_specific_first() -> None:
    """A rule with a port goes before one without, then the longer host, then the longer scheme."""
    rules = proxy_rules({**PROXIES, "no": "b.example, long.b.example, c.example:8443"})
    assert [(rule.scheme, rule.host, rule.port) for rule in rules] == [
        ("", "*c.example", 8443),
        ("", "*long.b.example", None),
        ("", "*b.example", None),
        ("https", "", None),
        ("http", "", None),
        ("", "", None),
    ]


def test_proxy_rule_of_every_host() -> None:
    """A pattern whose host is `*` fits every host of its scheme."""
    rule = ProxyRule.parse("https://*", None)
    assert (rule.matches(httpx.URL("https://a.example")), rule.matches(httpx.URL("http://a.example"))) == (True, False)


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


@pytest.mark.parametrize(
    ("proxy", "error"), [("ftp://proxy:1", ValueError), ("socks5://proxy:1", ImportError)], ids=["scheme", "socks"]
)
def test_transport_proxy_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, proxy: str, error: type[Exception]
) -> None:
    """A proxy of a kind that is not supported is an error before the first request, and never passed over."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(error):
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
