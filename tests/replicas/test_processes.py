"""
Real processes, a fake of the cluster's API and an emulated tenant, with lives of seconds.

Whatever happens to the replicas and to what is between them: never two writers at
once, not one second key, not one gap. `Fleet.finish` checks that for each story.
"""

import copy
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
import yaml
from end_to_end.fake_clock import FakeClock
from end_to_end.harness import Bench, Tenant, due, fresh
from kubernetes.fake_api import Fault, Kind, Kubernetes, Moment
from replicas.fleet import DEADLINE, DURATION, PERIODS, RETRY, SLACK, Fleet, Replica
from replicas.relay import Relay

from rotator.emulator.faults import fault as faults
from rotator.emulator.http.routes import Operation

GENERATE = Operation.GENERATE_KEY


def metric(replica: Replica, name: str) -> float | None:
    """One of its metrics; None if there is none."""
    lines = replica.process.get("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"b2c_rotator_{name} ")), None)


def until(reached: Callable[[], object], timeout: float = 3 * SLACK) -> None:
    """Wait."""
    end = time.monotonic() + timeout
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.05)


PATIENT: dict[str, Any] = {
    "leader_election": {"lease_duration": "30s", "renew_deadline": "20s", "retry_period": "1s"},
    "request_timeout": "15s",
    "log": {"level": "debug"},
}
"""Periods for what is not about them: however busy the machine is, a request hangs until it is released."""

LONG_LEAD: dict[str, Any] = {"lease_duration": "9s", "renew_deadline": "8s", "retry_period": "1s"}
"""Periods for who must lead on while nothing happens: a machine that stands still for a while ends no lead."""


def pair(
    bench: Bench, api: Kubernetes, *, envs: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}), **settings: object
) -> tuple[Fleet, Replica, Replica]:
    """Two replicas; the first leads, the second follows. *envs*: further environment variables."""
    fleet = Fleet(bench, api, 2, 2, **settings)
    leader, follower = fleet.replicas
    fleet.start(leader, env=envs[0])
    leader.process.log("lease.acquired")
    fleet.start(follower, env=envs[1])
    until(lambda: follower.process.get("/readyz").status == 200)
    return fleet, leader, follower


def test_follower_looks_at_nothing(bench: Bench, api: Kubernetes) -> None:
    """A follower is healthy and ready, says who leads, and asks the service for nothing, not even for a token."""
    fleet, leader, follower = pair(bench, api, leader_election=LONG_LEAD)
    leader.process.log("sweep.finished", count=len(leader.process.events("sweep.finished")) + 3)
    assert tuple(follower.process.get(path).status for path in ("/healthz", "/readyz")) == (200, 200)
    text = follower.process.get("/metrics").text
    assert "keyset=" not in text
    assert "\nb2c_rotator_last_s" not in text
    for line in (
        'graph_requests_total{code="200",operation="list_keysets"} 0.0',
        'token_requests_total{outcome="granted"} 0.0',
        "leader 0.0",
        "leader_transitions_total 0.0",
    ):
        assert f"b2c_rotator_{line}\n" in text
    identity = leader.process.log("lease.acquired")["identity"]
    for replica, leads in ((leader, True), (follower, False)):
        status = json.loads(replica.process.get("/status.json").text)
        assert (leads, identity, 2 * leads) == (status["leads"], status["leader"], len(status["keysets"]))
    assert (metric(leader, "leader"), metric(leader, "leader_transitions_total")) == (1.0, 1.0)
    assert (metric(leader, "lease_last_renew_timestamp_seconds") or 0) > fleet.began
    assert follower.process.events("sweep.finished") == []
    fleet.finish()


def test_stop_hands_over_after_the_write(bench: Bench, api: Kubernetes) -> None:
    """SIGTERM: the write that is under way is finished, then the lease is released, and the other takes it at once."""
    fleet, leader, follower = pair(bench, api, **PATIENT)
    hang = fleet.emulator.inject(faults.Fault(what=faults.Kind.HANG, where=GENERATE))
    until(lambda: hang.hits)
    fleet.signal(leader, signal.SIGTERM)
    leader.process.log("lease.lost", reason="stopping")
    time.sleep(1.0)
    assert api.history[-1].user == leader.user
    assert api.history[-1].holder
    hang.remove()
    written = time.time()
    assert leader.process.wait(SLACK).code == 0
    assert leader.process.events("keyset.rotated")
    assert [line["event"] for line in leader.process.logs if line["event"].startswith("lease.")] == [
        "lease.acquired",
        "lease.lost",
        "lease.released",
    ]
    leader.running = None
    released = api.wait(lambda change: not change.holder and change.user == leader.user)
    assert (released.duration, released.transitions) == (1, 1)
    assert released.time >= written, "it was released before the write had ended"
    taken = fleet.taken(fleet.leader(after=released.time), released.time)
    assert taken - written < SLACK, "nobody would have to wait for it to lapse"
    follower.process.log("lease.acquired")
    fleet.wait_for_keys(2)
    fleet.finish()


