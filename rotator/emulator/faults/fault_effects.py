"""
The effects of faults: what is answered instead, and how the real answer is changed.

Pure functions: an answer goes in, an answer comes out; http_server.py does the rest to
the connection.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from email.utils import formatdate

from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.answers import (
    HTML,
    JSON,
    Answer,
    Delivery,
    Ending,
    LoginRefusedError,
    RefusedError,
    Request,
    Stream,
)
from rotator.emulator.http.routes import Operation

_BLOCK = 1 << 20
_CODES = {
    401: "InvalidAuthenticationToken",
    403: "Authorization_RequestDenied",
    404: "ResourceNotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    412: "PreconditionFailed",
    423: "ResourceLocked",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
    509: "BandwidthLimitExceeded",
}
_LOGIN = {Operation.DISCOVERY, Operation.TOKEN, Operation.LOGIN_KEYS}
_TRANSIENT = 90033  # AADSTS90033: a transient error has occurred


def instead(fault: Fault, operation: Operation, now: float) -> Delivery:
    """
    What the client gets in place of the real answer.

    Raises:
        RefusedError, LoginRefusedError: the fault is an error body of the service's own.

    """
    match fault.what:
        case Kind.RESET:
            return Delivery(ending=Ending.RESET)
        case Kind.CLOSE:
            return Delivery(ending=Ending.CLOSE)
        case Kind.THROTTLED:
            raise _refused(replace(fault, status=429), operation, now)
        case Kind.STATUS:
            raise _refused(fault, operation, now)
        case other:
            return Delivery(answer=_ANSWERS[other](fault))


def reshape(fault: Fault, answer: Answer, request: Request) -> Answer:
    """The real answer, changed; one without JSON stays as it is."""
    if not isinstance(answer.data, dict):
        return answer
    data = json.loads(json.dumps(answer.data))
    match fault.what:
        case Kind.MISSING_MEMBER:
            data.pop(fault.member, None)
        case Kind.MISSING_KID:
            for key in _keys(data):
                key.pop("kid", None)
        case Kind.FORGED_MEMBER:
            for key in _keys(data):
                key[fault.member] = fault.value
        case Kind.FOREIGN_NEXT_LINK:
            data["@odata.nextLink"] = fault.url
        case Kind.NEXT_LINK_LOOP:
            data["@odata.nextLink"] = f"{request.origin}{request.path}"
        case Kind.INSECURE_NEXT_LINK:
            link = f"{request.origin}{request.path}"
            data["@odata.nextLink"] = link.replace("https://", "http://", 1)
        case _:
            return answer
    return replace(answer, data=data, body=json.dumps(data, separators=(",", ":")).encode())


def transport(fault: Fault, delivery: Delivery) -> Delivery:
    """The answer, and how badly it is sent."""
    match fault.what:
        case Kind.DRIP:
            return replace(delivery, drip=fault.interval)
        case Kind.TRUNCATED:
            return replace(delivery, truncated=True)
        case Kind.WRONG_DATE:
            return replace(delivery, skew=fault.skew)
        case Kind.CUT_JSON:
            body = delivery.answer.body
            half = body[: len(body) // 2] if isinstance(body, bytes) else body
            return replace(delivery, answer=replace(delivery.answer, body=half))
        case _:
            return delivery


def _refused(fault: Fault, operation: Operation, now: float) -> Exception:
    status = fault.status or 500
    headers: tuple[tuple[str, str], ...] = ()
    if fault.retry_after is not None:
        at = formatdate(now + fault.retry_after, usegmt=True)
        headers = (("Retry-After", at if fault.retry_after_as_date else str(fault.retry_after)),)
    if operation in _LOGIN:
        error = fault.code or "temporarily_unavailable"
        return LoginRefusedError(status, error, _TRANSIENT, fault.message, headers)
    code = fault.code if fault.code is not None else _CODES.get(status, "UnknownError")
    return RefusedError(status, code, fault.message, headers)


def _html(fault: Fault) -> Answer:
    page = b"<!DOCTYPE html><html><head><title>Our services aren't available right now</title></head><body><h1>Bad gateway</h1></body></html>"  # noqa: E501 - one page
    return Answer(status=fault.status or 502, body=page, content_type=HTML)


def _empty(fault: Fault) -> Answer:
    return Answer(status=fault.status or 200, content_type=JSON)


def _list(fault: Fault) -> Answer:
    return Answer(status=fault.status or 200, body=b"[]", content_type=JSON)


def _body(fault: Fault) -> Answer:
    return Answer(status=fault.status or 200, body=fault.body.encode(), content_type=fault.content_type)


def _redirect(fault: Fault) -> Answer:
    return Answer(status=fault.status or 302, headers=(("Location", fault.url),))


def _huge(fault: Fault) -> Answer:
    """Valid JSON with one very long id; generated while it is sent."""
    head, tail = b'{"value":[{"id":"B2C_1A_', b'","keys":[]}]}'
    padding = max(0, fault.size - len(head) - len(tail))

    def chunks() -> Iterator[bytes]:
        yield head
        for at in range(0, padding, _BLOCK):
            yield b"A" * min(_BLOCK, padding - at)
        yield tail

    stream = Stream(length=len(head) + padding + len(tail), chunks=chunks)
    return Answer(status=fault.status or 200, body=stream, content_type=JSON)


def _gzip_bomb(fault: Fault) -> Answer:
    """
    A small gzip stream (RFC 1952) that unpacks to *size* spaces.

    A block is compressed once and repeated: a full flush makes blocks independent.
    """
    blocks = max(1, fault.size // _BLOCK)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    plain = b" " * _BLOCK
    block = deflate.compress(plain) + deflate.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS).flush()
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"

    def chunks() -> Iterator[bytes]:
        yield head
        crc = 0
        for _ in range(blocks):
            crc = zlib.crc32(plain, crc)
            yield block
        length = (blocks * _BLOCK) & 0xFFFFFFFF
        yield last + crc.to_bytes(4, "little") + length.to_bytes(4, "little")

    stream = Stream(length=len(head) + blocks * len(block) + len(last) + 8, chunks=chunks)
    headers = (("Content-Encoding", "gzip"),)
    return Answer(status=fault.status or 200, body=stream, content_type=JSON, headers=headers)


_ANSWERS: Mapping[Kind, Callable[[Fault], Answer]] = {
    Kind.HTML: _html,
    Kind.EMPTY: _empty,
    Kind.LIST: _list,
    Kind.BODY: _body,
    Kind.REDIRECT: _redirect,
    Kind.HUGE: _huge,
    Kind.GZIP_BOMB: _gzip_bomb,
}


def _keys(data: object) -> Iterator[dict[str, object]]:
    """Every object with a kid in *data*."""
    if isinstance(data, dict):
        if "kid" in data:
            yield data
        for value in list(data.values()):
            yield from _keys(value)
    elif isinstance(data, list):
        for item in data:
            yield from _keys(item)
