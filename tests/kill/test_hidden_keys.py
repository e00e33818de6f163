"""A service that does not show what it generated must not be requested ever more."""

import time
from pathlib import Path

from end_to_end.harness import Bench, Tenant, due
from kill.process import PATIENCE, Victim

from rotator.emulator.http.routes import Operation
from rotator.emulator.model.switches import Switches

POST = Operation.GENERATE_KEY


def test_hidden_keys(tmp_path: Path) -> None:
    """Where new keys never show, no more than two are generated within `rotate_every`, and the guard says so."""
    with Bench(tmp_path) as bench:
        tenant = Tenant(keysets=(due(),), switches=Switches(read_after_write_delay=3600))
        emulator = bench.begin(tenant, settle="0s", check_interval="1s", log={"level": "debug", "format": "json"})
        with Victim(bench) as victim:
            # A few sweeps after the second key; a third one ends the wait.
            emulator.wait_for(POST, count=3, timeout=6)
            until = time.monotonic() + PATIENCE
            while not (held := victim.events("keyset.held")) and time.monotonic() < until:
                time.sleep(0.1)
            victim.terminate()
            assert victim.wait() == 0
        assert len(bench.asked(POST)) == 2
        assert {line["reason"] for line in held} == {"runaway_guard"}
