# mypy: disable-error-code="arg-type"
# Texts are given for enums, as users may.
"""Seeds: what a YAML file may say, and what is said about one that is wrong."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from emulator.harness import DAY, NOW

from rotator.emulator.http.certificates import client_certificate
from rotator.emulator.model.seed import (
    READ_ROLE,
    App,
    FederatedCredential,
    KeySeed,
    KeysetSeed,
    Secret,
    Seed,
    SeedError,
    TenantSeed,
)
from rotator.emulator.model.seed_file import load_seed
from rotator.emulator.model.switches import Status, Switches

FULL = """\
tenants:
  - domain: contoso.onmicrosoft.com
    id: 3A2F9A04-6b2c-4a58-9a9d-9f7f4be2d1c5
    apps:
      - client_id: app
        secrets: [{value: one}, {file: secret.txt, expires: now-1d}]
        certificates: [client.pem]
        federated:
          - {issuer: i, subject: s, audience: a, public_key_file: issuer.pem}
        roles: [TrustFrameworkKeySet.Read.All]
    keysets:
      - id: B2C_1A_Sig
        keys:
          - {use: sig, kty: RSA, nbf: now-80d, exp: now+11d1h}
          - {kid: k, nbf: 2027-01-15T08:00:00Z, exp: 1893456000, status: disabled}
          - {status: null, nbf: null}
      - id: B2C_1A_Empty
    policies: {B2C_1A_signin: [B2C_1A_Sig]}
    switches: {page_size: 3, tie_break: oldest}
  - domain: other.onmicrosoft.com
