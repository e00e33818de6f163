"""The daemon where something hangs: files, the reader of its log, clients of its pages."""

import contextlib
import fcntl
import http.client
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from end_to_end.harness import Bench, Running, Tenant, fresh
from end_to_end.scrape import reached, swept

from rotator.edges.files import READ_TIMEOUT
from rotator.emulator.http.routes import Operation
from rotator.service.stop import MAX_STOP

SLOW_CLIENTS = 300
CLIENTS_WITHOUT_MEMORY = 16
PIPE_SIZE = 4096  # the smallest there is


@contextlib.contextmanager
def hanging(path: Path) -> Iterator[None]:
    """In place of *path* a pipe that somebody holds open, and writes nothing to."""
    path.unlink()
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    try:
        yield
    finally:
        os.close(writer)


@contextlib.contextmanager
def run(bench: Bench, limits: str) -> Iterator[Running]:
    """The daemon under *limits*, as bash's ulimit takes them."""
    running = Running(
        subprocess.Popen(
            ["bash", "-c", f"ulimit {limits}; exec {sys.executable} -m rotator"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env=bench.environment(),
        )
    )
    try:
        yield running
    finally:
        running.close()


@pytest.mark.parametrize("what", ["configuration", "ca_file"])
def test_stop_while_a_reload_hangs(bench: Bench, what: str) -> None:
    """A file that has become a pipe is a configuration that is rejected, and a stop is heard meanwhile."""
    bench.begin(Tenant(keysets=(fresh(),)), check_interval="1h")
    bundle = bench.folder / "bundle.pem"
    bundle.write_text(bench.emulator.ca_file.read_text())
    bench.content["ca_file"] = str(bundle)
    bench.write()
    daemon = bench.start()
    daemon.log("sweep.finished")
    with hanging(bench.config if what == "configuration" else bundle):
        daemon.signal(signal.SIGHUP)
        (fault,) = daemon.log("config.rejected")["faults"]
        reason = "is a pipe" if what == "configuration" else f"not written within {READ_TIMEOUT:g}s"
        assert reason in fault
        for _ in range(100):
            daemon.signal(signal.SIGHUP)
        assert daemon.get("/healthz").status == 200
        daemon.signal(signal.SIGTERM)
        assert daemon.wait(MAX_STOP + 5).code == 0


def test_stop_while_a_secret_hangs(bench: Bench) -> None:
    """A secret that is never written is a failure that names the file, and delays no stop."""
    bench.begin(Tenant(keysets=(fresh(),)), check_interval="1h")
    with hanging(bench.secret_file):
        daemon = bench.start()
        failed = daemon.log("keyset.failed")
        assert failed["kind"] == "auth"
        assert failed["message"].startswith(f"cannot read client_secret_file {bench.secret_file}: not written within")
        daemon.signal(signal.SIGHUP)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait(MAX_STOP + 5).code == 0


def test_reload_that_changes_nothing(bench: Bench) -> None:
    """Tokens are kept, and nothing is looked at; another configuration has both again."""
    bench.begin(Tenant(keysets=(fresh(),)), check_interval="1h")
    daemon = bench.start()
    daemon.log("sweep.finished")
    bench.config.write_text(bench.config.read_text() + "# a comment\n")
    daemon.signal(signal.SIGHUP)
    assert daemon.log("config.reloaded")["unchanged"] is True
    daemon.signal(signal.SIGHUP)
    daemon.log("config.reloaded", count=2)
    bench.content["check_interval"] = "2h"
    bench.write()
    daemon.signal(signal.SIGHUP)
    assert "unchanged" not in daemon.log("config.reloaded", count=3)
    daemon.log("sweep.finished", count=2)
    assert len(bench.asked(Operation.LIST_KEYSETS)) == 2
    assert len(bench.asked(Operation.TOKEN)) == 2
    assert daemon.stop().code == 0


@contextlib.contextmanager
def unread(bench: Bench) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes], int]]:
    """The daemon with a log that goes into a small pipe: the process, the pipe, and the port of its pages."""
    bench.begin(Tenant(keysets=(fresh(),)), check_interval="1s", log={"level": "debug"})
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bench.content["http"]["port"] = port
    bench.write()
    with (
        os.fdopen(reader, "rb") as pipe,
        subprocess.Popen([sys.executable, "-m", "rotator"], stderr=writer, env=bench.environment()) as process,
    ):
        os.close(writer)
        try:
            yield process, pipe, port
        finally:
            process.kill()


