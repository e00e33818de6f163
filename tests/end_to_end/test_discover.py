"""`discover` on tenants made after real ones: what it prints is a configuration, and nothing is written."""

import io
import json
import os
import time
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import pytest
import yaml
from edges.test_x5c import ISSUER, LEAF
from end_to_end.harness import DAY, SECRET, Bench, Finished, Keyset, Tenant, fresh, key
from end_to_end.test_terminal import Terminal

from rotator import cli
from rotator.edges.clouds import CLOUDS, CloudRoots
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import DEMO_CLIENT_ID, READ_ROLE, KeySeed, KeysetSeed
from rotator.emulator.model.switches import Status, Switches

LONG_AGO = int(time.time()) - 900 * int(DAY)
SIGNING, ENCRYPTION = "B2C_1A_TokenSigningKeyContainer", "B2C_1A_TokenEncryptionKeyContainer"
ALL_CHARACTERS = "B2C_1A_" + "AZaz09_-" * 5
SEED = (
    KeysetSeed(id=SIGNING, keys=(KeySeed(kid="first"), *(key(age=age, kty="rsa") for age in (200, 100, 10)))),
    KeysetSeed(id=ENCRYPTION, keys=(key(age=10, use="enc"),)),
    KeysetSeed(
        id="B2C_1A_SamlMessageSigning",
        keys=(KeySeed(use=None, nbf=LONG_AGO, exp=LONG_AGO + 1800 * int(DAY), x5c=(LEAF, ISSUER)),),
    ),
    KeysetSeed(id="B2C_1A_Damaged", keys=(KeySeed(use=None, x5c=("MIIC",)),)),
    KeysetSeed(id="B2C_1A_FacebookSecret", keys=(KeySeed(kty="OCT"),)),
    KeysetSeed(id=ALL_CHARACTERS, keys=(key(age=10), key(age=5, status=Status.DISABLED))),
    KeysetSeed(id="B2C_1A_Empty"),
    KeysetSeed(id="B2C_1A_Facebook.bak", keys=(KeySeed(kty="oct"),)),
)
CONFIGURABLE = [each.id for each in SEED[:6]]


def begin(bench: Bench, **more: object) -> None:
    """A tenant with the seed, and a configuration that names one keyset of it."""
    keysets = (fresh("B2C_1A_Configured"),)
    bench.begin(Tenant(keysets=keysets, others=SEED, roles=(READ_ROLE,)), **more)


def saved(bench: Bench, text: str) -> list[dict[str, object]]:
    """Have *text* as the configuration; the keysets of its only tenant."""
    bench.config.write_text(text, encoding="utf-8")
    (tenant,) = yaml.safe_load(text)["tenants"]
    keysets: list[dict[str, object]] = tenant["keysets"]
    return keysets


def check_round_trip(bench: Bench) -> None:
    """The configuration is valid as it stands, and a dry run holds everything."""
    assert bench.check().code == 0
    rows = bench.run("--dry-run", "--output", "json").rows
    assert {row["outcome"] for row in rows} == {"held"}


def test_discover_prints_a_configuration(bench: Bench) -> None:
    """What can be configured is, in mode observe; the rest is named in comments, as is what is there."""
    begin(bench)
    run = bench.run("discover")
    assert (run.code, run.err) == (0, "")
    assert len(bench.asked(Operation.LIST_KEYSETS)) == 1
    assert bench.asked(Operation.GET_KEYSET) == bench.asked(Operation.GENERATE_KEY) == ()
    keysets = saved(bench, run.out)
    by_id = {str(each.pop("id")): each for each in keysets}
    assert list(by_id) == ["B2C_1A_Configured", *CONFIGURABLE]
    observed = {"use": "sig", "mode": "observe"}
    assert by_id[SIGNING] == observed
    assert by_id[ENCRYPTION] == {"use": "enc", "mode": "observe", "overlap": "15d"}
    assert by_id["B2C_1A_SamlMessageSigning"] == by_id["B2C_1A_Damaged"] == observed
    assert by_id["B2C_1A_FacebookSecret"] == {**observed, "kty": "oct"}
    for line in (
        "# It is configured already, with mode: rotate.",
        "# RSA sig, 4 keys, covered until ",
        "#   first: undated, - to -",
        "# Certificate: CN=saml.contoso.com, expires 2031-01-01T00:00:00Z; another certificate of its chain expires",
        "# Certificate: cannot be read. People upload the next one",
        "#   B2C_1A_Empty: it has no keys",
        "#   B2C_1A_Facebook.bak: a backup that B2C keeps of a deleted keyset",
    ):
        assert line in run.out
    assert LEAF[:40] not in run.out
    check_round_trip(bench)


