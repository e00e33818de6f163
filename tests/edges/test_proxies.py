"""The proxies of the environment: which variable counts, what NO_PROXY keeps out, and what is wrong."""

import base64
import importlib.util
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from rotator.core.errors import ConfigError
from rotator.edges.proxies import Proxies, read_proxies

PROXIES = {"HTTPS_PROXY": "http://proxy:1", "HTTP_PROXY": "http://proxy:2", "ALL_PROXY": "http://proxy:3"}


def proxy_of(environ: Mapping[str, str], url: str) -> str | None:
    """The proxy that *url* goes through, as the transport asks for it."""
    parts = httpx.URL(url)
    proxy = read_proxies(environ).proxy_of(parts.scheme, parts.host, parts.port)
    return None if proxy is None else str(proxy)


def problems(environ: Mapping[str, str]) -> dict[str, str]:
    """What is wrong, by the variable."""
    with pytest.raises(ConfigError) as caught:
        read_proxies(environ)
    return {problem.path: problem.message for problem in caught.value.problems}


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


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"ALL_PROXY": "proxy:1"}, "http://proxy:1", id="without a scheme"),
        pytest.param({"ALL_PROXY": "proxy"}, "http://proxy", id="without a port"),
        pytest.param({"ALL_PROXY": " https://proxy:1/ "}, "https://proxy:1", id="https"),
        pytest.param({"HTTPS_PROXY": "http://[::1]:3128"}, "http://[::1]:3128", id="IPv6"),
        pytest.param({"https_proxy": "a:1", "HTTPS_PROXY": "b:1"}, "http://a:1", id="lower case goes first"),
        pytest.param({"https_proxy": "", "HTTPS_PROXY": "b:1"}, None, id="lower case without a value unsets it"),
        pytest.param({"HTTPS_PROXY": "  "}, None, id="white space"),
    ],
)
def test_proxy_variable(environ: Mapping[str, str], proxy: str | None) -> None:
    """Either case of letters counts, and a proxy that is named without a scheme is an HTTP proxy."""
    assert proxy_of(environ, "https://graph.example/") == proxy


