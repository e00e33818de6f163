"""What a sweep costs: counted by the service, over several sweeps of one process."""

import json
import subprocess
import sys
import uuid
from collections import Counter

from end_to_end.harness import Bench, Tenant, due, fresh, overdue

from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Stage
from rotator.emulator.model.seed import KeySeed, KeysetSeed
from rotator.emulator.model.switches import Switches

LIST, TOKEN, DISCOVERY = Operation.LIST_KEYSETS, Operation.TOKEN, Operation.DISCOVERY


def test_requests_of_sweeps_in_which_nothing_is_due(bench: Bench) -> None:
    """Each sweep costs one GET a tenant; the token is requested once, however many keysets and sweeps there are."""
    tenants = [
        Tenant(name=name, keysets=tuple(fresh(f"B2C_1A_Key{number}") for number in range(5))) for name in ("one", "two")
    ]
    bench.begin(*tenants, check_interval="3s")  # long enough that none begins between its end and the stop
    daemon = bench.start()
    daemon.log("sweep.finished", count=3)
    daemon.stop()
    sweeps = len(daemon.events("sweep.finished"))
    for tenant in tenants:
        counts = Counter(seen.operation for seen in bench.emulator.seen(tenant=tenant.domain))
        assert {operation: counts.pop(operation) for operation in (DISCOVERY, TOKEN)} == {DISCOVERY: 1, TOKEN: 1}
        assert {LIST: sweeps} == counts


def test_requests_one_more_for_each_further_page(bench: Bench) -> None:
    """A sweep over a tenant with three pages costs three GETs."""
    others = tuple(KeysetSeed(id=f"B2C_1A_Other{number}", keys=(KeySeed(),)) for number in range(4))
    bench.begin(Tenant(keysets=(fresh(),), others=others, switches=Switches(page_size=2)), check_interval="3s")
    daemon = bench.start()
    daemon.log("sweep.finished", count=2)
    daemon.stop()
    sweeps = len(daemon.events("sweep.finished"))
    assert {DISCOVERY: 1, TOKEN: 1, LIST: 3 * sweeps} == Counter(seen.operation for seen in bench.emulator.requests)


def test_requests_of_a_rotation(bench: Bench) -> None:
    """A key costs a look before the write, and the write; one look after that serves for all keys of a tenant."""
    bench.begin(Tenant(keysets=(due(), overdue(), fresh())))
    assert bench.run("--once").code == 0
    operations = [seen.operation for seen in bench.emulator.requests]
    rotation = [Operation.GET_KEYSET, Operation.GENERATE_KEY]
    assert [DISCOVERY, TOKEN, LIST, *rotation, *rotation, LIST] == operations


def test_requests_carry_an_id_of_their_own(bench: Bench) -> None:
    """Each request, those for tokens included, has a fresh GUID, and each is in the log with it."""
    bench.begin(Tenant(keysets=(due(),)), log={"level": "debug"})
    run = bench.run("--once", "--output", "json")
    ids = [seen.client_request_id for seen in bench.emulator.requests]
    assert [str(uuid.UUID(each)) for each in ids] == ids
    assert len(ids) == len(set(ids))
    logged = [(line["client_request_id"], line["operation"], line["status"]) for line in run.events("request.finished")]
    expected = [(seen.client_request_id, str(seen.operation), seen.status) for seen in bench.emulator.requests]
    assert expected == logged


def test_requests_that_are_made_again_have_another_id(bench: Bench) -> None:
    """A GET that is made again is another request."""
    emulator = bench.begin(Tenant(keysets=(fresh(),)))
    emulator.inject(Fault(what=Kind.THROTTLED, where=LIST, times=1, retry_after=0))
    assert bench.run("--dry-run").code == 0
    first, second = (seen.client_request_id for seen in bench.asked(LIST))
    assert first != second


def test_requests_for_a_new_token_where_the_old_one_runs_out(bench: Bench) -> None:
    """A token that is about to expire is renewed, and used until then."""
    switches = Switches(token_lifetime=4)
    bench.begin(Tenant(keysets=(fresh(),), switches=switches), check_interval="1s")
    daemon = bench.start()
    assert bench.emulator.wait_for(TOKEN, stage=Stage.ANSWERED, count=2)
    daemon.log("sweep.finished", count=2)
    daemon.stop()
    counts = Counter(seen.operation for seen in bench.emulator.requests)
    assert counts[TOKEN] < counts[LIST]
    assert daemon.events("keyset.failed") == []


COUNTED = """
import ssl, sys
made = 0
new = ssl.SSLContext.__new__
def counted(cls, *args, **kwargs):
    global made
    made += 1
    return new(cls, *args, **kwargs)
ssl.SSLContext.__new__ = counted
from rotator.cli import main
code = main(["--dry-run", "--output", "json"])
print(made, file=sys.stderr)
sys.exit(code)
"""


def test_requests_share_one_tls_context(bench: Bench) -> None:
    """However many tenants there are, the certificates are loaded once."""
    bench.begin(*(Tenant(name=name, keysets=(fresh(),)) for name in ("one", "two", "three")))
    finished = subprocess.run(
        [sys.executable, "-c", COUNTED],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        env=bench.environment(),
    )
    assert len(json.loads(finished.stdout)["keysets"]) == 3
    assert finished.stderr.splitlines()[-1] == "1"
