"""The web server against clients that are slow, many, odd or hostile."""

import gzip
import http.client
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus

import pytest
from waiting import wait_for

from rotator.edges import web_handler
from rotator.edges.web import MAX_CONNECTIONS, Page, Request, Server, max_connections
from rotator.edges.web_clients import Clients

LONG = b"a line of a page\n" * 1000
PRIVATE = "/private"
BUG = "a page is broken"


def broken(_: Request) -> Page:
    raise RuntimeError(BUG)


@pytest.fixture
def bugs() -> list[Exception]:
    """What the pages raised."""
    return []


@pytest.fixture
def server(bugs: list[Exception]) -> Iterator[Server]:
    """A server with some pages."""
    routes: dict[str, Callable[[Request], Page]] = {
        "/": lambda _: Page(b"ok\n"),
        "/long": lambda _: Page(LONG),
        "/broken": broken,
        PRIVATE: lambda _: Page(b"{}", "application/json"),
    }
    server = Server("127.0.0.1", 0, routes, on_bug=bugs.append, private={PRIVATE})
    server.start()
    yield server
    server.stop()


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    """The answer and its body as it was sent."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def send(server: Server, request: bytes) -> bytes:
    """All that is answered to some bytes until the connection is closed."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(request)
        found = b""
        while chunk := client.recv(65536):
            found += chunk
        return found


def connect(server: Server) -> socket.socket:
    """A client that has begun a request, and does not go on."""
    client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    client.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
    return client


# --- methods and forms


def test_head_is_get_without_a_body(server: Server) -> None:
    """HEAD has the status and the headers of GET, and no body."""
    get, body = ask(server, "/long")
    head, nothing = ask(server, "/long", "HEAD")
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(LONG)))
    assert (body, nothing) == (LONG, b"")
    assert get.headers.keys() == head.headers.keys()
    assert ask(server, "/nowhere", "HEAD")[0].status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(server: Server, method: str) -> None:
    """Every other method is 405, and names those that are allowed."""
    answer, body = ask(server, "/", method)
    assert (answer.status, answer.headers["Allow"], body) == (405, "GET, HEAD", b"method not allowed\n")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        pytest.param(b"GET http://[ HTTP/1.1", 400, id="a target that is no URL"),
        pytest.param(b"GET / HTTP/x", 400, id="a version that is none"),
        pytest.param(b"GET / nonsense HTTP/1.1", 400, id="too many words"),
        pytest.param(b"BREW / HTTP/1.1", 501, id="an unknown method"),
        pytest.param(b"GET / HTTP/3.0", 505, id="another version"),
        pytest.param(b"GET /" + b"a" * 40_000 + b" HTTP/1.1", 414, id="a long target"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000, 431, id="a long header"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 200, 431, id="many headers"),
    ],
)
def test_refusals_have_our_own_form(server: Server, request_line: bytes, status: int) -> None:
    """What cannot be handled is refused in plain text, with the usual headers, and nothing of it is quoted."""
    head, _, body = send(server, request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n").partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0].split()[1] == str(status)
    assert {"Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff", "Connection: close"} <= {
        *lines
    }
    assert body.decode() == f"{HTTPStatus(status).phrase.lower()}\n" or status == 400
    assert b"<" not in body
    assert b"aaa" not in body


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"Content-Length: 30\r\n\r\nGET /broken HTTP/1.1\r\nHost: x\r\n", id="of a known length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", id="chunked"),
        pytest.param(b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", id="announced"),
    ],
)
def test_body_is_not_taken_for_a_request(server: Server, bugs: list[Exception], body: bytes) -> None:
    """A GET with a body is answered once, and the connection is closed."""
    found = send(server, b"GET / HTTP/1.1\r\nHost: x\r\n" + body + b"\r\n")
    assert found.count(b"HTTP/1.1 ") == 1
    assert found.endswith(b"\r\n\r\nok\n")
    assert bugs == []


def test_connection_is_used_again(server: Server) -> None:
    """Several requests come over one connection, also without a body of no length."""
    request = b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
    found = send(server, request + b"\r\n" + request + b"Connection: close\r\n\r\n")
    assert found.count(b"HTTP/1.1 200 OK") == 2


def test_bug_costs_one_request(server: Server, bugs: list[Exception]) -> None:
    """A page that raises is a 500 that quotes nothing, and is reported."""
    answer, body = ask(server, "/broken")
    assert (answer.status, body) == (500, b"a bug; see the log\n")
    assert [str(bug) for bug in bugs] == [BUG]


