# mypy: disable-error-code="arg-type"
# Texts are given for enums, as users may.
"""`rotator emulator`: what it prints and writes, and how it ends."""

import os
import re
import signal
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

import rotator.emulator
from rotator.emulator.command import serve, write_configuration
from rotator.emulator.model.seed import DEMO_CLIENT_ID, DEMO_SECRET, App, KeysetSeed, Secret, Seed, TenantSeed
from rotator.emulator.server import Emulator, EmulatorError

ROOT = Path(rotator.emulator.__file__).parents[2]


@pytest.fixture
def served(tmp_path):
    """`serve` in its own process; what it printed, and where it wrote."""
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


def test_directory_follows_no_symbolic_links(tmp_path):
    """What others put in place of the files is replaced, and what it pointed to stays as it was."""
    folder, precious = tmp_path / "shared", tmp_path / "precious"
    folder.mkdir()
    precious.write_text("precious")
    seed = Seed(
        tenants=(TenantSeed(apps=(App(secrets=(Secret(value=DEMO_SECRET),)),), keysets=(KeysetSeed(id="B2C_1A_X"),)),)
    )
    names = ("emulator-ca.pem", "rotator.yaml", "contoso.onmicrosoft.com-client-secret")
    for name in names:
        (folder / name).symlink_to(precious)
    with Emulator(seed, directory=folder) as emulator:
        write_configuration(emulator, folder)
    assert precious.read_text() == "precious"
    assert [(folder / name).is_symlink() for name in names] == [False] * 3
    assert stat.S_IMODE((folder / names[2]).stat().st_mode) == 0o600


def test_directory_that_is_a_symbolic_link(tmp_path):
    """The directory itself is not followed either."""
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(EmulatorError, match="is a symbolic link; name the directory itself"):
        Emulator(directory=tmp_path / "link").start()
    assert not (tmp_path / "emulator-ca.pem").exists()
