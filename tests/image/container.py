"""
An image, built and run for real, with no registry and no service: Debian's own tools, in a store of their own.

mmdebstrap makes a root with Python as the base, buildah builds the Dockerfile on it, podman
with runc runs the result, as strictly as a cluster with the restricted profile would.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from end_to_end.harness import Running
from programs import need

ROOT = Path(__file__).parents[2]
SUITE = os.environ.get("DEBIAN", "trixie")  # another one has another Python
USER = 65532
PATIENCE = 90.0  # seconds; whatever ends by itself does so long before
BASE, IMAGE = "localhost/base", "localhost/rotator"
VERSION, REVISION = "0.0.0-test", "0" * 40
SOURCE, CREATED = "https://git.example.com/rotator", "2026-01-01T00:00:00Z"

STRICT = (
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    f"--user={USER}:{USER}",
    # The emulator listens on this machine's loopback.
    "--network=host",
    # Where it is run within a container itself, it could not have more than that.
    "--ulimit=nofile=1024:1024",
    "--ulimit=nproc=4096:4096",
)
TRUST = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf")
"""What pip needs of this machine to reach its index during the build; mounted if it is there."""


@dataclass(frozen=True)
class Engine:
    """buildah and podman on one store."""

    store: Path
    driver: str

    def build(self, base: str, tag: str, *arguments: str) -> None:
        """Build the Dockerfile on *base*."""
        mounts = [f"--volume={path}:{path}:ro" for path in TRUST if Path(path).exists()]
        options = ("--quiet", "--isolation=chroot", "--pull=never", f"--build-arg=BASE={base}", *mounts, *arguments)
        self._buildah("bud", *options, f"--tag={tag}", str(ROOT))

    def base(self, archive: Path, tag: str) -> None:
        """Make an image of one layer of the root in *archive*."""
        container = self._buildah("from", "scratch").strip()
        self._buildah("add", "--quiet", container, str(archive), "/")
        self._buildah("commit", "--quiet", container, tag)
        self._buildah("rm", container)

    def inspect(self, image: str = IMAGE) -> dict[str, Any]:
        """What is written in the image about it."""
        (found,) = json.loads(self.podman("image", "inspect", image).stdout)
        assert isinstance(found, dict)
        return found

    def run(self, *arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run the image until it ends."""
        return self.podman("run", "--rm", *STRICT, *options, IMAGE, *arguments)

    def shell(self, script: str) -> str:
        """What a shell in the image prints."""
        done = self.run("-c", script, options=("--entrypoint=sh",))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str, *arguments: str, options: tuple[str, ...] = ()) -> Running:
        """Run the image in the background."""
        command = self.command("run", "--name", name, *STRICT, *options, IMAGE, *arguments)
        return Running(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
            )
        )

    def process(self, name: str) -> int:
        """The id, on this machine, of the first process of a container."""
        return int(self.podman("inspect", "--format", "{{.State.Pid}}", name).stdout)

    def podman(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run podman until it ends."""
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )

    def command(self, *arguments: str) -> list[str]:
        """A command line of podman."""
        return ["podman", *self._where(), "--runtime=runc", *arguments]

    def _buildah(self, *arguments: str) -> str:
        done = subprocess.run(
            ["buildah", *self._where(), *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, f"buildah {arguments[0]}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def _where(self) -> list[str]:
        return [f"--root={self.store / 'root'}", f"--runroot={self.store / 'run'}", f"--storage-driver={self.driver}"]


@contextmanager
def engine() -> Iterator[Engine]:
    """An empty store, which is gone afterwards with all that ran in it."""
    need("buildah", "mmdebstrap", "podman", "runc")
    with tempfile.TemporaryDirectory(prefix="rotator-image-", ignore_cleanup_errors=True) as folder:
        made = Engine(Path(folder), _driver(Path(folder) / "try"))
        try:
            yield made
        finally:
            made.podman("rm", "--all", "--force", "--time=0")


def _driver(folder: Path) -> str:
    """overlay, where the kernel lets us; else vfs, which copies the whole image for each container."""
    where = (f"--root={folder / 'root'}", f"--runroot={folder / 'run'}", "--storage-driver=overlay")
    script = 'container=$(buildah "$@" from scratch) && buildah "$@" mount "$container" && buildah "$@" rm --all'
    done = subprocess.run(["sh", "-c", script, "sh", *where], capture_output=True, check=False)
    return "vfs" if done.returncode else "overlay"


def make_root(archive: Path) -> None:
    """The least of Debian that has a Python to make environments with."""
    _call(
        "mmdebstrap",
        "--variant=minbase",
        "--include=python3,python3-venv,ca-certificates",
        "--dpkgopt=force-unsafe-io",  # it is thrown away if anything goes wrong
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man")),
        SUITE,
        str(archive),
    )


def _call(*command: str) -> None:
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    told = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert done.returncode == 0, f"{command[0]} failed after {time.monotonic() - began:.0f} s:\n{told}"
