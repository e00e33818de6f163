"""Each unknown of the service, both ways."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from emulator.harness import DAY, NOW

from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import Status, SwitchError, Switches, TieBreak


def refusal(answer):
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({}, (400, "AADB2C90073")),
        ({"missing_keyset_status": 404}, (404, "AADB2C90073")),
        ({"missing_keyset_code": "AADB2C90130"}, (400, "AADB2C90130")),
    ],
)
def test_missing_keyset(start, switches, expected):
    """A missing keyset is a 400 or a 404."""
    assert refusal(start(**switches).graph("GET", "/B2C_1A_No")) == expected


@pytest.mark.parametrize("status", [400, 409])
def test_existing_keyset(start, status):
    """Creating what exists is a 400 or a 409."""
    bench = start(existing_keyset_status=status)
    assert refusal(bench.graph("POST", body={"id": "Sig"})) == (status, "AADB2C95028")


@pytest.mark.parametrize("status", [400, 404])
def test_missing_key(start, status):
    """A missing kid is a 404 or a 400."""
    bench = start(missing_key_status=status)
    assert bench.graph("GET", "/B2C_1A_Sig/keys_v2/no").status_code == status


@pytest.mark.parametrize("status", [204, 400, 404])
def test_no_active_key(start, status):
    """If no key is valid, getActiveKey says so in one of three ways."""
    answer = start(no_active_key_status=status).graph("GET", "/B2C_1A_Empty/getActiveKey")
    assert answer.status_code == status
    assert status == 204 or answer.json()["error"]["code"] == "AADB2C90220"


@pytest.mark.parametrize("status", [None, Status.ENABLED, Status.DISABLED])
def test_generated_status(start, status):
    """A generated key comes without status, enabled, or disabled."""
    assert start(generated_status=status).generate().json()["status"] == status


@pytest.mark.parametrize("status", [None, Status.ENABLED, Status.DISABLED])
def test_uploaded_status(start, status):
    """So does an uploaded one."""
    bench = start(uploaded_status=status)
    body = {"use": "sig", "k": "abc"}
    assert bench.graph("POST", "/B2C_1A_Secret/uploadSecret", body).json()["status"] == status


@pytest.mark.parametrize("shown", [True, False])
def test_status_shown(start, shown):
    """The status may not be shown at all."""
    bench = start(status_shown=shown)
    assert ("status" in bench.generate().json()) is shown
    assert ("status" in bench.graph("GET", "/B2C_1A_Sig").json()["keys"][0]) is shown


@pytest.mark.parametrize(("lead", "status"), [(0, 200), (3600, 200), (3601, 400)])
def test_minimum_nbf_lead(start, lead, status):
    """An nbf that is too near is refused, to the second, if there is such a rule."""
    bench = start(minimum_nbf_lead=lead, minimum_nbf_lead_code="AADB2C00000")
    answer = bench.generate(nbf=NOW + 3600)
    assert answer.status_code == status
    assert status == 200 or refusal(answer) == (400, "AADB2C00000")


@pytest.mark.parametrize(("refused", "status"), [(False, 200), (True, 400)])
def test_exp_before_nbf(start, refused, status):
    """A key that ends before it begins is taken, or not."""
    bench = start(exp_before_nbf_refused=refused)
    assert bench.generate(nbf=NOW + DAY, exp=NOW + DAY).status_code == status


@pytest.mark.parametrize(("refused", "status"), [(False, 200), (True, 400)])
def test_past_exp(start, refused, status):
    """A key that has ended is taken, or not."""
    bench = start(past_exp_refused=refused)
    assert bench.generate(nbf=NOW - DAY, exp=NOW).status_code == status


@pytest.mark.parametrize(("refused", "status"), [(True, 400), (False, 200)])
def test_nulls(start, refused, status):
    """A null in a body is refused, or as good as nothing."""
    body = {"use": "sig", "kty": "RSA", "nbf": None}
    bench = start(nulls_refused=refused)
    assert bench.graph("POST", "/B2C_1A_Sig/generateKey", body).status_code == status


@pytest.mark.parametrize(("strings", "kind"), [(False, int), (True, str)])
def test_string_dates(start, strings, kind):
    """Dates travel as numbers or as texts."""
    (key,) = start(string_dates=strings).graph("GET", "/B2C_1A_Sig").json()["keys"]
    assert (type(key["nbf"]), int(key["nbf"])) == (kind, NOW - 80 * DAY)


@pytest.mark.parametrize("wrapped", [False, True])
def test_single_key_wrapped(start, wrapped):
    """A single key comes bare, or inside `value`."""
    body = start(single_key_wrapped=wrapped).graph("GET", "/B2C_1A_Sig/keys_v2/first").json()
    assert (body["value"] if wrapped else body)["kid"] == "first"


def test_trailing_comma(start):
    """The answer of generateKey may be as broken as its published example."""
    assert start(trailing_comma=True).generate().text.endswith(",}")
    assert not start().generate().text.endswith(",}")


def test_update_answers_key(start):
    """A PATCH may answer with the key."""
    path, body = "/B2C_1A_Sig/keys_v2/first", {"status": "disabled"}
    answer = start(update_answers_key=True).graph("PATCH", path, body)
    assert (answer.status_code, answer.json()["status"]) == (200, "disabled")


def test_page_size(start):
    """Pages hold so many keysets, and link to the next until the last."""
    bench = start(page_size=3)
    first = bench.graph("GET").json()
    second = bench.graph("GET", first["@odata.nextLink"]).json()
    ids = [keyset["id"] for page in (first, second) for keyset in page["value"]]
    assert ids == ["B2C_1A_Sig", "B2C_1A_Empty", "B2C_1A_Enc", "B2C_1A_Secret"]
    assert "@odata.nextLink" not in second


def test_page_size_even(start):
    """A last page that is full links nowhere."""
    assert "@odata.nextLink" not in start(page_size=4).graph("GET").json()


def test_skip_token_garbage(start):
    """A skip token of somebody's own is refused."""
    bench = start(page_size=2)
    url = f"{bench.emulator.url}/beta/trustFramework/keySets?$skiptoken=x"
    assert bench.graph("GET", url).status_code == 400


