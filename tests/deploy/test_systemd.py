"""The unit for systemd: valid, hardened as its documentation says, and with settings that the program can live with."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from end_to_end.harness import Bench, Tenant, due
from pydantic import BaseModel

from rotator import argument_types, arguments
from rotator.edges import process_settings
from rotator.edges.settings import Settings

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "systemd" / "rotator.service"
PAGE = ROOT / "docs" / "without-kubernetes.md"
PROGRAM = "/opt/rotator/bin/rotator"
SITE = """\
import ctypes
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
    raise SystemExit("the kernel does not know PR_SET_MDWE")
"""


def unit() -> dict[str, list[tuple[str, str]]]:
    """The settings of each section, in order; one may stand there several times."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"\[(\w+)\]", line):
            settings = sections.setdefault(found.group(1), [])
        elif line and not line.startswith("#"):
            name, is_setting, value = line.partition("=")
            assert is_setting, line
            settings.append((name, value))
    return sections


def test_unit_has_the_hardening_that_matters() -> None:
    """It has no user, capability or writable its own path, and gets its secret from systemd."""
    sections = unit()
    assert list(sections) == ["Unit", "Service", "Install"]
    service = sections["Service"]
    for wanted in (
        ("DynamicUser", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("MemoryDenyWriteExecute", "yes"),
        ("LoadCredential", "client-secret:/etc/rotator/client-secret"),
    ):
        assert wanted in service
    assert not [name for name, _ in service if name in {"ReadWritePaths", "StateDirectory", "User"}]


def test_unit_starts_the_program() -> None:
    """Its command is one that the command line takes; it is not started again where that changes nothing."""
    service = dict(unit()["Service"])
    program, *words = service["ExecStart"].split()
    assert program == PROGRAM
    assert arguments.parser().parse_args(words).config == Path("/etc/rotator/rotator.yaml")
    assert service["RestartPreventExitStatus"].split() == [str(argument_types.USAGE), "78"]
    assert service["TimeoutStopSec"] == "2min"
    assert Settings.model_fields["request_timeout"].default.total_seconds() + 90 == 2 * 60


def test_unit_sets_variables_that_exist() -> None:
    """Each ROTATOR_ variable is a setting of the process."""
    variables = [value.split("=") for name, value in unit()["Service"] if name == "Environment"]
    sections: dict[str, type[BaseModel]] = {
        "LOG": process_settings.LogSettings,
        "HTTP": process_settings.HttpSettings,
        "LEADER_ELECTION": process_settings.LeaderElectionSettings,
    }
    names = [name.removeprefix("ROTATOR_").split("__") for name, _ in variables if name.startswith("ROTATOR_")]
    assert len(names) == 3
    for section, field in names:
        assert field.lower() in sections[section].model_fields


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing; the tests above parse the unit")
    file = tmp_path / "rotator.service"
    file.write_text(UNIT.read_text(encoding="utf-8").replace(PROGRAM, sys.executable), encoding="utf-8")
    return file


def test_systemd_finds_nothing_wrong(installed: Path) -> None:
    """Systemd's own tool takes every line."""
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(installed)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_exposure_is_the_documented_one(installed: Path) -> None:
    """What `systemd-analyze security` says of it stands in the documentation."""
    analysed = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(installed)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (figure,) = re.findall(r"Overall exposure level for rotator\.service: ([\d.]+)", analysed.stdout)
    (documented,) = re.findall(r"exposure level ([\d.]+)", PAGE.read_text(encoding="utf-8"))
    assert abs(float(figure) - float(documented)) <= 0.3, "versions of systemd differ by a little"


def test_program_needs_no_memory_that_can_be_written_and_executed(tmp_path: Path) -> None:
    """With the kernel's own form of MemoryDenyWriteExecute it starts, logs in and generates a key."""
    known = subprocess.run([sys.executable, "-c", SITE], capture_output=True, check=False)
    if known.returncode:
        pytest.skip("the kernel does not know PR_SET_MDWE")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    with Bench(tmp_path) as bench:
        bench.begin(Tenant(keysets=(due(),)), check_interval="1s")
        daemon = bench.start(env={"PYTHONPATH": str(tmp_path / "site")})
        daemon.log("keyset.rotated")
        assert daemon.stop().code == 0
