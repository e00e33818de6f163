"""`status` probes each sign-in side once, shows what it found, and never changes its exit code for it."""

import sys
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from end_to_end.harness import DAY, Bench, Keyset, Tenant, fresh, key

from rotator.commands.one_shot import Call, OneShot
from rotator.commands.selection import Selection
from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import KeySeed

POLICY, SIG, ENC = "B2C_1A_signin", "B2C_1A_Sig", "B2C_1A_Enc"


@pytest.fixture
def tenant() -> Tenant:
    """A signing keyset that a policy publishes, with its next and its last key, and an encryption keyset."""
    begin = int(time.time())
    keys = (
        key(age=10, kid="now"),
        KeySeed(kid="next", nbf=begin + 70 * DAY, exp=begin + 170 * DAY),
        KeySeed(kid="past", nbf=begin - 100 * DAY, exp=begin - 9 * DAY),
    )
    encryption = Keyset(id=ENC, use="enc", keys=(key(age=10, kid="encrypting", use="enc"),))
    return Tenant(keysets=(Keyset(id=SIG, keys=keys), encryption), policies={POLICY: (SIG,)})


def _published(row: dict[str, Any]) -> dict[str, bool | None]:
    return {each["kid"]: each["published"] for each in row["keys"]}


def test_json(bench: Bench, tenant: Tenant) -> None:
    """Which keys the JWKS lists, what proves the active key, and that each policy was read; no token is fetched."""
    emulator = bench.begin(tenant)
    run = bench.run("status", "--output", "json")
    assert (run.code, run.document["probes"]) == (
        0,
        [{"tenant": "contoso", "policy": POLICY.lower(), "error": None}],
    )
    signing, encrypting = run.rows
    assert (signing["proof"], _published(signing)) == ("jwks", {"past": False, "now": True, "next": True})
    assert (encrypting["proof"], _published(encrypting)) == ("active_key", {"encrypting": None})
    assert len(emulator.seen(Operation.POLICY_TOKEN)) == 0


@pytest.mark.parametrize("columns", [60, 80])
def test_text(bench: Bench, tenant: Tenant, columns: int) -> None:
    """The proof is a line of each keyset. A single probe does not say since when a key is published."""
    bench.begin(tenant)
    run = bench.run("status", env={"COLUMNS": str(columns)})
    lines = [" ".join(line.split()) for line in run.out.splitlines()]
    assert next(line for line in lines if line.startswith("proof")).startswith("proof published; seen in 1 policy;")
    assert "proof active key confirmed by getActiveKey" in lines
    assert max(map(len, run.out.splitlines())) <= columns


def test_probe_that_fails(bench: Bench, tenant: Tenant) -> None:
    """Why the JWKS could not be read is shown once; the exit code, the keysets and the standings stay."""
    emulator = bench.begin(tenant)
    emulator.inject(Fault(what=Kind.STATUS, where=Operation.JWKS, status=503))
    for options in ((), ("--brief",)):
        run = bench.run("status", *options, env={"COLUMNS": "140"})
        assert run.code == 0
        assert run.out.count("contoso, JWKS of b2c_1a_signin: the sign-in host answered 503 to jwks") == 1
        assert run.out.endswith("2 keysets: 2 fine\n")
    run = bench.run("status", "--output", "json")
    (probe,) = run.document["probes"]
    assert (run.code, probe["error"]["kind"], probe["error"]["status"]) == (0, "service", 503)
    assert [(row["proof"], {*_published(row).values()}) for row in run.rows] == [("none", {None})] * 2


def test_probes_of_a_watch_are_an_interval_apart(bench: Bench, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows within `probe_interval` shows the last probe again, and costs no request to the sign-in host."""
    for module in (sys, threading):
        monkeypatch.setattr(module, "excepthook", module.excepthook)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    emulator = bench.begin(tenant)
    run = OneShot(Call(path=bench.config, as_json=True, selection=Selection(tenants=(), keysets=())), dry_run=True)
    run.sweep()
    first = run.probe()
    requests = len(emulator.seen(Operation.JWKS))
    run.began += timedelta(minutes=9)
    assert run.probe() == first
    assert len(emulator.seen(Operation.JWKS)) == requests > 0
    run.began += timedelta(minutes=1)
    run.probe()
    assert len(emulator.seen(Operation.JWKS)) == 2 * requests


def test_only_status_probes(bench: Bench, tenant: Tenant) -> None:
    """A dry run does not probe, and a tenant without `sign_in` has no member `probes`."""
    emulator = bench.begin(tenant)
    assert "probes" not in bench.run("--dry-run", "--output", "json").document
    assert emulator.seen(Operation.JWKS) == ()
    bench.begin(Tenant(keysets=(fresh(),)))
    run = bench.run("status", "--output", "json")
    assert "probes" not in run.document
    assert run.row["proof"] is None
