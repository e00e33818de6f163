"""A transport that notes, for each host, how long its answers take and what time they show."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import httpx

from rotator.core.checkup import Reply
from rotator.edges.http_date import clock_skew


class Clock(Protocol):
    """The clock for the times in a `Reply`."""

    def exact(self) -> datetime:
        """The instant: aware, UTC, with microseconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never decrease."""
        ...


class ObservedTransport(httpx.BaseTransport):
    """Sends requests over another transport, and calls back after each one."""

    def __init__(
        self, inner: httpx.BaseTransport, clock: Clock, on_reply: Callable[[tuple[str, str, int | None], Reply], None]
    ) -> None:
        """*on_reply* gets the origin (scheme, host and port; None for the port of the scheme) and the reply."""
        self._inner = inner
        self._clock = clock
        self._on_reply = on_reply

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        origin = (request.url.scheme, request.url.host, request.url.port)
        began, started = self._clock.exact(), self._clock.monotonic()
        try:
            response = self._inner.handle_request(request)
        except httpx.TransportError:
            self._on_reply(origin, Reply(seconds=self._clock.monotonic() - started))
            raise
        seconds = self._clock.monotonic() - started
        headers = {name.lower(): value for name, value in response.headers.items()}
        skew = clock_skew(headers, began, seconds)
        self._on_reply(origin, Reply(seconds=seconds, status=response.status_code, skew=skew))
        return response

    def close(self) -> None:
        self._inner.close()
