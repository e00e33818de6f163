# mypy: disable-error-code="arg-type"
# Texts are given for enums, as users may.
"""Graph: each endpoint, and each thing it refuses."""

import base64
import re

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from emulator.harness import DAY, KEYSETS, NOW

from rotator.emulator.http.certificates import client_certificate
from rotator.emulator.model.history import KeyAdded
from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import Status

RSA_JWK = {"kty": "RSA", "use": "sig", "n": "rd54sw", "e": "AQAB"}


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_list_keysets(bench):
    """Endpoint 1: every keyset with its keys, in one answer."""
    answer = bench.graph("GET")
    body = answer.json()
    assert [keyset["id"] for keyset in body["value"]] == [
        "B2C_1A_Sig",
        "B2C_1A_Empty",
        "B2C_1A_Enc",
        "B2C_1A_Secret",
    ]
    assert [len(keyset["keys"]) for keyset in body["value"]] == [1, 0, 1, 1]
    assert body["@odata.context"].endswith("/beta/$metadata#trustFramework/keySets")
    assert "@odata.nextLink" not in body


def test_get_keyset_key_shape(bench):
    """Endpoint 3: a key with its nulls and empty arrays written out, and a real modulus."""
    (key,) = bench.graph("GET", "/B2C_1A_Sig").json()["keys"]
    modulus = base64.urlsafe_b64decode(key.pop("n") + "==")
    assert int.from_bytes(modulus, "big").bit_length() == 2048
    assert key == {
        "k": None,
        "x5c": [],
        "x5t": None,
        "kty": "RSA",
        "use": "sig",
        "exp": NOW + 10 * DAY,
        "nbf": NOW - 80 * DAY,
        "kid": "first",
        "e": "AQAB",
        "status": "enabled",
    }


def test_get_keyset_secret(bench):
    """A symmetric key shows nothing of its secret."""
    (key,) = bench.graph("GET", "/B2C_1A_Secret").json()["keys"]
    assert (key["kty"], key["k"], key["n"], key["e"]) == ("oct", None, None, None)


def test_headers(bench):
    """Every answer has a request id, echoes the client's, and carries the emulated Date."""
    for answer in (
        bench.graph("GET", headers={"client-request-id": "mine"}),
        bench.graph("GET", "/nothing", headers={"client-request-id": "mine"}),
        bench.http.get(KEYSETS, headers={"client-request-id": "mine"}),
    ):
        assert answer.headers["client-request-id"] == "mine"
        assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["request-id"])
        assert answer.headers["date"] == "Fri, 15 Jan 2027 08:00:00 GMT"
        assert "ServerInfo" in answer.headers["x-ms-ags-diagnostic"]


def test_content_type(bench):
    """The content type is Graph's, with numbers as numbers."""
    assert "IEEE754Compatible=false" in bench.graph("GET").headers["content-type"]


def test_error_body(bench):
    """An error has Graph's members, B2C's correlation id, and a date without a zone."""
    answer = bench.graph("GET", "/B2C_1A_No", headers={"client-request-id": "mine"})
    inner = answer.json()["error"]["innerError"]
    assert inner.keys() == {"correlationId", "date", "request-id", "client-request-id"}
    assert inner["date"] == "2027-01-15T08:00:00"
    assert inner["request-id"] == answer.headers["request-id"]
    assert inner["client-request-id"] == "mine"


def test_create_keyset(bench):
    """Endpoint 2: the prefix is added, and the id told in body and Location."""
    answer = bench.graph("POST", body={"id": "New"})
    assert (answer.status_code, answer.json()["id"], answer.json()["keys"]) == (
        201,
        "B2C_1A_New",
        [],
    )
    assert answer.headers["location"] == "/trustFramework/keySets('B2C_1A_New')"
    assert bench.graph("GET", "/B2C_1A_New").json()["keys"] == []


def test_create_keyset_prefixed(bench):
    """A prefix that is there already is not added again, and unknown members are dropped."""
    answer = bench.graph("POST", body={"id": "B2C_1A_New", "alg": "x", "keys": [RSA_JWK]})
    assert answer.json()["id"] == "B2C_1A_New"
    assert answer.json()["keys"][0]["n"] == "rd54sw"