@pytest.mark.parametrize("member", ["innerError", "innererror"])
def test_inner_error_member(start, member):
    """The inner error is spelled in either way."""
    assert member in start(inner_error_member=member).graph("GET", "/no").json()["error"]


@pytest.mark.parametrize(
    ("switches", "spelling", "status"),
    [
        ({}, "Sig", 400),
        ({"unprefixed_ids_resolve": True}, "Sig", 200),
        ({}, "b2c_1a_sig", 400),
        ({"ids_ignore_case": True}, "b2c_1a_sig", 200),
    ],
)
def test_id_spelling(start, switches, spelling, status):
    """Ids are taken letter by letter, unless a switch says otherwise."""
    answer = start(**switches).graph("GET", f"/{spelling}")
    assert answer.status_code == status
    assert status == 400 or answer.json()["id"] == "B2C_1A_Sig"


@pytest.mark.parametrize(("tie_break", "place"), [(TieBreak.NEWEST, 1), (TieBreak.OLDEST, 0)])
@pytest.mark.parametrize("nbf", [NOW, None])
def test_tie_break(start, tie_break, place, nbf):
    """Of keys with one nbf, or with none, the newest or the oldest is active."""
    bench = start(tie_break=tie_break)
    kids = [bench.tenant.add_key("B2C_1A_Empty", KeySeed(nbf=nbf)).kid for _ in range(2)]
    active = bench.graph("GET", "/B2C_1A_Empty/getActiveKey").json()
    assert active["kid"] == kids[place]


def test_read_after_write_delay(start):
    """A new key, and a new status, show in lists and gets only after the delay."""
    bench = start(read_after_write_delay=5, generated_status="disabled")
    made = bench.generate().json()["kid"]
    bench.clock.move(1)
    bench.graph("PATCH", f"/B2C_1A_Sig/keys_v2/{made}", {"status": "enabled"})
    seen = []
    for seconds in (3.9, 0.1, 0.9, 0.1):
        bench.clock.move(seconds)
        keys = bench.graph("GET", "/B2C_1A_Sig").json()["keys"]
        assert bench.graph("GET").json()["value"][0]["keys"] == keys
        seen.append([key["status"] for key in keys if key["kid"] == made])
    assert seen == [[], ["disabled"], ["disabled"], ["enabled"]]


def test_read_after_write_created(start):
    """A new keyset is late, too."""
    bench = start(read_after_write_delay=5)
    bench.graph("POST", body={"id": "New"})
    assert bench.graph("GET", "/B2C_1A_New").status_code == 400
    bench.clock.move(5)
    assert bench.graph("GET", "/B2C_1A_New").status_code == 200


def test_read_path_flapping(start):
    """Where nodes differ, every other read knows of the new key."""
    bench = start(read_after_write_delay=5, read_path="flapping")
    bench.generate()
    counts = [len(bench.graph("GET", "/B2C_1A_Sig").json()["keys"]) for _ in range(4)]
    assert counts == [2, 1, 2, 1]


@pytest.mark.parametrize("status", [400, 409, 412, 423])
def test_write_duration_parallel(start, status):
    """Of two writes to one keyset at the same time one is refused; to two keysets, none."""
    bench = start(write_duration=1, concurrent_write_status=status)
    bench.token()
    with ThreadPoolExecutor() as pool:
        keysets = ["B2C_1A_Sig", "B2C_1A_Sig", "B2C_1A_Empty"]
        answers = list(pool.map(bench.generate, keysets))
    assert sorted(answer.status_code for answer in answers) == [200, 200, status]
    assert answers[2].status_code == 200
    assert {refusal(each) for each in answers[:2] if each.status_code != 200} == {(status, "AADB2C95053")}
    assert (len(bench.kids()), len(bench.kids("B2C_1A_Empty"))) == (2, 1)


def test_write_duration_none(bench):
    """Writes that take no time are never parallel."""
    bench.token()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(bench.generate, ["B2C_1A_Sig"] * 40))
    assert {answer.status_code for answer in answers} == {200}
    assert len(set(bench.kids())) == 41


def test_switch_at_run_time(bench):
    """A switch counts from the next request on."""
    bench.emulator.switch(string_dates=True)
    assert isinstance(bench.generate().json()["nbf"], str)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"no_such": 1}, "no_such: there is no such member"),
        ({"page_size": "3"}, "page_size: '3' is not a whole number"),
        ({"page_size": 0}, "page_size: 0"),
        ({"status_shown": 1}, "status_shown: 1 is not true or false"),
        ({"tie_break": "random"}, "tie_break: 'random' is not 'newest' or 'oldest'"),
        ({"missing_keyset_status": 500}, "missing_keyset_status: 500 is not one of 400, 404"),
        ({"jwks_delay": -1}, "jwks_delay: -1"),
        ({"throttle_per_app": True}, "throttle_per_app: True"),
    ],
)
def test_switch_mistakes(change, message):
    """A mistake names the switch."""
    with pytest.raises(SwitchError, match=message.replace("(", ".")):
        replace(Switches(), **change)
