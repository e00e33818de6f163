"""Graph: how its answers are read and classified, and what is asked of it again."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from edges.harness import Line, ManualClock, failure, refused

from rotator.core.errors import Effect, FailureKind, RequestError
from rotator.core.keyset import Key, Keyset
from rotator.core.policy import KeySpec
from rotator.edges.answers import (
    MAX_DATE,
    modulus_digest,
    parse_keyset,
    parse_object,
    render_spec,
    unwrapped,
)
from rotator.edges.http import Answer
from rotator.edges.listing import Listing, parse_page
from rotator.edges.refusals import classify
from rotator.edges.refusals import refused as refusal
from rotator.emulator.faults.fault import Fault, Kind, Moment
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import Status

K = FailureKind
LIST, GET, GENERATE = Operation.LIST_KEYSETS, Operation.GET_KEYSET, Operation.GENERATE_KEY
NBF = datetime(2030, 1, 1, tzinfo=UTC)
SPEC = KeySpec(use="sig", kty="RSA", nbf=NBF, exp=NBF + timedelta(days=91))


def answer(status: int = 200, body: object = None, **headers: str) -> Answer:
    """An answer with *body* as JSON, or as it is if it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, client_request_id="ours", headers=named, body=content)


def keys_of(*keys: Mapping[str, object]) -> tuple[Key, ...]:
    """The keys of a keyset with *keys* in its JSON."""
    return parse_keyset("B2C_1A_X", {"id": "B2C_1A_X", "keys": list(keys)}).keys


# --- what a refusal means


@pytest.mark.parametrize(
    ("status", "code", "kind", "effect"),
    [
        (400, "AADB2C90073", K.NOT_FOUND, Effect.NONE),
        (404, "AADB2C90073", K.NOT_FOUND, Effect.NONE),
        (404, None, K.NOT_FOUND, Effect.NONE),
        (400, "AADB2C90130", K.NOT_FOUND, Effect.NONE),
        (400, "AADB2C95052", K.NOT_FOUND, Effect.NONE),
        (400, "AADB2C90063", K.SERVICE, Effect.UNKNOWN),
        (500, "AADB2C90063", K.SERVICE, Effect.UNKNOWN),
        (400, "AADB2C90035", K.SERVICE, Effect.UNKNOWN),
        (400, "AADB2C95043", K.THROTTLED, Effect.NONE),
        (400, "AADB2C95053", K.CONFLICT, Effect.NONE),
        (400, "AADB2C99007", K.FORBIDDEN, Effect.NONE),
        (400, "AADB2C", K.BAD_REQUEST, Effect.NONE),
        (400, "AADB2C95032", K.BAD_REQUEST, Effect.NONE),
        (400, "AADB2C90136", K.BAD_REQUEST, Effect.NONE),
        (400, "", K.BAD_REQUEST, Effect.NONE),
        (400, None, K.BAD_REQUEST, Effect.NONE),
        (401, "InvalidAuthenticationToken", K.AUTH, Effect.NONE),
        (403, "Authorization_RequestDenied", K.FORBIDDEN, Effect.NONE),
        (403, None, K.FORBIDDEN, Effect.NONE),
        (405, None, K.BAD_REQUEST, Effect.NONE),
        (408, None, K.TIMEOUT, Effect.UNKNOWN),
        (409, None, K.CONFLICT, Effect.NONE),
        (412, None, K.CONFLICT, Effect.NONE),
        (418, None, K.BAD_REQUEST, Effect.NONE),
        (423, None, K.CONFLICT, Effect.NONE),
        (429, "TooManyRequests", K.THROTTLED, Effect.NONE),
        (429, None, K.THROTTLED, Effect.NONE),
        (500, None, K.SERVICE, Effect.UNKNOWN),
        (500, "UnknownError", K.SERVICE, Effect.UNKNOWN),
        (501, None, K.BAD_REQUEST, Effect.NONE),
        (502, None, K.SERVICE, Effect.UNKNOWN),
        (503, None, K.SERVICE, Effect.UNKNOWN),
        (504, None, K.SERVICE, Effect.UNKNOWN),
        (509, None, K.THROTTLED, Effect.NONE),
        (302, None, K.UNREADABLE, Effect.UNKNOWN),
    ],
)
def test_classify_status_and_code(status: int, code: str | None, kind: FailureKind, effect: Effect) -> None:
    """The code goes before the status, and only what the service says it did not do counts as not done."""
    assert (kind, effect) == classify(status, code)