def test_create_keyset_odata_type(bench):
    """Other unknown members of a keyset are dropped, but an @odata.type is refused anywhere."""
    body = {"id": "New", "@odata.type": "#microsoft.graph.trustFrameworkKeySet"}
    assert error(bench.graph("POST", body=body)) == (400, "AADB2C")


@pytest.mark.parametrize("name", ["", "a b", "ä", 5, "B2C_1A_"])
def test_create_keyset_bad_id(bench, name):
    """An id is a text of letters, digits, - and _."""
    assert bench.graph("POST", body={"id": name}).status_code == 400


def test_replace_keyset(bench):
    """Endpoint 4: PUT throws every key away; what is uploaded starts disabled."""
    answer = bench.graph("PUT", "/B2C_1A_Sig", {"keys": [RSA_JWK], "id": "B2C_1A_Sig"})
    assert answer.status_code == 200
    (key,) = bench.tenant.keyset("B2C_1A_Sig").keys
    assert key.kid != "first"
    assert key.status is Status.DISABLED


@pytest.mark.parametrize(
    ("key", "refusal"),
    [
        ({**RSA_JWK, "kid": "x"}, (400, "AADB2C95059")),
        ({**RSA_JWK, "alg": "RS256"}, (400, "AADB2C")),
        ({**RSA_JWK, "@odata.type": "#microsoft.graph.trustFrameworkKey"}, (400, "AADB2C")),
        ({**RSA_JWK, "kty": "EC"}, (400, "AADB2C95031")),
        ({**RSA_JWK, "use": "both"}, (400, "AADB2C95033")),
        ({"kty": "RSA", "use": "sig"}, (400, "AADB2C95034")),
        ({"kty": "oct", "use": "sig"}, (400, "AADB2C90253")),
        ("text", (400, "AADB2C")),
    ],
)
def test_replace_keyset_refused(bench, key, refusal):
    """A kid, an unknown member or a malformed JWK is refused, and nothing is lost."""
    assert error(bench.graph("PUT", "/B2C_1A_Sig", {"keys": [key]})) == refusal
    assert bench.kids() == ["first"]


def test_replace_keyset_missing(bench):
    """PUT of a keyset that is not there is told to create it."""
    assert error(bench.graph("PUT", "/B2C_1A_No", {"keys": []})) == (400, "AADB2C95052")


def test_delete_keyset(bench):
    """Endpoint 5: 204, a copy named .bak, which can itself be deleted without another."""
    assert bench.graph("DELETE", "/B2C_1A_Sig").status_code == 204
    assert error(bench.graph("GET", "/B2C_1A_Sig")) == (400, "AADB2C90073")
    assert bench.kids("B2C_1A_Sig.bak") == ["first"]
    assert bench.graph("DELETE", "/B2C_1A_Sig.bak").status_code == 204
    assert [view.id for view in bench.tenant.read()] == [
        "B2C_1A_Empty",
        "B2C_1A_Enc",
        "B2C_1A_Secret",
    ]


def test_delete_and_create_again(bench):
    """A deleted id is free again, and begins empty."""
    bench.graph("DELETE", "/B2C_1A_Sig")
    assert bench.graph("POST", body={"id": "Sig"}).status_code == 201
    assert bench.kids() == []


def test_generate_key(bench):
    """Endpoint 6: 200 with the new key; the old ones stay; the kid is the service's."""
    answer = bench.generate()
    key = answer.json()
    assert answer.status_code == 200
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", key["kid"])
    assert (key["nbf"], key["exp"]) == (NOW + DAY, NOW + 90 * DAY)
    assert key["@odata.context"].endswith("$metadata#microsoft.graph.trustFrameworkKey")
    assert bench.kids() == ["first", key["kid"]]


def test_generate_key_undated(bench):
    """The dates may be left out."""
    key = bench.generate(nbf=None, exp=None).json()
    assert (key["nbf"], key["exp"]) == (None, None)


def test_generate_key_spelling(bench):
    """The kty is taken in any case and shown in the usual one; the path, too, in any case."""
    url = f"{bench.emulator.url}/beta/trustframework/keysets/B2C_1A_Sig/GENERATEKEY"
    answer = bench.graph("POST", url, {"use": "sig", "kty": "rsa"})
    assert answer.json()["kty"] == "RSA"


