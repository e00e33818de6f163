"""
Requests over HTTPS, bounded in time and in size. With `transport`, the only door to httpx.

- TLS is always verified; redirects are never followed; no answer is decompressed
  (we ask for none, and a compressed one is refused: it could be a bomb).
- A timeout of httpx bounds one read, and a peer that sends a byte now and then
  never runs into it. Here the whole request has a deadline, kept by `transport`.
- Errors are translated once, with what the request may have done: nothing, where
  no connection came about; anything, once it was sent.

SSL_CERT_FILE is taken from the environment, as httpx does.
"""

import ssl
import uuid
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NoReturn, Protocol, TypeAlias
from urllib.parse import urlsplit

import httpx

from rotator import __version__
from rotator.core.errors import UNTRUSTED, Effect, Failure, FailureKind, RequestError
from rotator.core.exchange import Exchange
from rotator.edges.authorities import add_authorities
from rotator.edges.deadline import deadline

MAX_RETRY_AFTER_DIGITS = 7
MAX_ANSWER_BYTES = 8 * 1024 * 1024  # 10,000 RSA keys with their moduli are about 6 MB
REQUEST_TIMEOUT = 30.0  # seconds, where a client is given no other

Transport: TypeAlias = httpx.BaseTransport  # carries requests
TransportFactory: TypeAlias = Callable[[ssl.SSLContext], Transport]  # the context verifies TLS


class Clock(Protocol):
    """What an `Exchange` says of the time. Deadlines go by the machine's own clock."""

    def exact(self) -> datetime:
        """The instant: aware, UTC, with its fraction."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer in full. The body is for parsing, never for showing."""

    status: int
    client_request_id: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes = field(repr=False)

    @property
    def retry_after(self) -> timedelta | None:
        """
        How long the service asks to be left alone, in seconds or as an HTTP date; None where it does not.

        Source: RFC 9110, section 10.2.3. A date is taken by the service's own clock.
        """
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit() and len(value) <= MAX_RETRY_AFTER_DIGITS:
            return timedelta(seconds=int(value))
        until, sent = _date(value), _date(self.headers.get("date", ""))
        return None if until is None or sent is None else max(until - sent, timedelta())


class Http:
    """A client for one tenant; not shared between threads that work at the same time."""

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Clock,
        on_exchange: Callable[[Exchange], None],
        timeout: Callable[[], float] = lambda: REQUEST_TIMEOUT,
    ) -> None:
        """
        No connection is opened yet.

        transport:   carries the requests; closed with the client
        on_exchange: called once for each request, when it has ended
        timeout:     gives the seconds that a request beginning now may take in all
        """
        self._timeout = timeout
        self._clock = clock
        self._on_exchange = on_exchange
        self._client = httpx.Client(
            transport=transport,
            follow_redirects=False,
            headers={"User-Agent": f"b2c-key-rotator/{__version__}", "Accept-Encoding": "identity"},
        )
        # After a reload, looks that are under way still use the clients of the configuration before it.
        weakref.finalize(self, self._client.close).atexit = False

    def send(
        self,
        operation: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """
        Send one request with an id of its own, and read the whole answer, whatever its status.

        timeout: seconds that it may take in all; None: what the client's `timeout` gives

        Raises:
            RequestError: `network` or `timeout` without an answer, `unreadable`
                for one that is too long, compressed or cut off.

        """
        client_request_id = str(uuid.uuid4())
        began, started = self._clock.exact(), self._clock.monotonic()
        seconds = self._timeout() if timeout is None else timeout
        headers = {**headers, "client-request-id": client_request_id}
        answer: Answer | None = None
        try:
            answer = self._request(method, url, headers, content, seconds)
        except RequestError as error:
            failure = replace(error.failure, client_request_id=client_request_id)
            raise RequestError(failure, error.effect) from error.__cause__
        finally:
            taken = self._clock.monotonic() - started
            self._on_exchange(_exchange(operation, client_request_id, answer, began, taken))
        return answer

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._client.close()

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, seconds: float
    ) -> Answer:
        where = _host(url)
        try:
            with (
                deadline(seconds),
                self._client.stream(method, url, headers=headers, content=content, timeout=seconds) as response,
            ):
                return _read(response, where)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            _translate(error, where, seconds)


def trust(ca_file: str | None) -> ssl.SSLContext:
    """
    The one TLS context of a process; building it costs some 30 ms.

    *ca_file* is trusted in addition to the usual authorities.

    Raises:
        OSError: the file cannot be read, or holds no certificate.

    """
    context = httpx.create_ssl_context()
    if ca_file is not None:
        add_authorities(context, Path(ca_file))
    return context


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"


def _read(response: httpx.Response, where: str) -> Answer:
    encoding = response.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        _refuse(response.status_code, f"{where} sent a compressed answer, which was not asked for")
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            _refuse(response.status_code, f"{where} sent an answer of more than {MAX_ANSWER_BYTES >> 20} MiB")
    headers = {name.lower(): value for name, value in response.headers.items()}
    request_id = response.request.headers["client-request-id"]
    return Answer(status=response.status_code, client_request_id=request_id, headers=headers, body=bytes(body))


def _refuse(status: int, message: str) -> NoReturn:
    failure = Failure(kind=FailureKind.UNREADABLE, message=message, status=status)
    raise RequestError(failure, Effect.UNKNOWN)


def _translate(error: Exception, where: str, seconds: float) -> NoReturn:
    never_sent = isinstance(
        error,
        httpx.ConnectError
        | httpx.ConnectTimeout
        | httpx.PoolTimeout
        | httpx.ProxyError
        | httpx.UnsupportedProtocol
        | httpx.LocalProtocolError
        | httpx.InvalidURL,
    )
    effect = Effect.NONE if never_sent else Effect.UNKNOWN
    if isinstance(error, httpx.TimeoutException):
        message = f"{where} did not answer within {seconds:g}s"
        raise RequestError(Failure(kind=FailureKind.TIMEOUT, message=message), effect) from error
    # What h11 and httpx say of a request that they do not send quotes it, token and all.
    quotes = isinstance(error, httpx.LocalProtocolError | httpx.InvalidURL | httpx.UnsupportedProtocol)
    text = type(error).__name__ if quotes else " ".join(str(error).split()).rstrip(".") or type(error).__name__
    code = UNTRUSTED if UNTRUSTED in text else None
    if code:
        message = f"the certificate of {where} is not trusted ({text}); if that host is yours, name its CA in ca_file"
    elif never_sent:
        message = f"cannot reach {where}: {text}; check name, network and proxy"
    else:
        message = f"the connection to {where} broke: {text}"
    raise RequestError(Failure(kind=FailureKind.NETWORK, message=message, code=code), effect) from error


def _exchange(operation: str, client_request_id: str, answer: Answer | None, began: datetime, taken: float) -> Exchange:
    return Exchange(
        operation=operation,
        client_request_id=client_request_id,
        status=None if answer is None else answer.status,
        seconds=taken,
        skew=None if answer is None else _skew(answer, began, taken),
    )


def _skew(answer: Answer, began: datetime, seconds: float) -> float | None:
    date = _date(answer.headers.get("date", ""))
    # The header is cut to the second: on average the peer's clock was half a second on.
    return None if date is None else (began - date).total_seconds() + seconds / 2 - 0.5


def _date(value: str) -> datetime | None:
    """An HTTP date (RFC 9110, section 5.6.7); None where *value* is not a valid one."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
