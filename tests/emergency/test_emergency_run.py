"""`rotator rotate --now` and `--compromised` as a process, over HTTPS."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from end_to_end.harness import DAY, Bench, Finished, Keyset, Tenant, key

from rotator.edges.graph import GraphKeysets
from rotator.emulator.faults.fault import Fault, Kind, Moment
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import READ_ROLE
from rotator.emulator.model.switches import Status, Switches

KEYSET = "B2C_1A_Sig"
COMMAND = ("rotate", "--tenant", "contoso", "--keyset", KEYSET, "--yes", "--output", "json")
LEAKED = (*COMMAND, "--compromised", "old")
PATIENCE = 120.0


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as bench:
        bench.may_disable = True
        yield bench


def begin(bench: Bench, **switches: Any) -> None:
    old = key(age=10, kid="old")
    bench.begin(
        Tenant(
            keysets=(Keyset(id=KEYSET, keys=(old,)),),
            policies={"B2C_1A_signin": (KEYSET,)},
            switches=Switches(**switches),
        )
    )


def steps(run: Finished) -> list[str]:
    return [json.loads(line)["step"] for line in run.out.splitlines()]


def check_order(bench: Bench) -> None:
    """The old key was disabled once, after the new one was generated and a token of it was fetched."""
    done = [seen for seen in bench.emulator.requests if seen.committed or seen.operation is Operation.POLICY_TOKEN]
    disabled = [
        n for n, seen in enumerate(done) if seen.operation is Operation.UPDATE_KEY and "disabled" in (seen.body or "")
    ]
    generated = [n for n, seen in enumerate(done) if seen.operation is Operation.GENERATE_KEY]
    assert generated
    assert all(seen.path.endswith("/keys_v2/old") for n, seen in enumerate(done) if n in disabled)
    tokens = [seen for seen in done[generated[0] : disabled[0]] if seen.operation is Operation.POLICY_TOKEN]
    assert len(tokens) >= 2


def is_done(bench: Bench, keys: int = 2) -> bool:
    old, *new = bench.keys(KEYSET)
    return old.status == "disabled" and len(new) == keys - 1 and new[-1].status == "enabled"


def test_leaked_key(bench: Bench) -> None:
    """The plan, then each step in order; the leaked key is disabled once two tokens have the new kid."""
    begin(bench)
    dry = bench.run(*LEAKED, "--dry-run")
    assert (dry.code, steps(dry)) == (0, ["plan"])
    assert len(bench.keys(KEYSET)) == 1
    began = time.time()
    run = bench.run(*LEAKED, timeout=PATIENCE)
    assert run.code == 0, run.err
    assert steps(run) == ["plan", "generate", "wait_for_signing", "disable", "done"]
    assert is_done(bench)
    assert began - 1 <= bench.keys(KEYSET)[1].nbf <= time.time()
    check_order(bench)
    assert [line["step"] for line in run.events("emergency.step")] == steps(run)[1:]
    again = bench.run(*LEAKED, timeout=PATIENCE)
    assert (again.code, steps(again)) == (0, ["plan", "done"])
    held = bench.run("--once", "--output", "json")
    assert (held.code, held.row["outcome"]) == (0, "held")


GENERATE, UPDATE, GET = Operation.GENERATE_KEY, Operation.UPDATE_KEY, Operation.GET_KEYSET


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(what=Kind.RESET, when=Moment.AFTER_COMMIT, where=GENERATE, times=1), id="lost answer"),
        pytest.param(Fault(what=Kind.THROTTLED, retry_after=1, where=GENERATE, times=1), id="generate throttled"),
        pytest.param(Fault(what=Kind.STATUS, status=401, where=UPDATE, times=1), id="token refused"),
        pytest.param(
            Fault(what=Kind.RESET, when=Moment.AFTER_COMMIT, where=UPDATE, times=1), id="disabled, unanswered"
        ),
        pytest.param(Fault(what=Kind.STATUS, status=503, where=GET, skip=2, times=1), id="look fails"),
        pytest.param(Fault(what=Kind.STATUS, status=503, where=Operation.GET_ACTIVE_KEY), id="no getActiveKey"),
        pytest.param(Fault(what=Kind.STATUS, status=503, where=Operation.POLICY_TOKEN), id="no token"),
    ],
)
def test_fault_at_a_step(bench: Bench, fault: Fault) -> None:
    """One key is generated, and the leaked one is disabled, whatever fails on the way."""
    begin(bench)
    bench.emulator.inject(fault)
    run = bench.run(*LEAKED, timeout=PATIENCE)
    assert run.code == 0, run.err
    assert is_done(bench)


@pytest.mark.parametrize("step", ["generate", "wait_for_signing", "disable"])
def test_killed_at_a_step(bench: Bench, step: str) -> None:
    """The same command goes on from what the keyset shows, and generates no second key."""
    begin(bench, generated_status=Status.ENABLED)
    running = bench.start(*LEAKED)
    running.log("emergency.step", step=step, timeout=PATIENCE)
    if step == "generate":
        assert bench.emulator.wait_for(GENERATE)
    running.signal(signal.SIGKILL)
    assert running.wait().code == -signal.SIGKILL
    assert bench.run(*LEAKED, timeout=PATIENCE).code == 0
    assert is_done(bench, len(bench.keys(KEYSET)))
    assert len(bench.keys(KEYSET)) == 2
    check_order(bench)


def test_stopped_while_it_waits(bench: Bench) -> None:
    """Ctrl-C before the new key signs: exit code 4, and the old key is enabled."""
    begin(bench, signing_delay=DAY)
    running = bench.start(*LEAKED)
    running.log("emergency.step", step="wait_for_signing", timeout=PATIENCE)
    running.signal(signal.SIGINT)
    run = running.wait(PATIENCE)
    assert (run.code, steps(run)[-1]) == (4, "stopped")
    assert [each.status for each in bench.keys(KEYSET)] == ["enabled", "enabled"]


def test_refusals_write_nothing(bench: Bench) -> None:
    """A kid that is not there, and a credential that may only read: exit code 1."""
    begin(bench)
    assert bench.run(*COMMAND, "--compromised", "typo").code == 1
    assert bench.run(*LEAKED, "--now").code == 64
    assert len(bench.keys(KEYSET)) == 1
    assert bench.asked(GENERATE) == ()


def test_credential_that_may_only_read(bench: Bench) -> None:
    keyset = Keyset(id=KEYSET, keys=(key(age=10, kid="old"),))
    bench.begin(Tenant(keysets=(keyset,), roles=(READ_ROLE,)))
    run = bench.run(*LEAKED, timeout=PATIENCE)
    assert (run.code, steps(run)[-1]) == (1, "failed"), run.out
    assert len(bench.keys(KEYSET)) == 1


def test_daemon_cannot_disable() -> None:
    """Its client of Graph has no such method; that it sends no such request, the bench checks of every run."""
    assert not hasattr(GraphKeysets, "disable")
