"""
Requests, answers and how they are delivered, as values; and the two shapes of a refusal.

Nothing here knows a socket: http_server.py sends them.

Error bodies: Graph's (https://learn.microsoft.com/graph/errors) with B2C's
``correlationId`` beside Graph's own members, as public clients met it; and
Entra's (RFC 6749, section 5.2, plus what Entra adds).
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

GRAPH_JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
Headers = tuple[tuple[str, str], ...]
_DIAGNOSTIC = (
    '{"ServerInfo":{"DataCenter":"Loopback","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"EMULATOR"}}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came. *origin* is the root under which the client knows the emulator."""

    method: str
    path: str
    origin: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A body that is generated while it is sent."""

    length: int
    chunks: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, headers and body; *data* is what the body holds, if it is JSON."""

    status: int
    body: bytes | Stream = b""
    content_type: str | None = None
    headers: Headers = ()
    data: Any = None


class Ending(StrEnum):
    """What happens to the connection."""

    SEND = "send"
    RESET = "reset"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An answer and how it is sent. *skew*: seconds, in the Date header; *drip*: seconds from byte to byte."""

    answer: Answer = field(default_factory=lambda: Answer(status=500))
    ending: Ending = Ending.SEND
    drip: float | None = None
    truncated: bool = False
    skew: float = 0


class Peer(Protocol):
    """The other end of a connection."""

    def is_gone(self) -> bool:
        """Whether the client has left."""


@dataclass(eq=False)
class RefusedError(Exception):
    """Graph refuses: status, code and message of its error body."""

    status: int
    code: str
    message: str
    headers: Headers = ()


@dataclass(eq=False)
class LoginRefusedError(Exception):
    """Entra refuses: status, OAuth error, AADSTS number and text. *is_b2c*: a policy does, with an AADB2C number."""

    status: int
    error: str
    number: int
    text: str
    headers: Headers = ()
    is_b2c: bool = False


def json_answer(data: object, *, status: int = 200, content_type: str = JSON, headers: Headers = ()) -> Answer:
    """An answer with *data* in JSON."""
    body = json.dumps(data, separators=(",", ":")).encode()
    return Answer(status=status, body=body, content_type=content_type, headers=headers, data=data)


def graph_refusal(
    refused: RefusedError, *, now: float, request_id: str, client_request_id: str | None, inner_error_member: str
) -> Answer:
    """A Graph error body; `date` has no zone, as in the samples."""
    inner = {
        "correlationId": str(uuid.uuid4()),
        "date": utc(now).strftime("%Y-%m-%dT%H:%M:%S"),
        "request-id": request_id,
        "client-request-id": client_request_id or request_id,
    }
    error = {"code": refused.code, "message": refused.message, inner_error_member: inner}
    plain = "application/json"
    return json_answer({"error": error}, status=refused.status, content_type=plain, headers=refused.headers)


def login_refusal(refused: LoginRefusedError, *, now: float, client_request_id: str | None) -> Answer:
    """An Entra error body, with the trailing lines that every description has."""
    trace_id, timestamp = str(uuid.uuid4()), utc(now).strftime("%Y-%m-%d %H:%M:%SZ")
    correlation_id = client_request_id or str(uuid.uuid4())
    if refused.is_b2c:
        lines = (
            f"AADB2C{refused.number}: {refused.text}",
            f"Correlation ID: {correlation_id}",
            f"Timestamp: {timestamp}",
        )
        body = {"error": refused.error, "error_description": "\r\n".join((*lines, ""))}
        return json_answer(body, status=refused.status, headers=refused.headers)
    description = (
        f"AADSTS{refused.number}: {refused.text} Trace ID: {trace_id} "
        f"Correlation ID: {correlation_id} Timestamp: {timestamp}"
    )
    data = {
        "error": refused.error,
        "error_description": description,
        "error_codes": [refused.number],
        "timestamp": timestamp,
        "trace_id": trace_id,
        "correlation_id": correlation_id,
        "error_uri": f"https://login.microsoftonline.com/error?code={refused.number}",
    }
    return json_answer(data, status=refused.status, headers=refused.headers)


def utc(instant: float) -> datetime:
    """The aware datetime of an epoch instant."""
    return datetime.fromtimestamp(instant, UTC)


def common_headers(request_id: str, client_request_id: str | None, *, is_graph: bool) -> Headers:
    """The headers that every answer has ("Best practices for working with Microsoft Graph")."""
    own = (("client-request-id", client_request_id),) if client_request_id else ()
    graph = (("x-ms-ags-diagnostic", _DIAGNOSTIC), ("Strict-Transport-Security", "max-age=31536000"))
    return (("request-id", request_id), *own, *(graph if is_graph else ()))


def objects_in(data: object) -> Iterator[dict[str, Any]]:
    """Every object in the JSON *data*, itself and those inside it."""
    pending = [data]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            yield each
        pending += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
