"""`rotator rotate`: a planned rotation ahead of time, as a process."""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from end_to_end.harness import DAY, LIFE, Bench, Keyset, Tenant, key

from rotator.emulator.http.routes import Operation

KEYSET = "B2C_1A_Sig"
COMMAND = ("rotate", "--tenant", "contoso", "--keyset", KEYSET)
LEAD = 2 * DAY


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as bench:
        yield bench


def begin(bench: Bench, **wanted: object) -> None:
    others = Keyset(id="B2C_1A_Other", keys=(key(age=80),))
    bench.begin(Tenant(keysets=(Keyset(id=KEYSET, keys=(key(age=10, kid="old"),), wanted=wanted), others)))


def answered(bench: Bench, line: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rotator", *COMMAND]
    env = bench.environment()
    return subprocess.run(command, input=line, capture_output=True, text=True, timeout=60, check=False, env=env)


def test_key_is_replaced_ahead_of_time(bench: Bench) -> None:
    """One key more, that takes over after the lead; the old key and the other keyset, which is due, are left alone."""
    begin(bench)
    began = int(time.time())
    run = bench.run(*COMMAND, "--yes", "--output", "json")
    assert (run.code, run.row["outcome"], run.row["reason"]) == (0, "rotated", "renewal_due")
    old, new = bench.keys(KEYSET)
    assert (old.kid, old.status) == ("old", "enabled")
    assert began + LEAD <= new.nbf <= time.time() + LEAD + 3600
    assert new.exp - new.nbf == LIFE.total_seconds()
    assert len(bench.keys("B2C_1A_Other")) == 1

    again = bench.run(*COMMAND, "--yes")
    assert (again.code, len(bench.keys(KEYSET))) == (1, 2)
    assert "a key that is to take over is there already" in again.err


def test_dry_run_and_a_wrong_answer_write_nothing(bench: Bench) -> None:
    """The plan comes first. Only the name of the keyset goes on."""
    begin(bench)
    dry = bench.run(*COMMAND, "--dry-run")
    assert (dry.code, "renewal_due" in dry.out) == (0, True), dry.out + dry.err
    for line in ("yes\n", "", f"{KEYSET}x\n"):
        done = answered(bench, line)
        assert (done.returncode, "planned" in done.stdout) == (1, True), done.stdout
        assert "nothing was written" in done.stderr
    assert bench.asked(Operation.GENERATE_KEY) == ()
    assert answered(bench, f"{KEYSET}\n").returncode == 0
    assert len(bench.asked(Operation.GENERATE_KEY)) == 1


def test_hold_is_obeyed(bench: Bench) -> None:
    until = time.gmtime(time.time() + timedelta(days=9).total_seconds())
    begin(bench, hold={"until": time.strftime("%Y-%m-%d", until), "by": "alice", "reason": "audit"})
    run = bench.run(*COMMAND, "--yes")
    assert (run.code, bench.asked(Operation.GENERATE_KEY)) == (1, ())
    assert "a hold in the configuration" in run.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("rotate",), 64),
        (("rotate", "--tenant", "contoso"), 64),
        (("rotate", "--tenant", "nobody", "--keyset", KEYSET), 64),
        (("rotate", "--tenant", "contoso", "--keyset", "B2C_1A_None"), 64),
    ],
)
def test_what_is_not_in_the_configuration(bench: Bench, words: tuple[str, ...], code: int) -> None:
    begin(bench)
    assert bench.run(*words, "--yes").code == code
