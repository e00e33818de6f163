import subprocess
import sys

import pytest
from end_to_end.harness import Bench, Tenant, due, fresh


def shell(bench: Bench, line: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a shell does; *line* is what stands behind its name."""
    return subprocess.run(
        ["bash", "-c", f"{sys.executable} -m rotator {line}"],
        env=bench.environment({"ROTATOR_LOG__LEVEL": "error", "PYTHONUNBUFFERED": ""}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("call", ["--dry-run", "status", "--dry-run --output json", "doctor"])
def test_reader_that_has_seen_enough(bench: Bench, call: str) -> None:
    """A report that nobody reads to its end ends the program quietly, with the exit code that it would have had."""
    keysets = tuple(fresh(f"B2C_1A_Fresh{n}") for n in range(300))
    bench.begin(Tenant(keysets=(*keysets, due())))
    done = shell(bench, f'{call} | head -n 1; exit "${{PIPESTATUS[0]}}"')
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 1)


@pytest.mark.parametrize(
    "call",
    [
        *("--help", "help simulate", "version", "completion bash", "config schema", "config init", "config check"),
        *(
            "--dry-run",
            "--once",
            "status",
            "status --brief",
            "discover",
            "doctor",
            "simulate",
            "simulate --output json",
        ),
    ],
)
def test_reader_that_is_gone(bench: Bench, call: str) -> None:
    """A report whose reader has ended before it is printed is not an error: no traceback, and the usual exit code."""
    bench.begin(Tenant(keysets=(fresh(),)))
    done = shell(bench, f'{call} | exec true; exit "${{PIPESTATUS[0]}}"')
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("call", ["demo", "emulator --port 0"])
def test_command_that_goes_on_ends_with_its_reader(bench: Bench, call: str) -> None:
    """The demo and the emulator end with the code of a process that SIGPIPE has ended."""
    done = shell(bench, f'{call} | exec true; exit "${{PIPESTATUS[0]}}"')
    assert (done.returncode, done.stderr) == (141, "")


def test_watch_ends_with_its_reader(bench: Bench) -> None:
    """Nothing is asked of the tenant for nobody."""
    bench.begin(Tenant(keysets=tuple(fresh(f"B2C_1A_Fresh{n}") for n in range(300))))
    done = shell(bench, 'status --watch | head -n 1; exit "${PIPESTATUS[0]}"')
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "call", ["--dry-run", "status --output json", "config check", "config schema", "simulate", "doctor"]
)
@pytest.mark.parametrize(
    ("where", "reason"),
    [(">/dev/full", "No space left on device"), (">&-", "there is no stdout")],
    ids=["a full disk", "nowhere"],
)
def test_report_that_cannot_be_written(bench: Bench, call: str, where: str, reason: str) -> None:
    """A report that cannot be written is one line of complaint, and no success."""
    bench.begin(Tenant(keysets=(fresh(),)))
    done = shell(bench, f"{call} {where}")
    assert (done.returncode, done.stderr) == (1, f"rotator: the report cannot be written: {reason}\n")
