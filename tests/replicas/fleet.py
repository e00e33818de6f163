"""
Several real replicas before one emulated tenant, with a cluster's API between them; and what must hold in the end.

Each replica has an app registration and a service account of its own, so that it can
be told afterwards who generated which key, and who held the lease at that instant.
"""

import copy
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import yaml
from end_to_end.harness import SECRET, Bench, Keyset, Running, Tenant
from kubernetes.fake_api import Kubernetes

from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Stage
from rotator.emulator.model.history import KeyAdded
from rotator.emulator.model.seed import App, KeySeed, Secret, TenantSeed
from rotator.emulator.model.switches import Switches
from rotator.emulator.server import Emulator

PERIODS = {"lease_duration": "4s", "renew_deadline": "3s", "retry_period": "1s"}
DURATION, DEADLINE, RETRY = 4.0, 3.0, 1.0
SLACK = 10.0
"""Seconds that a machine which does other things as well may take for what takes no time."""

ROTATE_EVERY, OVERLAP = 6, 20
LIVES = {
    "check_interval": "1s",
    "settle": "1s",
    "request_timeout": "2s",
    "defaults": {
        "rotate_every": f"{ROTATE_EVERY}s",
        "overlap": f"{OVERLAP}s",
        "publication_lead": "1s",
        "renewal_window": "4s",
    },
}
"""A key is the active one for six seconds, valid for 26, and made five to one before it takes over."""


@dataclass(frozen=True, kw_only=True)
class Shared(Tenant):
    """A tenant with an app registration for each replica."""

    clients: tuple[str, ...] = ()

    @property
    def seed(self) -> TenantSeed:
        """What the emulator has of it."""
        apps = tuple(App(client_id=client, secrets=(Secret(value=SECRET),)) for client in self.clients)
        return replace(super().seed, apps=apps)


@dataclass(eq=False)
class Replica:
    """One replica: its service account, its app registration, and its process, if it runs."""

    number: int
    config: Path
    running: Running | None = None
    ended: list[Running] = field(default_factory=list)

    @property
    def user(self) -> str:
        """Its service account."""
        return f"pod-{self.number}"

    @property
    def client(self) -> str:
        """Its app registration."""
        return client(self.number)

    @property
    def process(self) -> Running:
        """It runs."""
        assert self.running is not None
        return self.running


def client(number: int) -> str:
    """The app registration of a replica."""
    return f"00000000-0000-0000-0000-{number:012d}"


