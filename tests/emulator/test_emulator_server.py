# mypy: disable-error-code="arg-type"
# Texts are given for enums, as users may.
"""The emulator as a whole: its life, its journal, its walls."""

import ast
import contextlib
import logging
import os
import re
import signal
import socket
import ssl
import stat
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
import yaml
from emulator.harness import NOW
from waiting import wait_for

import rotator.emulator
from rotator.emulator.command import serve
from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.certificates import client_certificate, make_authority
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.keys import RsaMaterial, new_key
from rotator.emulator.model.seed import DEMO_CLIENT_ID, DEMO_SECRET, KeySeed, KeysetSeed, Seed, TenantSeed
from rotator.emulator.server import Emulator, EmulatorError
from rotator.emulator.sign_in import policies

PACKAGE = Path(rotator.emulator.__file__).parent
ROOT = PACKAGE.parent.parent


def test_tls_is_real(bench):
    """A client that does not trust the CA gets no connection; that is no bug of ours."""
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(bench.emulator.url, trust_env=False)
    assert bench.http.get("/_emulator/").status_code == 200


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_names(bench, name):
    """The certificate is for every loopback name."""
    assert bench.http.get(f"https://{name}:{bench.emulator.port}/_emulator/").status_code == 200


def test_more_names(clock):
    """It can be for further names as well."""
    with Emulator(clock=clock, names=("emulator.test",)) as emulator:
        context = ssl.create_default_context(cafile=str(emulator.ca_file))
        raw = socket.create_connection(("127.0.0.1", emulator.port))
        with context.wrap_socket(raw, server_hostname="emulator.test") as secure:
            assert secure.version() == "TLSv1.3"


