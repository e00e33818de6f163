"""What a person sees at a terminal, and that nothing of it is in a pipe."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from end_to_end.harness import PATIENCE, Bench, Tenant, due, fresh

from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation

SLOW = 3 * PATIENCE


class Terminal:
    """The program at a terminal of 80 columns."""

    def __init__(self, bench: Bench, *arguments: str) -> None:
        master, slave = pty.openpty()
        self._master, self.text = master, ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rotator", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=bench.environment({"COLUMNS": "80", "NO_COLOR": "1"}),
            start_new_session=True,
        )
        os.close(slave)

    def until(self, pattern: str) -> "re.Match[str]":
        """Read until *pattern* has been printed."""
        ends = time.monotonic() + SLOW
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < ends, self.text
            assert self._read(), self.text
        return found

    def wait(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        os.close(self._master)
        return self.process.wait(SLOW)

    def _read(self) -> bool:
        if not select.select([self._master], [], [], SLOW)[0]:
            return False
        with contextlib.suppress(OSError):  # what a terminal without writers gives on Linux
            if chunk := os.read(self._master, 65536):
                self.text += chunk.decode()
                return True
        return False


def test_terminal_shows_who_is_asked_and_that_nothing_was_written(bench: Bench) -> None:
    """While a service hangs, the line names its tenant; Ctrl-C says that nothing was written."""
    emulator = bench.begin(Tenant(keysets=(fresh(),)))
    hang = emulator.inject(Fault(what=Kind.HANG, where=Operation.LIST_KEYSETS))
    terminal = Terminal(bench, "--dry-run")
    terminal.until(r"asking contoso; 0 of 1 tenants answered")
    assert emulator.wait_for(Operation.LIST_KEYSETS, timeout=SLOW)
    terminal.process.send_signal(signal.SIGINT)
    terminal.until(r"stopped; nothing was written")
    assert terminal.wait() == 130
    hang.release()


def test_terminal_counts_down_to_the_second_look(bench: Bench) -> None:
    """`--once` says when its second look is; stopped before it, that nothing was written."""
    bench.begin(Tenant(keysets=(due(),)), settle="10m")
    terminal = Terminal(bench, "--once")
    terminal.until(r"second look at \d\d:\d\d:\d\d UTC \(in (9:5\d|10:00)\)")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.wait() == 0
    assert "1 keyset: 1 due\r\n" in terminal.text
    assert terminal.text.rstrip().endswith("stopped; nothing was written")
    assert len(bench.keys("B2C_1A_Due")) == 1


def test_terminal_daemon_says_what_it_does(bench: Bench) -> None:
    """The first lines of the daemon are for the person who started it; the log follows."""
    bench.begin(Tenant(keysets=(fresh(),)))
    bench.content["http"] = {"port": 0}
    bench.write()
    terminal = Terminal(bench)
    terminal.until(r"rotator\.started.* host=127\.0\.0\.1")
    first = terminal.text.splitlines()[0]
    assert first.startswith("rotator ")
    assert first.endswith(" runs as a daemon until it is stopped.")
    assert f"configuration  {bench.config}" in terminal.text
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.wait() == 0
    assert terminal.text.rstrip().endswith("stopped; nothing was written")


@pytest.mark.parametrize("call", [("--dry-run",), ("status",), ("--once",)], ids=" ".join)
def test_pipe_has_no_progress(bench: Bench, call: tuple[str, ...]) -> None:
    """In a pipe there is nothing but the report and the log."""
    bench.begin(Tenant(keysets=(fresh(),)))
    run = bench.run(*call)
    assert (run.code, run.err) == (0, "")
    assert "\x1b" not in run.out
    assert max(map(len, run.out.splitlines())) <= 80