def test_discover_of_600_keysets_over_pages(bench: Bench) -> None:
    """Every page is read once, and the configuration has them all."""
    others = tuple(KeysetSeed(id=f"B2C_1A_Keyset{number}", keys=(key(age=10),)) for number in range(600))
    bench.begin(Tenant(keysets=(fresh(),), others=others, switches=Switches(page_size=100)))
    run = bench.run("discover", "--tenant", "contoso")
    assert len(saved(bench, run.out)) == 601
    assert len(bench.asked(Operation.LIST_KEYSETS)) == 7
    assert bench.check().code == 0


def test_status_shows_what_is_not_configured(bench: Bench) -> None:
    """With --all there is a row for each, from the same request; without it there is none."""
    begin(bench)
    run = bench.run("status", "--all")
    assert run.code == 0, run.err
    text = " ".join(run.out.split())
    assert "contoso: 7 keysets not configured; 1 backup (.bak)" in text
    assert "B2C_1A_SamlMessageSigning RSA: covered until " in text
    assert "certificate CN=saml.contoso.com, expires 2031-01-01T00:00:00Z" in text
    assert "B2C_1A_FacebookSecret oct sig: no end" in text
    assert len(bench.asked(Operation.LIST_KEYSETS)) == 1
    document = bench.run("status", "--all", "--output", "json").document
    (inventory,) = document["inventory"]
    rows = {row["keyset"]: row for row in inventory["keysets"]}
    assert (inventory["tenant"], inventory["left_out"], inventory["backups"]) == ("contoso", 0, 1)
    assert rows["B2C_1A_SamlMessageSigning"]["certificate_expires"] == "2030-07-02T12:00:00Z"
    assert rows["B2C_1A_Empty"]["cover"] == "none"
    without = bench.run("status")
    assert "not configured" not in without.out
    assert "inventory" not in bench.run("status", "--output", "json").document


def test_certificates_that_cannot_be_read_harm_nothing_else(bench: Bench) -> None:
    """Each is shown as such, configured or not; the other keysets of the same list are as they would be without."""
    hostile = {"NotBase64": ("%%%",), "NotDer": ("MIIC",), "Many": ("MIIC",) * 10_000, "Large": ("A" * 5_000_000,)}
    keysets = {name: (KeySeed(use=None, nbf=LONG_AGO, x5c=x5c),) for name, x5c in hostile.items()}
    configured = Keyset(id="B2C_1A_NotDer", keys=keysets.pop("NotDer"), wanted={"mode": "observe"})
    others = tuple(KeysetSeed(id=f"B2C_1A_{name}", keys=keys) for name, keys in keysets.items())
    healthy = KeysetSeed(id="B2C_1A_Healthy", keys=(KeySeed(use=None, x5c=(LEAF,)),))
    bench.begin(Tenant(keysets=(fresh(), configured), others=(*others, healthy)))
    run = bench.run("status", "--all", "--output", "json")
    assert run.code == 0, run.err
    rows = {row["keyset"]: row for row in run.rows}
    assert rows["B2C_1A_Fresh"]["reason"] == "not_due"
    (damaged,) = rows["B2C_1A_NotDer"]["keys"]
    assert set(damaged["certificate"].values()) == {None}
    (inventory,) = run.document["inventory"]
    ends = {row["keyset"]: (row["error"], row["certificate_expires"] is None) for row in inventory["keysets"]}
    assert ends == {**dict.fromkeys((each.id for each in others), (None, True)), healthy.id: (None, False)}
    text = " ".join(bench.run("status", "--all").out.split())
    assert text.count("certificate cannot be read") == len(hostile)
    assert len(bench.asked(Operation.LIST_KEYSETS)) == 2


def test_certificate_that_runs_out_is_for_people(bench: Bench) -> None:
    """In its window the keyset is held as `certificate` with exit code 3, and nothing is generated."""
    ends_soon = Keyset(id="B2C_1A_Saml", keys=(key(age=80, x5c=(LEAF,)),))
    bench.begin(Tenant(keysets=(fresh(), ends_soon)))
    run = bench.run("--once", "--output", "json")
    assert run.code == 3
    rows = {row["keyset"]: (row["outcome"], row["reason"]) for row in run.rows}
    assert rows == {"B2C_1A_Fresh": ("held", "not_due"), "B2C_1A_Saml": ("held", "certificate")}
    assert bench.asked(Operation.GENERATE_KEY) == ()


