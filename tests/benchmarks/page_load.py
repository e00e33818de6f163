"""
What readers of the status page cost a daemon with 4,000 keysets: processor time, and how long sweeps take.

Nothing is asserted here. The page is rendered at most once for each sweep and every few seconds, for all readers.
With `--readers N` that many processes ask for it all the time, while a browser would ask once a minute.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import KEYSETS, TENANTS, Daemon, say, seed, write_config

from rotator.emulator.server import Emulator

SWEEPS = 3  # of each measurement
READER = """
import sys, time, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Accept-Encoding": sys.argv[2]})
while True:
    began = time.perf_counter()
    size = len(urllib.request.urlopen(request).read())
    print(time.perf_counter() - began, size, flush=True)
"""


def main() -> None:
    """Measure sweeps without readers and with them, for pages that are compressed and pages that are not."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--readers", type=int, default=10)
    readers = parser.parse_args().readers
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with Emulator(seed(TENANTS, KEYSETS), directory=directory) as emulator:
            config = write_config(directory, emulator, TENANTS, KEYSETS)
            content = json.loads(config.read_text(encoding="utf-8"))
            config.write_text(json.dumps({**content, "check_interval": "15s"}), encoding="utf-8")
            for path, encoding, number in (("/", "gzip", 0), ("/", "gzip", readers), ("/metrics", "gzip", readers)):
                with Daemon(config) as daemon:
                    daemon.wait_for("sweep.finished")  # the first one fetches tokens
                    _measure(daemon, path, encoding, number)


def _measure(daemon: Daemon, path: str, encoding: str, readers: int) -> None:
    url = f"http://127.0.0.1:{daemon.port}{path}"
    asking = [
        subprocess.Popen([sys.executable, "-c", READER, url, encoding], stdout=subprocess.PIPE, text=True)
        for _ in range(readers)
    ]
    began, processor = time.monotonic(), daemon_seconds(daemon)
    sweeps = [float(str(daemon.wait_for("sweep.finished")["seconds"])) for _ in range(SWEEPS)]
    spent, passed = daemon_seconds(daemon) - processor, time.monotonic() - began
    for each in asking:
        each.terminate()
    lines = [line.split() for each in asking for line in each.communicate()[0].splitlines() if " " in line]
    taken = [float(line[0]) for line in lines]
    say(
        f"sweeps with {readers} readers of {path}",
        f"{statistics.median(sweeps):.1f} s median, {max(sweeps):.1f} s slowest",
    )
    say("  processor time of the daemon", f"{spent:.1f} s in {passed:.0f} s")
    if taken:
        say(
            f"  {len(taken)} answers of {int(lines[-1][1]) / 1000:.0f} kB",
            f"{statistics.median(taken) * 1000:.0f} ms median, {max(taken) * 1000:.0f} ms slowest",
        )


def daemon_seconds(daemon: Daemon) -> float:
    """The processor time that the daemon has taken (proc(5), utime and stime)."""
    text = Path(f"/proc/{daemon.pid}/stat").read_text(encoding="utf-8")
    fields = re.sub(r"^.*\) ", "", text).split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
