"""Names that a service chose, on a stdout that cannot encode them, or a terminal that would obey them."""

import json
import time
from collections.abc import Mapping

import pytest
from end_to_end.harness import DAY, Bench, Tenant, fresh

from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation

KID = "k\u00e9\u202e\x1b[31m\u6f22"
ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "UTF-8": {"PYTHONIOENCODING": "utf-8"},
}


@pytest.mark.parametrize("env", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("call", [("status", "--all"), ("discover",), ("--dry-run",)], ids=" ".join)
def test_kid_that_stdout_cannot_encode(bench: Bench, call: tuple[str, ...], env: Mapping[str, str]) -> None:
    """It is printed as an escape, and so is every character that a terminal would obey."""
    tenant, now = Tenant(keysets=(fresh(),)), int(time.time())
    emulator = bench.begin(tenant)
    keys = [{"kid": KID, "kty": "RSA", "use": "sig", "nbf": now - DAY, "exp": now + 80 * DAY}]
    listed = [{"id": each, "keys": keys} for each in ("B2C_1A_Fresh", "B2C_1A_\u202e\x1b[2J")]
    body = json.dumps({"value": listed})
    emulator.inject(Fault(what=Kind.BODY, where=Operation.LIST_KEYSETS, tenant=tenant.domain, body=body))
    run = bench.run(*call, env=env)
    assert run.code == 0
    assert all(line.isprintable() for line in (run.out + run.err).splitlines())
    if call != ("--dry-run",):
        shown = "k\u00e9\\u202e\\x1b[31m\u6f22" if env == ENCODINGS["UTF-8"] else "k\\xe9\\u202e\\x1b[31m\\u6f22"
        assert shown in run.out