@pytest.mark.parametrize("spelling", ["innerError", "innererror"])
def test_refused_has_every_id(spelling: str) -> None:
    """A refusal keeps status, code and both ids for a support case, and nothing of the body's message."""
    body = {"error": {"code": "AADB2C90063", "message": "do not print me", spelling: {"request-id": "theirs"}}}
    error = refusal(answer(400, body, request_id="theirs"), "get_keyset")
    found = error.failure
    assert (
        found.status,
        found.code,
        found.request_id,
        found.client_request_id,
    ) == (400, "AADB2C90063", "theirs", "ours")
    assert "do not print me" not in str(found)
    assert found.message.startswith("Graph answered 400 AADB2C90063 to get_keyset: ")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad gateway</html>",
        b"\xff\xfe",
        b"[]",
        b'{"error": null}',
        b'{"error": "words"}',
        b'{"error": {}}',
        b'{"error": {"code": ""}}',
        b'{"error": {"code": 42}}',
        b'{"error": {"code": "two\\nlines"}}',
        b'{"error": {"code": "' + b"x" * 81 + b'"}}',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body)[:40],
)
def test_refused_without_a_code_that_is_one(body: bytes) -> None:
    """An error body that is not valid, or has no usable code, is classified by its status alone."""
    found = refusal(answer(503, body), "list_keysets").failure
    assert (found.kind, found.code) == (K.SERVICE, None)
    assert found.message == "Graph answered 503 to list_keysets: the service has a problem; rotator tries again later"


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("list_keysets", "TrustFrameworkKeySet.Read.All"),
        ("get_keyset", "TrustFrameworkKeySet.Read.All"),
        ("generate_key", "TrustFrameworkKeySet.ReadWrite.All"),
        ("enable_key", "TrustFrameworkKeySet.ReadWrite.All"),
    ],
)
def test_refused_says_which_permission(operation: str, permission: str) -> None:
    """A 403 names the permission that the operation takes."""
    assert f"application permission {permission}," in refusal(answer(403, {}), operation).failure.message


SENT = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0),
        ("7", 7),
        (" 120 ", 120),
        (format_datetime(SENT + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(SENT - timedelta(seconds=90), usegmt=True), 0),
        ("", None),
        ("-1", None),
        ("1.5", 2),
        ("3,120", 3),
        ("3, 120", 3),
        ("4.249", 5),
        ("120, soon", 120),
        ("3 120", None),
        ("1e3", None),
        ("soon", None),
        ("99999999999", None),
        ("١٢", None),
    ],
)
def test_retry_after_forms(value: str, expected: int | None) -> None:
    """Seconds, or a date by the service's own clock; what is neither is as good as nothing."""
    headers = {"retry_after": value, "date": format_datetime(SENT, usegmt=True)}
    span = None if expected is None else timedelta(seconds=expected)
    assert span == answer(429, {}, **headers).retry_after


def test_retry_after_date_without_a_date_to_compare() -> None:
    """A date means nothing where the answer does not say when it was sent."""
    assert answer(429, {}, retry_after=format_datetime(SENT, usegmt=True)).retry_after is None


# --- how a keyset is read


def test_parse_keyset_as_documented() -> None:
    """A key has its dates as aware instants; what else the service sends is passed over."""
    raw = {"kid": "k", "use": "sig", "kty": "RSA", "nbf": 1893456000, "exp": 1901318400, "status": "enabled"}
    more: dict[str, object] = {"n": "modulus", "e": "AQAB", "d": "private", "k": None, "x5c": [], "@odata.type": "#x"}
    (key,) = keys_of(raw | more)
    exp = NBF + timedelta(days=91)
    assert key == Key(
        kid="k", nbf=NBF, exp=exp, enabled=True, use="sig", kty="RSA", modulus=modulus_digest("modulus")
    ), "no private material is kept"


@pytest.mark.parametrize(
    ("x5c", "expected"), [(["MIIC"], True), (["MIIC", "MIID"], True), ([], False), (None, False), ("MIIC", True)]
)
def test_parse_keyset_certificate(x5c: object, *, expected: bool) -> None:
    """Whether a key carries a certificate is kept, and nothing of the certificate."""
    (found,) = keys_of({"kid": "k", "kty": "RSA", "use": "sig", "x5c": x5c})
    assert found == Key(kid="k", nbf=None, exp=None, use="sig", kty="RSA", has_certificate=expected)


@pytest.mark.parametrize(
    ("status", "enabled"),
    [("enabled", True), ("Enabled", True), (None, True), ("", True), ("disabled", False), ("DISABLED", False)],
)
def test_parse_keyset_status(status: str | None, *, enabled: bool) -> None:
    """Only a key that says it is disabled is, in any case of letters."""
    assert [enabled] == [key.enabled for key in keys_of({"kid": "k", "status": status})]


def test_parse_keyset_members_that_are_missing() -> None:
    """A key without anything is an undated, enabled one, and null is as good as missing."""
    empty = Key(kid=None, nbf=None, exp=None, enabled=True, use=None, kty=None)
    nulls = dict.fromkeys(("kid", "use", "kty", "nbf", "exp", "status"))
    assert (empty, empty) == keys_of({}, nulls)


@pytest.mark.parametrize("raw", [{"keys": None}, {"keys": []}])
def test_parse_keyset_without_keys(raw: dict[str, object]) -> None:
    """Null or an empty list: the keyset is empty."""
    assert parse_keyset("B2C_1A_X", raw).keys == ()


@pytest.mark.parametrize("value", [1893456000, "1893456000"], ids=repr)
def test_parse_keyset_dates(value: object) -> None:
    """A date is a whole number of seconds, or its digits as a text."""
    assert [key.nbf for key in keys_of({"nbf": value})] == [NBF]


