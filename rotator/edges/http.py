"""
Requests over HTTPS, limited in time and size. Only this module, `tls` and `transport` import httpx.

- TLS is always verified; redirects are never followed; no answer is decompressed
  (none is requested, and a compressed answer is refused: it could be a decompression bomb).
- A timeout of httpx limits one read, so a peer that sends a byte from time to time
  never exceeds it. Here the whole request has a deadline, which `transport` enforces.
- Errors are translated once, with the possible effect of the request: none if
  there was no connection, unknown after it was sent.
"""

import ssl
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import NoReturn, Protocol, TypeAlias

import httpx

from rotator import __version__
from rotator.core.errors import UNTRUSTED, Effect, Failure, FailureKind, RequestError
from rotator.core.exchange import Exchange
from rotator.edges.answer_memory import MAX_ANSWER_BYTES, SMALL_ANSWER, AnswerMemory, Room, no_room
from rotator.edges.deadline import deadline
from rotator.edges.http_date import clock_skew, parse_retry_after
from rotator.edges.network_errors import host_of, is_untrusted, reason

REQUEST_TIMEOUT = 30.0  # seconds; the default of a client

Transport: TypeAlias = httpx.BaseTransport  # carries requests
TransportFactory: TypeAlias = Callable[[ssl.SSLContext], Transport]  # the context verifies TLS


class Clock(Protocol):
    """The clock for the times in an `Exchange`. Deadlines always use the clock of the machine."""

    def exact(self) -> datetime:
        """The instant: aware, UTC, with microseconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never decrease."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer. Its body must only be parsed, never shown."""

    status: int
    client_request_id: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes | bytearray = field(repr=False)

    @property
    def retry_after(self) -> timedelta | None:
        """The wait that the service asks for (Retry-After); None if it does not."""
        return parse_retry_after(self.headers)


class Http:
    """A client for one tenant; not shared between threads that work at the same time."""

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Clock,
        on_exchange: Callable[[Exchange], None],
        timeout: Callable[[], float] = lambda: REQUEST_TIMEOUT,
        memory: AnswerMemory | None = None,
        has_ca_file: bool = False,
    ) -> None:
        """
        No connection is opened yet.

        transport:   carries the requests; closed with the client
        on_exchange: called once for each request, after its end
        timeout:     returns the seconds that a request may take in total
        memory:      limits the memory for large answers; shared by all clients of a process
        has_ca_file: `ca_file` is configured, so that messages do not suggest to set it
        """
        self._memory = memory or AnswerMemory()
        self._room: Room | None = None
        self._timeout = timeout
        self._has_ca_file = has_ca_file
        self._clock = clock
        self._on_exchange = on_exchange
        self._client = httpx.Client(
            transport=transport,
            follow_redirects=False,
            headers={"User-Agent": f"b2c-key-rotator/{__version__}", "Accept-Encoding": "identity"},
        )
        # After a reload, looks in progress still use the clients of the previous configuration.
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
        Send one request with a new request id, and read the whole answer, of any status.

        A large answer is an error, except within a block of `large_answers`.

        timeout: seconds in total; None: that of the client

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

    @contextmanager
    def large_answers(self) -> Iterator[None]:
        """A context manager: answers within the block may be large, and must not be kept after it."""
        with self._memory.room() as room:
            self._room = room
            try:
                yield
            finally:
                self._room = None

    def parsing(self, answer: Answer) -> AbstractContextManager[None]:
        """A context manager around parsing *answer*; the block should be short."""
        return self._memory.parsing(len(answer.body))

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._client.close()

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, seconds: float
    ) -> Answer:
        where, until = host_of(url), time.monotonic() + seconds
        try:
            with (
                deadline(seconds),
                self._client.stream(method, url, headers=headers, content=content, timeout=seconds) as response,
            ):
                return _read(response, where, self._room, until)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            _translate(error, where, seconds, has_ca_file=self._has_ca_file)


def _read(response: httpx.Response, where: str, room: Room | None, until: float) -> Answer:
    encoding, status = response.headers.get("content-encoding", "identity"), response.status_code
    if encoding.lower() != "identity":
        _refuse(status, f"{where} sent a compressed answer, which was not requested; check any proxy in between")
    # Only the status and the code of an error are used, so a large error body is not needed.
    limit = MAX_ANSWER_BYTES if room is not None and status < 300 else SMALL_ANSWER
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > limit and status >= HTTPStatus.BAD_REQUEST:
            body.clear()
            break
        if len(body) > limit:
            _refuse(status, f"{where} sent an answer of more than {limit >> 10} KiB")
        if room is not None and not room.fits(len(body), _at_most(response, limit), until):
            raise no_room(where)
    headers = {name.lower(): value for name, value in response.headers.items()}
    request_id = response.request.headers["client-request-id"]
    return Answer(status=status, client_request_id=request_id, headers=headers, body=body)


def _at_most(response: httpx.Response, limit: int) -> int:
    length = response.headers.get("content-length", "")
    return min(int(length), limit) if length.isascii() and length.isdigit() and len(length) < 9 else limit


def _refuse(status: int, message: str) -> NoReturn:
    failure = Failure(kind=FailureKind.UNREADABLE, message=message, status=status)
    raise RequestError(failure, Effect.UNKNOWN)


def _translate(error: Exception, where: str, seconds: float, *, has_ca_file: bool) -> NoReturn:
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
    text = reason(error)
    code = UNTRUSTED if is_untrusted(error) else None
    if code:
        advice = "check whether ca_file has the CA of that host" if has_ca_file else "add its CA to ca_file"
        message = f"the certificate of {where} is not trusted ({text}); if that host is yours, {advice}"
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
        skew=None if answer is None else clock_skew(answer.headers, began, taken),
    )
