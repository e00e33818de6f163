"""What leading and following mean inside one process: sweeps, second looks, the gate, metrics and settings."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from core.builders import DAY, KEYSET_ID, POLICY, T0, key, keyset, tenant_id
from kubernetes.fake_api import Kubernetes
from simulation.simulator import SimulatedClock, SimulatedScheduler, SimulatedTenant, inline_pools
from waiting import wait_for

from rotator.core.errors import ConfigError, Failure, FailureKind
from rotator.core.events import Event, JobFailed, Looked, SweepFinished
from rotator.core.keyset import Keyset
from rotator.core.lease import Acquired, LeaseRequestFailed, Lost, Renewed
from rotator.core.outcome import Held, Outcome
from rotator.core.policy import RotationPolicy
from rotator.core.reasons import Refusal
from rotator.core.stages import Timing
from rotator.edges import config
from rotator.edges.metrics import Metrics, Registry
from rotator.edges.settings import Settings
from rotator.service.leader import Candidate
from rotator.shell.gates import guarded, led
from rotator.shell.loop import Loop
from rotator.shell.status_store import StatusStore
from rotator.shell.tenant import Tenant
from rotator.wiring import wire

SETTLE = 120.0
PATIENCE = 20.0
TIMING = Timing(check_interval=DAY, settle=timedelta(seconds=SETTLE), dry_run=False)


class Lead:
    """Leads or not, as the test says, and counts the writes in progress."""

    def __init__(self) -> None:
        self.leads = True
        self.asked: list[float] = []
        self.writing = 0

    def begin_write(self, seconds: float) -> bool:
        self.asked.append(seconds)
        self.writing += self.leads
        return self.leads

    def end_write(self) -> None:
        self.writing -= 1


class Replica:
    """A loop over one tenant with one keyset that is due, to which only the leader writes."""

    def __init__(self) -> None:
        self.clock = SimulatedClock(T0 + 74 * DAY)
        self.scheduler = SimulatedScheduler(self.clock)
        self.service = SimulatedTenant(self.clock, [keyset(key("ours", T0, T0 + POLICY.validity))])
        self.told: list[Outcome] = []
        self.swept: list[SweepFinished] = []
        self.lead = Lead()
        self.loop = Loop(
            [self.tenant(POLICY)],
            TIMING,
            concurrency=1,
            clock=self.clock,
            scheduler=self.scheduler,
            tell=self.hear,
            on_swept=self.swept.append,
            jitter=lambda: 0.0,
            pools=inline_pools,
        )

    def tenant(self, *policies: RotationPolicy) -> Tenant:
        writing = led(guarded(()), self.lead, lambda: 30.0)
        return Tenant(name="contoso", id=tenant_id(), policies=policies, keysets=self.service, writing=writing)

    def hear(self, event: Event) -> None:
        match event:
            case Looked(outcome=outcome):
                self.told.append(outcome)
            case JobFailed(error=error):
                raise error
            case _:
                pass

    @property
    def kinds(self) -> list[str]:
        return [type(outcome).__name__ for outcome in self.told]


@pytest.fixture
def replica() -> Replica:
    return Replica()


# --- sweeps begin and end


def test_pause_asks_for_nothing(replica: Replica) -> None:
    """Who rests looks at nothing, tells of no sweep, and makes no key, whatever was planned before."""
    replica.loop.sweep()
    asked = len(replica.service.requests)
    replica.loop.pause()
    replica.scheduler.run(3 * SETTLE)
    replica.loop.sweep()
    assert (len(replica.service.requests), len(replica.swept)) == (asked, 1)
    assert replica.kinds == ["Planned"]


def test_resume_begins_anew(replica: Replica) -> None:
    """What was due before a rest is looked at twice again: others may have written meanwhile."""
    replica.loop.sweep()
    replica.scheduler.run(SETTLE - 1)
    replica.loop.pause()
    replica.loop.resume()
    replica.loop.sweep()
    replica.scheduler.run(SETTLE - 1)
    assert replica.kinds == ["Planned", "Planned"]
    replica.scheduler.run(1)
    assert replica.kinds == ["Planned", "Planned", "Rotated"]


def test_resume_without_a_look(replica: Replica) -> None:
    """A second look that was planned before a rest no longer exists."""
    replica.loop.sweep()
    replica.loop.pause()
    replica.loop.resume()
    replica.scheduler.run(2 * SETTLE)
    assert (replica.kinds, len(replica.service.born)) == (["Planned"], 0)


def interrupted(replica: Replica, operation: str, act: Callable[[], None]) -> None:
    """Let *act* happen while the next request of that kind is under way."""
    method = getattr(replica.service, operation)

    def request(*arguments: Any) -> Any:
        setattr(replica.service, operation, method)
        answer = method(*arguments)
        act()
        return answer

    setattr(replica.service, operation, request)


def pause_and_resume(replica: Replica) -> Callable[[], None]:
    def act() -> None:
        replica.loop.pause()
        replica.loop.resume()

    return act


def test_pause_in_the_midst_of_a_sweep(replica: Replica) -> None:
    """A sweep over which the lead was lost is not told as one, not even where the lead is back by then."""
    interrupted(replica, "list_keysets", pause_and_resume(replica))
    replica.loop.sweep()
    assert replica.swept == []


def test_look_that_began_before_a_pause(replica: Replica) -> None:
    """A look during which the lease was lost does not count as the first look."""
    interrupted(replica, "list_keysets", pause_and_resume(replica))
    replica.loop.sweep()
    replica.scheduler.run(2 * SETTLE)
    assert (replica.kinds, len(replica.service.born)) == (["Planned"], 0)


def test_pause_in_the_midst_of_a_second_look(replica: Replica) -> None:
    """A second look that a rest came over does not write: its first look is a former term's."""
    replica.loop.sweep()
    interrupted(replica, "fetch", pause_and_resume(replica))
    replica.scheduler.run(SETTLE)
    held = replica.told[-1]
    assert isinstance(held, Held)
    assert (held.reason, len(replica.service.born)) == (Refusal.NOT_LEADER, 0)


