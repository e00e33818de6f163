"""
A daemon that leads, and `rotator rotate` for the same keyset at the same time: 50 times, at different offsets.

Neither waits for the other, so at worst each of them generates a key.
"""

import copy
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from end_to_end.harness import Bench, Keyset, Running
from kubernetes.fake_api import Kubernetes
from replicas.fleet import Shared, client

from rotator.emulator.http.routes import Operation
from rotator.emulator.model.history import KeyAdded
from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import Switches

RUNS, TENANTS = 50, 5
FIRST, EVERY = 8, 1  # seconds until the first two keysets are due, and until the next two are
EARLIEST, LATEST = -3.0, 4.0  # seconds from when a keyset is due until its command begins
DUE_AGE = (90 - 14 - 2) * 86_400  # rotate_every without renewal_window and publication_lead
LIFE = 90 * 86_400 + 25 * 3600
PATIENCE = 150.0
DAEMON, COMMAND = client(0), client(1)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as bench:
        yield bench


def keyset_id(run: int) -> str:
    return f"B2C_1A_{run}"


def tenant(run: int) -> str:
    return f"tenant{run % TENANTS}"


def begin(bench: Bench, api: Kubernetes) -> tuple[Path, dict[int, int]]:
    """The tenants, and the configuration of the commands; when each keyset is due."""
    began = int(time.time())
    due = {run: began + FIRST + run // 2 * EVERY for run in range(RUNS)}
    keysets = {
        run: Keyset(id=keyset_id(run), keys=(KeySeed(nbf=at - DUE_AGE, exp=at - DUE_AGE + LIFE),))
        for run, at in due.items()
    }
    tenants = [
        Shared(
            name=name,
            keysets=tuple(keysets[run] for run in range(RUNS) if tenant(run) == name),
            clients=(DAEMON, COMMAND),
            switches=Switches(throttle_per_app=0, throttle_per_tenant=0),
        )
        for name in map(tenant, range(TENANTS))
    ]
    account = {"service_account_directory": str(api.mount(bench.folder / "account", "pod-0"))}
    bench.begin(*tenants, check_interval="1s", settle="1s", leader_election=account)
    configuration = bench.folder / "command.yaml"
    content = copy.deepcopy(bench.content)
    for each, client_id in ((bench.content, DAEMON), (content, COMMAND)):
        for configured in each["tenants"]:
            configured["credential"]["client_id"] = client_id
    bench.write()
    configuration.write_text(yaml.safe_dump(content))
    return configuration, due


def generated(bench: Bench, run: int) -> list[str]:
    """Who generated the keys of a keyset, in turn."""
    events = bench.emulator.tenant(f"{tenant(run)}.onmicrosoft.com").keyset(keyset_id(run)).events
    return [event.by for event in events if isinstance(event, KeyAdded) and event.by in (DAEMON, COMMAND)]


def test_leader_and_command(bench: Bench) -> None:
    """Each keyset gets one key or two, each command ends, and the daemon leads and looks all the time."""
    with Kubernetes() as api:
        api.ship()
        configuration, due = begin(bench, api)
        daemon = bench.start(env=api.environment)
        daemon.log("lease.acquired")
        offsets = {run: EARLIEST + (LATEST - EARLIEST) * (run * 7 % RUNS) / RUNS for run in range(RUNS)}
        commands: dict[int, Running] = {}
        for run in sorted(due, key=lambda run: due[run] + offsets[run]):
            time.sleep(max(0.0, due[run] + offsets[run] - time.time()))  # the offset is what varies
            how = ("--now",) if run % 4 == 0 else ()
            where = ("--tenant", tenant(run), "--keyset", keyset_id(run), "--config", str(configuration))
            commands[run] = bench.start("rotate", *where, "--yes", "--output", "json", *how)
        codes = {run: command.wait(PATIENCE).code for run, command in commands.items()}
        sweeps = len(daemon.events("sweep.finished"))
        daemon.log("sweep.finished", count=sweeps + 2, timeout=PATIENCE)  # one that began after the last command
        stopped = daemon.stop()
        holders = {change.holder for change in api.history} - {""}
    makers = {run: generated(bench, run) for run in range(RUNS)}
    assert (stopped.code, len(holders)) == (0, 1)
    assert {
        run: made for run, made in makers.items() if sorted(made) not in ([DAEMON], [COMMAND], [DAEMON, COMMAND])
    } == {}
    # A command that generated nothing found the daemon's key there.
    assert codes == {run: 0 if COMMAND in made else 1 for run, made in makers.items()}
    assert len(bench.asked(Operation.GENERATE_KEY)) == sum(map(len, makers.values()))
