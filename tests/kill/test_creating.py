"""
A keyset that is missing (`create: true`): one keyset and one key, whatever fails and wherever the process is killed.

::

    list ── settle ──▶ list ─▶ POST keyset ─▶ get ── settle ──▶ get ─▶ POST key ─▶ get
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from end_to_end.harness import Bench, Keyset, Tenant
from kill.process import PATIENCE, Victim
from kill.scenario import Program

from rotator.emulator.faults.fault import Fault, Kind, Moment
from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Stage
from rotator.emulator.model.switches import ReadPath, Switches

NEW = "B2C_1A_New"
LIST, GET = Operation.LIST_KEYSETS, Operation.GET_KEYSET
CREATE, GENERATE = Operation.CREATE_KEYSET, Operation.GENERATE_KEY
BEFORE, AFTER = Moment.BEFORE_COMMIT, Moment.AFTER_COMMIT
LAG = Switches(read_after_write_delay=0.3, read_path=ReadPath.FLAPPING)


@dataclass(frozen=True)
class Step:
    """Where the process is killed: the request that hangs, how many of its kind went before, and when it hangs."""

    name: str
    at: Operation
    skip: int = 0
    when: Moment = BEFORE


STEPS = (
    Step("first look", LIST),
    Step("second look", LIST, skip=1),
    Step("keyset requested, never done", CREATE),
    Step("keyset created, not answered", CREATE, when=AFTER),
    Step("look for the keyset", GET),
    Step("look before the key", GET, skip=1),
    Step("key requested, never done", GENERATE),
    Step("key generated, not answered", GENERATE, when=AFTER),
)

CASES: tuple[tuple[dict[str, Any], tuple[Moment, ...]], ...] = (
    ({"what": Kind.STATUS, "status": 401}, (BEFORE,)),
    ({"what": Kind.STATUS, "status": 403}, (BEFORE,)),
    ({"what": Kind.STATUS, "status": 409}, (BEFORE,)),
    ({"what": Kind.THROTTLED, "retry_after": 1}, (BEFORE,)),
    ({"what": Kind.STATUS, "status": 500}, (BEFORE, AFTER)),
    ({"what": Kind.STATUS, "status": 503}, (BEFORE, AFTER)),
    ({"what": Kind.STATUS, "status": 400, "code": "AADB2C90063"}, (BEFORE, AFTER)),
    ({"what": Kind.HTML, "status": 502}, (BEFORE, AFTER)),
    ({"what": Kind.EMPTY}, (AFTER,)),
    ({"what": Kind.LIST}, (AFTER,)),
    ({"what": Kind.RESET}, (BEFORE, AFTER)),
    ({"what": Kind.CLOSE}, (BEFORE, AFTER)),
    ({"what": Kind.HANG}, (BEFORE, AFTER)),
    ({"what": Kind.TRUNCATED}, (AFTER,)),
    ({"what": Kind.CUT_JSON}, (AFTER,)),
)
FAULTS = [Fault(**members, where=CREATE, when=when, times=1) for members, moments in CASES for when in moments]


def tenant(name: str, switches: Switches | None = None) -> Tenant:
    """A tenant without the keyset that its configuration creates."""
    missing = Keyset(id=NEW, is_there=False, wanted={"create": True})
    return Tenant(name=name, keysets=(missing,), switches=switches or Switches())


def killed_at(step: Step, folder: Path, program: Program, switches: Switches) -> tuple[int, int, int]:
    """Kill the program at a step and run it again; the exit code, and how many keysets and keys there are then."""
    folder.mkdir()
    with Bench(folder) as bench:
        emulator = bench.begin(tenant("contoso", switches), settle="1s", request_timeout="60s")
        emulator.inject(Fault(what=Kind.HANG, where=step.at, when=step.when, skip=step.skip))
        victim = Victim(bench, *program.arguments)
        try:
            stage = Stage.COMMITTED if step.when is AFTER else Stage.ARRIVED
            arrived = emulator.wait_for(step.at, stage=stage, count=step.skip + 1, timeout=PATIENCE)
            assert arrived, f"{step.name}: it never came so far:\n{victim.text}"
        finally:
            victim.kill()
            emulator.faults.clear()
        return again(bench, program), len(bench.keys(NEW)), created(bench)


def again(bench: Bench, program: Program) -> int:
    """Run the program until it has nothing more to do; its exit code."""
    with Victim(bench, *program.arguments, ROTATOR_LOG__LEVEL="debug") as successor:
        if program is Program.DAEMON:
            successor.wait_for("keyset.rotated", "keyset.held")
            successor.terminate()
        return successor.wait()


def created(bench: Bench) -> int:
    """How many requests created the keyset."""
    return len([seen for seen in bench.emulator.seen(CREATE, stage=Stage.COMMITTED) if seen.tenant])


@pytest.mark.parametrize("program", Program)
@pytest.mark.parametrize("switches", [Switches(), LAG], ids=["fresh reads", "flapping reads"])
def test_killed(program: Program, switches: Switches, tmp_path: Path) -> None:
    """Killed at any step and started again, it ends with the keyset and one key."""
    with ThreadPoolExecutor(3) as pool:
        plays = [pool.submit(killed_at, step, tmp_path / step.name, program, switches) for step in STEPS]
        ends = {step.name: play.result() for step, play in zip(STEPS, plays, strict=True)}
    assert {step.name: (0, 1, 1) for step in STEPS} == ends


def test_faults(bench: Bench) -> None:
    """However the request for the keyset fails, the next run at the latest ends with the keyset and one key."""
    tenants = {f"tenant{number}": fault for number, fault in enumerate(FAULTS)}
    emulator = bench.begin(
        *(tenant(name) for name in tenants), settle="1s", request_timeout="2s", concurrency=len(tenants)
    )
    for name, fault in tenants.items():
        emulator.inject(replace(fault, tenant=f"{name}.onmicrosoft.com"))
    for _ in range(2):
        bench.run("--once", timeout=PATIENCE * 2)
    last = bench.run("--once", "--output", "json", timeout=PATIENCE * 2)
    assert (last.code, {row["outcome"] for row in last.rows}) == (0, {"held"})
    for each in emulator.tenants:
        assert len(each.keyset(NEW).keys) == 1, each.domain