def test_daemon_observes_what_is_not_configured(bench: Bench) -> None:
    """Metrics, page and JSON show at most 500 keysets of a tenant, from the sweep's own request."""
    others = tuple(KeysetSeed(id=f"B2C_1A_Keyset{number}", keys=(key(age=10),)) for number in range(503))
    bench.begin(Tenant(keysets=(fresh(),), others=(*others, SEED[-1])))
    bench.content["tenants"][0]["observe_others"] = True
    bench.write()
    daemon = bench.start()
    daemon.log("sweep.finished")
    assert len(bench.asked(Operation.LIST_KEYSETS)) == 1
    assert daemon.get("/metrics").text.count('mode="inventory"') == 500
    (inventory,) = json.loads(daemon.get("/status.json").text)["inventory"]
    assert (len(inventory["keysets"]), inventory["left_out"], inventory["backups"]) == (500, 3, 1)
    page = daemon.get("/").text
    title = (
        "contoso: 500 keysets not configured; 3 more are not observed (at most 500 of a tenant are); 1 backup (.bak)"
    )
    assert title in page.replace("<wbr>", "")
    assert "B2C_1A_Keyset0" in page.replace("<wbr>", "")


def directly(bench: Bench, *arguments: str, env: Mapping[str, str] | None = None) -> Finished:
    """Run a command in this process, where the emulator is the global cloud."""
    out, err = io.StringIO(), io.StringIO()
    roots = CloudRoots(graph=bench.emulator.url, login=bench.emulator.url)
    environment = {"PATH": os.environ["PATH"], **(env or {})}
    with (
        mock.patch.dict(CLOUDS, {"global": roots}),
        mock.patch.dict(os.environ, environment, clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            code = cli.main(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return Finished(code=code, out=out.getvalue(), err=err.getvalue())


def test_discover_without_a_configuration(bench: Bench) -> None:
    """A tenant, an app and a file with its secret are enough; what is printed is valid."""
    begin(bench)
    trust = {"ROTATOR_CA_FILE": str(bench.emulator.ca_file)}
    options = ("--tenant-id", "contoso.onmicrosoft.com", "--client-id", DEMO_CLIENT_ID)
    run = directly(bench, "discover", *options, "--client-secret-file", str(bench.secret_file), env=trust)
    assert (run.code, run.err) == (0, "")
    assert SECRET not in run.out
    assert len(bench.asked(Operation.LIST_KEYSETS)) == 1
    keysets = saved(bench, run.out)
    assert [each["id"] for each in keysets] == ["B2C_1A_Configured", *CONFIGURABLE]
    assert "configured already" not in run.out
    checked = directly(bench, "config", "check", "--config", str(bench.config))
    assert checked.code == 0, checked.err
    assert {each["name"] for each in yaml.safe_load(run.out)["tenants"]} == {"contoso"}


def test_discover_names_the_policies_that_publish_a_keyset(bench: Bench) -> None:
    """The JWKS of each policy is read once, and what it lists is a comment at the keyset; the rest is as without it."""
    published = {
        "B2C_1A_signup_signin": (SIGNING,),
        "B2C_1A_Encrypts": (ENCRYPTION, SIGNING),
        "B2C_1A_Foreign": ("B2C_1A_Configured",),
    }
    bench.begin(Tenant(keysets=(fresh("B2C_1A_Configured"),), others=SEED, roles=(READ_ROLE,), policies=published))
    named = [each for policy in ("B2C_1A_signup_signin", "B2C_1A_Encrypts") for each in ("--policy", policy)]
    run = bench.run("discover", *named)
    assert (run.code, run.err) == (0, "")
    assert len(bench.asked(Operation.LIST_KEYSETS)) == 1
    assert len(bench.asked(Operation.POLICY_DISCOVERY)) == len(bench.asked(Operation.JWKS)) == 2
    assert bench.asked(Operation.POLICY_TOKEN) == bench.asked(Operation.GET_ACTIVE_KEY) == ()
    lines = [line.strip() for line in run.out.splitlines()]
    entries = {line: lines[: number + 1][::-1] for number, line in enumerate(lines) if line.startswith("- id: ")}

    def comments(keyset_id: str) -> list[str]:
        following = entries[f"- id: {keyset_id}"][1:]
        return following[: next(n for n, line in enumerate(following) if not line.startswith("#"))]

    assert "# Listed in the JWKS of B2C_1A_signup_signin, B2C_1A_Encrypts." in comments(SIGNING)
    assert "# Listed in the JWKS of B2C_1A_Encrypts." in comments(ENCRYPTION)
    assert any("have use enc, and relying parties may refuse" in line for line in comments(ENCRYPTION))
    assert "# Listed in the JWKS of none of the policies that were read." in comments("B2C_1A_Configured")
    assert not any("JWKS" in line for line in comments("B2C_1A_FacebookSecret"))
    saved(bench, run.out)
    check_round_trip(bench)


def test_discover_of_a_policy_that_cannot_be_read(bench: Bench) -> None:
    """It is named with the reason, the exit code is 1, and the configuration is printed with what was read."""
    bench.begin(
        Tenant(
            keysets=(fresh(SIGNING), fresh("B2C_1A_Other")), policies={"B2C_1A_x": ("B2C_1A_Other",), "B2C_1A_y": ()}
        )
    )
    named = ("B2C_1A_x", "B2C_1A_y", "B2C_1A_Missing")
    run = bench.run("discover", *(each for policy in named for each in ("--policy", policy)))
    assert run.code == 1
    assert run.err.startswith("contoso: B2C_1A_Missing: the sign-in host answered 404 to openid_configuration")
    assert "# Listed in the JWKS of B2C_1A_x." in run.out
    assert "# The JWKS of B2C_1A_y lists no key of these keysets." in run.out
    assert len(saved(bench, run.out)) == 2


def test_discover_reads_policies_without_a_configuration(bench: Bench) -> None:
    """The name of the tenant gives the sign-in host."""
    bench.begin(Tenant(keysets=(fresh(SIGNING),), roles=(READ_ROLE,), policies={"B2C_1A_signin": (SIGNING,)}))
    options = ("--tenant-id", "contoso.onmicrosoft.com", "--client-id", DEMO_CLIENT_ID, "--policy", "B2C_1A_signin")
    trust = {"ROTATOR_CA_FILE": str(bench.emulator.ca_file)}
    with mock.patch("rotator.edges.tenant_settings.sign_in_url", return_value=bench.emulator.url):
        run = directly(bench, "discover", *options, "--client-secret-file", str(bench.secret_file), env=trust)
    assert (run.code, run.err) == (0, "")
    assert "# Listed in the JWKS of B2C_1A_signin." in run.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tenant-id", "contoso.onmicrosoft.com"), "needs --tenant-id, --client-id and one of"),
        (("--client-id", "x", "--client-secret-file", "f"), "needs --tenant-id, --client-id and one of"),
        (("--tenant-id", "t", "--client-id", "x", "--client-secret-file", "f", "--certificate-file", "g"), "one of"),
        (("--tenant-id", "t", "--config", "f"), "not both"),
        (("--tenant", "contoso", "--client-id", "x"), "not both"),
        (("--tenant-id", "common", "--client-id", "x", "--client-secret-file", "f"), "tenants[0].tenant_id"),
        (("--output", "json"), "unrecognized arguments"),
        (("--policy", "signin"), "--policy: must be the name of a policy"),
        (
            ("--tenant-id", "contoso.com", "--client-id", "x", "--client-secret-file", "f", "--policy", "B2C_1A_x"),
            "--policy: the sign-in host of contoso is not known",
        ),
    ],
)
def test_discover_refuses_options(options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Options that are not enough, or do not go with each other, end with 64."""
    with mock.patch.dict(os.environ, {"PATH": os.environ["PATH"]}, clear=True):
        try:
            code: object = cli.main(["discover", *options])
        except SystemExit as end:
            code = end.code
    assert code == 64
    assert message in capsys.readouterr().err


def test_discover_of_what_cannot_be_listed(bench: Bench) -> None:
    """Why a tenant could not be read is said, and the others are printed."""
    empty = Tenant(name="empty", keysets=(fresh(is_there=False),))
    bench.begin(Tenant(name="locked", keysets=(fresh(),), roles=()), empty, Tenant(keysets=(fresh(),)))
    run = bench.run("discover")
    assert run.code == 1
    assert "locked: " in run.err
    assert "empty: the tenant has no keyset that rotator could observe or rotate" in run.err
    assert [each["name"] for each in yaml.safe_load(run.out)["tenants"]] == ["contoso"]


def test_discover_sums_up_on_a_terminal(bench: Bench, tmp_path: Path) -> None:
    """On a terminal there is a summary: what ends soon, what has no end, what people rotate."""
    del tmp_path
    begin(bench)
    terminal = Terminal(bench, "discover")
    assert terminal.wait() == 0
    text = " ".join(terminal.text.split())
    assert "contoso: 7 keysets" in text
    assert "have no end: B2C_1A_Damaged, B2C_1A_FacebookSecret" in text
    assert f"rotated by nobody, although rotator could: {SIGNING}, {ENCRYPTION}, {ALL_CHARACTERS}" in text
    assert (
        "rotated by people alone (certificates, secrets): B2C_1A_SamlMessageSigning, B2C_1A_Damaged, "
        "B2C_1A_FacebookSecret" in text
    )