class Fleet:
    """Replicas, none of which runs yet."""

    def __init__(self, bench: Bench, api: Kubernetes, number: int, keysets: int = 2, **settings: object) -> None:
        self.bench = bench
        self.api = api
        self.began = time.time()
        now = int(self.began)
        # Each keyset is due at another time, so that there is always something to do.
        starts = [now + 1 - n * ROTATE_EVERY // keysets for n in range(1, keysets + 1)]
        self.keysets = tuple(
            Keyset(id=f"B2C_1A_{n}", keys=(KeySeed(nbf=start, exp=start + ROTATE_EVERY + OVERLAP),))
            for n, start in enumerate(starts)
        )
        tenant = Shared(
            keysets=self.keysets,
            clients=tuple(client(n) for n in range(number)),
            switches=Switches(throttle_per_app=0, throttle_per_tenant=0),
        )
        bench.begin(tenant, **(LIVES | {"leader_election": PERIODS} | settings))
        self.replicas = [self._replica(n) for n in range(number)]

    def _replica(self, number: int) -> Replica:
        found = Replica(number=number, config=self.bench.folder / f"pod-{number}.yaml")
        content = copy.deepcopy(self.bench.content)
        account = self.api.mount(self.bench.folder / f"account-{number}", found.user)
        content["leader_election"]["service_account_directory"] = str(account)
        content["tenants"][0]["credential"]["client_id"] = found.client
        found.config.write_text(yaml.safe_dump(content))
        return found

    @property
    def emulator(self) -> Emulator:
        """The service."""
        return self.bench.emulator

    # --- what is done to them

    def start(self, *replicas: Replica, env: Mapping[str, str] = MappingProxyType({})) -> None:
        """Start some, or all."""
        for replica in replicas or self.replicas:
            arguments = ("--config", str(replica.config))
            replica.running = self.bench.start(*arguments, env={**self.api.environment, **env})

    def signal(self, replica: Replica, number: signal.Signals) -> None:
        """Send a signal."""
        replica.process.signal(number)

    def kill(self, replica: Replica) -> float:
        """End it on the spot; when."""
        self.signal(replica, signal.SIGKILL)
        replica.process.process.wait(SLACK)
        self._ended(replica)
        return time.time()

    def stop(self, replica: Replica) -> None:
        """End it as a supervisor does; it must end well."""
        replica.process.log("rotator.started")  # before that, it knows of no signal
        assert replica.process.stop().code == 0
        self._ended(replica)

    def _ended(self, replica: Replica) -> None:
        replica.ended.append(replica.process)
        replica.running = None

    # --- who leads

    def leader(self, *, after: float = 0.0, but: Replica | None = None, timeout: float = 3 * SLACK) -> Replica:
        """Wait until somebody, but not *but*, has taken the lease after that instant; who did so first."""
        users = {replica.user for replica in self.replicas if replica is not but}
        taken = self.api.wait(lambda each: each.time >= after and bool(each.holder) and each.user in users, timeout)
        return next(replica for replica in self.replicas if replica.user == taken.user)

    def taken(self, replica: Replica, after: float) -> float:
        """When *replica* first held the lease after that instant."""
        return self.api.wait(lambda change: change.time >= after and change.user == replica.user, 0).time

    # --- what must hold

    def generated(self, keyset: str) -> list[KeyAdded]:
        """The keys that replicas generated, in turn."""
        events = self.emulator.tenants[0].keyset(keyset).events
        return [event for event in events if isinstance(event, KeyAdded) and event.instant >= self.began]

    def wait_for_keys(self, number: int, timeout: float = 4 * SLACK) -> None:
        """Wait until that many more keys have been generated, over all keysets."""
        number += len(self.emulator.seen(Operation.GENERATE_KEY, stage=Stage.COMMITTED))
        assert self.emulator.wait_for(Operation.GENERATE_KEY, count=number, stage=Stage.COMMITTED, timeout=timeout)

    def wait_for_cover(self, timeout: float = 4 * SLACK) -> None:
        """Wait until nothing is late: each keyset has a key for the whole overlap, as it has where all is well."""
        end = time.monotonic() + timeout
        keysets = [self.emulator.tenants[0].keyset(keyset.id) for keyset in self.keysets]
        while any(max(key.exp or 0 for key in keyset.keys) < time.time() + OVERLAP for keyset in keysets):
            assert time.monotonic() < end, "nobody sees to the keys"
            time.sleep(0.05)

    def check(self) -> None:
        """Never two writers at once, not one second key, not one gap."""
        ended = self.emulator.now()
        users = {replica.client: replica.user for replica in self.replicas}
        for keyset in self.keysets:
            born = self.generated(keyset.id)
            for event in born:
                held = self.api.holder_at(event.instant)
                assert (users[event.by], True) == (held.user, bool(held.holder)), f"{event} while {held}"
            starts = [float(event.key.nbf or 0) for event in born]
            seeded = float(keyset.keys[0].nbf or 0)
            for one, other in pairwise([seeded, *starts]):
                assert other - one >= ROTATE_EVERY, f"a second key in {keyset.id}: {starts}"
            gaps = self.emulator.tenants[0].gaps(keyset.id, self.began, ended)
            assert gaps == (), f"a gap in {keyset.id}: {starts}"

    def finish(self) -> None:
        """Stop who runs, and check."""
        for replica in self.replicas:
            if replica.running is not None:
                replica.process.signal(signal.SIGCONT)
                self.stop(replica)
        self.check()
