"""A tenant in trouble is its own trouble."""

from pathlib import Path

from end_to_end.harness import Bench, Tenant, fresh

from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation


def test_slow_tenant(tmp_path: Path) -> None:
    """While one tenant does not answer, the others are looked at as often as ever."""
    with Bench(tmp_path) as bench:
        slow, well = Tenant(name="slow", keysets=(fresh(),)), Tenant(name="well", keysets=(fresh(),))
        emulator = bench.begin(slow, well, check_interval="1s", request_timeout="60s")
        hangs = emulator.inject(Fault(what=Kind.HANG, where=Operation.LIST_KEYSETS, tenant=slow.domain))
        daemon = bench.start()
        looked = emulator.wait_for(Operation.LIST_KEYSETS, count=4, tenant=well.domain, timeout=20)
        hangs.remove()
        assert daemon.stop().code == 0
        assert looked
