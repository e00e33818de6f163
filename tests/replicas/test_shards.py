"""
Real processes that share the tenants, on a fake of the cluster's API: from four shards to five, and to three.

As the chart does it, the processes of one total have ended before those of another one begin. One of them is
killed in each phase, and comes back. Nothing may be written twice, no keyset may have a gap, and each tenant is
looked at by exactly one process.
"""

import json
import signal
import time
from itertools import pairwise

import yaml
from end_to_end.harness import Bench, Keyset, Running, Tenant
from kubernetes.fake_api import Kubernetes
from replicas.fleet import PERIODS, SLACK

from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Stage
from rotator.emulator.model.history import KeyAdded
from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import Switches

NAMES = tuple(f"tenant{number}" for number in range(8))
ROTATE_EVERY, OVERLAP = 20, 240
LIVES = {
    "check_interval": "1s",
    "settle": "1s",
    "request_timeout": "2s",
    "leader_election": PERIODS,
    "defaults": {
        "rotate_every": f"{ROTATE_EVERY}s",
        "overlap": f"{OVERLAP}s",
        "publication_lead": "1s",
        "renewal_window": "15s",
    },
}
PATIENCE = 6 * SLACK


class Shards:
    """The processes of one installation."""

    def __init__(self, bench: Bench, api: Kubernetes) -> None:
        self.bench = bench
        self.began = time.time()
        now = int(self.began)
        keys = (KeySeed(nbf=now - ROTATE_EVERY, exp=now + OVERLAP),)
        quick = Switches(throttle_per_app=0, throttle_per_tenant=0)
        bench.begin(
            *(Tenant(name=name, keysets=(Keyset(id="B2C_1A_Sig", keys=keys),), switches=quick) for name in NAMES),
            **LIVES,
        )
        account = api.mount(bench.folder / "account", "shards", names=None, may_create=True)
        bench.content["leader_election"]["service_account_directory"] = str(account)
        self.config = bench.folder / "shards.yaml"
        self.config.write_text(yaml.safe_dump(bench.content), encoding="utf-8")
        self.environment = api.environment
        self.running: list[Running] = []

    def start(self, total: int) -> None:
        """Start a process for each shard."""
        self.running = [self._start(index, total) for index in range(total)]

    def _start(self, index: int, total: int) -> Running:
        arguments = ("--config", str(self.config), "--shard", str(index), "--total-shards", str(total))
        return self.bench.start(*arguments, env=self.environment)

    def kill_one(self, index: int) -> None:
        """End one on the spot, and start it again."""
        self.running[index].signal(signal.SIGKILL)
        self.running[index].process.wait(SLACK)
        self.running[index] = self._start(index, len(self.running))

    def stop(self) -> None:
        """End all, as Recreate does."""
        for each in self.running:
            each.log("rotator.started")
            assert each.stop().code == 0
        self.running = []

    def shown(self) -> list[set[str]]:
        """The tenants that each process has looked at, once they are all there."""
        end = time.monotonic() + PATIENCE
        while True:
            found = [
                {row["tenant"] for row in json.loads(each.get("/status.json").text)["keysets"]} for each in self.running
            ]
            if set().union(*found) == set(NAMES):
                return found
            assert time.monotonic() < end, found
            time.sleep(0.1)

    def wait_for_keys(self, number: int) -> None:
        """Wait until so many more keys were generated."""
        emulator = self.bench.emulator
        number += len(emulator.seen(Operation.GENERATE_KEY, stage=Stage.COMMITTED))
        assert emulator.wait_for(Operation.GENERATE_KEY, count=number, stage=Stage.COMMITTED, timeout=PATIENCE)

    def check(self) -> None:
        """Not one second key, and not one gap."""
        ended = self.bench.emulator.now()
        for tenant in self.bench.emulator.tenants:
            added = [each for each in tenant.keyset("B2C_1A_Sig").events if isinstance(each, KeyAdded)]
            starts = sorted(int(each.key.nbf or 0) for each in added)
            assert all(other - one >= ROTATE_EVERY for one, other in pairwise(starts)), (tenant.domain, starts)
            assert tenant.gaps("B2C_1A_Sig", self.began, ended) == ()


def test_from_four_shards_to_five_and_to_three(bench: Bench, api: Kubernetes) -> None:
    """Every tenant always has exactly one process, which leads by a Lease of its own."""
    shards = Shards(bench, api)
    for total in (4, 5, 3):
        shards.start(total)
        shown = shards.shown()
        assert sum(map(len, shown)) == len(NAMES), shown
        for index in range(total):
            assert api.lease(f"rotator-{index}")["spec"]["holderIdentity"]
        shards.wait_for_keys(2)
        shards.kill_one(total - 1)
        assert shards.shown() == shown
        shards.wait_for_keys(2)
        shards.stop()
    shards.check()