def test_stop_hands_over_before_a_read_has_ended(bench: Bench, api: Kubernetes) -> None:
    """SIGTERM: only its own process waits for a request that reads."""
    fleet, leader, follower = pair(bench, api, **PATIENT)
    hang = fleet.emulator.inject(faults.Fault(what=faults.Kind.HANG, where=Operation.LIST_KEYSETS))
    until(lambda: hang.hits)
    fleet.signal(leader, signal.SIGTERM)
    assert fleet.leader(after=time.time(), but=leader) is follower
    assert leader.process.process.poll() is None
    hang.remove()
    assert leader.process.wait(SLACK).code == 0
    leader.running = None
    follower.process.log("sweep.finished")
    fleet.finish()


def test_stop_after_the_record_was_relabelled(bench: Bench, api: Kubernetes) -> None:
    """An upgrade that changes the record's labels ends the lead; a stop right after it still releases the lease."""
    long = {"lease_duration": "30s", "renew_deadline": "20s", "retry_period": "2s"}
    fleet, leader, follower = pair(bench, api, leader_election=long)
    api.relabel(version="2")
    leader.process.log("lease.lost", reason="taken")
    stopped = time.time()
    fleet.stop(leader)
    assert fleet.leader(after=stopped, but=leader) is follower
    assert fleet.taken(follower, stopped) < stopped + SLACK
    fleet.finish()


def test_lease_taken_in_the_midst_of_a_second_look(bench: Bench, api: Kubernetes) -> None:
    """Who led when it looked, and does not when it would write, holds the keyset; after a reload, too."""
    fleet = Fleet(bench, api, 1, 1, **PATIENT)
    (replica,) = fleet.replicas
    hang = fleet.emulator.inject(faults.Fault(what=faults.Kind.HANG, where=Operation.GET_KEYSET))
    fleet.start()
    reload(replica, check_interval="2s")
    until(lambda: hang.hits)
    api.tamper(holderIdentity="other", leaseDurationSeconds=5)
    replica.process.log("lease.lost", reason="taken")
    hang.remove()
    replica.process.log("keyset.held", reason="not_leader")
    assert fleet.emulator.seen(GENERATE) == ()
    until(lambda: metric(replica, "leader") == 1)
    assert metric(replica, "leader_transitions_total") == 2
    fleet.wait_for_keys(1)
    fleet.finish()


def reload(replica: Replica, event: str = "config.reloaded", **settings: object) -> dict[str, Any]:
    """Give it another configuration; returns the log line of the reload."""
    replica.process.log("rotator.started")
    content = yaml.safe_load(replica.config.read_text()) | settings
    replica.config.write_text(yaml.safe_dump(content))
    before = len(replica.process.events(event))
    replica.process.signal(signal.SIGHUP)
    return replica.process.log(event, count=before + 1)


def test_reload_of_a_follower(bench: Bench, api: Kubernetes) -> None:
    """A follower takes another configuration and goes on following; it works by it once it leads."""
    api.tamper(holderIdentity="other", leaseDurationSeconds=600)
    fleet = Fleet(bench, api, 1, 2)
    (replica,) = fleet.replicas
    fleet.start()
    until(lambda: replica.process.get("/readyz").status == 200)
    tenants = copy.deepcopy(bench.content["tenants"])
    tenants[0]["keysets"].pop()
    tenants[0]["credential"]["client_id"] = replica.client
    line = reload(replica, tenants=tenants, leader_election={**PERIODS, "enabled": False})
    assert (line["keysets"], line["restart_needed"]) == (1, ["leader_election"])
    assert "keyset=" not in replica.process.get("/metrics").text
    assert metric(replica, "leader") == 0
    assert json.loads(replica.process.get("/status.json").text)["leader"] == "other"
    api.tamper(holderIdentity="")
    assert replica.process.log("sweep.finished")["keysets"] == 1
    assert replica.process.stop().code == 0
    assert {event.by for event in fleet.generated("B2C_1A_0")} <= {replica.client}


