# mypy: disable-error-code="arg-type"
# Texts are given for enums, as users may.
"""The journal: what is recorded, what is left out, and waiting for it."""

import threading

import pytest
from emulator.harness import NOW

from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import DEMO_SECRET
from rotator.emulator.server import EmulatorError


def test_journal(bench):
    """The journal has a record for each request, with what was requested and its result."""
    bench.graph("GET", "/B2C_1A_No", headers={"client-request-id": "mine"})
    token, got = bench.emulator.requests
    assert (token.operation, token.tenant, token.status) == (
        Operation.TOKEN,
        "contoso.onmicrosoft.com",
        200,
    )
    assert (got.operation, got.keyset, got.status, got.method, got.time) == (
        Operation.GET_KEYSET,
        "B2C_1A_No",
        400,
        "GET",
        NOW,
    )
    assert (got.client_request_id, got.committed) == ("mine", False)
    assert bench.emulator.counts == {Operation.TOKEN: 1, Operation.GET_KEYSET: 1}


def test_journal_by_tenant_and_keyset(bench):
    """Requests can be picked by tenant and keyset."""
    bench.generate()
    bench.generate("B2C_1A_Empty")
    picked = bench.emulator.seen(Operation.GENERATE_KEY, keyset="B2C_1A_Empty")
    assert [seen.keyset for seen in picked] == ["B2C_1A_Empty"]
    assert bench.emulator.seen(tenant=bench.tenant.id) == bench.emulator.requests
    with pytest.raises(EmulatorError, match="there is no tenant x"):
        bench.emulator.seen(tenant="x")


def test_journal_masks(bench):
    """No secret of a request is in the journal."""
    bench.graph("POST", "/B2C_1A_Secret/uploadSecret", {"use": "sig", "k": "hush"})
    bench.graph("PUT", "/B2C_1A_Secret", {"keys": [{"kty": "oct", "k": "hush", "use": "sig"}]})
    headers = {"Authorization": f"Bearer {bench.token()}"}
    bench.http.post("/beta/trustFramework/keySets", content=b'{"k": "hush"', headers=headers)
    text = "".join(seen.body or "" for seen in bench.emulator.requests)
    assert "hush" not in text
    assert DEMO_SECRET not in text
    assert '"use": "sig"' in text


def test_wait_for_times_out(bench):
    """Waiting for what does not come takes as long as it may, and says so."""
    assert bench.emulator.wait_for(Operation.JWKS, timeout=0.05) is False


def test_wait_for_comes(bench):
    """Waiting ends when it comes."""
    url = "/contoso.onmicrosoft.com/B2C_1A_signin/discovery/v2.0/keys"
    client = threading.Timer(0.05, lambda: bench.http.get(url))
    client.start()
    assert bench.emulator.wait_for(Operation.JWKS, stage="answered", timeout=5)
    client.join()