@pytest.mark.parametrize("value", [0, "0", MAX_DATE, str(MAX_DATE)], ids=repr)
def test_parse_keyset_dates_at_the_edge(value: object) -> None:
    """1970 is a date, and so is the last one that can be meant as seconds."""
    assert [datetime.fromtimestamp(int(str(value)), UTC)] == [key.exp for key in keys_of({"exp": value})]


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        1893456000.0,
        1893456000.5,
        -1,
        MAX_DATE + 1,
        10**18,
        10**400,
        "-1",
        "1893456000.0",
        "1_000",
        " 1",
        "1e9",
        "",
        "٣",
        "2030-01-01T00:00:00Z",
        "9" * 5000,
        [],
        [1893456000],
        {},
    ],
    ids=lambda value: repr(value)[:24] if value != 10**400 else "a googol to the fourth",
)
@pytest.mark.parametrize("member", ["nbf", "exp"])
def test_parse_keyset_dates_that_are_none(member: str, value: object) -> None:
    """Anything else is refused with the path to it, and never becomes a wrong date."""
    found = failure(lambda: keys_of({"kid": "fine"}, {member: value}))
    assert found.kind is K.UNREADABLE
    assert found.message.startswith(f"keyset B2C_1A_X: keys[1].{member} is not a NumericDate")


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({}, "the answer has no list of keys"),
        ({"id": "B2C_1A_X"}, "the answer has no list of keys"),
        ({"keys": {}}, "the answer has no list of keys"),
        ({"keys": "none"}, "the answer has no list of keys"),
        ({"keys": [None]}, "keys[0] is not an object"),
        ({"keys": [{}, []]}, "keys[1] is not an object"),
        ({"keys": [{"kid": 7}]}, "keys[0].kid is not a text"),
        ({"keys": [{"kid": "k" * 513}]}, "keys[0].kid is not a text of at most 512 characters"),
        ({"keys": [{"status": False}]}, "keys[0].status is not a text"),
        ({"keys": [{"use": ["sig"]}]}, "keys[0].use is not a text"),
        ({"keys": [{"kty": {}}]}, "keys[0].kty is not a text"),
    ],
)
def test_parse_keyset_that_makes_no_sense(raw: dict[str, object], path: str) -> None:
    """What has the wrong form, or no keys at all, is refused: taken for an empty keyset, it would call for a key."""
    found = failure(lambda: parse_keyset("B2C_1A_X", raw))
    assert found.kind is K.UNREADABLE
    assert found.message.startswith(f"keyset B2C_1A_X: {path}")


def test_parse_keyset_inside_value() -> None:
    """A keyset that comes inside `value` is the same keyset."""
    raw = {"id": "B2C_1A_X", "keys": [{"kid": "k"}]}
    assert parse_keyset("B2C_1A_X", raw) == parse_keyset("B2C_1A_X", {"value": raw})
    assert unwrapped({"value": [raw]}) == {"value": [raw]}, "a list is something else"


@pytest.mark.parametrize("letters", [("SIG", "rsa"), ("Sig", "Rsa"), ("sig", "RSA")])
def test_parse_keyset_case_of_use_and_kty(letters: tuple[str, str]) -> None:
    """A key is what was requested in whichever case the service spells its use and kty."""
    use, kty = letters
    (key,) = keys_of({"kid": "k", "use": use, "kty": kty, "nbf": 1893456000, "exp": 1901318400})
    assert SPEC.differences(key) == ()


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\xff", b'{"a":', b"nul", b"[" * 100_000], ids=lambda body: repr(body)[:20]
)
def test_parse_object_that_is_no_json(body: bytes) -> None:
    """An answer that is not JSON is unreadable. The message has its content type, and nothing of its content."""
    found = failure(lambda: parse_object(answer(200, body, content_type="text/html; charset=x", request_id="theirs")))
    assert (
        found.kind,
        found.status,
        found.request_id,
        found.client_request_id,
    ) == (K.UNREADABLE, 200, "theirs", "ours")
    assert found.message == "Graph's answer is not JSON (Content-Type text/html)"


@pytest.mark.parametrize("body", [[], "words", 7, None, True])
def test_parse_object_that_is_something_else(body: object) -> None:
    """JSON that is not an object is unreadable."""
    assert failure(lambda: parse_object(answer(200, body))).message == "Graph's answer is not a JSON object"


@pytest.mark.parametrize("value", [None, {}, "x", [1], [{}, None]])
def test_parse_page_without_a_list_of_objects(value: object) -> None:
    """A page whose `value` is not a list of objects is unreadable."""
    assert failure(lambda: parse_page({"value": value})).kind is K.UNREADABLE


def test_render_spec_has_four_members() -> None:
    """The body of generateKey: use, kty and two NumericDates."""
    assert render_spec(SPEC) == {"use": "sig", "kty": "RSA", "nbf": 1893456000, "exp": 1901318400}


# --- listing


def listed(*ids: str) -> Mapping[str, object]:
    """A page of a list: keysets of those ids, each with a key."""
    return {"value": [{"id": each, "keys": [{"kid": each}]} for each in ids]}