@pytest.mark.parametrize("election", [{"lease_duration": "90s", "renew_deadline": "60s"}, {"enabled": False}])
def test_reload_with_requests_that_no_leader_could_wait_for(
    bench: Bench, api: Kubernetes, election: dict[str, Any]
) -> None:
    """The periods of the election stay until the next start; a longer request is refused rather than never sent."""
    fleet, leader, _ = pair(bench, api)
    account = {"service_account_directory": str(bench.folder / f"account-{leader.number}")}
    refused = reload(leader, "config.rejected", request_timeout="20s", leader_election=account | election)
    (fault,) = refused["faults"]
    assert fault.startswith("request_timeout: must not be longer than 2s until the next start")
    fleet.wait_for_keys(2)
    fleet.finish()


def test_killed_in_the_midst_of_a_write(bench: Bench, api: Kubernetes) -> None:
    """SIGKILL: the other takes over within the duration and a retry, sees the key, and makes no second one."""
    fleet, leader, follower = pair(bench, api)
    hang = fleet.emulator.inject(faults.Fault(what=faults.Kind.HANG, where=GENERATE, when=faults.Moment.AFTER_COMMIT))
    until(lambda: hang.hits)
    killed = fleet.kill(leader)
    hang.remove()
    renewed = max(change.time for change in api.history if change.user == leader.user)
    assert fleet.leader(after=killed) is follower
    taken = fleet.taken(follower, killed)
    assert renewed + DURATION - 0.1 < taken < killed + DURATION + RETRY + SLACK
    assert follower.process.log("lease.acquired")["before"]
    fleet.start(leader)
    fleet.wait_for_keys(2)
    assert fleet.leader(after=taken) is follower, "who comes back follows"
    fleet.finish()


def test_api_that_hangs(bench: Bench, api: Kubernetes) -> None:
    """While the API hangs, no replica leads or writes after the deadline; later one does."""
    fleet, leader, _ = pair(bench, api)
    api.freeze()
    frozen = time.time()
    leader.process.log("lease.lost", reason="deadline", timeout=DEADLINE + SLACK)
    lost = time.time()
    assert [metric(replica, "leader") for replica in fleet.replicas] == [0.0, 0.0]
    time.sleep(DURATION)
    api.thaw()
    thawed = time.time()
    for keyset in fleet.keysets:
        assert [event for event in fleet.generated(keyset.id) if lost < event.instant < thawed] == []
    failed = leader.process.log("lease.failed")
    assert (failed["level"], failed["kind"]) == ("warning", "timeout")
    assert (metric(leader, "lease_renew_failures_total") or 0) >= 2
    again = fleet.leader(after=thawed)
    assert fleet.taken(again, thawed) > frozen + DEADLINE
    fleet.wait_for_keys(2)
    fleet.finish()


def test_api_behind_something_that_is_stopped(bench: Bench, api: Kubernetes) -> None:
    """What stands before the API is stopped (SIGSTOP) for longer than the deadline: nobody writes until it goes on."""
    with Relay(api.port) as relay:
        env = {"KUBERNETES_SERVICE_PORT": str(relay.port)}
        fleet, leader, _ = pair(bench, api, envs=(env, env))
        relay.process.send_signal(signal.SIGSTOP)
        leader.process.log("lease.lost", reason="deadline", timeout=DEADLINE + SLACK)
        lost = time.time()
        time.sleep(DURATION)
        assert [metric(replica, "leader") for replica in fleet.replicas] == [0.0, 0.0]
        assert [replica.process.get("/healthz").status for replica in fleet.replicas] == [200, 200]
        relay.process.send_signal(signal.SIGCONT)
        gone_on = time.time()
        for keyset in fleet.keysets:
            assert [event for event in fleet.generated(keyset.id) if lost < event.instant < gone_on] == []
        fleet.leader(after=gone_on)
        fleet.wait_for_keys(2)
        fleet.finish()


def test_split_network(bench: Bench, api: Kubernetes) -> None:
    """A leader that reaches the service, but not the API, writes no more before the other does, and then follows."""
    apart = {"lease_duration": "7s", "renew_deadline": "3s", "retry_period": "1s"}  # its end, and the other's begin
    fleet, leader, follower = pair(bench, api, leader_election=apart)
    api.split(leader.user)
    split = time.time()
    assert fleet.leader(after=split, but=leader) is follower
    lost = leader.process.log("lease.lost", reason="deadline")
    assert metric(leader, "leader") == 0
    assert json.loads(leader.process.get("/status.json").text)["keysets"] == []
    assert "keyset=" not in leader.process.get("/metrics").text
    acquired = follower.process.log("lease.acquired")
    assert lost["timestamp"] < acquired["timestamp"]
    follower.process.log("sweep.finished", count=2)
    api.heal(leader.user)
    identity = acquired["identity"]
    until(lambda: json.loads(leader.process.get("/status.json").text)["leader"] == identity)
    fleet.wait_for_keys(2)
    fleet.finish()


