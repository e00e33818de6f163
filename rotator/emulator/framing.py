"""Answers as bytes (RFC 9112)."""

from collections.abc import Iterator
from email.utils import formatdate
from http import HTTPStatus

from rotator.emulator.answers import Answer


def head(answer: Answer, date: float, *, closing: bool) -> bytes:
    """Status line and headers; *date* in epoch seconds."""
    length = len(answer.body) if isinstance(answer.body, bytes) else answer.body.length
    headers = [("Date", formatdate(date, usegmt=True))]
    if not any(name == "Cache-Control" for name, _ in answer.headers):
        headers.append(("Cache-Control", "no-cache"))
    if answer.content_type:
        headers.append(("Content-Type", answer.content_type))
    if answer.status != HTTPStatus.NO_CONTENT:
        headers.append(("Content-Length", str(length)))
    headers += answer.headers
    if closing:
        headers.append(("Connection", "close"))
    lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def pieces(answer: Answer, head: bytes, *, with_body: bool) -> Iterator[bytes]:
    """What is sent, one piece after the other."""
    if not with_body:
        yield head
    elif isinstance(answer.body, bytes):
        yield head + answer.body  # one record, one packet
    else:
        yield head
        yield from answer.body.chunks()


def first_half(message: bytes) -> bytes:
    """The head, and half of the body that it promises."""
    head, blank, body = message.partition(b"\r\n\r\n")
    return head + blank + body[: len(body) // 2]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
