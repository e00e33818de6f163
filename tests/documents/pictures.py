"""
The pictures of the README, from real output: `make pictures` renders them.

- docs/pictures/status-page.png is the page of a daemon, as Chromium shows it;
- docs/pictures/terminal.svg is a terminal in which a rotation is planned, carried out and looked at.

Both look at the emulated tenants of docs/pictures/tenants.yaml. Run again after a change of the page or of the reports.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from documents.recording import Recording, svg
from PIL import Image, ImageChops

from rotator.emulator.command import write_configuration
from rotator.emulator.model.seed import Seed
from rotator.emulator.model.seed_file import load_seed
from rotator.emulator.server import Emulator

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
TENANTS = PICTURES / "tenants.yaml"
PAGE = PICTURES / "status-page.png"
TERMINAL = PICTURES / "terminal.svg"

ROTATOR = str(Path(sys.executable).with_name("rotator"))
SECONDS = 60.0
"""How long something that must come is waited for."""

_WIDTH, _MAX_HEIGHT, _MARGIN = 1000, 4000, 24
_COLUMNS, _LINES = 112, 48
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars")


@contextmanager
def emulated(tenants: int, settings: Mapping[str, Any]) -> Iterator[Path]:
    """Serve the first *tenants* of the file; the directory with their rotator.yaml, to which *settings* are added."""
    with tempfile.TemporaryDirectory(prefix="pictures-") as name:
        seed = Seed(tenants=load_seed(TENANTS, time.time()).tenants[:tenants])
        with Emulator(seed, directory=Path(name)) as emulator:
            write_configuration(emulator, Path(name), settings)
            yield Path(name)


def clean_environment() -> dict[str, str]:
    """The environment without settings of rotator."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ROTATOR_")}


def terminal() -> str:
    """A plan, its rotation and the status after it, as an SVG."""
    with emulated(1, {"settle": "2s", "log": {"level": "warning"}, "leader_election": {"enabled": False}}) as folder:
        environment = {
            **clean_environment(),
            "ROTATOR_CONFIG": str(folder / "rotator.yaml"),
            "TERM": "xterm-256color",
            "COLUMNS": str(_COLUMNS),
        }
        recording = Recording(_COLUMNS, _LINES, environment)
        for arguments in (["--dry-run"], ["--once"], ["status"]):
            recording.run("rotator", *arguments, program=ROTATOR)
    return svg(recording, "rotator plans the next key of a keyset, generates it, and shows the status")


def screenshot(path: Path) -> None:
    """The status page of a daemon that has looked once, and whose second look is an hour away, as a PNG."""
    http = {"host": "127.0.0.1", "port": 0}
    settings = {"settle": "1h", "http": http, "leader_election": {"enabled": False}, "log": {"format": "json"}}
    with emulated(2, settings) as folder:
        command = [ROTATOR, "--config", "rotator.yaml"]
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=clean_environment(), cwd=folder
        ) as daemon:
            try:
                address = _address(daemon)
                _wait_until_ready(address)
                _shoot(address, path, folder / "profile")
            finally:
                daemon.terminate()
                daemon.communicate(timeout=SECONDS)


def _address(daemon: "subprocess.Popen[str]") -> str:
    """Where the daemon serves its page: its first line says so."""
    assert daemon.stderr is not None
    line = yaml.safe_load(daemon.stderr.readline())
    return f"http://127.0.0.1:{line['port']}"


def _wait_until_ready(address: str) -> None:
    end = time.monotonic() + SECONDS
    while httpx.get(f"{address}/readyz", trust_env=False).status_code != 200:
        if time.monotonic() > end:
            raise TimeoutError(address)
        time.sleep(0.1)


def _shoot(address: str, path: Path, profile: Path) -> None:
    size = f"--window-size={_WIDTH},{_MAX_HEIGHT}"
    command = ["chromium", *_FLAGS, f"--user-data-dir={profile}", size, f"--screenshot={path}", f"{address}/"]
    subprocess.run(command, capture_output=True, timeout=2 * SECONDS, check=True)
    with Image.open(path) as picture:
        shot = picture.convert("RGB")
    paper = Image.new("RGB", shot.size, shot.getpixel((0, 0)))
    box = ImageChops.difference(shot, paper).getbbox()
    assert box is not None, "the page is empty"
    cropped = shot.crop((0, 0, _WIDTH, min(box[3] + _MARGIN, _MAX_HEIGHT)))
    cropped.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Render both. Raises: SystemExit where Chromium is missing."""
    if shutil.which("chromium") is None:
        sys.exit("chromium: is not installed; `make programs` installs it on Debian")
    TERMINAL.write_text(terminal(), encoding="utf-8")
    screenshot(PAGE)


if __name__ == "__main__":
    main()
