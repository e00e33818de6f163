"""
One daemon that is killed every few seconds, against a service that fails half of the time.

Lives of seconds: a key is valid for 25 s. What is measured is the share of time in which a
keyset has no valid key; it is printed, and held below `MAX_SHARE`.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from end_to_end.harness import Bench, Keyset, Tenant

from rotator.emulator.faults.fault import Fault, Kind, Moment
from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import Switches
from rotator.emulator.server import Emulator

SECONDS = float(os.environ.get("STORM_SECONDS", "75"))
MAX_SHARE = 0.05
"""The aim is 0.02; single runs of this short storm were seen from 0.00 to 0.024."""
ROTATE_EVERY, OVERLAP, LEAD, WINDOW = 13, 12, 2, 10
TENANTS, KEYSETS = 6, 2
CALM = Switches(throttle_per_app=0, throttle_per_tenant=0)  # seconds need more requests than real life
LIVES = (4.0, 11.0)
"""Seconds that a process lives, at least and at most."""


@pytest.mark.timeout(SECONDS + 120)
def test_kill_storm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With half of the requests failing and a kill every few seconds, keysets hardly ever lack a valid key."""
    now = int(time.time())
    old = KeySeed(nbf=now - 4, exp=now - 4 + ROTATE_EVERY + OVERLAP)
    tenants = [
        Tenant(
            name=f"tenant{number}",
            keysets=tuple(Keyset(id=f"B2C_1A_{place}", keys=(old,)) for place in range(KEYSETS)),
            switches=CALM,
        )
        for number in range(TENANTS)
    ]
    with Bench(tmp_path) as bench:
        emulator = bench.begin(
            *tenants,
            settle="1s",
            check_interval="2s",
            request_timeout="1s",
            defaults={
                "rotate_every": f"{ROTATE_EVERY}s",
                "overlap": f"{OVERLAP}s",
                "publication_lead": f"{LEAD}s",
                "renewal_window": f"{WINDOW}s",
            },
        )
        began, over = emulator.now(), threading.Event()
        weather = threading.Thread(target=_blow, args=(emulator, over))
        weather.start()
        kills = _live_and_die(bench, time.monotonic() + SECONDS)
        over.set()
        weather.join()
        ended = emulator.now()
        gaps = [
            min(gap.end, ended) - gap.start
            for tenant in (emulator.tenant(each.domain) for each in tenants)
            for keyset in tenant.all_keysets()
            for gap in tenant.gaps(keyset.id, began, ended)
        ]
    share = sum(gaps) / ((ended - began) * TENANTS * KEYSETS)
    with capsys.disabled():
        print(
            f"\nkill storm: {kills} kills in {ended - began:.0f} s; {len(gaps)} gaps, {100 * share:.2f} % without a key"
        )
    assert kills >= SECONDS / LIVES[1] - 1
    assert share < MAX_SHARE


def _live_and_die(bench: Bench, until: float) -> int:
    """Start the daemon again and again, and kill it; how often."""
    chance, kills = random.Random(0), 0
    while (left := until - time.monotonic()) > 0:
        process = subprocess.Popen(
            [sys.executable, "-m", "rotator", "--config", str(bench.config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=bench.environment(),
        )
        try:
            time.sleep(min(chance.uniform(*LIVES), left))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        kills += 1
    return kills


def _blow(emulator: Emulator, over: threading.Event) -> None:
    """Let every request of half of the time fail, in stretches far shorter than a life."""
    chance = random.Random(1)
    while not over.is_set():
        over.wait(chance.uniform(0.05, 0.3))
        when = chance.choice(list(Moment))
        fault = emulator.inject(Fault(what=chance.choice((Kind.RESET, Kind.EMPTY, Kind.HTML)), when=when))
        over.wait(chance.uniform(0.05, 0.3))
        fault.remove()