@pytest.mark.parametrize(
    ("no_proxy", "direct", "proxied"),
    [
        pytest.param("", [], ["graph.example"], id="empty"),
        pytest.param("*", ["graph.example", "10.0.0.1"], [], id="all hosts"),
        pytest.param("other, *", ["graph.example"], [], id="all hosts, among others"),
        pytest.param("example", ["example", "graph.example"], ["anexample", "example.org"], id="domain and subdomains"),
        pytest.param(".example", ["graph.example", "a.b.example"], ["example", "graphexample"], id="only subdomains"),
        pytest.param("*.example", ["graph.example"], ["example", "graphexample"], id="only subdomains, with a star"),
        pytest.param("GRAPH.example", ["graph.example"], ["login.example"], id="case of letters"),
        pytest.param("graph.example.", ["graph.example", "graph.example."], ["login.example"], id="root dot"),
        pytest.param("localhost", ["localhost"], ["my.localhost"], id="localhost"),
        pytest.param("10.0.0.1", ["10.0.0.1"], ["10.0.0.12", "x.10.0.0.1"], id="IPv4"),
        pytest.param("10.0.0.0/8", ["10.0.0.0", "10.255.0.1"], ["11.0.0.1", "graph.example", "[::1]"], id="network"),
        pytest.param("10.1.2.3/8", ["10.255.0.1"], ["11.0.0.1"], id="network with bits behind its prefix"),
        pytest.param("::1", ["[::1]", "[0:0::1]"], ["[::2]"], id="IPv6"),
        pytest.param("[::1]", ["[::1]", "[::1]:8443"], ["[::2]"], id="IPv6 in brackets"),
        pytest.param("[::1]:8443", ["[::1]:8443"], ["[::1]", "[::1]:9443"], id="IPv6 with a port"),
        pytest.param("fe80::/10", ["[fe80::1]", "[febf::1]"], ["[fec0::1]", "10.0.0.1"], id="IPv6 network"),
        pytest.param("[fe80::]/10", ["[febf::1]"], ["[fec0::1]"], id="IPv6 network in brackets"),
        pytest.param("a.example , b.example", ["a.example", "b.example"], ["c.example"], id="several"),
        pytest.param("a.example b.example", ["a.example", "b.example"], ["c.example"], id="several, by white space"),
        pytest.param(
            "10.0.0.0/8,.svc,.cluster.local,fe80::/10,169.254.169.254",
            ["10.9.8.7", "kubernetes.default.svc", "x.cluster.local", "[fe80::1]", "169.254.169.254"],
            ["graph.example"],
            id="as a cluster sets it",
        ),
        pytest.param("a.example:8443", ["a.example:8443", "b.a.example:8443"], ["a.example"], id="with a port"),
        pytest.param("a.example:443", ["a.example"], ["a.example:8443"], id="with the scheme's own port"),
        pytest.param("10.0.0.0/8:8443", [], ["10.0.0.1", "graph.example"], id="what is not documented matches nothing"),
        pytest.param("https://a.example", ["a.example"], ["b.a.example"], id="with a scheme"),
        pytest.param("http://a.example", [], ["a.example"], id="of another scheme"),
        pytest.param("<local>,10.*,[,]:x,://", [], ["graph.example", "10.0.0.1"], id="what other programs take"),
    ],
)
def test_no_proxy(no_proxy: str, direct: list[str], proxied: list[str]) -> None:
    """Hosts in NO_PROXY are connected to directly, all others through the proxy."""
    environ = {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": no_proxy}
    assert {host: proxy_of(environ, f"https://{host}/") for host in (*direct, *proxied)} == {
        **dict.fromkeys(direct),
        **dict.fromkeys(proxied, "http://proxy:1"),
    }


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("ftp://user:Pr0xyPassw0rd@proxy:1", "scheme is not supported; use http:// or https://"),
        ("socks4://user:Pr0xyPassw0rd@proxy:1", "scheme is not supported"),
        ("socks5://user:Pr0xyPassw0rd@proxy:1", "a SOCKS proxy needs the Python package socksio"),
        ("http://user:Pr0xyPassw0rd@proxy:port", "host or port is not valid"),
        ("http://user:Pr0xyPassw0rd@proxy:99999", "host or port is not valid"),
        ("http://user:Pr0xyPassw0rd@proxy:0", "host or port is not valid"),
        ("http://user:Pr0xyPassw0rd@", "host or port is not valid"),
        ("http://user:Pr0xyPassw0rd@[::1", "host or port is not valid"),
        ("http://user:Pr0xyPassw0rd@pro xy:1", "host or port is not valid"),
        ("http://user:Pr0xyPassw0rd#x@proxy:1", "in a password as %23 %2F %3F"),
        ("http://user:Pr0xyPassw0rd/x@proxy:1", "in a password as %23 %2F %3F"),
        ("http://user:Pr0xyPassw0rdé@proxy:1", "must be percent-encoded"),
        ("user:Pr0xyPassw0rd@proxy:port", "host or port is not valid"),
    ],
)
def test_variable_that_is_wrong(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    """One line names the variable and what to do, and never what is in it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    found = problems({name: value})
    assert list(found) == [name]
    assert words in found[name]
    assert len(found[name]) <= 160
    assert "Pr0xyPassw0rd" not in found[name]


def test_no_proxy_that_is_wrong() -> None:
    """A network that does not exist is an error: what it was meant to keep out would go through the proxy."""
    for entry in ("10.0.0.0/33", "fe80::/200", "10.0.0.0/x", "[fe80::]/129"):
        assert "is not a network; write it as 10.0.0.0/8 or fe80::/10" in problems({"no_proxy": entry})["no_proxy"]


def test_every_variable_that_is_wrong_is_named() -> None:
    """All of them at once."""
    environ = {"HTTPS_PROXY": "ftp://proxy", "ALL_PROXY": "http://:1", "NO_PROXY": "10.0.0.0/99", "HTTP_PROXY": "ok:1"}
    assert set(problems(environ)) == {"HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}


def test_socks_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SOCKS proxy is used where the package for it is installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert proxy_of({"ALL_PROXY": "socks5://proxy:1080"}, "https://graph.example/") == "socks5://proxy:1080"


@pytest.mark.parametrize("show", [str, repr])
def test_password_is_never_shown(show: Any) -> None:
    """Neither text of a proxy has user or password, and every form of the password is a secret."""
    proxies = read_proxies({"HTTPS_PROXY": "http://user:p%40ssw0rd%21@proxy:3128"})
    proxy = proxies.by_scheme["https"]
    assert "proxy" in show(proxy)
    assert "user" not in show(proxy).replace("userinfo", "")
    assert not any(secret in show(proxies) for secret in proxies.secrets)
    assert proxy.auth == (b"user", b"p@ssw0rd!")
    header = base64.b64encode(b"user:p@ssw0rd!").decode()
    assert set(proxies.secrets) == {"p@ssw0rd!", "p%40ssw0rd%21", "user:p%40ssw0rd%21", header}


def test_proxy_without_a_password() -> None:
    """A user alone has nothing to hide."""
    assert read_proxies({"HTTPS_PROXY": "http://user@proxy:3128"}).secrets == ()
    assert Proxies().secrets == ()
