"""The control endpoints."""

import json

import pytest
from emulator.harness import DAY, NOW

TENANT = "/_emulator/tenants/contoso.onmicrosoft.com"


def test_overview(bench):
    """The root says what there is."""
    body = bench.http.get("/_emulator/").json()
    (tenant,) = body["tenants"]
    assert (body["url"], body["now"]) == (bench.emulator.url, NOW)
    assert tenant["domain"] == "contoso.onmicrosoft.com"
    assert tenant["keysets"][0] == "B2C_1A_Sig"
    assert tenant["policies"] == {"B2C_1A_signin": ["B2C_1A_Sig"]}


def test_faults(bench):
    """A fault can be injected, listed, released and removed."""
    made = bench.http.post("/_emulator/faults", json={"what": "status", "where": "generate_key", "status": 503}).json()
    assert bench.generate().status_code == 503
    (listed,) = bench.http.get("/_emulator/faults").json()["faults"]
    assert (listed["number"], listed["hits"], listed["status"]) == (made["number"], 1, 503)
    assert bench.http.post(f"/_emulator/faults/{made['number']}/release").status_code == 200
    assert bench.http.delete(f"/_emulator/faults/{made['number']}").status_code == 200
    assert bench.generate().status_code == 200


def test_faults_all_removed(bench):
    """All can be removed at once."""
    for _ in range(2):
        bench.http.post("/_emulator/faults", json={"what": "reset"})
    bench.http.delete("/_emulator/faults")
    assert bench.emulator.faults.active == ()


def test_requests(bench):
    """What was asked can be read, by operation, and forgotten; without a secret."""
    bench.generate()
    bench.graph("GET")
    seen = bench.http.get("/_emulator/requests").json()["requests"]
    assert [each["operation"] for each in seen] == ["token", "generate_key", "list_keysets"]
    assert seen[1]["status"] == 200
    assert seen[1]["committed"] is True
    assert "emulator-secret" not in str(seen)
    (one,) = bench.http.get("/_emulator/requests?operation=token").json()["requests"]
    assert "client_secret=%2A%2A%2A" in one["body"]
    bench.http.delete("/_emulator/requests")
    assert bench.http.get("/_emulator/requests").json()["requests"] == []


def test_wait(bench):
    """Another process can wait until a request got so far."""
    bench.generate()
    url = "/_emulator/wait?operation=generate_key&stage=committed&timeout=0"
    assert bench.http.get(url).json() == {"reached": True}
    assert bench.http.get(f"{url}&count=2").json() == {"reached": False}


def test_errors(bench):
    """Bugs are reported."""
    assert bench.http.get("/_emulator/errors").json() == {"errors": []}


def test_clock(bench):
    """The emulated time can be moved, by an offset or to an instant."""
    assert bench.http.get("/_emulator/clock").json() == {"now": NOW, "offset": 0}
    moved = bench.http.put("/_emulator/clock", json={"offset": 60}).json()
    assert moved == {"now": NOW + 60, "offset": 60}
    bench.http.put("/_emulator/clock", json={"now": "now+1d"})
    assert bench.emulator.now() == NOW + 60 + DAY
    assert bench.graph("GET").headers["date"] == "Sat, 16 Jan 2027 08:01:00 GMT"


def test_switches(bench):
    """A tenant's switches can be read and turned."""
    assert bench.http.get(f"{TENANT}/switches").json()["page_size"] is None
    turned = bench.http.patch(f"{TENANT}/switches", json={"page_size": 2}).json()
    assert turned["page_size"] == 2
    assert "@odata.nextLink" in bench.graph("GET").json()


def test_keys_of_a_person(bench):
    """A person can add a key and change its status; the history knows who it was."""
    url = f"{TENANT}/keysets/B2C_1A_Sig"
    made = bench.http.post(f"{url}/keys", json={"nbf": "now+1d", "exp": NOW + 9 * DAY}).json()
    assert (made["nbf"], made["use"], made["status"]) == (NOW + DAY, "sig", "enabled")
    changed = bench.http.patch(f"{url}/keys/{made['kid']}", json={"status": "disabled"}).json()
    assert changed["status"] == "disabled"
    body = bench.http.get(f"{url}?start=now-1d&end={NOW + 20 * DAY}").json()
    assert [event["what"] for event in body["history"]] == [
        "created",
        "key_added",
        "key_added",
        "status_set",
    ]
    assert [event["by"] for event in body["history"]] == ["seed", "seed", "person", "person"]
    assert [event["instant"] for event in body["history"]] == [None, None, NOW, NOW]
    assert body["active_kid"] == "first"
    assert body["gaps"] == [{"start": NOW + 10 * DAY, "end": NOW + 20 * DAY}]
    assert body["signers"][0] == {"kid": "first", "start": NOW - DAY, "end": NOW + 10 * DAY}