def test_generate_key_records_who(bench):
    """The history records which app generated a key."""
    bench.generate()
    event = bench.tenant.keyset("B2C_1A_Sig").events[-1]
    assert isinstance(event, KeyAdded)
    assert (event.by, event.instant) == ("11111111-2222-4333-8444-555555555555", NOW)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"kty": None}, (400, "AADB2C95030")),
        ({"kty": "EC"}, (400, "AADB2C95031")),
        ({"kty": 5}, (400, "AADB2C95031")),
        ({"kty": "oct"}, (400, "AADB2C95032")),
        ({"use": None}, (400, "AADB2C90253")),
        ({"use": "both"}, (400, "AADB2C95033")),
        ({"use": "enc"}, (400, "AADB2C95042")),
        ({"status": "enabled"}, (400, "AADB2C")),
        ({"@odata.type": "x"}, (400, "AADB2C")),
        ({"nbf": "2027-01-01T00:00:00Z"}, (400, "BadRequest")),
        ({"nbf": "1800000000"}, (400, "BadRequest")),
        ({"nbf": 1.5}, (400, "BadRequest")),
        ({"exp": True}, (400, "BadRequest")),
        ({"exp": 2**63}, (400, "BadRequest")),
    ],
)
def test_generate_key_refused(bench, changes, refusal):
    """Each mistake has its code, and adds no key."""
    assert error(bench.generate(**changes)) == refusal
    assert bench.kids() == ["first"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"NaN", b'{"nbf":Infinity}', b"[" * 100_000])
def test_generate_key_no_json(bench, body):
    """A body that is not a JSON object is a bad request."""
    headers = {"Authorization": f"Bearer {bench.token()}", "Content-Type": "application/json"}
    answer = bench.http.post(f"{KEYSETS}/B2C_1A_Sig/generateKey", content=body, headers=headers)
    assert error(answer) == (400, "BadRequest")


def test_generate_key_content_type(bench):
    """A body has to say that it is JSON."""
    headers = {"Authorization": f"Bearer {bench.token()}"}
    answer = bench.http.post(f"{KEYSETS}/B2C_1A_Sig/generateKey", content=b"{}", headers=headers)
    assert error(answer) == (415, "UnsupportedMediaType")


def test_generate_key_missing_keyset(bench):
    """A keyset that is not there gets no key."""
    assert error(bench.generate("B2C_1A_No")) == (400, "AADB2C90073")


def test_upload_secret(bench):
    """Endpoint 7: a symmetric key, never shown, which waits to be enabled."""
    body = {"use": "sig", "k": "c2VjcmV0", "nbf": NOW, "exp": NOW + 5}
    key = bench.graph("POST", "/B2C_1A_Secret/uploadSecret", body).json()
    assert (key["kty"], key["k"], key["status"]) == ("oct", None, "disabled")
    assert "c2VjcmV0" not in bench.graph("GET", "/B2C_1A_Secret").text


def test_upload_certificate(bench):
    """Endpoint 8: the key takes its dates, chain and thumbprint from the certificate."""
    _, pem = client_certificate()
    loaded = x509.load_pem_x509_certificate(pem.encode())
    der = base64.b64encode(loaded.public_bytes(serialization.Encoding.DER)).decode()
    key = bench.graph("POST", "/B2C_1A_Empty/uploadCertificate", {"key": der}).json()
    assert key["x5c"] == [der]
    assert key["exp"] == int(loaded.not_valid_after_utc.timestamp())
    assert key["x5t"]


def test_upload_pkcs12(bench):
    """Endpoint 9: the same from a PKCS #12 file, if its password is right."""
    key_pem, pem = client_certificate()
    private = serialization.load_pem_private_key(key_pem.encode(), None)
    loaded = x509.load_pem_x509_certificate(pem.encode())
    protection = serialization.BestAvailableEncryption(b"pass")
    file = pkcs12.serialize_key_and_certificates(b"x", private, loaded, None, protection)
    body = {"key": base64.b64encode(file).decode(), "password": "pass"}
    path = "/B2C_1A_Empty/uploadPkcs12"
    assert bench.graph("POST", path, body).status_code == 200
    assert error(bench.graph("POST", path, {**body, "password": "no"})) == (400, "AADB2C90253")


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("uploadSecret", {"use": "sig"}),
        ("uploadCertificate", {"key": "not base64!"}),
        ("uploadCertificate", {"key": "YWJj"}),
        ("uploadPkcs12", {"key": "YWJj", "password": 5}),
    ],
)
def test_upload_refused(bench, action, body):
    """What cannot be read is a wrong parameter."""
    assert error(bench.graph("POST", f"/B2C_1A_Empty/{action}", body)) == (400, "AADB2C90253")