def test_pause_between_two_keysets() -> None:
    """Second looks end with the lead, also if it is back at once."""
    replica = Replica()
    other = key("ours", T0, T0 + POLICY.validity)
    policies = tuple(replace(POLICY, keyset_id=name) for name in (KEYSET_ID, "B2C_1A_Other"))
    keysets = [Keyset(id=policy.keyset_id, keys=(other,)) for policy in policies]
    replica.service = SimulatedTenant(replica.clock, keysets)
    replica.loop.configure([replica.tenant(*policies)], TIMING)
    replica.loop.sweep()
    interrupted(replica, "generate", pause_and_resume(replica))
    replica.scheduler.run(SETTLE)
    assert len(replica.service.born) == 1
    replica.scheduler.run(2 * SETTLE)
    assert len(replica.service.born) == 1


# --- the gate


def test_gate_of_a_follower(replica: Replica) -> None:
    """Who does not lead any more when it comes to write holds the keyset, with its own reason."""
    replica.loop.sweep()
    replica.lead.leads = False
    replica.scheduler.run(SETTLE)
    held = replica.told[-1]
    assert isinstance(held, Held)
    assert held.reason is Refusal.NOT_LEADER
    assert replica.service.born == {}


def test_write_is_under_way_until_the_key_is_seen(replica: Replica) -> None:
    """The lead is kept while a key is requested, and while it is looked for; then no more."""
    seen: list[tuple[int, bool]] = []

    def note() -> None:
        seen.append((replica.lead.writing, replica.loop.is_confirming()))

    replica.loop.sweep()
    interrupted(replica, "generate", note)
    interrupted(replica, "fetch", lambda: interrupted(replica, "fetch", note))
    replica.scheduler.run(SETTLE)
    assert replica.kinds[-1] == "Rotated"
    assert seen == [(1, False), (0, True)]
    assert (replica.lead.writing, replica.loop.is_confirming(), replica.lead.asked) == (0, False, [30.0])