def test_ipv6():
    """It listens on ::1 where that is wanted."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with Emulator(host="::1") as emulator:
        context = ssl.create_default_context(cafile=str(emulator.ca_file))
        url = f"https://[::1]:{emulator.port}/_emulator/"
        assert httpx.get(url, verify=context, trust_env=False).json()["url"] == url[:-11]


def test_directory_temporary():
    """Without a directory the CA file is gone at the end."""
    with Emulator() as emulator:
        assert emulator.ca_file.exists()
    assert not emulator.ca_file.parent.exists()


def test_directory_given(tmp_path):
    """With one it stays, and holds no key."""
    with Emulator(directory=tmp_path / "new") as emulator:
        assert emulator.ca_file.parent == tmp_path / "new"
    assert emulator.ca_file.exists()
    assert "PRIVATE" not in emulator.ca_file.read_text()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com"])
def test_host_refused(host):
    """A host that is not loopback is refused unless asked for."""
    with pytest.raises(EmulatorError, match="not loopback"):
        Emulator(host=host)


def test_host_public():
    """Asked for, it is served."""
    with Emulator(host="0.0.0.0", public=True) as emulator:
        assert emulator.port


def test_port_taken(bench):
    """A port that is taken is one line, and nothing is left behind."""
    with pytest.raises(EmulatorError, match=f"cannot listen on 127.0.0.1 port {bench.emulator.port}"):
        Emulator(port=bench.emulator.port).start()


def test_stalled_handshake(bench):
    """A client that stalls in its handshake keeps nobody else out."""
    with socket.create_connection(("127.0.0.1", bench.emulator.port)):
        assert bench.http.get("/_emulator/").status_code == 200


def test_garbage_on_the_wire(bench):
    """Somebody who speaks no TLS, or no HTTP, is no bug."""
    with socket.create_connection(("127.0.0.1", bench.emulator.port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            plain.recv(100)
    context = ssl.create_default_context(cafile=str(bench.emulator.ca_file))
    raw = socket.create_connection(("127.0.0.1", bench.emulator.port))
    with context.wrap_socket(raw, server_hostname="localhost") as secure:
        secure.sendall(b"nonsense\r\n\r\n")
        assert secure.recv(100)
    assert bench.emulator.errors == ()


def test_keep_alive(bench):
    """Many requests share one connection, and each is quick."""
    bench.emulator.switch(throttle_per_app=0, throttle_per_tenant=0)
    bench.graph("GET", "/B2C_1A_Sig")
    spans = []
    for _ in range(100):
        began = time.perf_counter()
        bench.graph("GET", "/B2C_1A_Sig")
        spans.append(time.perf_counter() - began)
    # On an idle machine 2 ms. Packets that wait for each other cost 40 each; a machine that stands still costs one.
    assert statistics.median(spans) < 0.03


def test_large_seed_is_quick():
    """Two hundred tenants with twenty keysets are no more than a second or two of work."""
    began = time.process_time()
    key = (KeySeed(nbf=NOW, exp=NOW + 5),)
    keysets = tuple(KeysetSeed(id=f"B2C_1A_K{n}", keys=key) for n in range(20))
    seed = Seed(tenants=tuple(TenantSeed(domain=f"t{n}.example", keysets=keysets) for n in range(200)))
    with Emulator(seed) as emulator:
        assert len(emulator.tenants) == 200
    assert time.process_time() - began < 2


def test_journal(bench):
    """The journal has a record for each request, with what was asked for and what came of it."""
    bench.graph("GET", "/B2C_1A_No", headers={"client-request-id": "mine"})
    token, got = bench.emulator.requests
    assert (token.operation, token.tenant, token.status) == (
        Operation.TOKEN,
        "contoso.onmicrosoft.com",
        200,
    )
    assert (got.operation, got.keyset, got.status, got.method, got.time) == (
        Operation.GET_KEYSET,
        "B2C_1A_No",
        400,
        "GET",
        NOW,
    )
    assert (got.client_request_id, got.committed) == ("mine", False)
    assert bench.emulator.counts == {Operation.TOKEN: 1, Operation.GET_KEYSET: 1}


def test_journal_by_tenant_and_keyset(bench):
    """Requests can be picked by tenant and keyset."""
    bench.generate()
    bench.generate("B2C_1A_Empty")
    picked = bench.emulator.seen(Operation.GENERATE_KEY, keyset="B2C_1A_Empty")
    assert [seen.keyset for seen in picked] == ["B2C_1A_Empty"]
    assert bench.emulator.seen(tenant=bench.tenant.id) == bench.emulator.requests
    with pytest.raises(EmulatorError, match="there is no tenant x"):
        bench.emulator.seen(tenant="x")


def test_journal_masks(bench):
    """No secret of a request is in the journal."""
    bench.graph("POST", "/B2C_1A_Secret/uploadSecret", {"use": "sig", "k": "hush"})
    bench.graph("PUT", "/B2C_1A_Secret", {"keys": [{"kty": "oct", "k": "hush", "use": "sig"}]})
    headers = {"Authorization": f"Bearer {bench.token()}"}
    bench.http.post("/beta/trustFramework/keySets", content=b'{"k": "hush"', headers=headers)
    text = "".join(seen.body or "" for seen in bench.emulator.requests)
    assert "hush" not in text
    assert DEMO_SECRET not in text
    assert '"use": "sig"' in text


def test_wait_for_times_out(bench):
    """Waiting for what does not come takes as long as it may, and says so."""
    assert bench.emulator.wait_for(Operation.JWKS, timeout=0.05) is False


def test_wait_for_comes(bench):
    """Waiting ends when it comes."""
    url = "/contoso.onmicrosoft.com/B2C_1A_signin/discovery/v2.0/keys"
    client = threading.Timer(0.05, lambda: bench.http.get(url))
    client.start()
    assert bench.emulator.wait_for(Operation.JWKS, stage="answered", timeout=5)
    client.join()


def test_bug_is_recorded(start, monkeypatch):
    """A bug of the emulator is a 500 and a record; the connection and the thread go on."""
    bench = start()
    monkeypatch.setattr(policies, "published", lambda *_: 1 / 0)
    url = "/contoso.onmicrosoft.com/B2C_1A_signin/discovery/v2.0/keys"
    assert bench.http.get(url).status_code == 500
    assert "ZeroDivisionError" in bench.emulator.errors[0]
    assert bench.graph("GET").status_code == 200
    bench.emulator.journal.clear_errors()


def test_close_cuts(start):
    """Closing ends every connection, the idle ones, too."""
    bench = start()
    bench.graph("GET")
    bench.emulator.close()
    with pytest.raises(httpx.TransportError):
        bench.graph("GET")


def test_no_thread_left():
    """Nothing goes on after the end."""
    before = threading.active_count()
    with Emulator() as emulator:
        context = ssl.create_default_context(cafile=str(emulator.ca_file))
        with httpx.Client(verify=context, trust_env=False) as http:
            http.get(f"{emulator.url}/_emulator/")
    wait_for(lambda: threading.active_count() <= before)


def test_repr_has_no_secret():
    """Nothing secret is in any repr."""
    key_pem, certificate = client_certificate()
    app = TenantSeed().apps[0]
    oct_key = new_key(KeySeed(kty="oct"))
    material = RsaMaterial()
    texts = repr((app, oct_key, make_authority(), material, new_key(KeySeed())))
    assert DEMO_SECRET not in texts
    assert oct_key.secret is not None
    assert oct_key.secret not in texts
    assert "PRIVATE" not in texts
    assert material.n not in texts
    del key_pem, certificate


def test_walls():
    """The emulator imports nothing else of the project: it judges from outside."""
    for module in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                inside = name.startswith("rotator.emulator.")
                assert inside or not name.startswith("rotator"), f"{module.name}: {name}"


def test_quiet(bench, caplog):
    """The emulator logs nothing: its journal is its log."""
    with caplog.at_level(logging.DEBUG):
        bench.emulator.inject(Fault(what=Kind.CLOSE, where="list_keysets"))
        with pytest.raises(httpx.RemoteProtocolError):
            bench.graph("GET")
    assert [record for record in caplog.records if "emulator" in record.name] == []


# --- the command


@pytest.fixture
def served(tmp_path):
    """`serve` in a process of its own; what it printed, and where it wrote."""
    code = (
        "import sys; from pathlib import Path; from rotator.emulator.command import serve; "
        f"sys.exit(serve(seed=None, state=Path({str(tmp_path / 'state.json')!r}), "
        f"host='127.0.0.1', port=0, directory=Path({str(tmp_path)!r})))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        yield process, "".join(lines), tmp_path
        if process.poll() is None:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve(served, number):
    """It says where it is, writes what the daemon needs, and ends well when told to."""
    process, said, folder = served
    url = re.search(r"https://localhost:\d+", said)
    assert url is not None
    configuration = yaml.safe_load((folder / "rotator.yaml").read_text())
    (tenant,) = configuration["tenants"]
    secret = Path(tenant["credential"]["client_secret_file"])
    assert tenant["cloud"] == {"graph": url[0], "login": url[0]}
    assert tenant["credential"]["client_id"] == DEMO_CLIENT_ID
    assert [keyset["use"] for keyset in tenant["keysets"]] == ["sig", "sig", "sig", "sig", "enc"]
    assert (secret.read_text(), stat.S_IMODE(secret.stat().st_mode)) == (DEMO_SECRET, 0o600)
    assert DEMO_SECRET not in said
    for told in (secret, configuration["ca_file"], folder / "rotator.yaml", DEMO_CLIENT_ID):
        assert str(told) in said
    context = ssl.create_default_context(cafile=configuration["ca_file"])
    assert httpx.get(f"{url[0]}/_emulator/", verify=context, trust_env=False).status_code == 200
    process.send_signal(number)
    assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"seed": "missing.yaml"}, 78, "cannot be read"),
        ({"state": "damaged.json"}, 78, "is not a state file"),
        ({"host": "0.0.0.0"}, 1, "not loopback"),
        ({"directory": "damaged.json"}, 1, "damaged.json"),
    ],
)
def test_serve_mistakes(tmp_path, capsys, changes, code, said):
    """A mistake is one line on stderr and an exit code."""
    (tmp_path / "damaged.json").write_text("{")
    paths = {name: tmp_path / value if name != "host" else value for name, value in changes.items()}
    options = {"seed": None, "state": None, "host": "127.0.0.1", "port": 0, "directory": None}
    assert serve(**{**options, **paths}) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