# --- compression


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("identity", False),
        ("xgzip", False),
        ("", False),
    ],
)
def test_gzip_where_it_is_accepted(server: Server, accepted: str, *, is_compressed: bool) -> None:
    """A page is compressed for those who accept it; a short one never."""
    answer, body = ask(server, "/long", Accept_Encoding=accepted)
    assert answer.headers.get("Content-Encoding") == ("gzip" if is_compressed else None)
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert (gzip.decompress(body) if is_compressed else body) == LONG
    short, body = ask(server, "/", Accept_Encoding=accepted)
    assert (short.headers.get("Content-Encoding"), body) == (None, b"ok\n")


# --- other sites

BROWSER = {"User_Agent": "Mozilla/5.0", "Sec_Fetch_Site": "same-origin"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"Sec_Fetch_Site": "cross-site"}, 403, id="a page of another site"),
        pytest.param({"Sec_Fetch_Site": "none"}, 200, id="a person"),
        pytest.param({"Sec_Fetch_Site": "same-origin"}, 200, id="our own page"),
        pytest.param({}, 200, id="a program"),
        pytest.param({"Host": "evil.example"}, 200, id="a program, by another name"),
        pytest.param({**BROWSER, "Host": "evil.example:9464"}, 403, id="a name made to point here"),
        pytest.param({"User_Agent": "Mozilla/5.0", "Host": "evil.example"}, 403, id="the same over plain HTTP"),
        pytest.param({**BROWSER, "Host": "localhost:9464"}, 200, id="localhost"),
        pytest.param({**BROWSER, "Host": "[::1]:9464"}, 200, id="an address"),
        pytest.param({**BROWSER, "Host": "["}, 403, id="no name"),
        pytest.param({**BROWSER, "Host": f"{socket.gethostname().upper()}:1"}, 200, id="this machine's name"),
    ],
)
def test_pages_of_other_sites_read_nothing(server: Server, headers: dict[str, str], status: int) -> None:
    """A browser in the hands of another site gets no data; pages that are not private are served as ever."""
    assert ask(server, PRIVATE, **headers)[0].status == status
    assert ask(server, "/", **headers)[0].status == 200


# --- slow and many


def test_request_has_one_deadline(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends a byte now and then is cut off when its request has taken too long."""
    monkeypatch.setattr(web_handler, "REQUEST_TIMEOUT", 0.5)
    with connect(server) as client:
        ended = threading.Event()

        def drip() -> None:
            while not ended.wait(0.05):
                try:
                    client.sendall(b"x")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert client.recv(100) == b""
        except ConnectionResetError:
            pass  # it is closed with a byte unread
        finally:
            ended.set()
            dripping.join()


def test_slow_clients_keep_nobody_out(server: Server) -> None:
    """More slow clients than there is room for: everybody else is answered, and the first to come are cut off."""
    slow = [connect(server) for _ in range(MAX_CONNECTIONS + 10)]
    try:
        assert ask(server, "/")[0].status == 200
        assert slow[0].recv(100) == b""
        slow[-1].sendall(b"\r\n\r\n")
        assert slow[-1].recv(100).startswith(b"HTTP/1.1 200")
    finally:
        for client in slow:
            client.close()


@pytest.mark.parametrize(
    ("descriptors", "connections"), [(resource.RLIM_INFINITY, 64), (1024, 64), (256, 64), (80, 20), (2, 1)]
)
def test_connections_leave_descriptors_for_others(descriptors: int, connections: int) -> None:
    """Under a low limit of open files the clients get a quarter of them."""
    assert max_connections(descriptors) == connections


class Connection:
    """Stands in for a socket."""

    def __init__(self) -> None:
        self.is_closed = False

    def shutdown(self, _: int) -> None:
        self.is_closed = True


def test_oldest_that_waits_is_closed() -> None:
    """One more than there is room for closes the one that has waited longest, and none whose page is being made."""
    now = [0.0]
    clients = Clients(2, clock=lambda: now[0])
    first, second, third, fourth = (Connection() for _ in range(4))
    assert clients.add(first)  # type: ignore[arg-type]
    now[0] = 1.0
    assert clients.add(second)  # type: ignore[arg-type]
    clients.set_waiting(first, is_waiting=False)  # type: ignore[arg-type]
    assert clients.add(third)  # type: ignore[arg-type]
    assert (first.is_closed, second.is_closed, third.is_closed, len(clients)) == (False, True, False, 2)
    clients.set_waiting(third, is_waiting=False)  # type: ignore[arg-type]
    assert not clients.add(fourth)  # type: ignore[arg-type]
    clients.remove(first)  # type: ignore[arg-type]
    assert clients.add(fourth)  # type: ignore[arg-type]


def test_connections_end_with_their_clients(server: Server) -> None:
    """A client that goes away leaves no thread behind."""
    clients = [connect(server) for _ in range(5)]
    wait_for(lambda: answering() == 5)
    for client in clients:
        client.close()
    wait_for(lambda: answering() == 0)


def answering() -> int:
    """How many threads answer a client."""
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())
