"""
The transport that requests go over: connections that keep a deadline, and the proxies of the environment.

httpx takes a transport as an argument, but builds its own connection pools without a way to
choose their network backend, and ignores the environment's proxies once it was given one. So both
are here, on httpcore's public `ConnectionPool(network_backend=..., proxy=...)`.

Which proxy a URL goes through is decided as httpx 0.28 decides it: HTTP_PROXY, HTTPS_PROXY,
ALL_PROXY and NO_PROXY, in either case of letters; the most specific rule counts.

Sources: httpx, "Environment variables" and "Proxies"; curl, CURLOPT_NOPROXY.
"""

import contextlib
import importlib.util
import ipaddress
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self
from urllib.request import getproxies

import httpcore
import httpx

from rotator.edges.deadline import Backend

MAX_CONNECTIONS = 256  # more than there are threads that send requests
# The defaults of httpx.
MAX_IDLE_CONNECTIONS = 20
IDLE_TIMEOUT = 5.0  # seconds

_ERRORS: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.TimeoutException: httpx.TimeoutException,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.NetworkError: httpx.NetworkError,
    httpcore.ProxyError: httpx.ProxyError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
    httpcore.ProtocolError: httpx.ProtocolError,
}
"""httpx's name for each error of httpcore; the first that fits counts."""


def transport(context: ssl.SSLContext) -> httpx.BaseTransport:
    """
    A transport with the proxies that the environment names now; TLS is verified by *context*.

    Raises:
        ValueError, httpx.InvalidURL: a proxy of the environment cannot be used.
        ImportError: it is a SOCKS proxy, and the package socksio is not installed.

    """
    return ProxiedTransport(context, getproxies())


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRule:
    """
    URLs that go through one proxy.

    scheme: "" for every scheme
    host:   "" for every host; `*example.com` with its subdomains, `*.example.com` only those
    port:   None for every port
    proxy:  the proxy's URL; None: no proxy
    """

    scheme: str
    host: str
    port: int | None
    proxy: str | None

    @classmethod
    def parse(cls, pattern: str, proxy: str | None) -> Self:
        """The rule of *pattern*, such as `https://`, `all://*example.com` or `all://10.0.0.1:8443`."""
        url = httpx.URL(pattern)
        scheme, host = ("" if url.scheme == "all" else url.scheme), ("" if url.host == "*" else url.host)
        return cls(scheme=scheme, host=host, port=url.port, proxy=proxy)

    def matches(self, url: httpx.URL) -> bool:
        """Whether *url* is one of them; httpx leaves out the port where it is the scheme's own."""
        before, domain = "", self.host
        if domain.startswith("*."):
            before, domain = r".+\.", domain[2:]
        elif domain.startswith("*"):
            before, domain = r"(.+\.)?", domain[1:]
        return (
            self.scheme in ("", url.scheme)
            and (not self.host or re.fullmatch(before + re.escape(domain), url.host) is not None)
            and self.port in (None, url.port)
        )

    @property
    def priority(self) -> tuple[bool, int, int]:
        """Sorts the most specific rule first."""
        return self.port is None, -len(self.host), -len(self.scheme)


def proxy_rules(environment: Mapping[str, str]) -> list[ProxyRule]:
    """
    The rules that `urllib.request.getproxies` found, the most specific first.

    *environment* has a proxy for each scheme (`http`, `https`, `all`), and the hosts in `no`,
    with commas between them.
    """
    hosts = [host.strip() for host in environment.get("no", "").split(",")]
    if "*" in hosts:
        return []
    proxies = ((scheme, environment.get(scheme)) for scheme in ("http", "https", "all"))
    rules = [
        ProxyRule.parse(f"{scheme}://", proxy if "://" in proxy else f"http://{proxy}")
        for scheme, proxy in proxies
        if proxy
    ]
    rules += [ProxyRule.parse(_no_proxy_pattern(host), None) for host in hosts if host]
    return sorted(rules, key=lambda rule: rule.priority)


def _no_proxy_pattern(host: str) -> str:
    if "://" in host:
        return host
    match _address_version(host):
        case 4:
            return f"all://{host}"
        case 6:
            return f"all://[{host}]"
        case _:
            return f"all://{host}" if host.lower() == "localhost" else f"all://*{host}"


def _address_version(host: str) -> int | None:
    try:
        return ipaddress.ip_address(host.partition("/")[0]).version
    except ValueError:
        return None


class ProxiedTransport(httpx.BaseTransport):
    """Sends each request directly or through a proxy, as the rules say."""

    def __init__(self, context: ssl.SSLContext, environment: Mapping[str, str]) -> None:
        """*environment*: as `proxy_rules` takes it."""
        self._direct = PoolTransport(context)
        self._routes = [
            (rule, self._direct if rule.proxy is None else PoolTransport(context, rule.proxy))
            for rule in proxy_rules(environment)
        ]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        fitting = (route for rule, route in self._routes if rule.matches(request.url))
        return next(fitting, self._direct).handle_request(request)

    def close(self) -> None:
        self._direct.close()
        for _, route in self._routes:
            route.close()


class PoolTransport(httpx.BaseTransport):
    """One pool of connections, all of which keep the deadline of the thread that uses them."""

    def __init__(self, context: ssl.SSLContext, proxy: str | None = None) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            proxy=None if proxy is None else _proxy(proxy),
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_TIMEOUT,
            network_backend=Backend(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raw = httpcore.Request(
            method=request.method,
            url=_raw_url(request.url),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _translated():
            response = self._pool.handle_request(raw)
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Stream(response),
            extensions=response.extensions,
        )

    def close(self) -> None:
        self._pool.close()


class _Stream(httpx.SyncByteStream):
    """The body of an answer, as it comes."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _translated():
            yield from self._response.iter_stream()

    def close(self) -> None:
        with _translated():
            self._response.close()


def _proxy(url: str) -> httpcore.Proxy:
    proxy = httpx.Proxy(url)
    if proxy.url.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ImportError("a SOCKS proxy needs the package socksio: pip install socksio")
    return httpcore.Proxy(
        _raw_url(proxy.url), auth=proxy.raw_auth, headers=proxy.headers.raw, ssl_context=proxy.ssl_context
    )


def _raw_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Raise httpx's errors in place of httpcore's."""
    try:
        yield
    except tuple(_ERRORS) as error:
        kind = next(ours for theirs, ours in _ERRORS.items() if isinstance(error, theirs))
        raise kind(str(error)) from error