def test_log_that_nobody_reads(bench: Bench) -> None:
    """Looks go on where the pipe of the log is full, and the process ends in time."""
    with unread(bench) as (process, _, __):
        enough = PIPE_SIZE // 200  # each look has lines of more than 200 bytes
        wait_for_looks(bench, enough)
        process.send_signal(signal.SIGTERM)
        assert process.wait(MAX_STOP + 5) == 0


def test_log_whose_reader_is_gone(bench: Bench) -> None:
    """Lines that nobody can read any more are counted, and looks go on."""
    with unread(bench) as (process, pipe, port):
        wait_for_looks(bench, 1)
        pipe.close()
        wait_for_looks(bench, 4)
        page = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        page.request("GET", "/metrics")
        text = page.getresponse().read().decode()
        page.close()
        found = re.search(r"^b2c_rotator_log_lines_dropped_total (\S+)$", text, re.MULTILINE)
        assert found
        assert float(found[1]) > 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(MAX_STOP + 5) == 0


def wait_for_looks(bench: Bench, count: int) -> None:
    """Wait until the service was asked so often."""
    until = time.monotonic() + 60
    while len(bench.asked(Operation.LIST_KEYSETS)) < count:
        assert time.monotonic() < until, "no look begins any more"
        time.sleep(0.1)


def test_slow_clients_stop_no_sweep(bench: Bench) -> None:
    """Clients that send a byte now and then keep neither sweeps nor probes out, where open files are few."""
    bench.begin(Tenant(keysets=(fresh(),)), check_interval="1s")
    with run(bench, "-n 256") as daemon:
        swept(daemon)
        slow: list[socket.socket] = []
        for _ in range(SLOW_CLIENTS):
            slow.append(socket.create_connection(("127.0.0.1", daemon.port), timeout=20))
            slow[-1].sendall(b"GET / HTTP/1.1\r\nX")
        try:
            assert daemon.get("/healthz", timeout=5).status == 200
            found = reached(daemon, 1, "sweeps_total", outcome="succeeded")
            more = found.of("sweeps_total", outcome="succeeded") + 2
            found = reached(daemon, more, "sweeps_total", outcome="succeeded")
            assert daemon.events("keyset.failed") == []
            assert found["process_open_fds"] < 256 / 2
        finally:
            for client in slow:
                client.close()
        assert daemon.stop().code == 0


def test_limit_of_open_files_is_raised(bench: Bench) -> None:
    """The soft limit is raised to the hard one at the start."""
    bench.begin(Tenant(keysets=(fresh(),)))
    with run(bench, "-Sn 100; ulimit -Hn 512") as daemon:
        assert swept(daemon)["process_max_fds"] == 512
        assert daemon.stop().code == 0


def test_connections_of_many_tenants(bench: Bench) -> None:
    """Idle connections are few, however many tenants there are."""
    tenants = [Tenant(name=f"tenant{number}", keysets=(fresh(),)) for number in range(40)]
    bench.begin(*tenants, check_interval="1h", concurrency=4)
    daemon = bench.start()
    assert daemon.log("sweep.finished")["held"] == 40
    assert swept(daemon)["process_open_fds"] < 40
    assert daemon.stop().code == 0


def test_end_where_memory_runs_out(bench: Bench) -> None:
    """A thread that cannot begin, or begins and cannot run, ends the process: nothing waits for it for good."""
    bench.begin(Tenant(keysets=(fresh(),)), check_interval="1s")
    daemon = bench.start()
    daemon.may_raise = True
    swept(daemon)
    port, number = daemon.port, daemon.process.pid
    resource.prlimit(number, resource.RLIMIT_AS, (1 << 20, 1 << 20))  # what it has it keeps, and nothing is added
    clients: list[socket.socket] = []
    with contextlib.suppress(OSError):
        for _ in range(CLIENTS_WITHOUT_MEMORY):  # a thread for each
            clients.append(socket.create_connection(("127.0.0.1", port), timeout=20))
            clients[-1].sendall(b"GET / HTTP/1.1\r\nX")
    assert daemon.process.wait(2 * MAX_STOP) == 1
    for client in clients:
        client.close()