@pytest.mark.parametrize("spelling", ["getActiveKey", "getActiveKey()", "getactivekey"])
def test_get_active_key(bench, spelling):
    """Endpoint 10: the valid key whose nbf passed last, in every spelling of the path."""
    made = bench.generate(nbf=NOW + 60).json()["kid"]
    bench.tenant.add_key("B2C_1A_Sig", KeySeed())
    active = []
    for seconds in (0, 59, 1):
        bench.clock.move(seconds)
        active.append(bench.graph("GET", f"/B2C_1A_Sig/{spelling}").json()["kid"])
    assert active == ["first", "first", made]


def test_list_keys(bench):
    """Endpoint 11: the keys of one keyset."""
    assert [key["kid"] for key in bench.graph("GET", "/B2C_1A_Sig/keys_v2").json()["value"]] == ["first"]


@pytest.mark.parametrize("path", ["/B2C_1A_Sig/keys_v2/first", "('B2C_1A_Sig')/keys_v2('first')"])
def test_get_key(bench, path):
    """Endpoint 12: one key, by either spelling of OData."""
    assert bench.graph("GET", path).json()["kid"] == "first"


def test_get_key_missing(bench):
    """A kid that is not there is not found."""
    assert error(bench.graph("GET", "/B2C_1A_Sig/keys_v2/no")) == (404, "AADB2C90130")


def test_update_key(bench):
    """Endpoint 13: 204, and the key is out of use at once, until it is enabled again."""
    for status, active in (("disabled", 400), ("enabled", 200)):
        answer = bench.graph("PATCH", "/B2C_1A_Sig/keys_v2/first", {"status": status})
        assert (answer.status_code, answer.content) == (204, b"")
        assert "content-length" not in answer.headers
        assert bench.graph("GET", "/B2C_1A_Sig/getActiveKey").status_code == active


@pytest.mark.parametrize(
    ("path", "body", "refusal"),
    [
        ("/B2C_1A_Sig/keys_v2/first", {"status": "off"}, (400, "BadRequest")),
        ("/B2C_1A_Sig/keys_v2/first", {}, (400, "BadRequest")),
        ("/B2C_1A_Sig/keys_v2/first", {"exp": 5}, (400, "AADB2C")),
        ("/B2C_1A_Sig/keys_v2/no", {"status": "enabled"}, (404, "AADB2C90130")),
        ("/B2C_1A_No/keys_v2/no", {"status": "enabled"}, (400, "AADB2C90073")),
    ],
)
def test_update_key_refused(bench, path, body, refusal):
    """A PATCH changes the status, and nothing else."""
    assert error(bench.graph("PATCH", path, body)) == refusal


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/B2C_1A_Sig/keys_v2/first", 405),
        ("POST", "/B2C_1A_Sig/keys_v2", 405),
        ("PATCH", "/B2C_1A_Sig", 405),
        ("GET", "/B2C_1A_Sig/keys", 400),
        ("GET", "/B2C_1A_Sig/generateKey", 405),
        ("GET", "/B2C_1A_Sig/nothing", 400),
    ],
)
def test_not_there(bench, method, path, status):
    """No path and no method that the service does not have."""
    assert bench.graph(method, path).status_code == status


def test_head(bench):
    """HEAD answers like GET, without the body, and the connection goes on."""
    answer = bench.graph("HEAD", "/B2C_1A_Sig")
    assert (answer.status_code, answer.content) == (200, b"")
    assert bench.graph("GET", "/B2C_1A_Sig").status_code == 200


def test_body_too_long(bench):
    """A body beyond all reason is refused without being read."""
    headers = {"Authorization": f"Bearer {bench.token()}"}
    answer = bench.http.post(KEYSETS, content=iter([b"x"]), headers=headers)
    assert answer.status_code == 413


def test_origin_follows_client(bench):
    """Links name the emulator as the client does, if that is one of its names."""
    url = f"https://127.0.0.1:{bench.emulator.port}{KEYSETS}"
    assert bench.graph("GET", url).json()["@odata.context"].startswith(url[:20])
    strange = bench.graph("GET", headers={"Host": "elsewhere.example"})
    assert strange.json()["@odata.context"].startswith(bench.emulator.url)