def test_stopped_process_that_goes_on(bench: Bench, api: Kubernetes) -> None:
    """A leader that was stopped (SIGSTOP) for longer than the lease writes nothing when it goes on."""
    fleet, leader, follower = pair(bench, api)
    hang = fleet.emulator.inject(faults.Fault(what=faults.Kind.HANG, where=Operation.GET_KEYSET))
    until(lambda: hang.hits)  # the second look: the next thing would be to write
    fleet.signal(leader, signal.SIGSTOP)
    stopped = time.time()
    hang.remove()
    assert fleet.leader(after=stopped, but=leader) is follower
    fleet.wait_for_keys(1)
    fleet.signal(leader, signal.SIGCONT)
    leader.process.log("lease.lost")
    until(lambda: follower.process.events("sweep.finished"))
    fleet.wait_for_keys(2)
    fleet.finish()


@pytest.mark.parametrize("jump", [3600, -3600])
def test_clock_of_the_leader_jumps(bench: Bench, api: Kubernetes, jump: int) -> None:
    """A leader whose clock jumps by an hour hands over to one whose clock is right, and may lead again later."""
    clock = FakeClock(bench.folder)
    fleet, leader, follower = pair(bench, api, envs=(clock.environment, {}))
    clock.set(jump)
    jumped = time.time()
    assert fleet.leader(after=jumped, but=leader) is follower
    # A machine that stalls for longer than the deadline of these short leases may notice that first.
    assert leader.process.log("lease.lost")["reason"] in ("clock", "deadline")
    fleet.wait_for_keys(4)
    clock.set(0)
    fleet.stop(follower)
    assert fleet.leader(after=time.time(), but=follower) is leader
    fleet.wait_for_keys(2)
    fleet.finish()


@pytest.mark.parametrize("jump", [3600, -3600])
def test_clock_of_a_follower_jumps(bench: Bench, api: Kubernetes, jump: int) -> None:
    """The lease does not depend on the wall clock: a follower claims it when it is free, no sooner and no later."""
    clock = FakeClock(bench.folder)
    fleet, leader, follower = pair(bench, api, envs=({}, clock.environment), leader_election=LONG_LEAD)
    clock.set(jump)
    time.sleep(2 * DURATION)
    assert {change.user for change in api.history if change.holder} == {leader.user}
    clock.set(0)
    killed = fleet.kill(leader)
    assert fleet.leader(after=killed, but=leader) is follower
    assert fleet.taken(follower, killed) < killed + 9 + RETRY + SLACK
    fleet.wait_for_keys(2)
    fleet.finish()


def test_missing_rule(bench: Bench, api: Kubernetes) -> None:
    """
    Where the Role lacks a verb the replica is ready and follows, and may lead later.

    It says that it was refused, and what is missing once that has lasted for longer than a lease.
    """
    fleet = Fleet(bench, api, 1)
    (replica,) = fleet.replicas
    account = api.accounts["token-of-pod-0"]
    api.mount(bench.folder / "account-0", "pod-0", verbs=("get",))
    fleet.start()
    line = replica.process.log("lease.failed")
    assert (line["status"], line["level"]) == (403, "warning")
    assert line["message"] == "the Kubernetes API answered 403 to update of lease rotator; rotator tries again"
    replica.process.log("lease.failed", count=2)
    failures = metric(replica, "lease_renew_failures_total") or 0
    until(lambda: (metric(replica, "lease_renew_failures_total") or 0) >= failures + 2)
    assert [replica.process.get(path).status for path in ("/healthz", "/readyz")] == [200, 200]
    first, last = replica.process.events("lease.failed")
    assert first == line
    assert "verbs [get, update]" in last["message"]
    assert metric(replica, "leader") == 0
    api.accounts["token-of-pod-0"] = account
    replica.process.log("sweep.finished")
    fleet.finish()


