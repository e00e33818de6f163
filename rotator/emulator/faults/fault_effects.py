"""
The effects of faults: other answers, and changes of the real answer.

But for pauses, pure functions: an answer goes in, an answer comes out; http_server.py does
the rest to the connection.
"""

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import Any

from rotator.emulator.faults.fault import Family, Fault, Injected, Kind, Moment
from rotator.emulator.http import answers
from rotator.emulator.http.answers import JSON, Answer, Delivery, Ending, Headers, Peer, Request, Stream
from rotator.emulator.http.routes import Operation

_POLL_SECONDS = 0.02  # between checks whether a pause is over
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
_PAGE = b"<!DOCTYPE html><html><head><title>Our services aren't available right now</title></head><body><h1>Bad gateway</h1></body></html>"  # noqa: E501 - one page
_LOGIN = {Operation.DISCOVERY, Operation.TOKEN, Operation.LOGIN_KEYS, Operation.POLICY_TOKEN}
_TRANSIENT = 90033  # AADSTS90033: a transient error has occurred


class LeftError(Exception):
    """The client left while its request hung and before anything was written, or the emulator closes."""


def pause(injected: Injected, peer: Peer, closing: threading.Event) -> None:
    """Wait for the delay of a fault, or until it is released. Raises: LeftError."""
    fault = injected.fault
    hangs = fault.what is Kind.HANG
    until = time.monotonic() + (float("inf") if fault.delay is None else fault.delay)
    while not injected.released.is_set() and time.monotonic() < until:
        if closing.is_set() or (hangs and peer.is_gone()):
            raise LeftError
        injected.released.wait(min(_POLL_SECONDS, max(0.0, until - time.monotonic())))
    if closing.is_set() or (hangs and fault.when is Moment.BEFORE_COMMIT and peer.is_gone()):
        raise LeftError


def instead(fault: Fault, operation: Operation, now: float) -> Delivery:
    """What is answered instead. Raises: RefusedError, LoginRefusedError, if that is the service's own error body."""
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


def damaged(hit: Mapping[Family, Injected], answer: Answer, request: Request) -> Delivery:
    """The real answer, changed and sent as the faults say."""
    if Family.SHAPE in hit:
        answer = _reshaped(hit[Family.SHAPE].fault, answer, request)
    delivery = Delivery(answer=answer)
    return _transported(hit[Family.TRANSPORT].fault, delivery) if Family.TRANSPORT in hit else delivery


def _reshaped(fault: Fault, answer: Answer, request: Request) -> Answer:
    """The real answer, changed; one without JSON stays as it is."""
    if not isinstance(answer.data, dict):
        return answer
    data = json.loads(json.dumps(answer.data))
    match fault.what:
        case Kind.MISSING_MEMBER:
            data.pop(fault.member, None)
        case Kind.MISSING_KID:
            for key in _keys(data):
                key.pop("kid")
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


def _transported(fault: Fault, delivery: Delivery) -> Delivery:
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


def _keys(data: object) -> list[dict[str, Any]]:
    """Every object with a kid in *data*."""
    return [each for each in answers.objects_in(data) if "kid" in each]


def _refused(fault: Fault, operation: Operation, now: float) -> Exception:
    status = fault.status or 500
    headers: Headers = ()
    if fault.retry_after is not None:
        at = formatdate(now + fault.retry_after, usegmt=True)
        headers = (("Retry-After", at if fault.retry_after_as_date else str(fault.retry_after)),)
    if operation in _LOGIN:
        error = fault.code or "temporarily_unavailable"
        return answers.LoginRefusedError(status, error, _TRANSIENT, fault.message, headers)
    code = fault.code if fault.code is not None else _CODES.get(status, "UnknownError")
    return answers.RefusedError(status, code, fault.message, headers)


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
    """A small gzip stream (RFC 1952) that unpacks to *size* spaces: one block, repeated after a full flush."""
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


def _answer(fault: Fault, status: int, body: bytes = b"", content_type: str = JSON) -> Answer:
    return Answer(status=fault.status or status, body=body, content_type=content_type)


_ANSWERS: Mapping[Kind, Callable[[Fault], Answer]] = {
    Kind.HTML: lambda fault: _answer(fault, 502, _PAGE, answers.HTML),
    Kind.EMPTY: lambda fault: _answer(fault, 200),
    Kind.LIST: lambda fault: _answer(fault, 200, b"[]"),
    Kind.BODY: lambda fault: _answer(fault, 200, fault.body.encode(), fault.content_type),
    Kind.REDIRECT: lambda fault: Answer(status=fault.status or 302, headers=(("Location", fault.url),)),
    Kind.HUGE: _huge,
    Kind.GZIP_BOMB: _gzip_bomb,
}
