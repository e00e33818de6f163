"""
The transport of requests: connections with a deadline, and the proxies of the environment.

httpx takes a transport as an argument, but builds its own connection pools without a way to
choose their network backend, and it ignores the environment's proxies if it gets a transport. So
the pools are here, on httpcore's public `ConnectionPool(network_backend=..., proxy=...)`;
`proxies` says which proxy a URL goes through.
"""

import contextlib
import os
import ssl
from collections.abc import Iterator

import httpcore
import httpx

from rotator.edges.deadline import Backend
from rotator.edges.proxies import Proxies, Proxy, read_proxies

MAX_CONNECTIONS = 64  # where a transport is given no other
MAX_IDLE_CONNECTIONS = 20  # the default of httpx
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
"""The exception of httpx for each one of httpcore; the first match is used."""


def transport(context: ssl.SSLContext, max_connections: int = MAX_CONNECTIONS) -> httpx.BaseTransport:
    """
    Create a transport with the proxies that the environment names now; *context* verifies TLS.

    max_connections: how many may be open at once, directly and through each proxy; a request waits for one

    Raises:
        ConfigError: a proxy variable is invalid.

    """
    return ProxiedTransport(context, read_proxies(os.environ), max_connections)


def direct(context: ssl.SSLContext) -> httpx.BaseTransport:
    """Create a transport that ignores the proxies of the environment; *context* verifies TLS."""
    return PoolTransport(context)


class ProxiedTransport(httpx.BaseTransport):
    """Sends each request directly or through a proxy."""

    def __init__(self, context: ssl.SSLContext, proxies: Proxies, max_connections: int = MAX_CONNECTIONS) -> None:
        self._proxies = proxies
        self._direct = PoolTransport(context, None, max_connections)
        self._through = {proxy: PoolTransport(context, proxy, max_connections) for proxy in proxies.by_scheme.values()}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        proxy = self._proxies.proxy_of(url.scheme, url.host, url.port)
        return (self._direct if proxy is None else self._through[proxy]).handle_request(request)

    def close(self) -> None:
        self._direct.close()
        for transport in self._through.values():
            transport.close()


class PoolTransport(httpx.BaseTransport):
    """One pool of connections, which obey the deadline of the thread that uses them."""

    def __init__(
        self, context: ssl.SSLContext, proxy: Proxy | None = None, max_connections: int = MAX_CONNECTIONS
    ) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            proxy=None if proxy is None else _proxy(proxy, context),
            max_connections=max_connections,
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
    """The body of an answer, as a stream."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _translated():
            yield from self._response.iter_stream()

    def close(self) -> None:
        with _translated():
            self._response.close()


def _proxy(proxy: Proxy, context: ssl.SSLContext) -> httpcore.Proxy:
    return httpcore.Proxy(
        httpcore.URL(scheme=proxy.scheme, host=proxy.host, port=proxy.port, target="/"),
        auth=proxy.auth,
        # Without this context, httpcore would trust other authorities.
        ssl_context=context if proxy.scheme == "https" else None,
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
