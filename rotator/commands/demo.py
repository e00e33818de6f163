"""
Rotation to watch: the emulated tenant and the real daemon together, with lives of seconds.

The daemon is a process of its own and speaks HTTPS with the emulator, as it would
with Microsoft. What is shown comes from its log; who signed when, and that there
was no gap, comes from the emulator, which keeps a history and shares no code
with the daemon.
"""

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from rotator.emulator.command import write_configuration
from rotator.emulator.model.history import KeyAdded
from rotator.emulator.model.keys import active_key
from rotator.emulator.model.keysets import Keyset
from rotator.emulator.model.seed import DEMO_DOMAIN, demo_seed
from rotator.emulator.model.switches import Switches, TieBreak
from rotator.emulator.model.tenants import Tenant
from rotator.emulator.server import Emulator

LENGTH = 30.0  # seconds
YEAR = 365 * 86_400

_SETTINGS = {
    "check_interval": "1s",
    "settle": "1s",
    "log": {"level": "info", "format": "json"},
    "http": {"host": "127.0.0.1", "port": 0},
    "leader_election": {"enabled": False},
    "defaults": {
        "rotate_every": "8s",  # how long a key is the active one
        "overlap": "4s",  # how long its predecessor stays valid after that
        "publication_lead": "2s",  # from generation to activation
        "renewal_window": "3s",  # the time there is to get a key generated
    },
}


def run(*, forever: bool) -> int:
    """
    Show half a minute of rotations, or as many as there are until Ctrl-C, and then what came of them.

    Returns:
        0 where every keyset has a valid key at every instant since its first one, and the
        daemon ended well; else 1.

    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    # Lives of seconds need more requests than the minute of the real service grants.
    switches = Switches(throttle_per_app=0, throttle_per_tenant=0)
    with tempfile.TemporaryDirectory(prefix="rotator-demo-") as name:
        directory = Path(name)
        with Emulator(
            demo_seed(time.time(), due=(2, 10), hand_made=(YEAR, YEAR), encryption=(1, 11), switches=switches),
            directory=directory,
        ) as emulator:
            show = _Show()
            show.line(f"an emulated tenant, {DEMO_DOMAIN}, serves at {emulator.url}")
            config = write_configuration(emulator, directory, _SETTINGS)
            with subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, "-P", "-m", "rotator", "--config", str(config)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                env={name: value for name, value in os.environ.items() if not name.startswith("ROTATOR_")},
                start_new_session=True,  # Ctrl-C is for this process, which then stops that one
            ) as daemon:
                reader = threading.Thread(target=show.follow, args=(daemon.stderr,), daemon=True)
                reader.start()
                try:
                    _watch(emulator.tenant(DEMO_DOMAIN), show, stop, None if forever else LENGTH, daemon)
                finally:
                    daemon.terminate()
                code = daemon.wait(timeout=60)
                reader.join(timeout=5)
            ended = emulator.now()
            print(f"\nThe daemon was asked to stop (SIGTERM) and left with exit code {code}.\n")
            return max(_conclude(emulator.tenant(DEMO_DOMAIN), show.began, ended), code != 0)


def _watch(
    tenant: Tenant, show: "_Show", stop: threading.Event, length: float | None, daemon: "subprocess.Popen[str]"
) -> None:
    """Tell when another key takes over, until time is up, somebody stops it, or the daemon has gone."""
    active = {keyset.id: tenant.active(keyset.id) for keyset in tenant.all_keysets()}
    while not stop.wait(0.1) and daemon.poll() is None and (length is None or show.elapsed() < length):
        for keyset_id, before in active.items():
            now = tenant.active(keyset_id)
            if now is not None and (before is None or now.kid != before.kid):
                show.line(
                    f"{_short(keyset_id):11} {now.kid[:8]} takes over{f' from {before.kid[:8]}' if before else ''}"
                )
            active[keyset_id] = now


class _Show:
    """Lines with the time since the beginning in front."""

    def __init__(self) -> None:
        self.began = time.time()
        self._planned: set[str] = set()

    def elapsed(self) -> float:
        return time.time() - self.began

    def line(self, text: str) -> None:
        print(f"{self.elapsed():5.1f}s  {text}", flush=True)

    def follow(self, log: IO[str]) -> None:
        """Put the daemon's log into words."""
        for line in log:
            try:
                event = json.loads(line)
            except ValueError:
                self.line(line.rstrip())
                continue
            told = _told(event)
            if told and not self._is_known(event):
                self.line(told)

    def _is_known(self, event: dict[str, Any]) -> bool:
        """Whether a keyset was said to be due before: each look says so until it has its key."""
        keyset = event.get("keyset", "")
        if event["event"] != "keyset.planned":
            self._planned.discard(keyset)
            return False
        known = keyset in self._planned
        self._planned.add(keyset)
        return known


