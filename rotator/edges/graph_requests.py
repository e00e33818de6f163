"""
Requests to Microsoft Graph: with a token, and reads again where that may help.

A write is sent once; the caller decides whether to send it again.
"""

import json
from collections.abc import Callable
from typing import Protocol, TypeVar

from rotator.core.errors import UNTRUSTED, FailureKind, RequestError
from rotator.core.retry import Retry
from rotator.edges.answers import Json, parse_object
from rotator.edges.http import Answer, Http
from rotator.edges.jose import permissions_of
from rotator.edges.refusals import refused

READS = Retry(
    first=1.0,
    longest=30.0,
    kinds=frozenset({FailureKind.THROTTLED, FailureKind.NETWORK, FailureKind.TIMEOUT, FailureKind.SERVICE}),
    max_attempts=4,
    max_timeouts=2,
    max_retry_after=30.0,
)
"""The retries of a read. If the service asks for a longer wait, a later sweep reads the keyset."""

T = TypeVar("T")


class TokenSource(Protocol):
    """Access tokens for one tenant."""

    def get(self) -> str:
        """A token that is valid now; raises `RequestError`."""
        ...

    def reject(self, token: str) -> None:
        """Drop *token*, which the service refused."""
        ...

    def outdate(self, token: str) -> bool:
        """Drop *token*, which lacks a permission, if a new one may have it; True if it was dropped."""
        ...


class Clock(Protocol):
    """The clock, as far as this module needs it."""

    def monotonic(self) -> float:
        """Seconds that never decrease."""
        ...

    def sleep(self, seconds: float) -> bool:
        """Wait for *seconds*; False if the wait ended early."""
        ...


class GraphRequests:
    """Sends the requests for one tenant."""

    def __init__(
        self,
        http: Http,
        tokens: TokenSource,
        *,
        clock: Clock,
        jitter: Callable[[], float],
        on_retry: Callable[[FailureKind], None],
    ) -> None:
        """
        No request is made yet.

        jitter:   draws from [0, 1)
        on_retry: called with the reason before a request is sent again
        """
        self._http = http
        self._tokens = tokens
        self._clock = clock
        self._jitter = jitter
        self._on_retry = on_retry

    def prepare(self) -> None:
        """Get a token, so that the next request does not wait for one; raises `RequestError`."""
        self._tokens.get()

    def permissions(self) -> tuple[str, ...] | None:
        """The application permissions in the token; None if it cannot be read. Raises `RequestError`."""
        return permissions_of(self._tokens.get())

    def read(self, operation: str, url: str, parse: Callable[[Json], T]) -> T:
        """
        GET *url*, with the retries of `READS`, and parse the answer.

        Raises:
            RequestError: the last attempt failed, or *parse* raised it.

        """
        attempt = 0
        while True:
            error = self._read_once(operation, url, parse)
            if not isinstance(error, RequestError):
                return error
            attempt += 1
            # An untrusted certificate is of kind `network`, but a retry does not help.
            is_final = error.failure.code == UNTRUSTED
            pause = None if is_final else READS.pause(error.failure, attempt, self._jitter)
            if pause is None or not self._clock.sleep(pause):
                raise error
            self._on_retry(error.failure.kind)

    def _read_once(self, operation: str, url: str, parse: Callable[[Json], T]) -> T | RequestError:
        """The parsed answer, or the error; the error has no traceback, which would keep the answer in memory."""
        try:
            with self._http.large_answers():
                answer = self.send(operation, "GET", url, None)
                with self._http.parsing(answer):
                    return parse(parse_object(answer))
        except RequestError as error:
            return RequestError(error.failure, error.effect)

    def send(self, operation: str, method: str, url: str, body: Json | None) -> Answer:
        """
        Send one request. If the token is refused, it is dropped, and a read is sent once more.

        A token that lacks a permission is dropped too, since a new one has permissions that were granted later.
        A write is not sent again: a new token takes time, and then the caller must check again whether to write.
        """
        token = self._tokens.get()
        answer = self._send_with(operation, method, url, body, token)
        if self._dropped(answer, operation, token) and method == "GET":
            answer = self._send_with(operation, method, url, body, self._tokens.get())
        if answer.status in (200, 201, 204):
            return answer
        raise refused(answer, operation)

    def _dropped(self, answer: Answer, operation: str, token: str) -> bool:
        """Drop *token* where the service refuses it and may accept the next one; True if it was dropped."""
        if answer.status == 401:
            self._tokens.reject(token)
            return True
        is_refused = answer.status >= 400 and refused(answer, operation).failure.kind is FailureKind.FORBIDDEN
        return is_refused and self._tokens.outdate(token)

    def _send_with(self, operation: str, method: str, url: str, body: Json | None, token: str) -> Answer:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if body is None:
            return self._http.send(operation, method, url, headers=headers)
        headers["Content-Type"] = "application/json"
        return self._http.send(operation, method, url, headers=headers, content=json.dumps(body).encode())
