"""
The proof as a whole: the daemon, HTTPS, an emulated tenant with policies, and a clock that both live by.

Time passes only where the program waits, so days take as long as their requests.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import DEMO_CLIENT_ID, DEMO_SECRET, KeySeed, KeysetSeed, Seed, TenantSeed
from rotator.emulator.model.switches import Status
from rotator.emulator.server import Emulator
from rotator.service.daemon import Daemon
from rotator.shell.clock import SystemClock
from rotator.shell.jobs import InlineExecutor, JobQueue
from rotator.wiring import wire

MINUTE, HOUR, DAY = 60, 3600, 86_400
NOW = 1_900_000_000
DOMAIN, SIG, ENC, POLICY, OTHER = (
    "contoso.onmicrosoft.com",
    "B2C_1A_Sig",
    "B2C_1A_Enc",
    "B2C_1A_signin",
    "B2C_1A_signup",
)
PUBLISHED = {POLICY: (SIG,), OTHER: (SIG,)}
METRIC = re.compile(r"^b2c_rotator_(\w+?)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


class Clock(SystemClock):
    """Time that passes if somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def exact(self) -> datetime:
        return datetime.fromtimestamp(NOW + self.passed, UTC)

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> bool:
        self.passed += seconds
        return not self.is_stopping

    def sleep_uninterrupted(self, seconds: float) -> None:
        self.passed += seconds


