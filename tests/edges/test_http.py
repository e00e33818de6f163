"""Requests: bounded in time and size, verified, never redirected, and errors that say what may have been done."""

import contextlib
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from edges.harness import Line, failure, refused

from rotator.core.errors import Effect, FailureKind
from rotator.edges.answer_memory import MAX_ANSWER_BYTES, MAX_BYTES, SMALL_ANSWER, AnswerMemory
from rotator.edges.http import Http
from rotator.edges.tls import trust
from rotator.edges.transport import transport
from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.server import Emulator
from rotator.shell.clock import SystemClock

DISCOVERY = Operation.DISCOVERY

LONG = 10.0
"""Seconds that a machine which stands still for a while may add to what takes none."""


def ask(line: Line, url: str | None = None, method: str = "GET") -> object:
    """One request."""
    content = b"{}" if method == "POST" else None
    return line.http().send("discovery", method, url or line.discovery, headers={}, content=content)


@contextmanager
def listener(answer: bytes | None = None, heard: list[bytes] | None = None) -> Iterator[int]:
    """A port where every connection gets *answer*; None: nothing, ever. *heard* gets what was sent to it."""
    stop = threading.Event()
    held: list[socket.socket] = []

    def serve() -> None:
        while not stop.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            held.append(connection)
            if answer is not None:
                request = connection.recv(65536)
                if heard is not None:
                    heard.append(request)
                connection.sendall(answer)
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            thread.join()
            for connection in held:
                connection.close()


def resolve(
    monkeypatch: pytest.MonkeyPatch, find: Callable[[], list[str]], port: int, name: str = "many.example"
) -> None:
    """Have the system's resolver find these addresses for *name*."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **options: Any) -> Any:
        if host != name:
            return real(host, *arguments, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in find()]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@contextmanager
def unanswered() -> Iterator[int]:
    """A port to which no connection is possible: its queue is full, and nothing accepts connections."""
    with socket.create_server(("0.0.0.0", 0), backlog=0) as server, ExitStack() as stack:
        port = server.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003
            waiting.connect_ex(("127.0.0.1", port))
        yield port


def test_send_answer_in_full(line: Line) -> None:
    """The answer has status, header names in lower case, the body, and the id that was sent."""
    answer = line.http().send("discovery", "GET", line.discovery, headers={})
    (seen,) = line.emulator.requests
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, "application/json")
    assert answer.body.startswith(b"{")
    assert seen.client_request_id == answer.client_request_id == str(uuid.UUID(answer.client_request_id))
    assert "issuer" not in repr(answer), "a body is never shown"


def test_send_tells_what_it_was_like(line: Line) -> None:
    """Every request is reported once, with its operation, status, id, duration and the skew of the clocks."""
    answer = line.http().send("discovery", "GET", line.discovery, headers={})
    (exchange,) = line.exchanges
    assert ("discovery", 200, answer.client_request_id) == (
        exchange.operation,
        exchange.status,
        exchange.client_request_id,
    )
    assert 0 < exchange.seconds < LONG
    assert exchange.skew is not None
    assert abs(exchange.skew) < LONG


def test_send_tells_a_failure_too(line: Line) -> None:
    """A request without an answer is reported without status and skew, with the id that its failure has."""
    line.emulator.inject(Fault(what=Kind.CLOSE))
    found = failure(lambda: ask(line))
    (exchange,) = line.exchanges
    assert (None, None, found.client_request_id) == (exchange.status, exchange.skew, exchange.client_request_id)


@pytest.mark.parametrize("skew", [-600.0, 3600.0])
def test_send_skew_is_how_far_we_are_ahead(line: Line, skew: float) -> None:
    """A service whose clock is behind makes a positive skew."""
    line.emulator.inject(Fault(what=Kind.WRONG_DATE, skew=skew))
    ask(line)
    assert line.exchanges[0].skew == pytest.approx(-skew, abs=LONG)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(what=Kind.HANG), id="silence"),
        pytest.param(Fault(what=Kind.DRIP, interval=0.02), id="a byte now and then"),
    ],
)
def test_send_ends_at_its_deadline(line: Line, fault: Fault) -> None:
    """However the bytes come, the whole request ends at the deadline; what it did is not known."""
    line.timeout = 1.4
    line.emulator.inject(fault)
    began = time.monotonic()
    error = refused(lambda: ask(line))
    assert 1.3 < time.monotonic() - began < LONG
    assert (error.failure.kind, error.effect) == (FailureKind.TIMEOUT, Effect.UNKNOWN)
    assert error.failure.message == "localhost did not answer within 1.4s"


def test_send_deadline_is_of_one_request(line: Line) -> None:
    """A slow answer that ends in time is taken, and the next request has all its time again."""
    http = line.http()
    line.timeout = 4.8
    line.emulator.inject(Fault(what=Kind.SLOW, delay=2.5, times=2))
    for _ in range(2):
        assert http.send("discovery", "GET", line.discovery, headers={}).status == 200


def test_send_deadline_where_nothing_speaks_tls(line: Line) -> None:
    """A peer that accepts the connection and says nothing cannot have done anything."""
    line.timeout = 0.3
    with listener() as port:
        error = refused(lambda: ask(line, f"https://127.0.0.1:{port}/"))
    assert (error.failure.kind, error.effect) == (FailureKind.TIMEOUT, Effect.NONE)


def test_send_deadline_is_of_all_addresses_together(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with many addresses that nobody answers at costs no more than one."""
    line.timeout = 3.0
    with unanswered() as port:
        resolve(monkeypatch, lambda: [f"127.0.0.{n}" for n in range(1, 6)], port)
        began = time.monotonic()
        error = refused(lambda: ask(line, f"https://many.example:{port}/"))
    assert time.monotonic() - began < 5.9
    assert (error.failure.kind, error.effect) == (FailureKind.TIMEOUT, Effect.NONE)


