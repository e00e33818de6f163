"""The state file: what is kept over a restart."""

import json
import stat

import pytest
from emulator.harness import DAY, NOW

from rotator.emulator.http.certificates import client_certificate
from rotator.emulator.model.seed import App, FederatedCredential, KeySeed, Secret
from rotator.emulator.model.switches import Status
from rotator.emulator.state import StateError


def test_everything_kept(start, tmp_path):
    """Keys, statuses, history, apps and switches are as they were."""
    file = tmp_path / "state.json"
    bench = start(state=file)
    made = bench.generate().json()["kid"]
    bench.tenant.set_status("B2C_1A_Sig", "first", Status.DISABLED)
    bench.graph("POST", body={"id": "New"})
    bench.graph("DELETE", "/B2C_1A_Enc")
    bench.graph("PUT", "/B2C_1A_Empty", {"keys": [
        {"kty": "RSA", "use": "sig", "n": "rd54sw", "e": "AQAB"}]})  # fmt: skip
    _, certificate = client_certificate()
    credential = FederatedCredential(issuer="i", subject="s", public_key="p")
    bench.tenant.register(App(client_id="other", secrets=(Secret(value="s", expires=5),),
                              certificates=(certificate,), federated=(credential,), roles=()))  # fmt: skip
    bench.tenant.switch(page_size=3, tie_break="oldest")
    bench.emulator.move_time(60)
    before = bench.graph("GET").json()
    shown = bench.http.get("/contoso.onmicrosoft.com/B2C_1A_signin/discovery/v2.0/keys").json()
    bench.emulator.close()

    again = start(state=file)
    one, two = bench.tenant, again.tenant
    assert [made] == again.kids()[1:]
    assert {**again.graph("GET").json(), "@odata.context": 0, "@odata.nextLink": 0} == {
        **before, "@odata.context": 0, "@odata.nextLink": 0}  # fmt: skip
    policy = "/contoso.onmicrosoft.com/B2C_1A_signin/discovery/v2.0/keys"
    assert again.http.get(policy).json() == shown
    assert (two.apps, two.switches, two.policies) == (one.apps, one.switches, one.policies)
    assert again.emulator.now() == NOW + 60
    assert [keyset.events for keyset in two.all_keysets()] == [keyset.events for keyset in one.all_keysets()]
    for keyset in ("B2C_1A_Sig", "B2C_1A_Enc"):
        span = (NOW - DAY, NOW + 100 * DAY)
        assert two.signers(keyset, *span) == one.signers(keyset, *span)


def test_same_trust(start, tmp_path):
    """Clients go on trusting, and tokens go on being good."""
    file = tmp_path / "state.json"
    bench = start(state=file)
    token = bench.token()
    ca = bench.emulator.ca_file.read_text()
    port = bench.emulator.port
    bench.emulator.close()
    again = start(state=file)
    assert again.emulator.ca_file.read_text() == ca
    # The port is another one here, which a token for it would not survive.
    expected = 200 if again.emulator.port == port else 401
    assert again.graph("GET", token=token).status_code == expected


def test_private(start, tmp_path):
    """The file is its owner's only, and nothing else is left beside it."""
    file = tmp_path / "state.json"
    bench = start(state=file)
    bench.generate()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_written_at_every_commit(start, tmp_path):
    """An emulator that dies has lost nothing: a write is in the file before it is answered."""
    file = tmp_path / "state.json"
    bench = start(state=file)
    for _ in range(3):
        made = bench.generate().json()["kid"]
        assert made in file.read_text()
    kid = bench.tenant.add_key("B2C_1A_Empty", KeySeed()).kid
    assert kid in file.read_text()


def test_seed_does_not_count(start, tmp_path):
    """If there is a state, the seed is not planted again."""
    file = tmp_path / "state.json"
    start(state=file).graph("DELETE", "/B2C_1A_Sig")
    assert "B2C_1A_Sig" not in [view.id for view in start(state=file).tenant.read()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a state file"),
        ("{}", "is not a state file"),
        ("[]", "is not a state file"),
        (json.dumps({"version": 99}), "version: 99 is not one of 1"),
        (json.dumps({"version": 1, "authority": {}, "signing": 5}), "is not a state file"),
    ],
)
def test_damaged(start, tmp_path, text, message):
    """A file that is not a state file is an error of one line with its name, and is not changed."""
    file = tmp_path / "state.json"
    file.write_text(text)
    with pytest.raises(StateError, match=message) as told:
        start(state=file)
    assert str(file) in str(told.value)
    assert file.read_text() == text


def test_unwritable(start, tmp_path):
    """A file that cannot be written says so at once."""
    with pytest.raises(StateError, match="cannot be written"):
        start(state=tmp_path / "missing" / "state.json")
