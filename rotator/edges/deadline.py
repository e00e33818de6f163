"""
Connections with a deadline for everything that they wait for. Only this module and `transport` import httpcore.

A timeout of httpcore limits one connection to one address, or one read. It does not limit a peer
that sends a byte from time to time, a name with many addresses, or a resolver that hangs.
Here a thread has one deadline for a whole block, and each step gets the time that is left. The
clock is that of the machine, even in simulations, because sockets wait in real time.
"""

import contextlib
import errno
import resource
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from queue import Empty, Queue
from typing import Any

import httpcore

OUT_OF_MEMORY = "malloc failure"  # OpenSSL's reason; the ssl module has no exception for it

_left = threading.local()


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """A context manager that limits the time of everything that this thread does on the network within the block."""
    _left.until = time.monotonic() + seconds
    try:
        yield
    finally:
        del _left.until


def _within(timeout: float | None, expired: type[Exception]) -> float | None:
    """The seconds that are left for this thread's request, at most *timeout*."""
    until: float | None = getattr(_left, "until", None)
    if until is None:
        return timeout
    left = until - time.monotonic()
    if left <= 0:
        raise expired
    return left if timeout is None else min(left, timeout)


def raise_descriptor_limit() -> None:
    """Let this process open as many files and connections as its hard limit allows (getrlimit(2), RLIMIT_NOFILE)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a hard limit that the kernel itself does not allow
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def _naming_the_limit() -> Iterator[None]:
    """A context manager: the error for a connection that cannot be opened names the limit."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not (isinstance(cause, OSError) and cause.errno == errno.EMFILE):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        raise httpcore.ConnectError(f"the limit of {limit} open files is reached (RLIMIT_NOFILE)") from error


def _resolve(host: str, port: int, seconds: float | None) -> list[str]:
    """The addresses of *host*. The system's resolver has no timeout: after *seconds* its thread is abandoned."""
    answer: Queue[list[str] | Exception] = Queue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.put(list(dict.fromkeys(str(each[4][0]) for each in found)))
        except Exception as error:  # noqa: BLE001 - the waiting thread raises it
            answer.put(error)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        got = answer.get(timeout=seconds)
    except Empty as error:
        raise httpcore.ConnectTimeout("the name was not resolved in time") from error
    if isinstance(got, Exception):
        raise httpcore.ConnectError(str(got)) from got
    return got


class Backend(httpcore.NetworkBackend):
    """Connects like httpcore, but within the deadline, including the resolver and all addresses."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        with _naming_the_limit():
            return self._connect(host, port, timeout, local_address, socket_options)

    def _connect(
        self,
        host: str,
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[Any] | None,
    ) -> httpcore.NetworkStream:
        addresses = _resolve(host, port, _within(timeout, httpcore.ConnectTimeout))
        for number, address in enumerate(addresses):
            left = _within(timeout, httpcore.ConnectTimeout)
            share = None if left is None else left / (len(addresses) - number)
            try:
                return _Stream(self._inner.connect_tcp(address, port, share, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses) - 1:
                    raise
        raise httpcore.ConnectError("the name has no address")


class _Stream(httpcore.NetworkStream):
    """A connection whose every read and write is within the deadline."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _within(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _within(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _within(timeout, httpcore.ConnectTimeout)
        try:
            return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))
        except httpcore.ConnectError as error:
            if OUT_OF_MEMORY in str(error):
                raise MemoryError("no memory for a TLS connection") from error
            raise

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's signature
        return self._inner.get_extra_info(info)
