"""
The thread that starts every look dies, and the process lives on: what a liveness probe is for.

The thread is ended from within the real process, where a debugger would do it; a
daemon beside it, whose thread lives, must not be called dead meanwhile.
"""

import re
import time
from pathlib import Path

import pytest
from end_to_end.harness import Bench, Running, Tenant, fresh

from rotator.edges.scheduler import BEAT
from rotator.emulator.http.routes import Operation
from rotator.service.pages import MAX_SILENCE

KILLER = """
import ctypes, pathlib, threading, time

def kill():
    while not pathlib.Path({order!r}).exists():
        time.sleep(0.05)
    (victim,) = (each for each in threading.enumerate() if each.name == "APScheduler")
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(victim.ident), ctypes.py_object(SystemExit))

threading.Thread(target=kill, daemon=True).start()
"""
"""Loaded by the interpreter before the program: waits for the order, and ends the scheduler's thread."""


@pytest.fixture
def doomed(bench: Bench, tmp_path: Path) -> tuple[Running, Path]:
    """A daemon, and the file that has its scheduler killed once it is there."""
    order = tmp_path / "now"
    killer = tmp_path / "site"
    killer.mkdir()
    (killer / "sitecustomize.py").write_text(KILLER.format(order=str(order)))
    bench.begin(Tenant(keysets=(fresh(),)), check_interval="1s", request_timeout="60s")
    return bench.start(env={"PYTHONPATH": str(killer)}), order


def test_health_fails_where_the_loop_is_dead(bench: Bench, doomed: tuple[Running, Path]) -> None:
    """
    It fails within the time it states, and names what is dead, as the page does; no look begins any more.

    It still ends when it is told to. Another one stays alive.
    """
    daemon, order = doomed
    other = bench.start()
    for each in (daemon, other):
        each.log("sweep.finished")
        assert each.get("/healthz").status == 200
    order.touch()
    killed = time.monotonic()
    while (found := daemon.get("/healthz")).status == 200:
        assert time.monotonic() - killed < MAX_SILENCE + 10 * BEAT
        time.sleep(0.2)
    taken = time.monotonic() - killed
    assert found.status == 503
    told = re.fullmatch(r"no heartbeat from the scheduler for (\d+) s\n", found.text)
    assert told, found.text
    assert MAX_SILENCE <= int(told[1]) < MAX_SILENCE + 10 * BEAT
    assert "No heartbeat from the scheduler" in daemon.get("/").text
    assert taken > MAX_SILENCE - 2 * BEAT
    assert other.get("/healthz").status == 200
    other.stop()
    looks = len(bench.asked(Operation.LIST_KEYSETS))
    time.sleep(3)
    assert len(bench.asked(Operation.LIST_KEYSETS)) == looks
    assert daemon.stop().code == 0
