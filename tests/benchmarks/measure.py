"""
Start time, memory, and a large sweep, measured on the emulated tenant.

Times are those of whole processes: the least and the median of several, since a
machine is never quiet. Nothing is asserted here; run it before and after a change.
"""

import io
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Self

from rotator.core.keyset import Key, Keyset
from rotator.core.outcome import Held, Observation
from rotator.core.policy import RotationPolicy
from rotator.core.reasons import Reason
from rotator.core.rotation import decide
from rotator.core.status import KeysetStatus, Name
from rotator.core.tenant import TenantId
from rotator.edges.logs import logger
from rotator.edges.redactor import Redactor
from rotator.edges.tenant_settings import PolicySettings
from rotator.emulator.model.seed import DEMO_CLIENT_ID, DEMO_SECRET, KeySeed, KeysetSeed, Seed, TenantSeed
from rotator.emulator.model.switches import Switches
from rotator.emulator.server import Emulator
from rotator.views.page import page
from rotator.views.process import ProcessStatus

RUNS = 15
TENANTS, KEYSETS = 200, 20
MANY = 1000  # tenants with a keyset each, on one page
DAY = 86_400
OPENMETRICS = "application/openmetrics-text; version=1.0.0"  # what Prometheus asks for


def main() -> None:
    """Measure, and print a line for each figure."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        _redaction()
        with Emulator(seed(1, 3), directory=directory / "one") as emulator:
            config = write_config(directory / "one", emulator, 1, 3)
            _starts(config)
            _idle(config)
        with Emulator(seed(TENANTS, KEYSETS), directory=directory / "many") as emulator:
            _pages(write_config(directory / "many", emulator, 15, KEYSETS), 15 * KEYSETS, {"/": "the status page"})
            _pages(write_config(directory / "many", emulator, 50, KEYSETS), 50 * KEYSETS, {"/metrics": "a scrape"})
            _large_sweep(write_config(directory / "many", emulator, TENANTS, KEYSETS), emulator)


def _redaction() -> None:
    """What a log line and a page cost with the secrets and the tokens of `MANY` tenants."""
    redactor = Redactor()
    for _ in range(MANY):
        redactor.register(secrets.token_urlsafe(30), permanent=True)
        redactor.register(f"eyJ0eXAiOiJKV1QiLCJhbGciOi{secrets.token_urlsafe(1100)}", permanent=False)
    log = logger("info", "json", redactor, io.StringIO())
    data = {"tenant": "contoso", "keyset": "B2C_1A_TokenSigningKeyContainer", "reason": "not_due"}
    taken = [_timed(partial(log.info, "keyset.held", **data, due="2030-01-01T00:00:00Z")) for _ in range(1000)]
    say(f"a log line with {MANY} tenants' secrets", f"{statistics.median(taken) * 1000:.3f} ms median")
    entries, process = _statuses()
    pages = [_timed(lambda: redactor.redact(page(entries, process.began, process))) for _ in range(RUNS)]
    size = len(page(entries, process.began, process)) / 1000
    say(f"the status page of {MANY} keysets with them", f"{_ms(statistics.median(pages))} median, {size:.0f} kB")


def _statuses() -> tuple[dict[Name, KeysetStatus], ProcessStatus]:
    now = datetime.now(UTC)
    found: dict[Name, KeysetStatus] = {}
    for number in range(MANY):
        values = PolicySettings().model_dump()
        policy = RotationPolicy(
            keyset_id=f"B2C_1A_Keyset{number}", use="sig", **{**values, "overlap": timedelta(days=1)}
        )
        begin = now - timedelta(days=number % 100)  # some are due, some are late
        key = Key(kid=secrets.token_urlsafe(32), nbf=begin, exp=begin + timedelta(days=91), use="sig", kty=policy.kty)
        keyset = Keyset(id=policy.keyset_id, keys=(key,))
        decision = decide(policy, keyset, now)
        where = TenantId(graph="https://graph", login="https://login", directory=f"tenant{number}")
        seen = Observation(
            tenant=f"tenant{number}",
            tenant_id=where,
            policy=policy,
            now=now,
            keyset=keyset,
            assessment=decision.assessment,
        )
        held = Held(observation=seen, reason=Reason.NOT_DUE)
        status = KeysetStatus(policy=policy, outcome=held, effective_outcome=held, observation=seen)
        found[seen.name] = status
    stale = timedelta(hours=2)
    return found, ProcessStatus(version="0", refresh=60, stale=stale, began=now, swept=now)


def seed(tenants: int, keysets: int) -> Seed:
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


def write_config(directory: Path, emulator: Emulator, tenants: int, keysets: int) -> Path:
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
        say(f"{name}, whole process", f"{_ms(min(taken))} least, {_ms(statistics.median(taken))} median")


def _idle(config: Path) -> None:
    with Daemon(config) as daemon:
        daemon.wait_for("sweep.finished")
        time.sleep(2)
        say("memory of the idle daemon", f"{daemon.rss() / 1024:.1f} MB RSS")


def _large_sweep(config: Path, emulator: Emulator) -> None:
    before = len(emulator.requests)
    with Daemon(config) as daemon:
        with _Probe(f"http://127.0.0.1:{daemon.port}/healthz") as probe:
            swept = daemon.wait_for("sweep.finished")
        health = probe.taken
        what = f"a first sweep over {TENANTS} tenants x {KEYSETS} keysets"
        sent = len(emulator.requests) - before
        say(what, f"{swept['seconds']:.1f} s, {sent} requests (3 a tenant: discovery, token, list)")
        say("memory after it", f"{daemon.rss() / 1024:.1f} MB RSS")
        say(
            "/healthz meanwhile",
            f"{_ms(statistics.median(health))} median, {_ms(max(health))} slowest of {len(health)}",
        )
        _page(daemon, TENANTS * KEYSETS, "/metrics", "a scrape")


def _pages(config: Path, keysets: int, pages: Mapping[str, str]) -> None:
    with Daemon(config) as daemon:
        daemon.wait_for("sweep.finished")
        for path, name in pages.items():
            _page(daemon, keysets, path, name)


def _page(daemon: "Daemon", keysets: int, path: str, name: str) -> None:
    pages: list[bytes] = []
    taken = [_timed(lambda: pages.append(daemon.get(path))) for _ in range(RUNS)]
    size = f"{len(pages[-1]) / 1e6:.2f} MB"
    say(f"{name} of {keysets} keysets", f"{_ms(statistics.median(taken))} median, {size}")


class _Probe:
    """Asks for a page again and again, from a process that does nothing else: the emulator keeps this one busy."""

    SCRIPT = """
import select, sys, time, urllib.request
while not select.select([sys.stdin], [], [], 0.01)[0]:
    began = time.perf_counter()
    urllib.request.urlopen(sys.argv[1]).read()
    print(time.perf_counter() - began)
"""

    def __init__(self, url: str) -> None:
        self.taken: list[float] = []
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.SCRIPT, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.taken = [float(line) for line in self._process.communicate("enough\n")[0].split()]


class Daemon:
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

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def rss(self) -> int:
        """Resident memory, in KiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def get(self, path: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Accept": OPENMETRICS})
        with urllib.request.urlopen(request) as answer:
            content: bytes = answer.read()
            return content


def _timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def say(what: str, figure: str) -> None:
    print(f"{what:50} {figure}", flush=True)


if __name__ == "__main__":
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    main()
