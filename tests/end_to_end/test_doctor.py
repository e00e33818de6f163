"""`doctor` on whole set-ups, over HTTPS: each exit code, and what it says of each fault."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from end_to_end.harness import DAY, SECRET, Bench, Finished, Keyset, Tenant, due, fresh, key, lapsed
from end_to_end.test_terminal import Terminal
from kubernetes.fake_api import Kubernetes

from rotator.core.checkup import MAX_ASKED
from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import READ_ROLE, WRITE_ROLE
from rotator.emulator.model.switches import Status, Switches

SIGNING, POLICY = "B2C_1A_Sig", "b2c_1a_signin"
POLICIES = {"B2C_1A_signin": (SIGNING,)}
MAX_COLUMNS = 80


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as bench:
        yield bench


def begin(bench: Bench, *keysets: Keyset, expires: bool = True, **tenant: Any) -> None:
    """A tenant with a policy that publishes its signing keyset; *expires*: the end of the secrets is configured."""
    tenant = {"policies": POLICIES, **tenant}
    bench.begin(Tenant(keysets=keysets or (fresh(SIGNING),), **tenant))
    if expires:
        (configured,) = bench.content["tenants"]
        for each in (configured["credential"], configured.get("sign_in", {}).get("canary", {})):
            each["client_secret_expires"] = "2099-01-01"
        bench.write()


def check(run: Finished, name: str, subject: str | None = None) -> dict[str, Any]:
    """The only check of that name and subject."""
    (found,) = (each for each in run.document["checks"] if each["check"] == name and subject in (None, each["subject"]))
    return dict(found)


def bad(run: Finished) -> list[tuple[str, str | None, str]]:
    """The checks that are not ok."""
    return [(each["check"], each["subject"], each["level"]) for each in run.document["checks"] if each["level"] != "ok"]


def doctor(bench: Bench, **env: str) -> Finished:
    run = bench.run("doctor", "--output", "json", env=env)
    assert all(seen.method == "GET" for seen in bench.emulator.requests if "trustFramework" in seen.path)
    assert bench.asked(Operation.GENERATE_KEY) == bench.asked(Operation.UPDATE_KEY) == ()
    return run


def test_sound_set_up(bench: Bench) -> None:
    """Exit code 0: every check is ok, and says what it saw."""
    keys = (
        key(age=80),
        key(age=-10, kid="next"),
        key(age=5, kid="off", status=Status.DISABLED),
        key(age=200, kid="gone"),
    )
    begin(bench, Keyset(id=SIGNING, keys=keys))
    run = doctor(bench)
    assert (run.code, bad(run)) == (0, [])
    assert {each["check"] for each in run.document["checks"]} == {
        "token", "permissions", "credential", "clock", "host", "keyset", "active_key", "keys_v2", "policy",
        "canary", "canary_credential",
    }  # fmt: skip
    assert check(run, "permissions")["result"] == WRITE_ROLE
    assert check(run, "keyset", SIGNING)["result"].startswith("4 keys, use sig, kty RSA; active since ")
    assert check(run, "keys_v2", SIGNING)["result"] == "lists 4 keys"
    listed = f"{SIGNING}: 1 of 1 active, 1 of 1 upcoming, 0 of 1 disabled, 0 of 1 expired"
    assert check(run, "policy", POLICY)["result"] == f"JWKS lists 2 keys, of {listed}; Cache-Control: private"
    assert check(run, "canary")["result"].endswith(", verifies, valid for 1h")
    assert check(run, "credential")["result"] == "client secret, expires 2099-01-01T00:00:00Z"
    assert [check(run, "host", role)["level"] for role in ("login", "graph", "sign_in")] == ["ok"] * 3
    assert check(run, "host", "graph")["result"].startswith(
        f"{bench.emulator.url} answers without a proxy, slowest in "
    )


@pytest.mark.parametrize("columns", [MAX_COLUMNS, 60, 200])
def test_table(bench: Bench, columns: int) -> None:
    """A pipe gets a table that is not wider than asked for, without secrets."""
    begin(bench, Keyset(id="B2C_1A_" + "TokenSigningKeyContainer" * 3, keys=(key(age=10),)), policies={})
    run = bench.run("doctor", env={"COLUMNS": str(columns)})
    lines = run.out.splitlines()
    assert (run.code, lines[0]) == (0, "contoso")
    assert lines[1].split("  ")[1].strip() == "CHECK"
    assert (lines[1].split()[-1], lines[2].strip()) == ("RESULT", "-> WHAT TO DO")
    assert max(map(len, lines)) <= columns
    assert lines[-1] == "10 checks: 0 wrong, 0 would fail, 0 warning, 10 ok"
    assert SECRET not in run.out


def test_progress_on_a_terminal(bench: Bench) -> None:
    """A terminal shows which tenant is being checked; the line is gone when the table is printed."""
    begin(bench)
    terminal = Terminal(bench, "doctor")
    assert terminal.wait() == 0
    before, _, table = terminal.text.partition("CHECK ")
    assert "checking contoso" in before
    assert "checking" not in table


def test_permission_that_is_missing(bench: Bench) -> None:
    """Exit code 3: with the permission to read, looks work and a rotation would fail."""
    begin(bench, roles=(READ_ROLE,))
    run = doctor(bench)
    assert (run.code, bad(run)) == (3, [("permissions", None, "would_fail"), ("keys_v2", SIGNING, "warning")])
    assert WRITE_ROLE in check(run, "permissions")["advice"]


@pytest.mark.parametrize(
    ("roles", "settings", "level", "code"),
    [
        pytest.param((WRITE_ROLE, "Policy.Read.All"), {}, "warning", 0, id="more than needed"),
        pytest.param((WRITE_ROLE,), {"dry_run": True}, "warning", 0, id="writes nothing"),
        pytest.param((READ_ROLE,), {"dry_run": True}, "ok", 0, id="may only read and only reads"),
        pytest.param((), {}, "wrong", 1, id="none"),
    ],
)
def test_permissions(bench: Bench, roles: tuple[str, ...], settings: dict[str, Any], level: str, code: int) -> None:
    begin(bench, roles=roles, policies={})
    bench.content |= settings
    bench.write()
    run = doctor(bench)
    assert (run.code, check(run, "permissions")["level"]) == (code, level)


def test_wrong_clock(bench: Bench) -> None:
    """Exit code 3: the gate on the clock would refuse every write."""
    begin(bench)
    bench.emulator.inject(Fault(what=Kind.WRONG_DATE, skew=-3600))
    run = doctor(bench)
    assert (run.code, bad(run)) == (3, [("clock", None, "would_fail")])
    assert check(run, "clock")["result"] in ("3600s ahead of the service's", "3599s ahead of the service's")


def test_keyset_that_is_missing(bench: Bench) -> None:
    """Exit code 1; the other keyset is checked all the same."""
    begin(bench, fresh(SIGNING), Keyset(id="B2C_1A_Typo", is_there=False))
    run = doctor(bench)
    assert (run.code, bad(run)) == (1, [("keyset", "B2C_1A_Typo", "wrong")])
    assert check(run, "keyset", "B2C_1A_Typo")["result"] == "the tenant has no keyset B2C_1A_Typo"
    assert check(run, "keyset", SIGNING)["level"] == "ok"


@pytest.mark.parametrize(
    ("keyset", "level", "code"),
    [
        (due(SIGNING), "ok", 0),
        (lapsed(SIGNING), "wrong", 1),
        (fresh(SIGNING, wanted={"kty": "oct", "accept_unreadable_secret": True}), "would_fail", 3),
        (Keyset(id=SIGNING, is_there=False, wanted={"create": True}), "ok", 0),
    ],
)
def test_keysets(bench: Bench, keyset: Keyset, level: str, code: int) -> None:
    """What the decision would say: due is sound, no valid key is wrong, another kty is a rotation that would fail."""
    begin(bench, keyset, policies={})
    run = doctor(bench)
    assert (run.code, check(run, "keyset")["level"]) == (code, level)


def test_tenant_with_many_keysets(bench: Bench) -> None:
    """Graph limits requests, so only some of the keysets are asked for one by one; all are looked at."""
    keysets = tuple(fresh(f"B2C_1A_{n}") for n in range(MAX_ASKED + 2))
    begin(bench, *keysets, policies={})
    run = doctor(bench)
    assert (run.code, bad(run)) == (0, [])
    names = Counter(each["check"] for each in run.document["checks"])
    assert (names["keyset"], names["keys_v2"], names["active_key"]) == (MAX_ASKED + 2, MAX_ASKED, MAX_ASKED + 1)
    assert len(bench.asked(Operation.GET_ACTIVE_KEY)) == len(bench.asked(Operation.LIST_KEYS)) == MAX_ASKED
    (left_out,) = (each for each in run.document["checks"] if (each["check"], each["subject"]) == ("active_key", None))
    assert left_out["result"].startswith("not asked for the last 2 keysets")


def test_unreachable_sign_in_host(bench: Bench) -> None:
    """Exit code 1: the connection is refused."""
    begin(bench)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{free.getsockname()[1]}"
        bench.content["tenants"][0]["sign_in"]["url"] = url
        bench.write()
        run = doctor(bench)
    assert run.code == 1
    assert check(run, "host", "sign_in")["level"] == "wrong"
    assert (
        check(run, "host", "sign_in")["result"] == f"{url}, without a proxy: cannot reach 127.0.0.1: Connection refused"
    )
    assert check(run, "host", "sign_in")["advice"] == "check name, network and proxy"
    assert check(run, "policy", POLICY)["level"] == check(run, "canary")["level"] == "wrong"
    assert [check(run, "host", role)["level"] for role in ("login", "graph")] == ["ok", "ok"]


def test_wrong_secret(bench: Bench) -> None:
    """Exit code 1: there is no token, and Graph is reached all the same."""
    begin(bench, policies={})
    bench.secret_file.write_text("wrong")
    run = doctor(bench)
    assert run.code == 1
    assert check(run, "token")["level"] == "wrong"
    assert check(run, "host", "graph")["level"] == "ok"
    assert [each for each in run.document["checks"] if each["check"] in ("keyset", "permissions")] == []


def test_requests_that_only_doctor_makes(bench: Bench) -> None:
    """GetActiveKey and keys_v2 that fail are warnings: a rotation needs neither."""
    begin(bench)
    for operation in (Operation.GET_ACTIVE_KEY, Operation.LIST_KEYS):
        bench.emulator.inject(Fault(what=Kind.STATUS, status=503, where=operation))
    run = doctor(bench)
    assert (run.code, bad(run)) == (0, [("active_key", SIGNING, "warning"), ("keys_v2", SIGNING, "warning")])


def test_keys_that_are_not_published(bench: Bench) -> None:
    """A JWKS that lists keys only once they are active, and a token of the key before."""
    keyset = Keyset(id=SIGNING, keys=(key(age=80, kid="old"), key(age=0.01, kid="new"), key(age=-10, kid="next")))
    begin(bench, keyset, switches=Switches(jwks_future=False, signing_delay=DAY))
    run = doctor(bench)
    assert (run.code, bad(run)) == (0, [("policy", POLICY, "warning"), ("canary", None, "warning")])
    assert "0 of 1 upcoming" in check(run, "policy", POLICY)["result"]
    assert check(run, "canary")["result"].startswith("signed with old, verifies")


def test_secret_whose_end_is_unknown(bench: Bench) -> None:
    begin(bench, policies={}, expires=False)
    run = doctor(bench)
    assert (run.code, bad(run)) == (0, [("credential", None, "warning")])
    assert "client_secret_expires" in check(run, "credential")["advice"]


@pytest.mark.parametrize(
    ("account", "code", "found"),
    [
        pytest.param({}, 0, [], id="sound"),
        pytest.param({"verbs": ("get",)}, 3, [("lease_right", "update", "would_fail")], id="may not update"),
    ],
)
def test_lease(bench: Bench, account: dict[str, Any], code: int, found: list[object]) -> None:
    """In a cluster: the lease and the rights on it; no lease is written."""
    begin(bench, policies={})
    with Kubernetes() as api:
        api.ship()
        directory = api.mount(bench.folder / "account", "pod-0", **account)
        bench.content["leader_election"] = {"service_account_directory": str(directory)}
        bench.write()
        run = doctor(bench, **api.environment)
        assert len(api.history) == 1
    assert (run.code, bad(run)) == (code, found)
    assert check(run, "lease", "rotator")["result"] == "held by no replica"


def test_lease_that_is_missing(bench: Bench) -> None:
    """The first leader creates it, if it may; outside of a cluster there is none to read."""
    begin(bench, policies={})
    with Kubernetes() as api:
        for may_create, level, code in ((True, "ok", 0), (False, "would_fail", 3)):
            directory = api.mount(bench.folder / "account", "pod-0", may_create=may_create)
            bench.content["leader_election"] = {"service_account_directory": str(directory), "enabled": True}
            bench.write()
            run = doctor(bench, **api.environment)
            assert (run.code, check(run, "lease", "rotator")["level"]) == (code, level)
        assert api.history == ()
    outside = doctor(bench)
    assert (outside.code, bad(outside)) == (3, [("lease", "rotator", "would_fail")])


def test_selection_and_wrong_command_lines(bench: Bench) -> None:
    """`--tenant` selects; an unknown tenant is 64, and an invalid configuration 78."""
    bench.begin(Tenant(name="contoso", keysets=(fresh(),)), Tenant(name="fabrikam", keysets=(fresh(),)))
    run = bench.run("doctor", "--tenant", "fabrikam", "--output", "json")
    assert {each["tenant"] for each in run.document["checks"]} == {"fabrikam"}
    assert bench.run("doctor", "--tenant", "nobody").code == 64
    assert bench.run("doctor", "--keyset", "B2C_1A_Fresh").code == 64
    bench.config.write_text(yaml.safe_dump({"tenants": []}))
    invalid = bench.run("doctor", "--output", "json")
    assert (invalid.code, invalid.out) == (78, "")
    assert "tenants" in invalid.err
    assert json.loads(run.out)["schema"] == 1