"""


def test_full(tmp_path):
    """Everything that may stand in a file, read."""
    _, certificate = client_certificate()
    public = (
        rsa.generate_private_key(65537, 2048)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    (tmp_path / "secret.txt").write_text("two\n")
    (tmp_path / "client.pem").write_text(certificate)
    (tmp_path / "issuer.pem").write_text(public)
    (tmp_path / "seed.yaml").write_text(FULL)
    app = App(
        client_id="app",
        secrets=(Secret(value="one"), Secret(value="two", expires=NOW - DAY)),
        certificates=(certificate,),
        federated=(FederatedCredential(issuer="i", subject="s", audience="a", public_key=public),),
        roles=(READ_ROLE,),
    )
    keys = (
        KeySeed(nbf=NOW - 80 * DAY, exp=NOW + 11 * DAY + 3600),
        KeySeed(kid="k", nbf=NOW, exp=1893456000, status=Status.DISABLED),
        KeySeed(status=None),
    )
    contoso = TenantSeed(
        id="3A2F9A04-6b2c-4a58-9a9d-9f7f4be2d1c5",
        apps=(app,),
        keysets=(KeysetSeed(id="B2C_1A_Sig", keys=keys), KeysetSeed(id="B2C_1A_Empty")),
        policies={"B2C_1A_signin": ("B2C_1A_Sig",)},
        switches=Switches(page_size=3, tie_break="oldest"),
    )
    other = TenantSeed(domain="other.onmicrosoft.com")
    assert load_seed(tmp_path / "seed.yaml", NOW) == Seed(tenants=(contoso, other))


MISTAKES = {
    "no tenants": ("{}", "tenants: is missing"),
    "empty": ("", "a mapping is expected"),
    "no list": ("tenants: 5", "tenants: a list is expected"),
    "no mapping": ("tenants: [5]", "tenants[0]: a mapping is expected"),
    "unknown": ("tenants: [{domian: x}]", "tenants[0].domian: there is no such member"),
    "unknown in app": ("tenants: [{apps: [{secret: x}]}]", "tenants[0].apps[0].secret: there is no"),
    "unknown in key": ("tenants: [{keysets: [{id: B2C_1A_X, keys: [{alg: x}]}]}]",
                       "tenants[0].keysets[0].keys[0].alg: there is no such member"),
    "twice": ("tenants: []\ntenants: []", "line 2, column 1: duplicate key tenants"),
    "no YAML": ("tenants: [", "line 1, column 11: "),
    "tab": ("tenants:\n\t- x", "line 2, column 1: found character '\\t'"),
    "bad id": ("tenants: [{id: x}]", "tenants[0].id: 'x' is not a GUID"),
    "number as id": ("tenants: [{id: 5}]", "tenants[0].id: a text is expected"),
    "bad keyset": ("tenants: [{keysets: [{id: X}]}]", "tenants[0].keysets[0].id: 'X' is not the id of a keyset"),
    "no keyset id": ("tenants: [{keysets: [{}]}]", "tenants[0].keysets[0].id: is missing"),
    "keyset twice": ("tenants: [{keysets: [{id: B2C_1A_X}, {id: B2C_1A_X}]}]",
                     "tenants[0].keysets: duplicate id B2C_1A_X"),
    "kid twice": ("tenants: [{keysets: [{id: B2C_1A_X, keys: [{kid: a}, {kid: a}]}]}]",
                  "tenants[0].keysets[0].keys: duplicate kid a"),
    "mixed use": ("tenants: [{keysets: [{id: B2C_1A_X, keys: [{use: enc}, {}]}]}]",
                  "tenants[0].keysets[0].keys: a keyset has one use, not enc and sig"),
    "bad use": ("tenants: [{keysets: [{id: B2C_1A_X, keys: [{use: x}]}]}]",
                "keys[0].use: 'x' is not one of sig, enc"),
    "bad kty": ("tenants: [{keysets: [{id: B2C_1A_X, keys: [{kty: EC}]}]}]",
                "keys[0].kty: 'EC' is not one of RSA, rsa, oct, OCT"),
    "bad status": ("tenants: [{keysets: [{id: B2C_1A_X, keys: [{status: on}]}]}]",
                   "keys[0].status: True is not 'enabled' or 'disabled'"),
    "bad date": ("tenants: [{keysets: [{id: B2C_1A_X, keys: [{nbf: soon}]}]}]",
                 "keys[0].nbf: 'soon' is not an instant"),
    "tenant twice": ("tenants: [{}, {}]", "tenants: duplicate id "),
    "app twice": ("tenants: [{apps: [{client_id: a}, {client_id: A}]}]",
                  "tenants[0].apps: duplicate client_id a"),
    "bad policy": ("tenants: [{policies: {P: [B2C_1A_X]}}]",
                   "tenants[0].policies.P: there is no keyset B2C_1A_X"),
    "bad switch": ("tenants: [{switches: {x: 1}}]", "tenants[0].switches.x: there is no such"),
    "secret": ("tenants: [{apps: [{secrets: [{}]}]}]",
               "tenants[0].apps[0].secrets[0]: a secret has either a value or a file"),
    "secret file": ("tenants: [{apps: [{secrets: [{file: no}]}]}]",
                    "tenants[0].apps[0].secrets[0].file: "),
    "certificate": ("tenants: [{apps: [{certificates: [seed.yaml]}]}]",
                    "tenants[0].apps[0].certificates[0]: seed.yaml is not the PEM file"),
    "federated": ("tenants: [{apps: [{federated: [{issuer: i}]}]}]",
                  "tenants[0].apps[0].federated[0].subject: is missing"),
    "federated key": (
        "tenants: [{apps: [{federated: [{issuer: i, subject: s, public_key_file: seed.yaml}]}]}]",
        "federated[0].public_key_file: seed.yaml is not the PEM file"),
    "set": ("tenants: !!set {a, b}", "holds something that JSON does not have"),
    "two": ("tenants: [{domain: 1, id: 2}]", "tenants[0].domain: a text is expected (and 1 more)"),
    "members": ("tenants: [{apps: [{federated: [{issuer: i, subject: s, public_key: p, key: x}]}]}]",
                "tenants[0].apps[0].federated[0].key: there is no such member; there are issuer, subject, public_key"),
    "tag": ("!!python/object:os.system x", "could not determine a constructor"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistake(tmp_path, text, message):
    """A mistake is one line, with the file and the place in it."""
    file = tmp_path / "seed.yaml"
    file.write_text(text)
    with pytest.raises(SeedError) as told:
        load_seed(file, NOW)
    line = str(told.value)
    assert line.startswith(f"{file}: ")
    assert message in line
    assert "\n" not in line


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_unreadable(tmp_path, name):
    """So is a file that cannot be read."""
    with pytest.raises(SeedError, match="cannot be read"):
        load_seed(tmp_path / name, NOW)