def test_listing_of_others() -> None:
    """Further keysets come up to the number that is requested; backups are apart, and the rest is counted."""
    listing = Listing(["B2C_1A_X"], 2)
    listing.add(listed("B2C_1A_A", "B2C_1A_X", "B2C_1A_X.bak", "b2c_1a_b.BAK", "B2C_1A_A"))
    listing.add(listed("B2C_1A_B", "B2C_1A_C", "B2C_1A_" + "D" * 600))
    found = listing.found()
    assert (list(found.wanted), list(found.others)) == (["B2C_1A_X"], ["B2C_1A_A", "B2C_1A_B"])
    assert (found.left_out, found.backups) == (3, ("B2C_1A_X.bak", "b2c_1a_b.BAK"))
    alone = Listing(["B2C_1A_X"])
    alone.add(listed("B2C_1A_A", "B2C_1A_X", "B2C_1A_X.bak"))
    assert (alone.found().others, alone.found().left_out) == ({}, 0)
    assert alone.found().backups == ("B2C_1A_X.bak",), "of what is wanted, backups are always of interest"


def test_listing_of_others_with_too_many_keys() -> None:
    """What is not wanted costs the wanted keysets nothing: it is left out if it is too much."""
    many = [{"kid": str(number)} for number in range(1000)]
    listing = Listing(["B2C_1A_X"], 10_000)
    for number in range(30):
        listing.add({"value": [{"id": f"B2C_1A_{number}", "keys": many}]})
    listing.add({"value": [{"id": "B2C_1A_Odd", "keys": 7}, {"id": "B2C_1A_X", "keys": []}]})
    found = listing.found()
    assert found.wanted == {"B2C_1A_X": Keyset(id="B2C_1A_X", keys=())}
    assert (len(found.others), found.left_out) == (26, 5)


def test_list_finds_what_is_wanted(line: Line) -> None:
    """The keysets that are wanted and there, under their names as wanted, whatever case the service keeps."""
    tenant = line.emulator.tenants[0]
    tenant.create("B2C_1A_Other")
    tenant.add_key("B2C_1A_X", KeySeed(nbf=1, exp=2, kid="k"))
    found = line.graph().list_keysets(["b2c_1a_x", "B2C_1A_Missing"]).wanted
    (keyset,) = found.values()
    assert not isinstance(keyset, Exception)
    assert (list(found), [key.kid for key in keyset.keys]) == (["b2c_1a_x"], ["k"])


def test_list_follows_pages(line: Line) -> None:
    """Every page is read, one request each."""
    tenant = line.emulator.tenants[0]
    names = [f"B2C_1A_N{number}" for number in range(4)]
    for name in names:
        tenant.create(name)
    tenant.switch(page_size=2)
    assert names == list(line.graph().list_keysets(names).wanted)
    assert line.count(LIST) == 3


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(Fault(what=Kind.FOREIGN_NEXT_LINK), "another host", id="another host"),
        pytest.param(Fault(what=Kind.INSECURE_NEXT_LINK), "another host", id="http"),
        pytest.param(
            Fault(what=Kind.FOREIGN_NEXT_LINK, url="https://localhost:1/beta/trustFramework/keySets"),
            "another host",
            id="another port",
        ),
        pytest.param(Fault(what=Kind.FOREIGN_NEXT_LINK, url="//localhost/keySets"), "another host", id="no scheme"),
        pytest.param(Fault(what=Kind.FOREIGN_NEXT_LINK, url="https://[::1"), "another host", id="no URL"),
        pytest.param(Fault(what=Kind.FOREIGN_NEXT_LINK, url="javascript:0"), "another host", id="another scheme"),
        pytest.param(Fault(what=Kind.NEXT_LINK_LOOP), "repeats a page", id="loop"),
    ],
)
def test_list_page_that_leads_astray(line: Line, fault: Fault, words: str) -> None:
    """A next page is followed to the same origin only, and only once; the token is sent nowhere else."""
    line.emulator.inject(fault)
    found = failure(lambda: line.graph().list_keysets(["B2C_1A_X"]))
    assert K.UNREADABLE is found.kind
    assert words in found.message
    assert line.count(LIST) == 1


def test_list_page_named_without_its_host(line: Line) -> None:
    """A next page that is named by its path alone is on the same host."""
    fault = Fault(what=Kind.FOREIGN_NEXT_LINK, url="/beta/trustFramework/keySets?page=2", where=LIST, times=1)
    line.emulator.inject(fault)
    assert list(line.graph().list_keysets(["B2C_1A_X"]).wanted) == ["B2C_1A_X"]
    assert line.count(LIST) == 2


def test_list_entry_that_makes_no_sense(line: Line) -> None:
    """A keyset that cannot be read is the error that says why, and costs the others nothing."""
    tenant = line.emulator.tenants[0]
    tenant.create("B2C_1A_Good")
    tenant.add_key("B2C_1A_X", KeySeed(nbf=1, exp=2))
    line.emulator.inject(Fault(what=Kind.FORGED_MEMBER, member="nbf", value=True))
    found = line.graph().list_keysets(["B2C_1A_X", "B2C_1A_Good"]).wanted
    assert isinstance(found["B2C_1A_X"], Exception)
    assert not isinstance(found["B2C_1A_Good"], Exception)


