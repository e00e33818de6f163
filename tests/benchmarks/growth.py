"""
What many tenants cost one process: a daemon over a stand-in for Entra and Graph that answers at once.

Each number of tenants has a process of its own, with ten keysets for each tenant and two keys in each keyset. The
daemon is wired as always, but for the transport: requests end in this process, so TLS and connections are not
measured. Nothing is asserted; run it before and after a change.
"""

import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from email.utils import formatdate
from io import StringIO
from pathlib import Path
from typing import Self

import httpx
import yaml

from rotator.service.daemon import Daemon
from rotator.service.pages import listen
from rotator.wiring import Program, wire

SIZES = (100, 1000, 5000)
KEYSETS = 10
PER_FILE = 500
DAY = 86_400


class StandIn(httpx.BaseTransport):
    """Answers discovery, token and list requests."""

    def __init__(self) -> None:
        """Every keyset has a key in use and one to come."""
        now = int(time.time())
        keys = [
            {
                "kid": base64.urlsafe_b64encode(os.urandom(32)).decode(),
                "use": "sig",
                "kty": "RSA",
                "e": "AQAB",
                "n": base64.urlsafe_b64encode(os.urandom(256)).decode().rstrip("="),
                "nbf": now + begin * DAY,
                "exp": now + (begin + 91) * DAY,
            }
            for begin in (-10, 75)
        ]
        listed = [{"id": f"B2C_1A_Keyset{number}", "keys": keys} for number in range(KEYSETS)]
        self._list = json.dumps({"value": listed}).encode()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, with the headers that are looked at."""
        url = str(request.url)
        if "openid-configuration" in url:
            root = url.partition("/v2.0")[0]
            found = {"authorization_endpoint": f"{root}/authorize", "token_endpoint": f"{root}/oauth2/v2.0/token"}
            body = json.dumps(found).encode()
        elif request.method == "POST":
            token = f"eyJ0{base64.urlsafe_b64encode(os.urandom(900)).decode().rstrip('=')}"
            body = json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3599}).encode()
        else:
            body = self._list
        headers = {"Date": formatdate(usegmt=True), "Content-Type": "application/json"}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body), request=request)


def write(folder: Path, tenants: int) -> Path:
    """A configuration whose tenants are in files of `PER_FILE` each."""
    (folder / "secret").write_text("a-secret-that-is-long-enough", encoding="utf-8")
    directory = folder / "tenants"
    directory.mkdir()
    keysets = [{"id": f"B2C_1A_Keyset{number}", "use": "sig"} for number in range(KEYSETS)]
    for first in range(0, tenants, PER_FILE):
        some = [
            {
                "name": f"tenant{number}",
                "tenant_id": f"tenant{number}.onmicrosoft.com",
                "credential": {
                    "client_id": "11111111-2222-3333-4444-555555555555",
                    "client_secret_file": str(folder / "secret"),
                },
                "keysets": keysets,
            }
            for number in range(first, min(first + PER_FILE, tenants))
        ]
        text = yaml.dump({"tenants": some}, Dumper=_Plain)
        (directory / f"{first:05}.yaml").write_text(text, encoding="utf-8")
    path = folder / "rotator.yaml"
    content = {"tenants_directory": str(directory), "http": {"host": "127.0.0.1", "port": 0}}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


class _Plain(yaml.CSafeDumper):
    """Writes everything out, as people do."""

    def ignore_aliases(self, data: object) -> bool:
        """No alias stands for anything."""
        del data
        return True


class Healthz:
    """Asks for /healthz again and again, and keeps how long the slowest answer took."""

    def __init__(self, port: int) -> None:
        """Not asked yet."""
        self.slowest = 0.0
        self._url = f"http://127.0.0.1:{port}/healthz"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            began = time.perf_counter()
            with contextlib.suppress(urllib.error.HTTPError):  # there is no scheduler here, so no heartbeat
                urllib.request.urlopen(self._url).read()
            self.slowest = max(self.slowest, time.perf_counter() - began)


def rss() -> float:
    """Resident memory in MB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def measure(tenants: int) -> dict[str, str]:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name), tenants)
        began = time.perf_counter()
        program = wire(path, transport=lambda _: StandIn(), stream=StringIO())
        daemon = Daemon(program)
        row = {"tenants": str(tenants), "start": _seconds(time.perf_counter() - began)}
        pages = daemon.pages()
        server = listen(program, pages)
        server.start()
        with Healthz(server.port) as healthz:
            row |= _rounds(daemon, tenants)
            row["RSS after the rounds"] = f"{rss():.0f} MB"
            row |= _requests(server.port)
            row |= _reload(program)
        row["slowest /healthz"] = _ms(healthz.slowest)
        row["RSS after scrape, page and reload"] = f"{rss():.0f} MB"
        row["descriptors"] = str(sum(1 for _ in Path("/proc/self/fd").iterdir()))
    return row


def _rounds(daemon: Daemon, tenants: int) -> dict[str, str]:
    """The first round, which needs tokens, and a later one."""
    found = {}
    loop = daemon._loop  # noqa: SLF001 - a round at once is not what a daemon does
    for name in ("first round", "later round"):
        began, cpu = time.perf_counter(), time.process_time()
        loop.sweep()
        found[name] = _seconds(time.perf_counter() - began)
        found[f"processor a look, {name}"] = _ms((time.process_time() - cpu) / tenants)
    return found


def _requests(port: int) -> dict[str, str]:
    found = {}
    for name, path in (("scrape", "/metrics"), ("page", "/")):
        began = time.perf_counter()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            size = len(answer.read())
        found[name] = f"{_seconds(time.perf_counter() - began)}, {size / 1e6:.1f} MB"
    return found


def _reload(program: Program) -> dict[str, str]:
    began = time.perf_counter()
    settings = program.sources.load()
    program.tenants(settings)
    return {"reload": _seconds(time.perf_counter() - began)}


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def main() -> None:
    """A process for each size, and a line for each figure."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))), flush=True)
        os._exit(0)
    for size in SIZES:
        done = subprocess.run([sys.executable, __file__, str(size)], check=True, capture_output=True, text=True)
        for name, figure in json.loads(done.stdout).items():
            print(f"{name:30} {figure}", flush=True)


if __name__ == "__main__":
    main()
