"""
Start time, memory, and a large sweep, measured on the emulated tenant.

Times are those of whole processes: the least and the median of several, since a
machine is never quiet. Nothing is asserted here; run it before and after a change.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

from rotator.emulator.seed import DEMO_CLIENT_ID, DEMO_SECRET, KeySeed, KeysetSeed, Seed, TenantSeed
from rotator.emulator.server import Emulator
from rotator.emulator.switches import Switches

RUNS = 15
TENANTS, KEYSETS = 200, 20
DAY = 86_400


def main() -> None:
    """Measure, and print a line for each figure."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with Emulator(_seed(1, 3), directory=directory / "one") as emulator:
            config = _write_config(directory / "one", emulator, 1, 3)
            _starts(config)
            _idle(config)
        with Emulator(_seed(TENANTS, KEYSETS), directory=directory / "many") as emulator:
            _large_sweep(_write_config(directory / "many", emulator, TENANTS, KEYSETS), emulator)


def _seed(tenants: int, keysets: int) -> Seed:
    now = int(time.time())
    held = (KeySeed(nbf=now - 8 * DAY, exp=now + 83 * DAY),)
    return Seed(
        tenants=tuple(
            TenantSeed(
                domain=f"tenant{t}.onmicrosoft.com",
                keysets=tuple(KeysetSeed(id=f"B2C_1A_Keyset{k}", keys=held) for k in range(keysets)),
                switches=Switches(throttle_per_app=0, throttle_per_tenant=0),
            )
            for t in range(tenants)
        )
    )


def _write_config(directory: Path, emulator: Emulator, tenants: int, keysets: int) -> Path:
    secret = directory / "secret"
    secret.write_text(DEMO_SECRET, encoding="utf-8")
    listed = [{"id": f"B2C_1A_Keyset{k}", "use": "sig"} for k in range(keysets)]
    content = {
        "ca_file": str(emulator.ca_file),
        "http": {"host": "127.0.0.1", "port": 0},
        "tenants": [
            {
                "name": f"tenant{t}",
                "tenant_id": f"tenant{t}.onmicrosoft.com",
                "cloud": {"graph": emulator.url, "login": emulator.url},
                "credential": {"client_id": DEMO_CLIENT_ID, "client_secret_file": str(secret)},
                "keysets": listed,
            }
            for t in range(tenants)
        ],
    }
    config = directory / "rotator.yaml"
    config.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    return config


def _starts(config: Path) -> None:
    rotator = [sys.executable, "-m", "rotator", "--config", str(config)]
    calls = {
        "a bare interpreter": [sys.executable, "-c", "pass"],
        "--help": [*rotator, "--help"],
        "config check": [*rotator[:3], "config", "check", "--config", str(config)],
        "--dry-run": [*rotator, "--dry-run"],
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(RUNS):  # in turn, so that a busy moment of the machine meets all alike
        for name, call in calls.items():
            times[name].append(_timed(partial(subprocess.run, call, check=True, capture_output=True)))
    for name, taken in times.items():
        _say(
            f"{name}, whole process",
            f"{min(taken) * 1000:.0f} ms least, {statistics.median(taken) * 1000:.0f} ms median",
        )


def _idle(config: Path) -> None:
    with _Daemon(config) as daemon:
        daemon.wait_for("sweep.finished")
        time.sleep(2)
        _say("memory of the idle daemon", f"{daemon.rss() / 1024:.1f} MB RSS")


def _large_sweep(config: Path, emulator: Emulator) -> None:
    with _Daemon(config) as daemon:
        swept = daemon.wait_for("sweep.finished")
        what = f"a first sweep over {TENANTS} tenants x {KEYSETS} keysets"
        _say(what, f"{swept['seconds']:.1f} s, {len(emulator.requests)} requests (3 a tenant: discovery, token, list)")
        _say("memory after it", f"{daemon.rss() / 1024:.1f} MB RSS")
        page: list[bytes] = []
        taken = [_timed(lambda: page.append(daemon.get("/metrics"))) for _ in range(RUNS)]
        size = f"{len(page[-1]) / 1e6:.1f} MB"
        _say(f"a scrape of {TENANTS * KEYSETS} keysets", f"{statistics.median(taken) * 1000:.0f} ms median, {size}")


class _Daemon:
    """The real daemon, as a process."""

    def __init__(self, config: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rotator", "--config", str(config)], stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        self.port = self.wait_for("rotator.started")["port"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def wait_for(self, event: str) -> dict[str, object]:
        for line in self._process.stderr or ():
            told: dict[str, object] = json.loads(line)
            if told["event"] == event:
                return told
        raise RuntimeError(event)

    def rss(self) -> int:
        """Resident memory, in KiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
            content: bytes = answer.read()
            return content


def _timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _say(what: str, figure: str) -> None:
    print(f"{what:50} {figure}", flush=True)


if __name__ == "__main__":
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    main()