def test_list_entry_without_an_id(line: Line) -> None:
    """An entry that cannot be told from the others makes the list unreadable."""
    line.emulator.inject(Fault(what=Kind.BODY, body='{"value": [{"keys": []}]}', where=LIST))
    assert "an entry without an id" in failure(lambda: line.graph().list_keysets(["B2C_1A_X"])).message


def test_fetch_one(line: Line) -> None:
    """One keyset with its keys; each id is one segment of the path, whatever is in it."""
    line.emulator.tenants[0].add_key("B2C_1A_X", KeySeed(nbf=1, exp=2, kid="k", status=Status.DISABLED))
    graph = line.graph()
    (key,) = graph.fetch("B2C_1A_X").keys
    assert (key.kid, key.enabled) == ("k", False)
    assert failure(lambda: graph.fetch("B2C_1A_X?$top=1#x")).kind is K.NOT_FOUND
    assert line.emulator.requests[-1].keyset == "B2C_1A_X?$top=1#x"


# --- asking again


def ask(line: Line) -> object:
    """A read."""
    return line.graph().list_keysets(["B2C_1A_X"]).wanted


@pytest.mark.parametrize(
    ("fault", "pauses", "reason"),
    [
        pytest.param(Fault(what=Kind.THROTTLED, retry_after=7, times=1), [7.0], K.THROTTLED, id="429"),
        pytest.param(
            Fault(what=Kind.THROTTLED, retry_after=7, retry_after_as_date=True, times=1),
            [7.0],
            K.THROTTLED,
            id="429, date",
        ),
        pytest.param(Fault(what=Kind.THROTTLED, times=1), [0.75], K.THROTTLED, id="429 without"),
        pytest.param(Fault(what=Kind.STATUS, status=503, retry_after=3, times=1), [3.0], K.SERVICE, id="503"),
        pytest.param(Fault(what=Kind.STATUS, status=503, times=3), [0.75, 1.5, 3.0], K.SERVICE, id="503 without"),
        pytest.param(Fault(what=Kind.HTML, times=2), [0.75, 1.5], K.SERVICE, id="gateway page"),
        pytest.param(Fault(what=Kind.RESET, times=1), [0.75], K.NETWORK, id="reset"),
        pytest.param(Fault(what=Kind.TRUNCATED, times=1), [0.75], K.NETWORK, id="cut off"),
        pytest.param(
            Fault(what=Kind.STATUS, status=400, code="AADB2C90035", times=1),
            [0.75],
            K.SERVICE,
            id="temporarily unavailable",
        ),
        pytest.param(Fault(what=Kind.HANG, times=1), [0.75], K.TIMEOUT, id="timeout"),
    ],
)
def test_read_again_where_that_helps(line: Line, fault: Fault, pauses: list[float], reason: FailureKind) -> None:
    """A read waits as long as the service asks for, else longer each time; the reason of each wait is reported."""
    line.tokens().get()
    line.timeout = 1.5 if fault.what is Kind.HANG else 5
    line.emulator.inject(replace(fault, where=LIST))
    assert ask(line)
    assert line.clock.pauses == pytest.approx(pauses, abs=1.1 if fault.retry_after_as_date else 0.001)
    assert [reason] * len(pauses) == line.retries


@pytest.mark.parametrize(
    ("fault", "kind", "requests"),
    [
        pytest.param(Fault(what=Kind.STATUS, status=503), K.SERVICE, 4, id="a service that stays away"),
        pytest.param(Fault(what=Kind.RESET), K.NETWORK, 4, id="a connection that always breaks"),
        pytest.param(Fault(what=Kind.HANG), K.TIMEOUT, 2, id="silence has cost enough"),
        pytest.param(Fault(what=Kind.THROTTLED, retry_after=31), K.THROTTLED, 1, id="a wait that is too long"),
        pytest.param(Fault(what=Kind.STATUS, status=503, retry_after=3600), K.SERVICE, 1, id="503 for an hour"),
        pytest.param(Fault(what=Kind.STATUS, status=400), K.BAD_REQUEST, 1, id="what will not change"),
        pytest.param(Fault(what=Kind.STATUS, status=403), K.FORBIDDEN, 1, id="a permission"),
        pytest.param(Fault(what=Kind.STATUS, status=404), K.NOT_FOUND, 1, id="nothing there"),
        pytest.param(Fault(what=Kind.CUT_JSON), K.UNREADABLE, 1, id="no JSON"),
        pytest.param(Fault(what=Kind.REDIRECT), K.UNREADABLE, 1, id="a redirect"),
    ],
)
def test_read_no_more(line: Line, fault: Fault, kind: FailureKind, requests: int) -> None:
    """A read is given up after a few times, at once where waiting is too long, and where it would not help."""
    line.timeout = 1.5 if fault.what is Kind.HANG else 5
    line.emulator.inject(replace(fault, where=LIST))
    assert kind is failure(lambda: ask(line)).kind
    assert requests == line.count(LIST)


