"""The real programs of the Prometheus project: installed where that is possible, else the tests are skipped."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from monitoring.stack import Receiver, receiver

PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager")
INSTALL = Path(__file__).with_name("install.sh")


@pytest.fixture(scope="session")
def programs() -> None:
    """They are there; without them a test is skipped, but in CI it fails."""
    trouble = _trouble()
    if trouble is None:
        return
    if os.environ.get("CI"):
        pytest.fail(trouble)
    pytest.skip(trouble)


@pytest.fixture
def webhook() -> Iterator[Receiver]:
    """A receiver of alerts."""
    with receiver() as taking:
        yield taking


def _trouble() -> str | None:
    """Install what is missing; why it is still missing, if it is."""
    if not _missing():
        return None
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return f"{', '.join(_missing())} missing: install Debian's packages prometheus and prometheus-alertmanager"
    with (Path(tempfile.gettempdir()) / "rotator-monitoring-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other workers wait for the first one
        if not _missing():
            return None
        try:
            done = subprocess.run(
                [INSTALL], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=100, check=False
            )
        except subprocess.TimeoutExpired:
            return f"{INSTALL.name} took too long"
    if missing := _missing():
        return f"{', '.join(missing)} missing, and {INSTALL.name} failed: {(done.stderr or done.stdout)[-500:]}"
    return None


def _missing() -> list[str]:
    return [program for program in PROGRAMS if shutil.which(program) is None]