def test_lease_that_is_missing(bench: Bench, api: Kubernetes) -> None:
    """Replicas that start together without a Lease: one creates it and leads, the others follow, and nothing fails."""
    api.delete()
    fleet = Fleet(bench, api, 3)
    for replica in fleet.replicas:
        api.mount(bench.folder / f"account-{replica.number}", replica.user, may_create=True)
    fleet.start()
    created = api.wait(lambda change: bool(change.holder))
    leader = next(replica for replica in fleet.replicas if replica.user == created.user)
    leader.process.log("lease.acquired")
    fleet.wait_for_keys(2)
    assert [seen.user for seen in api.seen if (seen.method, seen.status) == ("POST", 201)] == [leader.user]
    assert [replica.process.events("lease.failed") for replica in fleet.replicas] == [[], [], []]
    fleet.finish()


EVENTS = ("stop", "kill", "pause", "split", "freeze", "errors", "reset", "lost answers")


def test_five_replicas(bench: Bench, api: Kubernetes) -> None:
    """Everything that can happen, one after the other, with clocks an hour ahead and behind: rotation goes on."""
    fleet = Fleet(bench, api, 5, keysets=4)
    api.skews |= {replica.user: timedelta(hours=replica.number % 2 * 2 - 1) for replica in fleet.replicas}
    fleet.start()
    random = Random(5)
    fleet.wait_for_keys(2)
    for event in random.sample(EVENTS, len(EVENTS)):
        holder = api.history[-1].user
        leader = next((replica for replica in fleet.replicas if replica.user == holder), fleet.replicas[0])
        happens(event, fleet, leader, random)
        fleet.wait_for_cover()
    fleet.wait_for_keys(4)
    holders = [change.holder for change in api.history if change.holder]
    changes = sum(one != other for one, other in pairwise(holders))
    assert 2 <= changes <= 2 * len(EVENTS), f"it changes hands where it must, and not for nothing: {holders}"
    fleet.finish()


def happens(event: str, fleet: Fleet, leader: Replica, random: Random) -> None:
    """One thing goes wrong, mostly with who leads, and is fixed after a while."""
    api = fleet.api
    match event:
        case "stop":
            fleet.stop(leader)
            fleet.start(leader)
        case "kill":
            fleet.kill(leader)
            fleet.start(leader)
        case "pause":
            fleet.signal(leader, signal.SIGSTOP)
            time.sleep(DURATION + RETRY)
            fleet.signal(leader, signal.SIGCONT)
        case "split":
            api.split(leader.user)
            time.sleep(DURATION + RETRY)
            api.heal(leader.user)
        case "freeze":
            api.freeze()
            time.sleep(random.uniform(0.5, DEADLINE))
            api.thaw()
        case _:
            kind = {"errors": Kind.STATUS, "reset": Kind.RESET}.get(event, Kind.STATUS)
            when = Moment.AFTER_COMMIT if event == "lost answers" else Moment.BEFORE_COMMIT
            api.inject(Fault(what=kind, when=when, method="PUT", times=3))


def test_without_an_election(bench: Bench) -> None:
    """If it is off nothing of it is imported, and the process leads."""
    imported = "import sys, rotator.service.process, rotator.commands.serve, rotator.commands.once; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", imported], capture_output=True, text=True, check=True).stdout.split()
    assert "rotator.service.daemon" in found
    election = {"rotator.shell.election", "rotator.shell.leader_state", "rotator.shell.lease_record"}
    assert {"rotator.edges.lease", "rotator.service.leader", *election} & set(found) == set()
    bench.begin(Tenant(keysets=(fresh(),)), leader_election={"enabled": False})
    daemon = bench.start(env={"KUBERNETES_SERVICE_HOST": "127.0.0.1"})
    daemon.log("sweep.finished")
    assert "b2c_rotator_leader 1.0\n" in daemon.get("/metrics").text
    assert "leader" not in daemon.get("/status.json").text
    assert daemon.stop().code == 0


def test_election_without_a_cluster(bench: Bench) -> None:
    """Leader election outside of a cluster is an error of the configuration."""
    bench.begin(Tenant(keysets=(due(),)), leader_election={"enabled": True}, request_timeout="10s")
    run = bench.run(env={"KUBERNETES_SERVICE_HOST": ""})
    assert run.code == 78
    assert "leader_election.enabled: needs the variable KUBERNETES_SERVICE_HOST" in run.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_of_a_follower(bench: Bench, api: Kubernetes, number: signal.Signals) -> None:
    """A follower ends at once, and leaves the lease alone."""
    api.tamper(holderIdentity="other", leaseDurationSeconds=600)
    fleet = Fleet(bench, api, 1)
    (replica,) = fleet.replicas
    fleet.start()
    until(lambda: replica.process.get("/readyz").status == 200)
    fleet.signal(replica, number)
    assert replica.process.wait(SLACK).code == 0
    assert "PUT" not in {seen.method for seen in api.seen}
