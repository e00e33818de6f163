# mypy: disable-error-code="arg-type"
# Texts are given for enums, as users may.
"""Each fault: what the client meets, and what has happened meanwhile."""

import gzip
import json
import socket
import ssl
import threading
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
from emulator.harness import DAY, KEYSETS, NOW

from rotator.emulator.faults.fault import Fault, FaultError, Kind, Moment
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.switches import Status

GENERATE = Operation.GENERATE_KEY
BEFORE, AFTER = Moment.BEFORE_COMMIT, Moment.AFTER_COMMIT

# What is answered instead of the truth: the fault's members, and status and code of the answer.
INSTEAD = {
    "throttled": ({"what": "throttled"}, 429, "TooManyRequests"),
    "95043": ({"what": "throttled", "code": "AADB2C95043"}, 429, "AADB2C95043"),
    "500": ({"what": "status"}, 500, "UnknownError"),
    "502 html": ({"what": "html"}, 502, None),
    "503": ({"what": "status", "status": 503}, 503, "ServiceUnavailable"),
    "504": ({"what": "status", "status": 504}, 504, "GatewayTimeout"),
    "509": ({"what": "status", "status": 509}, 509, "BandwidthLimitExceeded"),
    "401": ({"what": "status", "status": 401}, 401, "InvalidAuthenticationToken"),
    "403": ({"what": "status", "status": 403}, 403, "Authorization_RequestDenied"),
    "405": ({"what": "status", "status": 405}, 405, "MethodNotAllowed"),
    "409": ({"what": "status", "status": 409}, 409, "Conflict"),
    "412": ({"what": "status", "status": 412}, 412, "PreconditionFailed"),
    "423": ({"what": "status", "status": 423}, 423, "ResourceLocked"),
    "90063": ({"what": "status", "status": 400, "code": "AADB2C90063"}, 400, "AADB2C90063"),
    "95053": ({"what": "status", "status": 400, "code": "AADB2C95053"}, 400, "AADB2C95053"),
    "no code": ({"what": "status", "status": 400, "code": ""}, 400, ""),
    "html 200": ({"what": "html", "status": 200}, 200, None),
    "empty": ({"what": "empty"}, 200, None),
    "empty 502": ({"what": "empty", "status": 502}, 502, None),
    "list": ({"what": "list"}, 200, None),
    "body": ({"what": "body", "body": '{"value": 5}'}, 200, None),
    "redirect": ({"what": "redirect", "url": "https://x.example/"}, 302, None),
}


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize(("fault", "status", "code"), INSTEAD.values(), ids=INSTEAD.keys())
def test_instead(bench, fault, status, code, when):
    """The client sees the fault; the key is made only where it bites after the commit."""
    bench.emulator.inject(Fault(where=GENERATE, when=when, times=1, **fault))
    answer = bench.generate()
    assert answer.status_code == status
    if code is not None:
        assert answer.json()["error"]["code"] == code
    assert len(bench.kids()) == (1 if when is BEFORE else 2)
    assert bench.generate().status_code == 200


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("what", [Kind.RESET, Kind.CLOSE])
def test_connection_ends(bench, what, when):
    """A connection that ends before or after the commit leaves the client without an answer."""
    bench.emulator.inject(Fault(what=what, where=GENERATE, when=when, times=1))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        bench.generate()
    assert len(bench.kids()) == (1 if when is BEFORE else 2)
    assert bench.emulator.seen(GENERATE)[0].status is None
    assert bench.generate().status_code == 200