def test_read_cut_short(line: Line) -> None:
    """Where the wait is cut short, the failure is the one that was waited for, and nothing is asked again."""
    line.clock = ManualClock(stays=False)
    line.emulator.inject(Fault(what=Kind.THROTTLED, retry_after=5, where=LIST))
    assert failure(lambda: ask(line)).kind is K.THROTTLED
    assert (line.count(LIST), line.retries) == (1, [])


def test_read_login_that_asks_to_wait(line: Line) -> None:
    """The wait that the login host asks for is used, too."""
    line.emulator.inject(Fault(what=Kind.THROTTLED, retry_after=7, where=Operation.TOKEN, times=1))
    assert ask(line)
    assert line.clock.pauses == [7.0]


def test_token_refused_once(line: Line) -> None:
    """A token that the service refuses is dropped, and the same request made once more with a fresh one."""
    line.emulator.inject(Fault(what=Kind.STATUS, status=401, where=LIST, times=1))
    assert ask(line)
    assert (line.count(LIST), line.count(Operation.TOKEN), line.clock.pauses) == (2, 2, [])


def test_token_refused_again(line: Line) -> None:
    """A fresh token that is refused as well is a failure, and no third one is requested."""
    line.emulator.inject(Fault(what=Kind.STATUS, status=401, where=LIST))
    found = failure(lambda: ask(line))
    assert (found.kind, found.status) == (K.AUTH, 401)
    assert (line.count(LIST), line.count(Operation.TOKEN)) == (2, 2)


FORBIDDEN = pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(what=Kind.STATUS, status=403), id="403"),
        pytest.param(Fault(what=Kind.STATUS, status=400, code="AADB2C99007"), id="400 with a code that says the same"),
    ],
)
WHILE = 600.0  # seconds, of the hour that a token lives


@FORBIDDEN
def test_token_whose_permission_was_granted_later(line: Line, fault: Fault) -> None:
    """A token has the permissions that it was issued with: the same look goes on with a fresh one."""
    graph = line.graph()
    graph.list_keysets([])
    line.clock.move(600)
    line.emulator.inject(replace(fault, where=LIST, times=1))
    graph.list_keysets([])
    assert (line.count(LIST), line.count(Operation.TOKEN), line.clock.pauses) == (3, 2, [])


@FORBIDDEN
def test_token_whose_permission_is_never_granted(line: Line, fault: Fault) -> None:
    """However many requests are refused, one look costs at most one more token, and one that is new costs none."""
    graph = line.graph()
    line.emulator.inject(replace(fault, where=LIST))
    line.emulator.inject(replace(fault, where=Operation.GET_KEYSET))
    for looks in range(1, 6):
        for _ in range(5):
            assert failure(lambda: graph.list_keysets([])).kind is K.FORBIDDEN
            assert failure(lambda: graph.fetch("B2C_1A_X")).kind is K.FORBIDDEN
        assert line.count(Operation.TOKEN) == looks
        line.clock.move(WHILE)
    assert (line.count(LIST), line.count(Operation.GET_KEYSET)) == (25 + 4, 25)


def test_token_without_the_permission_to_write(line: Line) -> None:
    """A write is never sent again by itself; the next one has a fresh token."""
    graph = line.graph()
    graph.prepare()
    line.clock.move(600)
    line.emulator.inject(Fault(what=Kind.STATUS, status=403, where=GENERATE, times=1))
    assert failure(lambda: graph.generate("B2C_1A_X", SPEC)).kind is K.FORBIDDEN
    assert (line.count(GENERATE), line.count(Operation.TOKEN)) == (1, 1)
    graph.generate("B2C_1A_X", SPEC)
    assert (line.count(GENERATE), line.count(Operation.TOKEN)) == (2, 2)


# --- writing


def test_generate_once(line: Line) -> None:
    """One request; the kid that the service names is returned."""
    kid = line.graph().generate("B2C_1A_X", SPEC)
    (key,) = line.emulator.tenants[0].keyset("B2C_1A_X").keys
    assert (kid, 1893456000, 1901318400) == (key.kid, key.nbf, key.exp)
    (seen,) = line.emulator.seen(GENERATE)
    assert render_spec(SPEC) == json.loads(seen.body or "")


def test_generate_answer_without_a_kid(line: Line) -> None:
    """An answer without a kid is not a failure: the next look shows the key."""
    line.emulator.inject(Fault(what=Kind.MISSING_KID, where=GENERATE))
    assert line.graph().generate("B2C_1A_X", SPEC) is None


