"""
The simulation and the daemon make the same keys.

The daemon is the whole program, wired as always, with requests to the emulator, and on a clock
that is as fast as the machine. The emulator shares no code with the simulation.
"""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from stateful.program import Process
from stateful.site import InProcess
from stateful.time import EPOCH, World
from stateful.wire import Link, Way

from rotator.edges import config
from rotator.edges.seed_file import read_seed
from rotator.emulator.model.seed import DEMO_CLIENT_ID, DEMO_SECRET, KeySeed, KeysetSeed, TenantSeed
from rotator.emulator.model.switches import Switches
from rotator.simulation.run import Wanted, simulate
from rotator.wiring import identity, timing

DAY = 86_400
DAYS = 400
DOMAIN = "contoso.onmicrosoft.com"
START = datetime.fromtimestamp(EPOCH, UTC)
KEYS = {
    "B2C_1A_Sig": ("sig", EPOCH - 10 * DAY, EPOCH + 81 * DAY + 3600),
    "B2C_1A_Enc": ("enc", EPOCH - 41 * DAY, EPOCH + 64 * DAY),
    "B2C_1A_Lapsed": ("sig", EPOCH - 200 * DAY, EPOCH - DAY),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def written(folder: Path, root: str) -> Path:
    """The configuration of a tenant at *root*."""
    (folder / "secret").write_text(DEMO_SECRET, encoding="utf-8")
    content = {
        "check_interval": "1d",
        "concurrency": 1,
        "calendars": {
            "office": {
                "time_zone": "Europe/Berlin",
                "allow": [{"days": ["tue", "wed", "thu"], "from": "09:00", "to": "16:00"}],
            }
        },
        "tenants": [
            {
                "name": "contoso",
                "tenant_id": DOMAIN,
                "cloud": {"graph": root, "login": root},
                "credential": {"client_id": DEMO_CLIENT_ID, "client_secret_file": str(folder / "secret")},
                "keysets": [
                    {"id": name, "use": use, "calendar": "office" if use == "enc" else None}
                    for name, (use, *_) in KEYS.items()
                ],
            }
        ],
    }
    path = folder / "rotator.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    keysets = [
        {"id": name, "keys": [{"kid": "first", "use": use, "nbf": nbf, "exp": exp}]}
        for name, (use, nbf, exp) in KEYS.items()
    ]
    (folder / "seed.yaml").write_text(yaml.safe_dump({"tenants": [{"domain": DOMAIN, "keysets": keysets}]}))
    return path


def run_daemon(folder: Path) -> dict[str, list[tuple[int | None, int | None]]]:
    """From when to when each key is valid that the emulator has after `DAYS` days of the daemon."""
    world, way = World(), Way()
    seed = TenantSeed(
        domain=DOMAIN,
        keysets=tuple(
            KeysetSeed(id=name, keys=(KeySeed(kid="first", use=use, nbf=nbf, exp=exp),))
            for name, (use, nbf, exp) in KEYS.items()
        ),
        switches=Switches(throttle_per_app=0, throttle_per_tenant=0),
    )
    site = InProcess(seed, lambda: world.now)
    process = Process(world, written(folder, site.root), lambda own: Link(site.inner(own), way))
    end = EPOCH + DAYS * DAY
    while (due := process.queue.upcoming()) <= end:
        world.step(due)
        process.run_job()
    process.close()
    assert process.mishaps == []
    return {name: sorted((each.nbf, each.exp) for each in site.tenant.keyset(name).keys) for name in KEYS}


def run_simulation(folder: Path) -> dict[str, list[tuple[int, int]]]:
    """The same, simulated from the same configuration and a seed file."""
    settings = config.load(folder / "rotator.yaml", now=START)
    found = read_seed(folder / "seed.yaml", START)
    tenants = [
        Wanted(name=each.name, id=identity(each), policies=settings.policies(each), keysets=found[DOMAIN])
        for each in settings.tenants
    ]
    simulated = simulate(tenants, timing(settings), start=START, end=START + timedelta(days=DAYS))
    return {
        history.policy.keyset_id: sorted(
            (int(each.key.activates.timestamp()), int(each.key.expires.timestamp())) for each in history.keys
        )
        for history in simulated.keysets
    }


def test_simulation_and_daemon_make_the_same_keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Second for second, on a keyset with a calendar, one without, and one that had lapsed."""
    monkeypatch.setattr("stateful.time.MOST_JITTER", 0.0)
    made = run_daemon(folder)
    assert run_simulation(folder) == made
    assert min(map(len, made.values())) >= 5