def test_gate_and_a_write_that_fails(replica: Replica) -> None:
    """A write that failed is under way no more, either."""
    replica.loop.sweep()
    replica.service.fails("generate", ValueError("a bug"))
    replica.scheduler.run(SETTLE)
    assert replica.kinds[-1] == "Failed"
    assert replica.lead.writing == 0


# --- what is left behind


def metrics() -> tuple[StatusStore, Metrics]:
    store = StatusStore(lambda _: None, [Replica().tenant(POLICY)])
    found = Metrics(Registry(), store, lambda: T0)
    found.configure(timedelta(hours=1), dry_run=False)
    return store, found


def text(found: Metrics) -> str:
    return found.render("text/plain")[0].decode()


def test_metrics_of_a_former_leader(replica: Replica) -> None:
    """Who leads no more has no series of a keyset, and no instant of a sweep: a frozen one would look like news."""
    store, found = metrics()
    replica.loop.sweep()
    for outcome in replica.told:
        looked = Looked(outcome=outcome, is_preliminary=False, failures=0)
        store.on_event(looked)
        found.on_event(looked)
    found.on_event(SweepFinished(seconds=1.0, outcomes=tuple(replica.told), late=0))
    before = text(found)
    assert f'keyset="{KEYSET_ID}"' in before
    assert "b2c_rotator_last_sweep_timestamp_seconds 1" in before
    store.configure(())
    found.follow_store()
    found.process.forget_sweeps()
    after = text(found)
    assert "keyset=" not in after
    assert "\nb2c_rotator_last_s" not in after
    assert "b2c_rotator_check_interval_seconds 3600.0" in after
    store.configure([replica.tenant(POLICY)])
    found.follow_store()
    assert f'rotations_total{{keyset="{KEYSET_ID}",outcome="rotated",tenant="contoso"}} 0.0' in text(found)


def test_metrics_of_the_lead() -> None:
    """The lead is read when it is requested; without an election it is always 1. What never happened is 0 or absent."""
    _, found = metrics()
    assert "b2c_rotator_leader 1.0" in text(found)
    leading: list[int] = []
    found.set_leader_probe(lambda: bool(leading))
    assert "b2c_rotator_leader 0.0" in text(found)
    assert "b2c_rotator_leader_transitions_total 0.0" in text(found)
    assert "\nb2c_rotator_lease_last_renew_timestamp_seconds " not in text(found)
    leading.append(1)
    failure = Failure(kind=FailureKind.NETWORK, message="no")
    for event in (
        Acquired(identity="me", before=""),
        Renewed(),
        LeaseRequestFailed(failure=failure, is_repeated=False),
    ):
        found.on_event(event)
    for line in (
        "b2c_rotator_leader 1.0",
        "b2c_rotator_leader_transitions_total 1.0",
        "b2c_rotator_lease_renew_failures_total 1.0",
        f"b2c_rotator_lease_last_renew_timestamp_seconds {T0.timestamp():.6}"[:52],
    ):
        assert line in text(found)


# --- the settings


@pytest.fixture
def in_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def load(folder: Path, **settings: object) -> Settings:
    content = settings | {
        "tenants": [
            {
                "name": "contoso",
                "tenant_id": "contoso.onmicrosoft.com",
                "credential": {"client_id": "x", "client_secret_env": "X"},
                "keysets": [{"id": "B2C_1A_X", "use": "sig"}],
            }
        ]
    }
    path = folder / "rotator.yaml"
    path.write_text(yaml.safe_dump(content))
    return config.load(path)


def fault(folder: Path, **settings: object) -> str:
    with pytest.raises(ConfigError) as raised:
        load(folder, **settings)
    (found,) = raised.value.problems
    return str(found)