def test_reset_is_hard(bench):
    """A reset is an RST, not a polite end."""
    bench.emulator.inject(Fault(what=Kind.RESET))
    context = ssl.create_default_context(cafile=str(bench.emulator.ca_file))
    raw = socket.create_connection(("127.0.0.1", bench.emulator.port))
    with context.wrap_socket(raw, server_hostname="localhost") as secure:
        secure.sendall(b"GET /x/discovery/v2.0/keys HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with socket.socket(fileno=secure.detach()) as plain, pytest.raises(ConnectionResetError):
            list(iter(lambda: plain.recv(65536), b""))


@pytest.mark.parametrize(("as_date", "expected"), [(False, "7"), (True, "Fri, 15 Jan 2027 08:00:07 GMT")])
@pytest.mark.parametrize("what", [Kind.THROTTLED, Kind.STATUS])
def test_retry_after(bench, what, as_date, expected):
    """Retry-After comes in seconds or as a date, or not at all."""
    bench.emulator.inject(Fault(what=what, status=503, times=1, retry_after=7,
                                retry_after_as_date=as_date, where="list_keysets"))  # fmt: skip
    bench.emulator.inject(Fault(what=what, status=503, where="list_keysets"))
    assert bench.graph("GET").headers["retry-after"] == expected
    assert "retry-after" not in bench.graph("GET").headers


@pytest.mark.parametrize("operation", [Operation.DISCOVERY, Operation.TOKEN])
def test_login_faults(bench, operation):
    """On the login side an error body is Entra's."""
    bench.emulator.inject(Fault(what="status", status=503, where=operation, retry_after=5))
    path = "v2.0/.well-known/openid-configuration"
    answer = (
        bench.http.get(f"/contoso.onmicrosoft.com/{path}") if operation is Operation.DISCOVERY else bench.ask_token()
    )
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "5"


def test_login_fault_code(bench):
    """There, the code is the OAuth error."""
    bench.emulator.inject(Fault(what="status", status=401, code="invalid_client", where="token", times=1))
    assert bench.ask_token().json()["error"] == "invalid_client"
    assert bench.ask_token().status_code == 200


def test_lost(bench):
    """A lost write is answered like any other, and has not happened."""
    bench.emulator.inject(Fault(what=Kind.LOST, where=GENERATE, times=1))
    answer = bench.generate()
    assert (answer.status_code, answer.json()["nbf"]) == (200, NOW + DAY)
    assert bench.kids() == ["first"]
    assert not bench.emulator.seen(GENERATE)[0].committed


def test_lost_update(bench):
    """So it is with a status."""
    bench.emulator.inject(Fault(what=Kind.LOST, where=Operation.UPDATE_KEY))
    path, body = "/B2C_1A_Sig/keys_v2/first", {"status": "disabled"}
    assert bench.graph("PATCH", path, body).status_code == 204
    assert bench.tenant.keyset("B2C_1A_Sig").key("first").status is Status.ENABLED


def test_altered(bench):
    """An altered key has other dates than asked, in the answer and in the keyset."""
    bench.emulator.inject(Fault(what=Kind.ALTERED, where=GENERATE, shift=-60))
    answer = bench.generate().json()
    made = bench.tenant.keyset("B2C_1A_Sig").keys[-1]
    assert (answer["nbf"], answer["exp"]) == (NOW + DAY - 60, NOW + 90 * DAY - 60)
    assert (made.nbf, made.exp) == (NOW + DAY - 60, NOW + 90 * DAY - 60)


def test_missing_kid(bench):
    """The key is made, and its kid not told."""
    bench.token()
    bench.emulator.inject(Fault(what=Kind.MISSING_KID))
    assert "kid" not in bench.generate().json()
    assert "kid" not in bench.graph("GET").json()["value"][0]["keys"][0]
    assert len(bench.kids()) == 2


@pytest.mark.parametrize(
    ("where", "path", "member"),
    [("list_keysets", "", "value"), ("get_keyset", "/B2C_1A_Sig", "keys")],
)
def test_missing_member(bench, where, path, member):
    """A member that has to be there is not."""
    bench.emulator.inject(Fault(what=Kind.MISSING_MEMBER, member=member, where=where))
    assert member not in bench.graph("GET", path).json()


@pytest.mark.parametrize("value", [10**18, -1, 1.5, "soon", True, None, "\x1b[31m\n"])
def test_forged_member(bench, value):
    """Any member of a key may be anything at all."""
    bench.token()
    bench.emulator.inject(Fault(what=Kind.FORGED_MEMBER, member="nbf", value=value))
    (key,) = bench.graph("GET", "/B2C_1A_Sig").json()["keys"]
    assert key["nbf"] == value
    assert type(key["nbf"]) is type(value)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (Kind.FOREIGN_NEXT_LINK, "https://graph.example.invalid/beta/trustFramework/keySets"),
        (Kind.NEXT_LINK_LOOP, "{url}/beta/trustFramework/keySets"),
        (Kind.INSECURE_NEXT_LINK, "http://localhost:{port}/beta/trustFramework/keySets"),
    ],
)
def test_next_link(bench, what, expected):
    """A nextLink leads astray."""
    bench.emulator.inject(Fault(what=what, where="list_keysets"))
    body = bench.graph("GET").json()
    url, port = bench.emulator.url, bench.emulator.port
    assert body["@odata.nextLink"] == expected.format(url=url, port=port)
    assert body["value"]