def test_send_next_address_where_one_does_not_answer(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each address has its share of the time, so that one nobody answers at does not keep the others out."""
    line.timeout = 4.0
    resolve(monkeypatch, lambda: ["127.0.0.9", "127.0.0.1"], line.emulator.port, "localhost")
    ask(line)
    assert line.exchanges[-1].status == 200


def test_send_deadline_where_the_resolver_hangs(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver knows no timeout; the request keeps its own."""
    over = threading.Event()
    resolve(monkeypatch, lambda: ["127.0.0.1"] if over.wait(20) else [], 443)
    line.timeout = 0.4
    began = time.monotonic()
    error = refused(lambda: ask(line, "https://many.example/"))
    over.set()
    assert 0.3 < time.monotonic() - began < LONG
    assert (error.failure.kind, error.effect) == (FailureKind.TIMEOUT, Effect.NONE)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 70 + ".example"])
def test_send_name_that_is_none(line: Line, host: str) -> None:
    """A name that cannot be resolved, or is not a valid name, is a failure like any other, and nothing is sent."""
    error = refused(lambda: ask(line, f"https://{host}/"))
    assert (error.failure.kind, error.effect) == (FailureKind.NETWORK, Effect.NONE)
    assert error.failure.message.startswith(f"cannot reach {host}: ")


def test_send_peer_that_does_not_speak_tls(line: Line) -> None:
    """A peer that answers in plain text is refused, and has done nothing."""
    with listener(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as port:
        error = refused(lambda: ask(line, f"https://127.0.0.1:{port}/", "POST"))
    assert (error.failure.kind, error.effect) == (FailureKind.NETWORK, Effect.NONE)


@pytest.mark.parametrize(
    ("what", "kind"),
    [(Kind.RESET, FailureKind.NETWORK), (Kind.CLOSE, FailureKind.NETWORK), (Kind.TRUNCATED, FailureKind.NETWORK)],
)
def test_send_connection_that_breaks_after_sending(line: Line, what: Kind, kind: FailureKind) -> None:
    """Once it was sent, it is unknown what a request did that gets no answer."""
    line.emulator.inject(Fault(what=what))
    error = refused(lambda: ask(line, method="POST"))
    assert (kind, Effect.UNKNOWN) == (error.failure.kind, error.effect)
    assert error.failure.message.startswith("the connection to localhost broke: ")
    assert len(error.failure.message.splitlines()) == 1


def test_send_connection_refused(line: Line) -> None:
    """If no connection comes about, a request has done nothing."""
    error = refused(lambda: ask(line, "https://127.0.0.1:1/", "POST"))
    assert (error.failure.kind, error.effect) == (FailureKind.NETWORK, Effect.NONE)
    assert error.failure.message.startswith("cannot reach 127.0.0.1: ")


@pytest.mark.parametrize("url", ["https://localhost:99999/", "https:///nowhere", "http://[::1"])
def test_send_url_that_is_none(line: Line, url: str) -> None:
    """What is no URL is a failure like any other, and nothing is sent."""
    error = refused(lambda: ask(line, url))
    assert (error.failure.kind, error.effect) == (FailureKind.NETWORK, Effect.NONE)


def test_send_certificate_that_is_not_trusted(line: Line) -> None:
    """A certificate of an unknown authority ends it before anything is sent, and the line says how to trust it."""
    http = line.http(trust(None))
    error = refused(lambda: http.send("discovery", "POST", line.discovery, headers={}, content=b"{}"))
    assert (error.failure.kind, error.effect) == (FailureKind.NETWORK, Effect.NONE)
    assert "the certificate of localhost is not trusted" in error.failure.message
    assert "add its CA to ca_file" in error.failure.message
    assert not line.emulator.requests


def test_send_certificate_of_another_name(emulator: Emulator, line: Line) -> None:
    """A trusted certificate of another name is refused."""
    with socket.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]

        def relay() -> None:
            near, _ = server.accept()
            with near, socket.create_connection(("127.0.0.1", emulator.port)) as far:
                far.settimeout(LONG)
                far.sendall(near.recv(65536))
                near.sendall(far.recv(65536))
                near.recv(65536)

        thread = threading.Thread(target=relay)
        thread.start()
        error = refused(lambda: ask(line, f"https://127.0.0.2:{port}/"))
        thread.join()
    assert (error.failure.kind, error.effect) == (FailureKind.NETWORK, Effect.NONE)
    assert "127.0.0.2" in error.failure.message


