r"""
Lives of seconds, hundreds of rotations, and every kind of fault coming and going.

::

    pytest tests/fault_storm                       one round, as always
    SOAK_FLEET=4 SOAK_ROUNDS=12 SOAK_SECONDS=90 \
    pytest -s tests/fault_storm                    thousands of rotations, each round with other faults

Two daemons were started by mistake on the same tenants; a third has tenants of its own.
Seconds stand for what takes days and weeks in earnest, so races are far likelier here.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Self

import pytest
import yaml
from end_to_end.harness import SECRET, Bench, Keyset, Tenant
from fault_storm.storm import Weather

from rotator.emulator.model.history import KeyAdded
from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import ReadPath, Switches
from rotator.emulator.model.tenants import Tenant as Emulated
from rotator.emulator.server import Emulator

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "1"))
SECONDS = float(os.environ.get("SOAK_SECONDS", "27"))
PATIENCE = 60.0
KEYSETS = 3  # per tenant

ROTATE_EVERY, OVERLAP, LEAD, WINDOW = 16, 24, 3, 12
"""
Seconds. A key is due 1 s after its predecessor became active, and needed 38 s later: longer than an outage,
what is waited for after it, and a busy machine take together.
"""

OLDEST = 12
"""Seconds that the first keys have been active at most: without another one, not all of them outlast a round."""

SETTLE, LAG = 1, 0.3
CALM = Switches(throttle_per_app=0, throttle_per_tenant=0)  # seconds need more requests than real life
READS = (
    CALM,
    replace(CALM, read_after_write_delay=LAG, read_path=ReadPath.STALE),
    replace(CALM, read_after_write_delay=LAG, read_path=ReadPath.FLAPPING),
)


class Group(StrEnum):
    """Tenants that have something in common."""

    PAIR = "two daemons"
    PAIR_LAGGING = "two daemons, lagging reads"
    ALONE = "one daemon"


FLEET = int(os.environ.get("SOAK_FLEET", "1"))
"""How large the groups are; 4 keeps two processors busy."""

TENANTS = {Group.PAIR: READS[:1] * 3 * FLEET, Group.PAIR_LAGGING: READS[1:] * 2 * FLEET, Group.ALONE: READS * FLEET}
"""What reads show, for each tenant."""


@dataclass(kw_only=True)
class Figures:
    """The result of the tenants of a group."""

    rotations: int = 0
    second_keys: int = 0
    gaps: int = 0

    def __iadd__(self, other: "Figures") -> Self:
        self.rotations += other.rotations
        self.second_keys += other.second_keys
        self.gaps += other.gaps
        return self

    def __str__(self) -> str:
        share = 100 * self.second_keys / max(self.rotations, 1)
        return f"{self.rotations} rotations, {self.gaps} gaps, {self.second_keys} second keys ({share:.1f} %)"


@dataclass(kw_only=True)
class Soaked:
    """The result of one round, or of all."""

    faults: int = 0
    codes: list[int] = field(default_factory=list)
    figures: dict[Group, Figures] = field(default_factory=lambda: {group: Figures() for group in Group})
    said: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: "Soaked") -> Self:
        self.faults += other.faults
        self.codes += other.codes
        self.said += other.said
        for group, figures in other.figures.items():
            self.figures[group] += figures
        return self

    def __str__(self) -> str:
        return f"{self.faults} faults; " + "; ".join(f"{group}: {figures}" for group, figures in self.figures.items())


@pytest.mark.timeout(ROUNDS * (SECONDS + 2 * PATIENCE))
def test_soak(tmp_path: Path) -> None:
    """No keyset is without a key, even with faults and a second daemon; a single daemon generates no second one."""
    soaked = Soaked()
    for number in range(ROUNDS):
        soaked += _round(tmp_path / str(number), number)
        print(f"\nround {number + 1}: {soaked}", flush=True)
    print(dict(soaked.said))
    assert set(soaked.codes) == {0}
    assert dict.fromkeys(Group, 0) == {group: figures.gaps for group, figures in soaked.figures.items()}
    assert soaked.figures[Group.ALONE].second_keys == 0
    for group, figures in soaked.figures.items():
        assert figures.rotations >= ROUNDS * KEYSETS * len(TENANTS[group])
    assert not {"job.raised", "keyset.failed internal"} & set(soaked.said)


def _round(folder: Path, seed: int) -> Soaked:
    folder.mkdir()
    now = int(time.time())
    groups = {group: list(_tenants(group, now, seed)) for group in Group}
    everybody = [tenant for tenants in groups.values() for tenant in tenants]
    with Bench(folder) as bench, ExitStack() as stack:
        emulator = bench.begin(
            *everybody,
            settle=f"{SETTLE}s",
            check_interval="1s",
            request_timeout="1s",
            concurrency=len(everybody),
            log={"level": "info", "format": "json"},
            defaults={
                "rotate_every": f"{ROTATE_EVERY}s",
                "overlap": f"{OVERLAP}s",
                "publication_lead": f"{LEAD}s",
                "renewal_window": f"{WINDOW}s",
            },
        )
        pairs, alone = (*groups[Group.PAIR], *groups[Group.PAIR_LAGGING]), groups[Group.ALONE]
        began = emulator.now()
        daemons = [
            stack.enter_context(_Daemon(bench, name, tenants))
            for name, tenants in (("first", pairs), ("second", pairs), ("third", alone))
        ]
        with Weather(emulator, [tenant.domain for tenant in everybody], seed) as weather:
            time.sleep(SECONDS)
            for daemon in daemons:
                daemon.send_signal(signal.SIGTERM)
            codes = [daemon.wait(PATIENCE) for daemon in daemons]
        # What the daemons leave behind serves for a while.
        until = emulator.now() + LEAD
        figures = {group: _figures(emulator, tenants, began, until) for group, tenants in groups.items()}
    return Soaked(faults=weather.faults, codes=codes, figures=figures, said=_said(folder))


def _tenants(group: Group, now: int, seed: int) -> Iterator[Tenant]:
    """The tenants of a group, each with its keysets, whose keys are of all ages."""
    chance = random.Random(f"{seed} {group}")
    for number, switches in enumerate(TENANTS[group]):
        keysets = []
        for place, use in enumerate(("sig", "enc", "sig")[:KEYSETS]):
            nbf = now - chance.randint(0, OLDEST)
            old = KeySeed(use=use, nbf=nbf, exp=nbf + ROTATE_EVERY + OVERLAP)
            keysets.append(Keyset(id=f"B2C_1A_{place}", use=use, keys=(old,)))
        yield Tenant(name=f"{group.name.lower().replace('_', '-')}{number}", keysets=tuple(keysets), switches=switches)


class _Daemon:
    """A process that rotates some tenants and logs into a file; it is gone at the end of the context."""

    def __init__(self, bench: Bench, name: str, tenants: Sequence[Tenant]) -> None:
        config = bench.folder / f"{name}.yaml"
        names = {tenant.name for tenant in tenants}
        ours = [tenant for tenant in bench.content["tenants"] if tenant["name"] in names]
        config.write_text(yaml.safe_dump({**bench.content, "tenants": ours}, sort_keys=False))
        with (bench.folder / f"{name}.log").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rotator", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=bench.environment(),
            )

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self._process

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


def _figures(emulator: Emulator, tenants: Sequence[Tenant], began: float, until: float) -> Figures:
    figures = Figures()
    for tenant in (emulator.tenant(tenant.domain) for tenant in tenants):
        for keyset in tenant.all_keysets():
            nbfs = [int(event.key.nbf or 0) for event in keyset.events if isinstance(event, KeyAdded)]
            turns = list(_turns(nbfs))
            gaps = tenant.gaps(keyset.id, began, until)
            figures += Figures(rotations=len(turns) - 1, second_keys=len(nbfs) - len(turns), gaps=len(gaps))
            _tell(tenant, keyset.id, began, is_odd=bool(gaps))
    return figures


def _tell(tenant: Emulated, keyset_id: str, began: float, *, is_odd: bool) -> None:
    """Print the history of a keyset that had a gap."""
    if is_odd:
        print(f"{tenant.domain} {keyset_id}: {tenant.switches}")
        for event in tenant.keyset(keyset_id).events:
            if isinstance(event, KeyAdded):
                nbf, exp = (int(instant or 0) - began for instant in (event.key.nbf, event.key.exp))
                print(f"  added {event.instant - began:.1f}: {nbf:.1f} to {exp:.1f}")


def _turns(nbfs: Sequence[int]) -> Iterator[int]:
    """The activations of keys that have a turn of their own: whatever takes over sooner is one too many."""
    last = None
    for nbf in sorted(nbfs):
        if last is None or nbf >= last + ROTATE_EVERY:
            last = nbf
            yield nbf


def _said(folder: Path) -> Counter[str]:
    """How often the daemons logged what."""
    said: Counter[str] = Counter()
    for log in folder.glob("*.log"):
        text = log.read_text()
        assert SECRET not in text
        assert "Traceback" not in text
        for line in map(json.loads, text.splitlines()):
            event = line["event"]
            kind = line.get("kind") if event == "keyset.failed" else line.get("reason")
            said[f"{event} {kind}" if kind else event] += 1
    return said
