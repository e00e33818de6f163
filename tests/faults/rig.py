"""
What tests of faults stand on, beside the bench of the whole program.

Many tenants share one emulated service, a fault each, and one run of the real program
visits them side by side: what takes one of them seconds of back-off costs the others
nothing. What a tenant was asked, and what became of its keys, is read from the service.
"""

import contextlib
import fcntl
import http.client
import json
import os
import pickle
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from end_to_end.harness import Bench, Finished, Tenant, peak

from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Seen

SETTLE = 1.0
"""Seconds between the two looks of every run here, and how long a new key is looked for."""

ENOUGH = 90.0
"""Seconds after which a run that has not ended never will."""

Played = TypeVar("Played")

LOOKS = frozenset({Operation.LIST_KEYSETS, Operation.GET_KEYSET})


def configure(bench: Bench, name: str, tenants: Iterable[Tenant], **settings: object) -> Path:
    """Write a configuration for some of the tenants of *bench*."""
    names = {tenant.name for tenant in tenants}
    content = {
        **bench.content,
        "settle": f"{SETTLE:g}s",
        "concurrency": 64,
        "http": {"host": "127.0.0.1", "port": free_port()},
        **settings,
        "tenants": [each for each in bench.content["tenants"] if each["name"] in names],
    }
    path = bench.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


class Process:
    """The program, or a script that runs it, in its own process; what it prints goes into files."""

    def __init__(self, bench: Bench, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        folder = Path(tempfile.mkdtemp(dir=bench.folder))
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                env=bench.environment(env),
            )

    @property
    def printed(self) -> str:
        """All that it has printed until now."""
        return self._out.read_text() + self._err.read_text()

    def wait(self) -> Finished:
        """Wait until it has ended."""
        code = self._process.wait(ENOUGH)
        return Finished(code=code, out=self._out.read_text(), err=self._err.read_text())

    def wait_for(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, and fail where it ends before that."""
        until = time.monotonic() + ENOUGH
        while not holds():
            assert time.monotonic() < until, f"in vain:\n{self.printed}"
            assert self._process.poll() is None, f"it has ended:\n{self.printed}"
            time.sleep(0.1)

    def close(self) -> None:
        """End it, if it has not ended yet."""
        self._process.kill()
        self._process.wait()


class Daemon(Process):
    """The daemon; its pages are where `configure` put them."""

    def __init__(self, bench: Bench, path: Path, *script: str, env: Mapping[str, str] | None = None) -> None:
        self._port: int = yaml.safe_load(path.read_text())["http"]["port"]
        super().__init__(bench, *(script or ("-m", "rotator")), "--config", str(path), env=env)

    def get(self, path: str) -> tuple[int, str]:
        """The status and the text of one of its pages; 0 while there is no listener."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ENOUGH)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def ready(self) -> None:
        """Wait until it has visited everybody once."""
        self.wait_for(lambda: self.get("/readyz")[0] == 200)

    @property
    def peak(self) -> float:
        """The most memory that it ever had, in MiB."""
        return peak(self._process.pid)

    def stop(self) -> Finished:
        """End it as a supervisor does."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()


def free_port() -> int:
    """A port without a listener, and that the system gives to no connection meanwhile."""
    for port in random.sample(range(20_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("every port is taken")


def wait_for_all(processes: Sequence[Process]) -> list[Finished]:
    """Wait until all have ended; none is left behind."""
    try:
        return [process.wait() for process in processes]
    finally:
        for process in processes:
            process.close()


def once(bench: Bench, path: Path) -> Process:
    """Start one pass over everything in *path*; its report will be JSON."""
    return Process(bench, "-m", "rotator", "--once", "--output", "json", "--config", str(path))


def play_once(factory: pytest.TempPathFactory, name: str, play: Callable[[Path], Played]) -> Played:
    """What *play* returns, given a folder; played by one of the workers where several share the tests."""
    folder = factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    memory = shared / f"{name}.pickle"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not memory.exists():
            memory.write_bytes(pickle.dumps(play(factory.mktemp(name))))
        played: Played = pickle.loads(memory.read_bytes())
    return played


def rows_of(run: Finished) -> dict[str, list[dict[str, Any]]]:
    """The rows of a report by tenant, in their order."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in run.rows:
        rows.setdefault(row["tenant"], []).append(row)
    return rows


def lines_of(run: Finished, event: str) -> dict[str, list[dict[str, Any]]]:
    """The log lines with that event by tenant, in their order."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for line in run.events(event):
        lines.setdefault(line["tenant"], []).append(line)
    return lines


def by_tenant(requests: Iterable[Seen]) -> dict[str, list[Seen]]:
    """Requests by the tenant's name, in order of arrival."""
    found: dict[str, list[Seen]] = {}
    for seen in requests:
        if seen.tenant is not None:
            found.setdefault(seen.tenant.partition(".")[0], []).append(seen)
    return found


def posts(requests: Iterable[Seen]) -> list[Seen]:
    """The requests for a key."""
    return [seen for seen in requests if seen.operation is Operation.GENERATE_KEY]


def blind_repeats(requests: Iterable[Seen]) -> list[tuple[Seen, Seen]]:
    """
    The pairs of requests for a key without the looks that must lie between them.

    A refusal (4xx, or 509) takes one look after it. Of anything else nobody knows what it did:
    that takes looks at least `settle` apart.
    """
    seen = list(requests)
    asked = posts(seen)
    pairs = []
    for former, later in pairwise(asked):
        between = [
            each.time
            for each in seen
            if each.operation in LOOKS and each.status == 200 and former.number < each.number < later.number
        ]
        refused = former.status == 509 or former.status in set(range(400, 500)) - {408}
        apart = max(between, default=0.0) - min(between, default=0.0)
        if between and (refused or apart >= SETTLE):
            continue
        pairs.append((former, later))
    return pairs


def spoken(body: str | None) -> Mapping[str, Any]:
    """What a request for a key requested."""
    asked = json.loads(body or "{}")
    assert isinstance(asked, dict)
    return asked


class Listener:
    """A port that rotator must not use; it counts connections and never answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.visits = 0

    def listen(self) -> None:
        """Count until it is closed."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.visits += 1
            connection.close()

    def close(self) -> None:
        """Listen no more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@contextlib.contextmanager
def listening() -> Iterator[Listener]:
    """A listener for a while."""
    listener = Listener()
    thread = threading.Thread(target=listener.listen)
    thread.start()
    try:
        yield listener
    finally:
        listener.close()
        thread.join()