def test_send_answer_as_long_as_may_be(line: Line) -> None:
    """An answer of exactly the limit is taken, which is smaller if no large answer is expected."""
    http = line.http()
    for limit in (SMALL_ANSWER, MAX_ANSWER_BYTES):
        line.emulator.faults.clear()
        line.emulator.inject(Fault(what=Kind.HUGE, size=limit))
        with http.large_answers() if limit > SMALL_ANSWER else contextlib.nullcontext():
            assert len(http.send("discovery", "GET", line.discovery, headers={}).body) == limit


def test_send_answer_that_is_too_long(line: Line) -> None:
    """A byte more, and the answer is dropped as unreadable; nobody reads it to the end."""
    http = line.http()
    line.emulator.inject(Fault(what=Kind.HUGE, size=MAX_ANSWER_BYTES + 1, times=1))
    line.emulator.inject(Fault(what=Kind.HUGE, size=2_000_000_000, times=1))
    line.emulator.inject(Fault(what=Kind.HUGE, size=SMALL_ANSWER + 1, times=1))
    for limit in (8192, 8192, 256):
        with http.large_answers() if limit > 256 else contextlib.nullcontext():
            error = refused(lambda: http.send("discovery", "GET", line.discovery, headers={}))
        assert (error.failure.kind, error.effect, error.failure.status) == (FailureKind.UNREADABLE, Effect.UNKNOWN, 200)
        assert error.failure.message == f"localhost sent an answer of more than {limit} KiB"


def test_send_compressed_answer(line: Line) -> None:
    """A compressed answer, which was not requested, is never unpacked."""
    line.emulator.inject(Fault(what=Kind.GZIP_BOMB, size=10_000_000_000))
    error = refused(lambda: ask(line))
    assert (error.failure.kind, error.effect) == (FailureKind.UNREADABLE, Effect.UNKNOWN)
    assert "compressed" in error.failure.message


def test_send_redirect(line: Line) -> None:
    """A redirect is an answer like any other, and nobody goes where it points."""
    line.emulator.inject(Fault(what=Kind.REDIRECT, url=line.discovery))
    assert line.http().send("discovery", "GET", line.discovery, headers={}).status == 302
    assert line.count(DISCOVERY) == 1


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_send_status_is_no_error(line: Line, status: int) -> None:
    """Whatever the status, an answer that was read is returned: what it means is for the one who asked."""
    line.emulator.inject(Fault(what=Kind.STATUS, status=status))
    assert line.http().send("discovery", "GET", line.discovery, headers={}).status == status


def test_send_headers(line: Line) -> None:
    """A request names the program, and asks for no compression."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hear() -> None:
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(65536))

        thread = threading.Thread(target=hear)
        thread.start()
        refused(lambda: ask(line, f"http://127.0.0.1:{server.getsockname()[1]}/"))
        thread.join()
    lines = heard[0].decode().lower().splitlines()
    assert "accept-encoding: identity" in lines
    assert any(each.startswith("user-agent: b2c-key-rotator/") for each in lines)
    assert any(each.startswith("client-request-id: ") for each in lines)


def test_send_deadline_through_a_proxy(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment is used, and one that says nothing is waited for no longer than the deadline."""
    line.timeout = 0.3
    with listener() as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        began = time.monotonic()
        error = refused(lambda: ask(line, "https://graph.example/", "POST"))
    assert time.monotonic() - began < LONG
    assert error.failure.kind is FailureKind.TIMEOUT


