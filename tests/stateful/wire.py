# mypy: disable-error-code="exhaustive-match"
"""
The way from the program to the service, where everything that goes wrong on it goes wrong.

    Http ─▶ httpx ─▶ Link ─▶ ServedDirectly ─▶ the emulated service, in this process
                       └───▶ httpx's own transport ─▶ TLS ─▶ the emulated service

Everything above the `Link` is the program's own. `ServedDirectly` leaves out sockets
and TLS alone, and is what makes some thousands of requests a second possible.

What the service itself does wrong are faults of the emulator. What happens to a
request on its way is played here: no connection, no answer in time, an answer that
comes while something else happens, a request that is carried out long after its
sender has given up.
"""

import contextlib
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import StrEnum
from typing import Any

import httpx

from rotator.emulator.faults.fault import Moment
from rotator.emulator.http.answers import Ending, Request
from rotator.emulator.http.routes import GRAPH, Operation, Route, find_route
from rotator.emulator.service import Service

LATENCY = 0.05  # seconds that a request takes
MOST_AT_ONCE = 2000  # requests without that anybody looked at them; more is a loop
TIMEOUT = 30.0  # seconds after which an answer that does not come is given up


class Mishap(StrEnum):
    """What may happen to a request on its way."""

    UNREACHABLE = "unreachable"  # no connection: certainly nothing was sent
    UNANSWERED = "unanswered"  # no answer in time; before or after the commit
    DELAYED = "delayed"  # no answer in time, and carried out only later


@dataclass(kw_only=True)
class Trap:
    """Something that happens to, or when, the next request of a kind passes; *times* None: until removed."""

    where: frozenset[Operation]
    keyset: str | None = None
    moment: Moment = Moment.BEFORE_COMMIT
    mishap: Mishap | None = None
    delay: float = 0.0
    act: Callable[[], None] | None = None
    times: int | None = 1
    hits: int = 0

    @property
    def spent(self) -> bool:
        """Whether it has sprung as often as it was to."""
        return self.times is not None and self.hits >= self.times


@dataclass(frozen=True, kw_only=True)
class Sent:
    """
    A request of the program's, which began at *instant*, by *skew* seconds earlier than its clock said.

    *status* None: no answer; *body*: of the answer, where it is JSON.
    """

    operation: Operation
    keyset: str | None
    kid: str | None
    instant: float
    skew: float
    was_sent: bool
    asked: Any
    status: int | None
    body: Any


@dataclass(kw_only=True)
class Way:
    """What all requests of a run pass through: traps and observers."""

    pass_time: Callable[[float], None] = lambda _: None
    later: Callable[[float, Callable[[], None]], None] = lambda _, __: None
    now: Callable[[], float] = lambda: 0.0
    skew: Callable[[], float] = lambda: 0.0
    posting: Callable[[str, Any], None] = lambda _, __: None
    endless: Callable[[], None] = lambda: None
    traps: list[Trap] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    recent: deque[float] = field(default_factory=deque)
    most_in_a_minute: int = 0


class Link(httpx.BaseTransport):
    """Carries requests to *inner*, with what happens on the *way*."""

    def __init__(self, inner: httpx.BaseTransport, way: Way) -> None:
        self._inner = inner
        self._way = way

    def close(self) -> None:
        self._inner.close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        route = find_route(request.method, request.url.path, {})
        keyset, asked = route.arguments.get("keyset"), _parsed(request.read())
        instant, skew, was_sent = self._way.now(), self._way.skew(), True
        self._count(route.operation, instant)
        if len(self._way.sent) > MOST_AT_ONCE:
            self._way.endless()
        if route.operation is Operation.GENERATE_KEY:
            self._way.posting(keyset or "", asked)
        status, body = None, None
        try:
            response, content = self._carry(request, route)
            status, body = response.status_code, _parsed(content)
            return httpx.Response(status, headers=response.headers, stream=httpx.ByteStream(content))
        except httpx.ConnectError:
            was_sent = False
            raise
        finally:
            self._way.sent.append(
                Sent(
                    operation=route.operation,
                    keyset=keyset,
                    kid=route.arguments.get("kid"),
                    instant=instant,
                    skew=skew,
                    was_sent=was_sent,
                    asked=asked,
                    status=status,
                    body=body,
                )
            )

    def _carry(self, request: httpx.Request, route: Route) -> tuple[httpx.Response, bytes]:
        sprung = [trap for trap in self._way.traps if self._springs(trap, route)]
        for trap in sprung:
            trap.hits += 1
        before = [trap for trap in sprung if trap.moment is Moment.BEFORE_COMMIT]
        after = [trap for trap in sprung if trap.moment is Moment.AFTER_COMMIT]
        self._spring(before, request)
        self._way.pass_time(LATENCY)
        carried = self._deliver(request)
        self._spring(after, request)
        return carried

    def _deliver(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        response = self._inner.handle_request(request)
        assert isinstance(response.stream, httpx.SyncByteStream)
        try:
            return response, b"".join(response.stream)
        finally:
            response.close()

    def _springs(self, trap: Trap, route: Route) -> bool:
        there = trap.keyset is None or trap.keyset == route.arguments.get("keyset")
        return route.operation in trap.where and there and not trap.spent

    def _spring(self, traps: list[Trap], request: httpx.Request) -> None:
        for trap in traps:
            if trap.act is not None:
                trap.act()
        self._way.pass_time(0.0)  # a process that this killed ends here
        for trap in traps:
            match trap.mishap:
                case Mishap.UNREACHABLE:
                    raise httpx.ConnectError("no route to host")
                case Mishap.DELAYED:
                    self._way.later(self._way.now() + trap.delay, lambda: self._carry_late(request))
                    self._time_out()
                case Mishap.UNANSWERED:
                    self._time_out()

    def _time_out(self) -> None:
        self._way.pass_time(TIMEOUT)
        raise httpx.ReadTimeout("no answer")

    def _carry_late(self, request: httpx.Request) -> None:
        with contextlib.suppress(httpx.HTTPError):  # nobody waits for it
            self._deliver(request)

    def _count(self, operation: Operation, instant: float) -> None:
        if operation not in GRAPH:
            return
        recent = self._way.recent
        recent.append(instant)
        while recent[0] <= instant - 60:
            recent.popleft()
        self._way.most_in_a_minute = max(self._way.most_in_a_minute, len(recent))


class ServedDirectly(httpx.BaseTransport):
    """The emulated service without sockets: what its wire does to an answer, done to httpx."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def is_gone(self) -> bool:
        """As a `Peer`, it never leaves."""
        return False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        asked = Request(
            method=request.method,
            path=request.url.path,
            origin=f"{request.url.scheme}://{request.url.netloc.decode()}",
            query=dict(request.url.params),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.read(),
        )
        delivery = self._service.serve(asked, self)
        if delivery.ending is Ending.RESET:
            raise httpx.ReadError("connection reset by peer")
        if delivery.ending is Ending.CLOSE or delivery.truncated:
            raise httpx.RemoteProtocolError("peer closed connection")
        answer = delivery.answer
        date = formatdate(self._service.directory.now() + delivery.skew, usegmt=True)
        headers = [("Date", date), *answer.headers]
        if answer.content_type:
            headers.append(("Content-Type", answer.content_type))
        content = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body.chunks())
        return httpx.Response(answer.status, headers=headers, stream=httpx.ByteStream(content))


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