def test_wrong_date(bench):
    """The Date header is wrong by so much."""
    bench.token()
    bench.emulator.inject(Fault(what=Kind.WRONG_DATE, skew=-900))
    date = parsedate_to_datetime(bench.graph("GET").headers["date"])
    assert date.timestamp() == NOW - 900


def test_truncated(bench):
    """The connection ends before the body does."""
    bench.emulator.inject(Fault(what=Kind.TRUNCATED, where=GENERATE))
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        bench.generate()
    assert len(bench.kids()) == 2


def test_cut_json(bench):
    """Half of the JSON comes as if it were all, and the connection goes on."""
    bench.emulator.inject(Fault(what=Kind.CUT_JSON, where=GENERATE, times=1))
    answer = bench.generate()
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert bench.generate().status_code == 200


def test_drip(bench):
    """The answer comes a byte at a time: no single read takes long, and all of them do."""
    bench.emulator.inject(Fault(what=Kind.DRIP, interval=0.001, where="get_active_key"))
    began = time.monotonic()
    answer = bench.graph("GET", "/B2C_1A_Empty/getActiveKey")
    assert answer.json()["error"]["code"] == "AADB2C90220"
    assert time.monotonic() - began > 0.3


def test_drip_headers(bench):
    """So do the headers."""
    bench.token()
    bench.emulator.inject(Fault(what=Kind.DRIP, interval=0.1))
    bench.http.timeout = 0.03
    with pytest.raises(httpx.ReadTimeout):
        bench.graph("GET")


def test_huge(bench):
    """A huge body is made while it is sent, and is valid JSON."""
    bench.token()
    bench.emulator.inject(Fault(what=Kind.HUGE, size=3_000_000))
    answer = bench.graph("GET")
    assert len(answer.content) == 3_000_000
    assert len(answer.json()["value"]) == 1


def test_huge_unread(bench):
    """A client that reads no further costs nothing."""
    bench.token()
    bench.emulator.inject(Fault(what=Kind.HUGE, size=10**12, times=1))
    headers = {"Authorization": f"Bearer {bench.token()}"}
    with bench.http.stream("GET", KEYSETS, headers=headers) as answer:
        assert answer.headers["content-length"] == str(10**12)
        assert next(answer.iter_raw())
    assert bench.graph("GET").status_code == 200


def test_gzip_bomb(bench):
    """A small body unpacks to a large one, by the book."""
    bench.token()
    bench.emulator.inject(Fault(what=Kind.GZIP_BOMB, size=20 * 1024 * 1024))
    headers = {"Authorization": f"Bearer {bench.token()}"}
    with bench.http.stream("GET", KEYSETS, headers=headers) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert len(packed) < 50_000
    assert len(gzip.decompress(packed)) == 20 * 1024 * 1024
    assert len(bench.graph("GET").content) == 20 * 1024 * 1024


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_slow(bench, when):
    """A slow answer comes after the delay."""
    bench.emulator.inject(Fault(what=Kind.SLOW, delay=0.15, where=GENERATE, when=when))
    began = time.monotonic()
    assert bench.generate().status_code == 200
    assert time.monotonic() - began >= 0.15


@pytest.mark.parametrize(("what", "delay", "keys"), [(Kind.SLOW, 1, 2), (Kind.HANG, 20, 1)])
def test_pause_client_leaves(bench, what, delay, keys):
    """When the client gives up, a slow write still happens, and one that hangs does not."""
    bench.emulator.inject(Fault(what=what, delay=delay, where=GENERATE))
    bench.token()
    bench.http.timeout = 0.1
    with pytest.raises(httpx.ReadTimeout):
        bench.generate()
    assert bench.emulator.wait_for(GENERATE, stage="answered")
    assert len(bench.kids()) == keys


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_hang_ends_with_the_client(bench, when):
    """A request that hangs for ever is over once its client has left."""
    bench.emulator.inject(Fault(what=Kind.HANG, where=GENERATE, when=when))
    bench.token()
    bench.http.timeout = 0.1
    with pytest.raises(httpx.ReadTimeout):
        bench.generate()
    assert bench.emulator.wait_for(GENERATE, stage="answered", timeout=5)