def _told(event: dict[str, Any]) -> str | None:
    keyset = f"{_short(event.get('keyset', '')):11}"
    match event["event"]:
        case "rotator.started":
            return (
                f"the daemon looks every {event['check_interval']}; its status page: http://127.0.0.1:{event['port']}/"
            )
        case "keyset.planned":
            return f"{keyset} {event['reason']}: wants a key from {event['nbf'][11:19]}; looks again before it asks"
        case "keyset.rotated":
            return (
                f"{keyset} {event['kid'][:8]} generated, active from {event['nbf'][11:19]} to {event['exp'][11:19]} UTC"
            )
        case "keyset.failed":
            return f"{keyset} FAILED: {event['message']}"
        case _:
            return None


def _conclude(tenant: Tenant, began: float, ended: float) -> int:
    """The table of what was generated, and the proof that nobody was locked out."""
    print(
        f"{'KEYSET':11}  {'KID':8}  {'GENERATED':>9}  {'TAKES OVER':>10}  {'EXPIRES':>7}  {'LEAD':>5}  {'OVERLAP':>7}"
    )
    for keyset in tenant.all_keysets():
        for born in keyset.events:
            if isinstance(born, KeyAdded) and born.instant >= began:
                print(f"{_short(keyset.id):11}  {_row(keyset, born, began)}")
    print()
    locked_out = [line for keyset in tenant.all_keysets() for line in _gaps(tenant, keyset, began, ended)]
    for line in locked_out:
        print(f"GAP: {line}")
    if locked_out:
        return 1
    print(f"No gap: in {ended - began:.0f}s, each keyset had a valid key at every instant since its first one.")
    return 0


def _row(keyset: Keyset, born: KeyAdded, began: float) -> str:
    """When a key came, and for how long; seconds since the beginning."""
    nbf, exp = float(born.key.nbf or 0), float(born.key.exp or 0)
    before = active_key((key for key in keyset.keys if key.nbf is None or key.nbf < nbf), nbf - 0.5, TieBreak.NEWEST)
    overlap = "-" if before is None else "no end" if before.exp is None else _span(before.exp - nbf)
    return (
        f"{born.key.kid[:8]}  {born.instant - began:8.1f}s  {nbf - began:9.1f}s  {exp - began:6.1f}s"
        f"  {max(nbf - born.instant, 0):4.1f}s  {overlap:>7}"
    )


def _span(seconds: float) -> str:
    return f"{seconds:.0f}s" if seconds < 3600 else f"{seconds / 86_400:.0f}d"


def _gaps(tenant: Tenant, keyset: Keyset, began: float, ended: float) -> Iterator[str]:
    """The times without a valid key, but for a keyset that had none to begin with."""
    births = [event.instant for event in keyset.events if isinstance(event, KeyAdded)]
    if not births:
        if ended - began < LENGTH:
            print(f"{_short(keyset.id)} had no key to begin with, and has none yet.")
        else:
            yield f"{_short(keyset.id)} never had a key"
        return
    first = max(began, min(births))
    if first > began:
        print(f"{_short(keyset.id)} had no key to begin with; it has one since {first - began:.1f}s.")
    for gap in tenant.gaps(keyset.id, math.ceil(first), ended):
        yield f"{_short(keyset.id)} had no valid key from {gap.start - began:.1f}s to {gap.end - began:.1f}s"


def _short(keyset_id: str) -> str:
    return keyset_id.removeprefix("B2C_1A_").removeprefix("Token").removesuffix("KeyContainer")