@pytest.mark.parametrize(
    ("fault", "kind", "effect", "keys"),
    [
        (Fault(what=Kind.RESET, when=Moment.AFTER_COMMIT), K.NETWORK, Effect.UNKNOWN, 1),
        (Fault(what=Kind.RESET), K.NETWORK, Effect.UNKNOWN, 0),
        (Fault(what=Kind.STATUS, status=504, when=Moment.AFTER_COMMIT), K.SERVICE, Effect.UNKNOWN, 1),
        (Fault(what=Kind.HTML, when=Moment.AFTER_COMMIT), K.SERVICE, Effect.UNKNOWN, 1),
        (Fault(what=Kind.HTML, status=200, when=Moment.AFTER_COMMIT), K.UNREADABLE, Effect.UNKNOWN, 1),
        (Fault(what=Kind.EMPTY, when=Moment.AFTER_COMMIT), K.UNREADABLE, Effect.UNKNOWN, 1),
        (Fault(what=Kind.CUT_JSON), K.UNREADABLE, Effect.UNKNOWN, 1),
        (Fault(what=Kind.TRUNCATED), K.NETWORK, Effect.UNKNOWN, 1),
        (Fault(what=Kind.REDIRECT), K.UNREADABLE, Effect.UNKNOWN, 0),
        (Fault(what=Kind.HANG), K.TIMEOUT, Effect.UNKNOWN, 0),
        (Fault(what=Kind.THROTTLED), K.THROTTLED, Effect.NONE, 0),
        (Fault(what=Kind.STATUS, status=403), K.FORBIDDEN, Effect.NONE, 0),
        (Fault(what=Kind.STATUS, status=409, code="AADB2C95053"), K.CONFLICT, Effect.NONE, 0),
    ],
)
def test_generate_is_sent_once(line: Line, fault: Fault, kind: FailureKind, effect: Effect, keys: int) -> None:
    """Whatever comes back, a write is sent once, and the error says what it may have done."""
    graph = line.graph()
    graph.fetch("B2C_1A_X")
    line.timeout = 0.5 if fault.what is Kind.HANG else 5
    line.emulator.inject(replace(fault, where=GENERATE))
    error = refused(lambda: graph.generate("B2C_1A_X", SPEC))
    assert (kind, effect, 1, []) == (error.failure.kind, error.effect, line.count(GENERATE), line.clock.pauses)
    assert keys == len(line.emulator.tenants[0].keyset("B2C_1A_X").keys)


def test_generate_without_a_token(line: Line) -> None:
    """If there is no token, nothing can have been done."""
    line.emulator.inject(Fault(what=Kind.STATUS, status=503, where=Operation.TOKEN))
    error = refused(lambda: line.graph().generate("B2C_1A_X", SPEC))
    assert (error.failure.kind, error.effect, line.count(GENERATE)) == (K.SERVICE, Effect.NONE, 0)


@pytest.mark.parametrize("answers_key", [True, False])
def test_enable_one_key(line: Line, *, answers_key: bool) -> None:
    """One PATCH of that kid and no other, whichever of the two documented answers comes."""
    tenant = line.emulator.tenants[0]
    tenant.switch(update_answers_key=answers_key)
    for kid in ("k", "other"):
        tenant.add_key("B2C_1A_X", KeySeed(kid=kid, status=Status.DISABLED))
    line.graph().enable("B2C_1A_X", "k")
    assert [key.status for key in tenant.keyset("B2C_1A_X").keys] == [Status.ENABLED, Status.DISABLED]
    (seen,) = line.emulator.seen(Operation.UPDATE_KEY)
    assert json.loads(seen.body or "") == {"status": "enabled"}


# --- answers that are hostile, or odd


def test_list_ends_at_an_empty_link(line: Line) -> None:
    """An empty `@odata.nextLink` is as good as none."""
    body = json.dumps({"value": [{"id": "B2C_1A_X", "keys": []}], "@odata.nextLink": ""})
    line.emulator.inject(Fault(what=Kind.BODY, body=body, where=LIST))
    assert set(line.graph().list_keysets(["B2C_1A_X"]).wanted) == {"B2C_1A_X"}
    assert line.count(LIST) == 1


@pytest.mark.parametrize(
    ("ids", "taken"),
    [
        (["b2c_1a_x"], 0),
        (["B2C_1A_X", "b2c_1a_x"], 0),
        (["b2c_1a_x", "B2C_1A_X", "B2C_1A_x"], 1),
        (["b2c_1a_x", "B2C_1A_x"], None),
        (["B2C_1A_X", "B2C_1A_X"], None),
    ],
)
def test_list_takes_the_exact_id_first(line: Line, ids: list[str], taken: int | None) -> None:
    """A keyset in another case does not hide the exact one; several of equal right are unreadable."""
    entries = [{"id": each, "keys": [{"kid": f"k{n}"}]} for n, each in enumerate(ids)]
    line.emulator.inject(Fault(what=Kind.BODY, body=json.dumps({"value": entries}), where=LIST))
    found = line.graph().list_keysets(["B2C_1A_X"]).wanted["B2C_1A_X"]
    if taken is None:
        assert isinstance(found, RequestError)
        assert (found.failure.kind, "several keysets of that name" in found.failure.message) == (K.UNREADABLE, True)
    else:
        assert isinstance(found, Keyset)
        assert [key.kid for key in found.keys] == [f"k{taken}"]


@pytest.mark.parametrize(
    ("listed", "readable"), [("B2C_1A_X", True), ("b2c_1a_x", True), ("B2C_1A_Y", False), ("", False), (None, False)]
)
def test_fetch_holds_the_id_to_what_was_asked(line: Line, listed: str | None, *, readable: bool) -> None:
    """The answer with another keyset is unreadable, so that nothing is decided by it."""
    line.emulator.inject(Fault(what=Kind.BODY, body=json.dumps({"id": listed, "keys": []}), where=GET))
    if readable:
        assert line.graph().fetch("B2C_1A_X").keys == ()
    else:
        assert failure(lambda: line.graph().fetch("B2C_1A_X")).kind is K.UNREADABLE