@pytest.mark.usefixtures("in_cluster")
@pytest.mark.parametrize(("enabled", "on"), [("auto", True), (True, True), (False, False)])
def test_settings_in_a_cluster(tmp_path: Path, *, enabled: object, on: bool) -> None:
    """Inside a cluster there is an election, unless it is switched off."""
    assert load(tmp_path, leader_election={"enabled": enabled}).leader_election.is_on is on


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(("enabled", "on"), [("auto", False), (True, True), (False, False)])
def test_settings_elsewhere(tmp_path: Path, *, enabled: object, on: bool) -> None:
    """Outside of a cluster there is no election, unless it is switched on."""
    assert load(tmp_path, leader_election={"enabled": enabled}).leader_election.is_on is on


@pytest.mark.usefixtures("outside")
def test_settings_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch is written in the environment as in the file."""
    for text, on in (("true", True), ("False", False), ("auto", False)):
        monkeypatch.setenv("ROTATOR_LEADER_ELECTION__ENABLED", text)
        assert load(tmp_path).leader_election.is_on is on


@pytest.mark.usefixtures("in_cluster")
@pytest.mark.parametrize(
    ("election", "request_timeout", "words"),
    [
        ({"enabled": "yes, please"}, "30s", "leader_election.enabled: must be auto, true or false"),
        ({"lease_name": "Not A Name"}, "30s", "leader_election.lease_name: "),
        ({"namespace": "a.b"}, "30s", "leader_election.namespace: "),
        ({"retry_period": "0s"}, "30s", "leader_election.retry_period: must be longer than 0s"),
        ({"renew_deadline": "60s"}, "30s", "leader_election: renew_deadline must be shorter than lease_duration"),
        ({"retry_period": "40s"}, "30s", "leader_election: retry_period must be shorter than renew_deadline"),
        ({}, "31s", "request_timeout must not be longer than leader_election.renew_deadline without retry_period"),
        ({"retry_period": "11s"}, "30s", "here 29s"),
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, election: Any, request_timeout: str, words: str) -> None:
    """Each collision is a fault that names what collides."""
    assert words in fault(tmp_path, leader_election=election, request_timeout=request_timeout)


@pytest.mark.usefixtures("in_cluster")
@pytest.mark.parametrize(
    "settings",
    [
        {"request_timeout": "30s"},
        {"request_timeout": "5m", "leader_election": {"enabled": False}},
        {"leader_election": {"lease_duration": "41s", "namespace": "b2c", "lease_name": "rotator.contoso-1"}},
    ],
)
def test_settings_at_the_edge(tmp_path: Path, settings: Any) -> None:
    """What just fits is fine, and so is what only an election would mind."""
    load(tmp_path, **settings)


@pytest.mark.usefixtures("outside")
def test_settings_long_requests_elsewhere(tmp_path: Path) -> None:
    """Without an election, there is no bound on request_timeout."""
    load(tmp_path, request_timeout="5m")


# --- who leads, in words


@pytest.mark.usefixtures("in_cluster")
def test_candidate_says_who_leads(api: Kubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for people, for a follower as for a leader, and for when nobody knows."""
    for name, value in api.environment.items():
        monkeypatch.setenv(name, value)
    account = api.mount(tmp_path / "account", "pod")
    load(tmp_path, leader_election={"service_account_directory": str(account)})
    program = wire(tmp_path / "rotator.yaml", stream=StringIO())
    happened: list[Event] = []
    program.stream.add(happened.append)
    candidate = Candidate(program, max_write_seconds=lambda: 30.0, is_confirming=lambda: False)
    assert candidate.line() == "follows: no replica leads"
    api.tamper(holderIdentity="other", leaseDurationSeconds=600)
    candidate.start()
    wait_for(lambda: candidate.has_followed)
    assert candidate.line() == "follows: other leads"
    api.tamper(holderIdentity="")
    wait_for(lambda: any(isinstance(event, Acquired) for event in happened))
    assert candidate.line() == f"leads as {candidate.leader()}"
    candidate.stop()
    candidate.join()
    assert any(isinstance(event, Lost) for event in happened)
    assert candidate.line() == "follows: no replica leads"
