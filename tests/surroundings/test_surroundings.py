"""What a process finds around it: proxies of the environment, other programs' variables, and closed streams."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from edges.test_http import listener
from edges.test_tokens import issued, pem
from end_to_end.harness import PATIENCE, Bench, Tenant, fresh
from kubernetes.fake_api import Kubernetes

from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import App

PASSWORD = "Pr0xy-passw0rd-of-nobody"
CLUSTER = "10.0.0.0/8,fe80::/10,[::1],.svc,.cluster.local"
"""NO_PROXY as a cluster sets it."""


def test_no_proxy_of_a_cluster(bench: Bench) -> None:
    """Networks and IPv6 addresses in NO_PROXY are understood, and a host in it is asked directly."""
    bench.begin(Tenant(keysets=(fresh(),)))
    env = {"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": CLUSTER}
    assert bench.check(env).code == 0
    assert bench.run("--once", env=env).code == 1, "it is behind the proxy, where nobody listens"
    assert bench.run("--once", env={**env, "NO_PROXY": f"{CLUSTER},localhost"}).code == 0


def test_lease_is_never_asked_for_through_a_proxy(bench: Bench) -> None:
    """A replica leads although the proxy that was put into its environment cannot reach the cluster's API."""
    with Kubernetes() as api:
        api.ship()
        account = api.mount(bench.folder / "account", "pod")
        bench.begin(
            Tenant(keysets=(fresh(),)),
            request_timeout="5s",
            leader_election={"enabled": True, "service_account_directory": str(account)},
        )
        proxies = {"HTTPS_PROXY": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1", "NO_PROXY": "localhost"}
        running = bench.start(env={**api.environment, **proxies})
        running.log("lease.acquired")
        running.log("sweep.finished")
        assert running.stop().code == 0


def test_password_of_a_proxy_is_never_printed(bench: Bench) -> None:
    """Neither plain nor as the proxy's header, even where the proxy itself sends it back."""
    bench.begin(Tenant(keysets=(fresh(),)), log={"level": "debug"})
    header = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    answer = f"HTTP/1.1 407 {header} {PASSWORD}\r\nContent-Length: 0\r\n\r\n".encode()
    heard: list[bytes] = []
    with listener(answer, heard) as port:
        env = {"HTTPS_PROXY": f"http://user:{PASSWORD}@127.0.0.1:{port}"}
        finished = [bench.run(*how, env=env) for how in (("--once",), ("status",), ("--dry-run", "--output", "json"))]
        with_daemon = bench.start(env=env)
        started = with_daemon.log("rotator.started")
        with_daemon.log("keyset.failed")
        finished.append(with_daemon.stop())
    assert header.encode() in heard[0], "the proxy got it"
    assert started["proxies"] == {"https": f"http://127.0.0.1:{port}"}
    for each in finished:
        assert "407" in each.out + each.err
        assert PASSWORD not in each.out + each.err
        assert header not in each.out + each.err


def test_certificate_as_a_cluster_mounts_it(bench: Bench) -> None:
    """A Secret of type kubernetes.io/tls is used as it is; a key of another kind is named, and nobody is asked."""
    authority, own = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    chain = issued(authority) + issued(authority, of=own)
    cert, key = bench.folder / "tls.crt", bench.folder / "tls.key"
    cert.write_text(chain)
    key.write_text(pem(own))
    files = {"certificate_file": str(cert), "private_key_file": str(key)}
    bench.begin(Tenant(keysets=(fresh(),), credential=files))
    bench.emulator.tenants[0].register(
        App(certificates=(issued(authority, of=own), chain[chain.rindex("-----BEGIN") :]))
    )
    assert bench.run("--once").code == 0
    other = ec.generate_private_key(ec.SECP256R1())
    key.write_text(pem(other))
    asked = len(bench.emulator.requests)
    finished = bench.run("--once", "--output", "json")
    assert (finished.code, finished.row["error"]["kind"]) == (1, "auth")
    assert f"private_key_file {key}: its private key is EC; an RSA key is needed" in finished.row["error"]["message"]
    assert len(bench.emulator.requests) == asked


@pytest.mark.parametrize("name", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
def test_directory_of_another_programs_metrics(bench: Bench, name: str) -> None:
    """It is left alone, whether it exists or not, and a line says so."""
    bench.begin(Tenant(keysets=(fresh(),)))
    metrics = bench.folder / "metrics"
    for directory in (bench.folder / "nowhere", metrics):
        metrics.mkdir(exist_ok=True)
        running = bench.start(env={name: str(directory)})
        assert running.log("variable.ignored")["variable"] == name
        running.log("sweep.finished")
        assert "b2c_rotator_keyset_info" in running.get("/metrics").text
        assert running.stop().code == 0
        assert not list(metrics.iterdir())


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_closed_streams(bench: Bench, closed: str) -> None:
    """A daemon without stderr works, and no connection of it gets the number of a stream."""
    bench.begin(Tenant(keysets=(fresh(),)))
    command = f'exec "{sys.executable}" -m rotator {closed}'
    process = subprocess.Popen(["/bin/sh", "-c", command], env=bench.environment())
    try:
        assert bench.emulator.wait_for(Operation.LIST_KEYSETS, timeout=PATIENCE), process.poll()
        streams = [str(Path(f"/proc/{process.pid}/fd/{number}").readlink()) for number in range(3)]
        assert not [each for each in streams if "socket" in each]
        assert streams[2] == os.devnull
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_closed_stderr_and_a_wrong_configuration(bench: Bench) -> None:
    """Nothing that belongs on stderr goes to stdout in its place."""
    bench.begin(Tenant(keysets=(fresh(),)))
    bench.content["check_interval"] = "soon"
    bench.write()
    command = f'exec "{sys.executable}" -m rotator --once --output json 2>&-'
    finished = subprocess.run(
        ["/bin/sh", "-c", command], env=bench.environment(), stdout=subprocess.PIPE, check=False, timeout=PATIENCE
    )
    assert (finished.returncode, finished.stdout) == (78, b"")
    del bench.content["check_interval"]
    bench.write()
    finished = subprocess.run(
        ["/bin/sh", "-c", command], env=bench.environment(), stdout=subprocess.PIPE, check=False, timeout=PATIENCE
    )
    assert finished.returncode == 0
    assert json.loads(finished.stdout)["schema"] == 1
