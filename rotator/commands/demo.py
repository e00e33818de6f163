"""
The command `demo`: the real daemon on an emulated tenant, with keys that are valid for seconds.

The daemon is a separate process and uses HTTPS to reach the emulator, as it would to reach
Microsoft. Its log shows when a key is due. The history of the emulator, which shares no code with
the daemon, shows which key was generated and took over when, and that there was no gap.
demo_show.py prints the lines, demo_result.py the end.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

from rotator.commands.demo_result import LENGTH, conclude
from rotator.commands.demo_show import Show, legend
from rotator.emulator.command import write_configuration
from rotator.emulator.model.seed import DEMO_DOMAIN, Seed, demo_seed
from rotator.emulator.model.switches import Switches
from rotator.emulator.server import Emulator

YEAR = 365 * 86_400

_SETTINGS = {
    "check_interval": "1s",
    "settle": "1s",
    "log": {"level": "info", "format": "json"},
    "http": {"host": "127.0.0.1", "port": 0},
    "leader_election": {"enabled": False},
    "defaults": {
        "rotate_every": "8s",  # how long a key is the active one
        "overlap": "4s",  # how long its predecessor stays valid after that
        "publication_lead": "2s",  # from generation to activation
        "renewal_window": "3s",  # from the instant at which a key is due to the last one that keeps the lead
    },
}
_POLICY = "B2C_1A_signup_signin"
_SIGN_IN = {"probe_interval": "1s"}
_NEXT_FOREVER = """
What to do next:
  rotator emulator --directory DIR  serve an emulated tenant; rotator --dry-run,
                                    --once and status work on it
  README.md, "Your first tenant"    begin with mode: observe"""
_NEXT = f"""{_NEXT_FOREVER}
  rotator demo --forever            the same until Ctrl-C; open the status page"""


def run(*, forever: bool) -> int:
    """
    Show rotations for half a minute, or until Ctrl-C, and then the result.

    Returns:
        0 if every keyset had a valid key at every instant since its first one, and the
        daemon exited with 0; else 1.

    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    # Keys that are valid for seconds need more requests per minute than the real service allows.
    switches = Switches(throttle_per_app=0, throttle_per_tenant=0)
    with tempfile.TemporaryDirectory(prefix="rotator-demo-") as name:
        directory = Path(name)
        with Emulator(_seed(switches), directory=directory) as emulator:
            print(legend(), flush=True)
            show = Show(emulator.tenant(DEMO_DOMAIN), is_coloured=_is_coloured())
            show.line(f"{DEMO_DOMAIN} is emulated at {emulator.url}")
            config = write_configuration(emulator, directory, _SETTINGS, _SIGN_IN)
            with subprocess.Popen(  # noqa: S603 - runs rotator itself
                [sys.executable, "-P", "-m", "rotator", "--config", str(config)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                env={name: value for name, value in os.environ.items() if not name.startswith("ROTATOR_")},
                start_new_session=True,  # so that Ctrl-C goes only to this process, which then stops the daemon
            ) as daemon:
                reader = threading.Thread(target=show.follow, args=(daemon.stderr,), daemon=True)
                reader.start()
                try:
                    _watch(show, stop, None if forever else LENGTH, daemon)
                finally:
                    daemon.terminate()
                    code = daemon.wait(timeout=60)
                    reader.join(timeout=5)  # before its stream is closed
            show.update()
            ended = emulator.now()
            print(f"\nThe daemon got SIGTERM and ended with exit code {code}.\n")
            gaps = conclude(emulator.tenant(DEMO_DOMAIN), show.began, ended)
            print(_NEXT_FOREVER if forever else _NEXT)
            return max(gaps, code != 0)


def _seed(switches: Switches) -> Seed:
    """The demo tenant, with one policy that publishes every signing keyset, so that a probe costs few requests."""
    seed = demo_seed(time.time(), due=(0, 12), hand_made=(YEAR, YEAR), encryption=(0, 12), switches=switches)
    (tenant,) = seed.tenants
    signing = tuple(keyset.id for keyset in tenant.keysets if "Encryption" not in keyset.id)
    return Seed(tenants=(replace(tenant, policies={_POLICY: signing}),))


def _watch(show: Show, stop: threading.Event, length: float | None, daemon: "subprocess.Popen[str]") -> None:
    """Print events until the time is over, *stop* is set, or the daemon has ended."""
    while not stop.wait(0.1) and daemon.poll() is None and (length is None or show.elapsed() < length):
        show.update()


def _is_coloured() -> bool:
    """True if stdout is a terminal and the user has not turned colours off (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