@pytest.mark.parametrize(("when", "keys"), [(BEFORE, 1), (AFTER, 2)])
def test_hang(bench, when, keys):
    """A request hangs before or after its commit, until it is released."""
    handle = bench.emulator.inject(Fault(what=Kind.HANG, where=GENERATE, when=when))
    bench.token()
    answers = []
    client = threading.Thread(target=lambda: answers.append(bench.generate()))
    client.start()
    stage = "arrived" if when is BEFORE else "committed"
    assert bench.emulator.wait_for(GENERATE, stage=stage)
    assert not bench.emulator.wait_for(GENERATE, stage="answered", timeout=0.1)
    assert (len(bench.kids()), answers) == (keys, [])
    handle.release()
    client.join()
    assert answers[0].status_code == 200
    assert len(bench.kids()) == 2


def test_hang_delay(bench):
    """Without a release, it goes on after the delay."""
    bench.emulator.inject(Fault(what=Kind.HANG, delay=0.1, where=GENERATE))
    assert bench.generate().status_code == 200


def test_hang_remove(bench):
    """Removing a fault lets go what hangs on it."""
    handle = bench.emulator.inject(Fault(what=Kind.HANG, where=GENERATE))
    bench.token()
    threading.Timer(0.1, handle.remove).start()
    assert bench.generate().status_code == 200
    assert bench.generate().status_code == 200


def test_hang_close(start):
    """Closing the emulator ends a request that hangs, and does not do it."""
    bench = start()
    bench.emulator.inject(Fault(what=Kind.HANG, where=GENERATE))
    bench.token()
    threading.Timer(0.1, bench.emulator.close).start()
    with pytest.raises(httpx.TransportError):
        bench.generate()
    assert bench.kids() == ["first"]


def test_times_and_skip(bench):
    """A fault lets some pass, then bites so often, then never again."""
    handle = bench.emulator.inject(Fault(what="status", status=503, where=GENERATE, skip=1, times=2))
    assert [bench.generate().status_code for _ in range(4)] == [200, 503, 503, 200]
    assert (handle.hits, handle.spent) == (2, True)


def test_faults_in_turn(bench):
    """Two faults of one family come one after the other."""
    for status in (503, 504):
        bench.emulator.inject(Fault(what="status", status=status, where=GENERATE, times=1))
    assert [bench.generate().status_code for _ in range(3)] == [503, 504, 200]


def test_faults_together(bench):
    """Faults of different families bite at once."""
    bench.emulator.inject(Fault(what=Kind.WRONG_DATE, skew=-900))
    bench.emulator.inject(Fault(what=Kind.MISSING_KID))
    bench.emulator.inject(Fault(what=Kind.SLOW, delay=0.1))
    bench.token()
    began = time.monotonic()
    answer = bench.generate()
    assert time.monotonic() - began >= 0.1
    assert "kid" not in answer.json()
    assert parsedate_to_datetime(answer.headers["date"]).timestamp() == NOW - 900


@pytest.mark.parametrize(
    ("where", "hit"),
    [
        ({"keyset": "B2C_1A_Sig"}, True),
        ({"keyset": "B2C_1A_Empty"}, False),
        ({"tenant": "contoso.onmicrosoft.com"}, True),
        ({"tenant": "CONTOSO.onmicrosoft.com"}, True),
        ({"tenant": "other.onmicrosoft.com"}, False),
        ({"where": Operation.UPDATE_KEY}, False),
        ({}, True),
    ],
)
def test_where(bench, where, hit):
    """A fault bites if it is meant to."""
    bench.token()
    bench.emulator.inject(Fault(what="status", status=503, **where))
    assert bench.generate().status_code == (503 if hit else 200)


def test_remove(bench):
    """A fault that is removed bites no more."""
    handle = bench.emulator.inject(Fault(what="status", where=GENERATE))
    assert bench.generate().status_code == 500
    handle.remove()
    assert bench.generate().status_code == 200


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"what": "status", "times": 0}, "times"),
        ({"what": "status", "skip": -1}, "skip"),
        ({"what": "slow"}, "delay"),
        ({"what": "altered"}, "where"),
        ({"what": "altered", "where": "list_keysets"}, "where"),
        ({"what": "lost", "where": "list_keysets"}, "where"),
    ],
)
def test_mistakes(members, message):
    """A fault that is invalid says which member is wrong."""
    with pytest.raises(FaultError, match=message):
        Fault(**members)


def test_no_faults_on_control(bench):
    """The control endpoints stay in order, whatever goes wrong."""
    bench.emulator.inject(Fault(what=Kind.RESET))
    assert bench.http.get("/_emulator/").status_code == 200


def test_every_kind_is_played():
    """Every kind of fault is in a test here."""
    text = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in Kind if f'"{kind}"' not in text and f"Kind.{kind.name}" not in text] == []