def test_send_proxy_that_refuses(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a proxy refuses was never sent."""
    with listener(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        error = refused(lambda: ask(line, "https://graph.example/", "POST"))
    assert (error.failure.kind, error.effect) == (FailureKind.NETWORK, Effect.NONE)
    assert "check name, network and proxy" in error.failure.message


def test_send_deadline_is_of_one_thread(line: Line) -> None:
    """A request that runs out of time takes none from one beside it."""
    line.emulator.inject(Fault(what=Kind.SLOW, delay=2))
    slow, fast = line.http(), line.http()
    outcomes: list[int] = []
    thread = threading.Thread(
        target=lambda: outcomes.append(slow.send("discovery", "GET", line.discovery, headers={}).status)
    )
    thread.start()
    assert line.emulator.wait_for(DISCOVERY)
    line.timeout = 0.3
    assert failure(lambda: fast.send("discovery", "GET", line.discovery, headers={})).kind is FailureKind.TIMEOUT
    thread.join()
    assert outcomes == [200]


def test_trust_always_verifies(line: Line) -> None:
    """The one context of a process requires a certificate and its name."""
    assert (line.context.verify_mode, line.context.check_hostname) == (ssl.CERT_REQUIRED, True)


SECRET = "s3cret-token-of-the-answer"


@pytest.mark.parametrize(
    "sent",
    [
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n",
        f"{SECRET}\r\n\r\n",
        f"HTTP/1.1 {SECRET}\r\n\r\n",
        f"HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n",
        f"HTTP/1.1 200 OK\r\nContent-Length: {SECRET}\r\n\r\n",
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {SECRET}\r\n\r\n",
    ],
)
def test_send_never_quotes_an_answer(line: Line, sent: str) -> None:
    """What libraries say of an answer that breaks the protocol is not passed on: they quote it."""
    with listener(sent.encode()) as port:
        error = refused(lambda: ask(line, f"http://127.0.0.1:{port}/", "POST"))
    assert (error.failure.kind, error.effect) == (FailureKind.NETWORK, Effect.UNKNOWN)
    assert error.failure.message == "the connection to 127.0.0.1 broke: RemoteProtocolError"


def test_send_large_answers_of_many(line: Line) -> None:
    """While large answers of others fill the memory for them, a large one waits, and a small one does not."""
    memory = AnswerMemory()
    http = Http(
        transport(line.context),
        clock=SystemClock(),
        on_exchange=line.exchanges.append,
        timeout=lambda: 0.5,
        memory=memory,
    )
    line.emulator.inject(Fault(what=Kind.HUGE, size=SMALL_ANSWER, times=1))
    line.emulator.inject(Fault(what=Kind.HUGE, size=SMALL_ANSWER + 1, times=2))
    with contextlib.closing(http):
        with memory.room() as others:
            assert others.fits(MAX_BYTES, MAX_BYTES, time.monotonic())
            with http.large_answers():
                assert len(http.send("list", "GET", line.discovery, headers={}).body) == SMALL_ANSWER
                error = refused(lambda: http.send("list", "GET", line.discovery, headers={}))
                assert error.failure.kind is FailureKind.TIMEOUT
                assert "no memory for its answer" in error.failure.message
        with http.large_answers():
            assert len(http.send("list", "GET", line.discovery, headers={}).body) == SMALL_ANSWER + 1


def test_room_is_given_back() -> None:
    """Room is taken once for an answer, whatever it grows to, and given back at the end of the block."""
    memory = AnswerMemory()
    for _ in range(10):
        with memory.room() as room:
            for size in (1, SMALL_ANSWER, SMALL_ANSWER + 1, MAX_ANSWER_BYTES):
                assert room.fits(size, MAX_ANSWER_BYTES, time.monotonic())
            assert room.taken == MAX_ANSWER_BYTES


def test_send_advice_where_ca_file_is_configured(line: Line) -> None:
    """Who has named a CA is not advised to name one, but to look whether it is the right one."""
    http = Http(transport(trust(None)), clock=SystemClock(), on_exchange=lambda _: None, has_ca_file=True)
    message = failure(lambda: http.send("discovery", "GET", line.discovery, headers={})).message
    http.close()
    assert message.endswith("if that host is yours, check whether ca_file has the CA of that host")
