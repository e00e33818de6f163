# mypy: disable-error-code="arg-type"
# Texts are given for enums, as users may.
"""The emulator as a whole: its life, and its walls."""

import ast
import logging
import ssl
import threading
import time
from pathlib import Path

import httpx
import pytest
from emulator.harness import NOW
from waiting import wait_for

import rotator.emulator
from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.certificates import client_certificate, make_authority
from rotator.emulator.model.keys import RsaMaterial, new_key
from rotator.emulator.model.seed import DEMO_SECRET, KeySeed, KeysetSeed, Seed, TenantSeed
from rotator.emulator.server import Emulator, EmulatorError
from rotator.emulator.sign_in import policies

PACKAGE = Path(rotator.emulator.__file__).parent


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
    """A host that is not loopback is refused unless requested."""
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


def test_large_seed_is_quick():
    """Two hundred tenants with twenty keysets are no more than a second or two of work."""
    began = time.process_time()
    key = (KeySeed(nbf=NOW, exp=NOW + 5),)
    keysets = tuple(KeysetSeed(id=f"B2C_1A_K{n}", keys=key) for n in range(20))
    seed = Seed(tenants=tuple(TenantSeed(domain=f"t{n}.example", keysets=keysets) for n in range(200)))
    with Emulator(seed) as emulator:
        assert len(emulator.tenants) == 200
    assert time.process_time() - began < 2


def test_bug_is_recorded(start, monkeypatch):
    """A bug of the emulator is a 500 and a record; the connection and the thread go on."""
    bench = start()
    monkeypatch.setattr(policies, "published", lambda *_: 1 / 0)
    url = "/contoso.onmicrosoft.com/B2C_1A_signin/discovery/v2.0/keys"
    assert bench.http.get(url).status_code == 500
    assert "ZeroDivisionError" in bench.emulator.errors[0]
    assert bench.graph("GET").status_code == 200
    bench.emulator.journal.clear_errors()


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