class World:
    """The daemon and its tenant."""

    def __init__(
        self, folder: Path, *, canary: bool = True, policies: Mapping[str, tuple[str, ...]] = PUBLISHED, **keyset: Any
    ) -> None:
        self.clock, self.stream = Clock(), StringIO()
        keys = (KeySeed(kid="old", nbf=NOW - 80 * DAY, exp=NOW + 11 * DAY),)
        enc = (KeySeed(kid="enc", use="enc", nbf=NOW - 10 * DAY, exp=NOW + 95 * DAY),)
        seed = TenantSeed(
            domain=DOMAIN,
            keysets=(KeysetSeed(id=SIG, keys=keys), KeysetSeed(id=ENC, keys=enc)),
            policies=policies,
        )
        self.emulator = Emulator(Seed(tenants=(seed,)), clock=lambda: NOW + self.clock.passed)
        self.emulator.__enter__()
        self.tenant = self.emulator.tenant(DOMAIN)
        (folder / "secret").write_text(DEMO_SECRET)
        credential = {"client_id": DEMO_CLIENT_ID, "client_secret_file": str(folder / "secret")}
        sign_in: dict[str, Any] = {"url": self.emulator.url, "policies": [POLICY, OTHER]}
        if canary:
            sign_in["canary"] = {**credential, "scope": f"https://{DOMAIN}/canary/.default"}
        content = {
            "ca_file": str(self.emulator.ca_file),
            "log": {"level": "debug"},
            "check_interval": "2h",
            "tenants": [
                {
                    "name": "contoso",
                    "tenant_id": DOMAIN,
                    "cloud": {"graph": self.emulator.url, "login": self.emulator.url},
                    "credential": credential,
                    "sign_in": sign_in,
                    "keysets": [{"id": SIG, "use": "sig", **keyset}, {"id": ENC, "use": "enc"}],
                }
            ],
        }
        self.config = folder / "rotator.yaml"
        self.config.write_text(yaml.safe_dump(content))
        self.start()

    def start(self) -> None:
        """A process begins."""
        self.queue = JobQueue(self.clock)
        program = wire(self.config, clock=self.clock, stream=self.stream)
        self.daemon = Daemon(program, scheduler=self.queue, pools=lambda _, __: InlineExecutor())
        self.daemon.sweep_now()

    def close(self) -> None:
        self.clock.stop()
        self.daemon.end()
        text = self.stream.getvalue()
        assert DEMO_SECRET not in text
        assert not re.search(r"eyJ[A-Za-z0-9_-]{8,}\.", text)
        assert not self.emulator.errors, self.emulator.errors[0]
        self.emulator.__exit__(None, None, None)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.queue.run_until(self.clock.passed + seconds)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines with that event."""
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [line for line in lines if line["event"] == name]

    def notes(self) -> set[str]:
        """The findings that were made, and are not over."""
        held: dict[tuple[str, str | None], bool] = {}
        for line in (json.loads(line) for line in self.stream.getvalue().splitlines()):
            if line["event"] in ("note.added", "note.removed"):
                held[line["note"], line["kid"]] = line["event"] == "note.added"
        return {note for (note, _), is_held in held.items() if is_held}

    def metrics(self) -> dict[str, dict[str, float]]:
        """The values of the metrics, by name and labels."""
        text = self.daemon.metrics.render("text/plain")[0].decode()
        found: dict[str, dict[str, float]] = {}
        for name, labels, value in METRIC.findall(text):
            found.setdefault(name, {})[labels] = float(value)
        return found

    def count(self, operation: Operation) -> int:
        return len(self.emulator.seen(operation))


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., World]]:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    worlds: list[World] = []

    def start(**options: Any) -> World:
        worlds.append(World(tmp_path, **options))
        return worlds[-1]

    yield start
    for world in worlds:
        world.close()


def test_normal_rotation_ends_with_proof_by_token(begin: Callable[..., World]) -> None:
    """Generated, published, active, signing: each is seen, told once, and measured."""
    world = begin()
    world.run(2 * HOUR)
    assert len(world.events("keyset.rotated")) == 1
    (published,) = world.events("key.published")
    new = world.tenant.keyset(SIG).keys[-1].kid
    upcoming = world.metrics()["keyset_upcoming_activation_timestamp_seconds"]
    assert {f'keyset="{SIG}",tenant="contoso"': world.tenant.keyset(SIG).keys[-1].nbf} == upcoming
    assert (new, SIG) == (published["kid"], published["keyset"])
    world.run(10 * DAY)
    (signing,) = world.events("key.signing")
    assert new == signing["kid"]
    assert set() == world.notes()
    metrics = world.metrics()
    labels = f'keyset="{SIG}",method="token",tenant="contoso"'
    assert metrics["keyset_proof"][labels] == 1
    assert metrics["keyset_proof"][f'keyset="{ENC}",method="active_key",tenant="contoso"'] == 1
    assert {f'keyset="{SIG}",tenant="contoso"': 1, f'keyset="{ENC}",tenant="contoso"': 1} == metrics[
        "keyset_signing_key_confirmed"
    ]
    assert metrics["publication_delay_seconds_count"][""] == 1
    assert metrics["activation_delay_seconds_count"][""] == 1
    assert {f'policy="{POLICY.lower()}",tenant="contoso"': 3600} == metrics["policy_token_lifetime_seconds"]
    assert metrics["keyset_key_published"][f'keyset="{SIG}",slot="previous",tenant="contoso"'] == 1


def test_requests_in_quiet_times(begin: Callable[..., World]) -> None:
    """Two policies cost two requests for each check interval, and a token a day."""
    world = begin()
    world.run(3 * HOUR)
    before = world.count(Operation.JWKS), world.count(Operation.POLICY_DISCOVERY), world.count(Operation.POLICY_TOKEN)
    world.run(5 * DAY)
    after = world.count(Operation.JWKS), world.count(Operation.POLICY_DISCOVERY), world.count(Operation.POLICY_TOKEN)
    jwks, discovery, tokens = (later - earlier for earlier, later in zip(before, after, strict=True))
    assert 2 * 50 <= jwks <= 2 * 5 * 12
    assert discovery <= 2 * 6 + 6  # and one for each token
    assert 4 <= tokens <= 6


def test_not_signing(begin: Callable[..., World]) -> None:
    """B2C goes on signing with the old key for hours after the new one became active."""
    world = begin()
    world.run(2 * HOUR)
    world.emulator.switch(signing_delay=3 * HOUR)
    nbf = world.tenant.keyset(SIG).keys[-1].nbf or 0
    world.run(nbf - NOW - world.clock.passed + 40 * MINUTE)
    assert set() == world.notes()
    world.run(HOUR)
    assert {"not_signing"} == world.notes()
    world.run(3 * HOUR)
    assert set() == world.notes()


def test_not_published(begin: Callable[..., World]) -> None:
    """A tenant that listed the next key before, and does not a day before it takes over."""
    world = begin()
    world.run(2 * HOUR)
    nbf = world.tenant.keyset(SIG).keys[-1].nbf or 0
    world.run(nbf - NOW - world.clock.passed - 30 * HOUR)
    world.emulator.switch(jwks_future=False)
    world.run(5 * HOUR)
    assert set() == world.notes()
    world.run(3 * HOUR)
    assert {"not_published"} == world.notes()
    world.run(25 * HOUR)
    assert set() == world.notes()


def test_tenant_that_never_lists_future_keys(begin: Callable[..., World]) -> None:
    """Nothing but a remark, and proof once the key is active."""
    world = begin()
    world.emulator.switch(jwks_future=False)
    world.run(3 * HOUR)
    assert {"future_keys_unlisted"} == world.notes()
    world.run(11 * DAY)
    assert set() == world.notes()
    assert world.metrics()["keyset_proof"][f'keyset="{SIG}",method="token",tenant="contoso"'] == 1


def test_withdrawn_early(begin: Callable[..., World]) -> None:
    """The service stops listing the key before, whose tokens still have to verify."""
    world = begin()
    world.run(10 * DAY)  # the new key is active, and the old one valid for a day
    old = world.tenant.keyset(SIG).keys[0]
    world.emulator.inject(
        Fault(what=Kind.BODY, where=Operation.JWKS, status=200, body=json.dumps({"keys": [_listed(world, -1)]}))
    )
    world.run(5 * HOUR)
    assert {"withdrawn_early"} == world.notes()
    assert old.exp is not None
    world.run(old.exp - NOW - world.clock.passed + 2 * HOUR)
    assert set() == world.notes()


def test_active_key_unpublished(begin: Callable[..., World]) -> None:
    world = begin(mode="observe", canary=False)
    world.run(2 * HOUR)
    world.emulator.inject(Fault(what=Kind.BODY, where=Operation.JWKS, status=200, body='{"keys": []}'))
    world.run(4 * HOUR)  # three probes, and a look at the keyset after them
    assert {"active_key_unpublished"} == world.notes()


def test_modulus_mismatch_and_token_that_does_not_verify(begin: Callable[..., World]) -> None:
    world = begin(mode="observe")
    world.run(2 * HOUR)
    forged = {**_listed(world, 0), "n": world.tenant.keyset(ENC).keys[0].rsa.n}  # type: ignore[union-attr]
    world.emulator.inject(Fault(what=Kind.BODY, where=Operation.JWKS, status=200, body=json.dumps({"keys": [forged]})))
    world.run(30 * HOUR)
    assert {"modulus_mismatch", "token_does_not_verify", "active_key_unpublished"} == world.notes()


def test_foreign_key(begin: Callable[..., World]) -> None:
    """A kid that no keyset of the tenant has; one that a keyset has which is not configured is not foreign."""
    world = begin(mode="observe", canary=False)
    world.run(2 * HOUR)
    foreign = {**_listed(world, 0), "kid": "foreign"}
    body = json.dumps({"keys": [_listed(world, 0), foreign]})
    world.emulator.inject(Fault(what=Kind.BODY, where=Operation.JWKS, status=200, body=body))
    world.run(2 * HOUR)
    assert {"foreign_key"} == world.notes()
    lists = world.count(Operation.LIST_KEYSETS)
    world.run(10 * HOUR)
    assert world.count(Operation.LIST_KEYSETS) - lists <= 16  # a sweep each 2 h, and a list of all keysets each hour


@pytest.mark.parametrize(
    ("policies", "notes"),
    [
        (PUBLISHED, set()),
        ({POLICY: (SIG, ENC), OTHER: (SIG, ENC)}, {"signing_keyset_has_use_enc"}),
        ({POLICY: (SIG,), OTHER: (SIG, ENC)}, {"signing_keyset_has_use_enc", "policies_disagree"}),
    ],
    ids=["the same", "a keyset for encryption", "in one policy"],
)
def test_which_keysets_policies_publish(
    begin: Callable[..., World], policies: Mapping[str, tuple[str, ...]], notes: set[str]
) -> None:
    """A keyset for encryption in a JWKS is reported, and policies that publish different keysets are."""
    world = begin(mode="observe", canary=False, policies=policies)
    world.run(2 * HOUR)
    assert notes == world.notes()


def test_overlap_shorter_than_tokens(begin: Callable[..., World]) -> None:
    world = begin(overlap="20m")
    world.run(2 * HOUR)
    assert {"overlap_shorter_than_tokens"} == world.notes()


def test_active_key_differs(begin: Callable[..., World]) -> None:
    """Graph names a key that this program does not expect."""
    world = begin(mode="observe", canary=False)
    world.emulator.inject(
        Fault(what=Kind.BODY, where=Operation.GET_ACTIVE_KEY, status=200, body='{"kid": "strange", "kty": "RSA"}')
    )
    world.run(3 * HOUR)
    assert {"active_key_differs"} == world.notes()


@pytest.mark.parametrize("minutes", [5, 30])
def test_outage_of_the_sign_in_host(begin: Callable[..., World], minutes: int) -> None:
    """While nothing can be probed nothing is found, and no look at Graph is late."""
    world = begin(mode="observe")
    world.run(2 * HOUR)
    fault = world.emulator.inject(Fault(what=Kind.STATUS, where=Operation.JWKS, status=503))
    world.run(minutes * MINUTE)
    fault.remove()
    world.run(2 * HOUR)
    assert set() == world.notes()
    assert world.metrics()["keyset_proof"][f'keyset="{SIG}",method="token",tenant="contoso"'] == 1


def test_flapping_nodes_and_restarts_find_nothing(begin: Callable[..., World]) -> None:
    """Nodes that disagree about the next key, and a process that begins again, raise nothing."""
    world = begin()
    world.emulator.switch(jwks_delay=6 * HOUR, jwks_flapping=True)
    for _ in range(4):
        world.run(3 * HOUR)
        world.daemon.end()
        world.start()
    world.run(11 * DAY)
    assert [line for line in world.events("note.added") if line["note"] != "future_keys_unlisted"] == []


def test_disabled_by_a_person(begin: Callable[..., World]) -> None:
    """A key that a person has disabled is expected to be gone."""
    world = begin()
    world.run(10 * DAY)
    world.tenant.set_status(SIG, "old", Status.DISABLED)
    world.run(5 * HOUR)
    assert set() == world.notes()


def _listed(world: World, number: int) -> dict[str, Any]:
    """A key of the signing keyset as a JWKS lists it."""
    key = world.tenant.keyset(SIG).keys[number]
    assert key.rsa is not None
    return {"kid": key.kid, "use": "sig", "kty": "RSA", "e": key.rsa.e, "n": key.rsa.n}


def test_failures_to_read_a_jwks_are_counted_in_a_row(begin: Callable[..., World]) -> None:
    """Each policy has a count, which a read that succeeds sets to 0."""
    world = begin(mode="observe", canary=False)
    world.run(2 * HOUR)
    labels = {f'policy="{policy.lower()}",tenant="contoso"' for policy in (POLICY, OTHER)}
    assert dict.fromkeys(labels, 0) == world.metrics()["policy_jwks_consecutive_failures"]
    fault = world.emulator.inject(Fault(what=Kind.STATUS, where=Operation.JWKS, status=503))
    world.run(5 * HOUR)
    failures = world.metrics()["policy_jwks_consecutive_failures"]
    assert labels == failures.keys()
    assert min(failures.values()) >= 2
    fault.remove()
    world.run(3 * HOUR)
    assert dict.fromkeys(labels, 0) == world.metrics()["policy_jwks_consecutive_failures"]
