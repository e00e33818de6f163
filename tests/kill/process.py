"""
The program as a process that is caught at a step, and ended there.

It logs into a named pipe, so that its log can be brought to a halt: a pipe that
is full blocks the process that writes to it, which stops it right before a log line.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from end_to_end.harness import SECRET, Bench

PATIENCE = 45.0
"""Seconds after which a process that has not done what it was to do is a failed test."""

BRIEFLY = 1.0
"""Seconds to wait for what can't be seen on a system without /proc."""


class Victim:
    """One process of the program; a context manager, at whose end it is gone."""

    def __init__(self, bench: Bench, *arguments: str, **env: str) -> None:
        self._fifo = _new_fifo(bench.folder)
        self._reading = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(self._reading, True)
        stderr = os.open(self._fifo, os.O_WRONLY)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rotator", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=bench.environment(env),
            )
        finally:
            os.close(stderr)
        self._changed = threading.Condition()
        self._raw = b""
        self._flows = threading.Event()
        self._halted = threading.Event()
        self._filler: int | None = None
        self._flows.set()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    # --- what it says

    @property
    def text(self) -> str:
        """Its log until now."""
        with self._changed:
            return self._raw.decode()

    def events(self, *names: str) -> list[dict[str, Any]]:
        """The log lines with one of these events, without a line that was cut off."""
        whole = self.text.rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines() if line]
        return [line for line in lines if line["event"] in names]

    def wait_for(self, *names: str) -> None:
        """Wait until a line with one of these events begins."""
        begins = [f'"event": "{name}"'.encode() for name in names]
        with self._changed:
            said = self._changed.wait_for(lambda: any(begin in self._raw for begin in begins), PATIENCE)
        assert said, f"no {' nor '.join(names)} within {PATIENCE}s, only:\n{self.text}"

    def halt_log(self) -> None:
        """Read no more, and fill the pipe: the next line that it logs blocks it."""
        self._flows.clear()
        self._filler = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)
        while not self._halted.wait(0.01):  # the reader may be reading
            os.write(self._filler, b"\n")
        for size in (4096, 1):
            with suppress(BlockingIOError):
                while True:
                    os.write(self._filler, b"\n" * size)

    def resume_log(self) -> None:
        """Read on."""
        if self._filler is not None:
            os.close(self._filler)
            self._filler = None
        self._flows.set()

    # --- its end

    def terminate(self) -> None:
        """Ask it to stop, and wait until it says that it knows; where it can say nothing, give it the time to know."""
        self.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + (PATIENCE if self._flows.is_set() else BRIEFLY)
        while "rotator.stopping" not in self.text and self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        heard = "rotator.stopping" in self.text or self.process.poll() is not None
        assert heard or not self._flows.is_set(), f"it did not hear SIGTERM:\n{self.text}"

    def wait(self) -> int:
        """Its exit code, once it has ended; what it logged is complete then."""
        code = self.process.wait(PATIENCE)
        self.resume_log()
        self._reader.join(PATIENCE)
        assert SECRET not in self.text
        assert "Traceback" not in self.text, self.text
        return code

    def kill(self) -> int:
        """SIGKILL, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        return self.wait()

    def _read(self) -> None:
        try:
            while True:
                if not self._flows.is_set():
                    self._halted.set()
                    self._flows.wait()
                data = os.read(self._reading, 65_536)
                if not data:
                    return
                with self._changed:
                    self._raw += data
                    self._changed.notify_all()
        finally:
            os.close(self._reading)


def _new_fifo(folder: Path) -> Path:
    fifo = folder / f"log-{len(list(folder.glob('log-*')))}"
    os.mkfifo(fifo, mode=0o600)
    return fifo