@pytest.mark.parametrize("kid", ["", ".", ".."])
def test_enable_never_builds_another_path(line: Line, kid: str) -> None:
    """A kid that would name another address is refused before anything is sent."""
    error = refused(lambda: line.graph().enable("B2C_1A_X", kid))
    assert (error.failure.kind, error.effect) == (K.UNREADABLE, Effect.NONE)
    assert not line.emulator.requests


def test_parse_object_after_a_byte_order_mark() -> None:
    """A byte order mark before the JSON is left out; another encoding is not JSON."""
    assert parse_object(answer(body=b'\xef\xbb\xbf{"a": 1}')) == {"a": 1}
    assert failure(lambda: parse_object(answer(body='{"a": 1}'.encode("utf-16")))).kind is K.UNREADABLE


@pytest.mark.parametrize(("dense", "count"), [(b"[],", 2), (b"{},", 2), (b"1,", 1), (b'{"":{}},', 3)])
def test_parse_object_of_too_many_elements(dense: bytes, count: int) -> None:
    """An answer with more than 100,000 elements is unreadable, and nothing is built of it."""
    body = b'{"value": [' + dense * (100_000 // count) + b"0]}"
    assert failure(lambda: parse_object(answer(body=body))).kind is K.UNREADABLE
    few = b'{"value": [' + dense * 10_000 + b"0]}"
    assert len(parse_object(answer(body=few))["value"]) == 10_001


def test_parse_keyset_of_too_many_keys() -> None:
    """A keyset has at most 1,000 keys, a list 10,000 keysets, and 25,000 keys of those that are wanted."""
    keys = [{"kid": f"k{n}"} for n in range(1001)]
    assert len(keys_of(*keys[:1000])) == 1000
    assert failure(lambda: keys_of(*keys)).kind is K.UNREADABLE
    listing = Listing([])
    for _ in range(10):
        listing.add({"value": [{"id": "B2C_1A_X"}] * 1000})
    assert failure(lambda: listing.add({"value": [{"id": "B2C_1A_X"}]})).kind is K.UNREADABLE
    wanted = [f"B2C_1A_{n}" for n in range(26)]
    page = {"value": [{"id": each, "keys": keys[:1000]} for each in wanted]}
    assert failure(lambda: Listing(wanted).add(page)).kind is K.UNREADABLE
    assert len(Listing(wanted[:25]).found().wanted) == 0


def test_errors_hold_nothing_of_an_answer(line: Line) -> None:
    """An error that is kept has no traceback whose frames would keep a large answer in memory."""
    line.emulator.inject(Fault(what=Kind.BODY, body='{"value": [{"id": "B2C_1A_X"}]}', where=LIST))
    found = line.graph().list_keysets(["B2C_1A_X"]).wanted["B2C_1A_X"]
    assert isinstance(found, RequestError)
    assert (found.__traceback__, found.__context__, found.__cause__) == (None, None, None)
    line.emulator.faults.clear()
    line.emulator.inject(Fault(what=Kind.BODY, body="[", where=LIST))
    error = refused(lambda: line.graph().list_keysets(["B2C_1A_X"]))
    assert (error.__context__, error.__cause__) == (None, None)


def test_refused_content_type_is_not_cut() -> None:
    """What is not a media type is not shown, not even a part of it, which redaction could not find."""
    long = "s3cret-" * 30
    found = failure(lambda: parse_object(answer(body=b"<", content_type=long)))
    assert found.message == "Graph's answer is not JSON (Content-Type not valid)"


CREATE = Operation.CREATE_KEYSET


def test_create_once(line: Line) -> None:
    """One request with the id alone; the keyset is there without keys, and a second request is refused."""
    graph = line.graph()
    graph.create("B2C_1A_New")
    (seen,) = line.emulator.seen(CREATE)
    assert json.loads(seen.body or "") == {"id": "B2C_1A_New"}
    assert line.emulator.tenants[0].keyset("B2C_1A_New").keys == ()
    assert refused(lambda: graph.create("B2C_1A_New")).effect is Effect.NONE


@pytest.mark.parametrize(
    ("fault", "kind", "effect"),
    [
        (Fault(what=Kind.RESET, when=Moment.AFTER_COMMIT), K.NETWORK, Effect.UNKNOWN),
        (Fault(what=Kind.STATUS, status=504, when=Moment.AFTER_COMMIT), K.SERVICE, Effect.UNKNOWN),
        (Fault(what=Kind.STATUS, status=403), K.FORBIDDEN, Effect.NONE),
        (Fault(what=Kind.STATUS, status=429), K.THROTTLED, Effect.NONE),
    ],
)
def test_create_is_sent_once(line: Line, fault: Fault, kind: FailureKind, effect: Effect) -> None:
    """Whatever comes back, it is sent once, and the error says what it may have done."""
    graph = line.graph()
    line.emulator.inject(replace(fault, where=CREATE))
    error = refused(lambda: graph.create("B2C_1A_New"))
    assert (kind, effect, 1) == (error.failure.kind, error.effect, line.count(CREATE))