def test_keysets(bench):
    """All keysets, deleted ones as such; and no key material."""
    bench.tenant.delete("B2C_1A_Enc")
    text = bench.http.get(f"{TENANT}/keysets").text
    body = {each["id"]: each for each in bench.http.get(f"{TENANT}/keysets").json()["keysets"]}
    assert (body["B2C_1A_Enc"]["exists"], body["B2C_1A_Enc.bak"]["exists"]) == (False, True)
    assert '"secret"' not in text
    assert '"rsa"' not in text


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/no", None, 404),
        ("DELETE", "/clock", None, 405),
        ("PUT", "/clock", {}, 400),
        ("PUT", "/clock", {"offset": "x"}, 400),
        ("PUT", "/clock", {"now": "soon"}, 400),
        ("POST", "/faults", {}, 400),
        ("POST", "/faults", {"what": "x"}, 400),
        ("POST", "/faults", {"what": "slow"}, 400),
        ("POST", "/faults", {"what": "reset", "no": 1}, 400),
        ("POST", "/faults", [], 400),
        ("DELETE", "/faults/9", None, 404),
        ("GET", "/requests?operation=x", None, 400),
        ("GET", "/wait", None, 400),
        ("GET", "/wait?operation=token&count=x", None, 400),
        ("GET", "/wait?operation=token&count=nan", None, 400),
        ("GET", "/tenants/no/switches", None, 404),
        ("PATCH", "/tenants/contoso.onmicrosoft.com/switches", {"x": 1}, 400),
        ("GET", "/tenants/contoso.onmicrosoft.com/keysets/no", None, 404),
        ("GET", "/tenants/contoso.onmicrosoft.com/keysets/B2C_1A_Sig?start=x", None, 400),
        ("POST", "/tenants/contoso.onmicrosoft.com/keysets/B2C_1A_Sig/keys", {"use": "x"}, 400),
        ("POST", "/tenants/contoso.onmicrosoft.com/keysets/B2C_1A_Sig/keys", {"use": "enc"}, 409),
        ("POST", "/tenants/contoso.onmicrosoft.com/keysets/B2C_1A_Sig/keys", {"nbf": "x"}, 400),
        ("PATCH", "/tenants/contoso.onmicrosoft.com/keysets/B2C_1A_Sig/keys/no",
         {"status": "enabled"}, 409),
        ("PATCH", "/tenants/contoso.onmicrosoft.com/keysets/B2C_1A_Sig/keys/first",
         {"status": "x"}, 400),
    ],
)  # fmt: skip
def test_mistakes(bench, method, path, body, status):
    """A mistake is told in one line, and is not a bug."""
    more = {} if body is None else {"json": body}
    answer = bench.http.request(method, f"/_emulator{path}", **more)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_not_json(bench):
    """A body that is not JSON is refused with a message."""
    answer = bench.http.post("/_emulator/faults", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_body_that_is_not_declared_as_json(bench, kind):
    """A page in a browser can send such a body to any host: it does nothing."""
    headers = {} if kind is None else {"Content-Type": kind}
    answer = bench.http.post("/_emulator/faults", content=b'{"what": "reset"}', headers=headers)
    assert (answer.status_code, "Content-Type: application/json" in answer.text) == (415, True)
    assert bench.http.get("/_emulator/faults").json() == {"faults": []}
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert bench.http.post("/_emulator/faults", content=b'{"what": "reset"}', headers=headers).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost", "https://localhost:1", ""])
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("DELETE", "/faults"), ("POST", "/faults/1/release")])
def test_foreign_origin(bench, origin, method, path):
    """A page of another origin is refused, whatever it asks for."""
    answer = bench.http.request(method, f"/_emulator{path}", headers={"Origin": origin})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "EmulatorControl")


def test_own_origin(bench):
    """A page of the emulator itself is not foreign."""
    url = bench.http.get("/_emulator/").json()["url"]
    assert bench.http.get("/_emulator/faults", headers={"Origin": url}).status_code == 200


@pytest.mark.parametrize(
    "body", [{"offset": 1e308}, {"offset": -1e308}, {"offset": 1e12}, {"now": 10**300}, {"now": 10**12}, {"now": -1}]
)
def test_clock_that_would_leave_the_calendar(bench, body):
    """An offset with which no instant can be written is refused, and the clock stays as it is."""
    answer = bench.http.put("/_emulator/clock", json=body)
    assert (answer.status_code, "would leave 1970 to 9998" in answer.text) == (400, True)
    assert bench.http.get("/_emulator/clock").json() == {"now": NOW, "offset": 0}


def test_one_form(start, tmp_path):
    """Events and keys are shown as the state file has them, without their secrets."""
    bench = start(state=tmp_path / "state.json")
    bench.generate()
    bench.graph("PUT", "/B2C_1A_Secret", {"keys": [{"kty": "oct", "k": "hush", "use": "sig"}]})
    (saved,) = json.loads((tmp_path / "state.json").read_text())["tenants"]
    for keyset in saved["keysets"]:
        for event in keyset["events"]:
            for key in [*event.get("keys", ()), *([event["key"]] if "key" in event else ())]:
                assert {"rsa", "secret"} <= key.keys()
                del key["rsa"], key["secret"]
        assert bench.http.get(f"{TENANT}/keysets/{keyset['id']}").json()["history"] == keyset["events"]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/faults", {"what": "hang", "delay": -1}, "delay: -1 is less than 0"),
        ("/faults", {"what": "hang", "delay": "1"}, "delay: '1' is not a finite number"),
        ("/faults", {"what": "x", "times": 0}, "what: 'x' is not 'hang', "),
        ("/faults", {"what": "x", "times": 0}, "(and 1 more)"),
        ("/faults", {"what": "hang", "how": 1}, "how: there is no such member; there are what, where, "),
        (f"{TENANT[10:]}/keysets/B2C_1A_Sig/keys", {"use": 5}, "use: a text is expected"),
    ],
)
def test_mistake_is_worded(bench, path, body, message):
    """A mistake begins with its path, and is said in words for people."""
    told = bench.http.post(f"/_emulator{path}", json=body).json()["error"]["message"]
    assert message in told
    assert "pydantic" not in told
    assert "http" not in told


def test_deep_body(bench):
    """A body that is nested too deep to be read is refused like any other, and is not a bug."""
    headers = {"Authorization": f"Bearer {bench.token()}", "Content-Type": "application/json"}
    for depth in (500, 50_000):
        body = b"[" * depth + b"]" * depth
        answer = bench.http.post("/beta/trustFramework/keySets", content=body, headers=headers)
        assert answer.status_code == 400
