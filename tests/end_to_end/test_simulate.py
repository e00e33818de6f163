"""`rotator simulate --live`: the keysets as they are now, by one request for each tenant."""

from end_to_end.harness import Bench, Keyset, Tenant, due, fresh

from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import KeysetSeed


def test_simulate_live(bench: Bench) -> None:
    """One list for each tenant and nothing else; the keys that are there come first, and those to come follow."""
    bench.begin(
        Tenant(keysets=(fresh("B2C_1A_Fresh"), due("B2C_1A_Due"))),
        Tenant(name="fabrikam", keysets=(fresh("B2C_1A_Fresh"),)),
    )
    run = bench.run("simulate", "--live", "--years", "1", "--output", "json", "--check")
    assert run.code == 0
    found = run.document
    assert [(each["tenant"], each["keyset"]) for each in found["keysets"]] == [
        ("contoso", "B2C_1A_Fresh"),
        ("contoso", "B2C_1A_Due"),
        ("fabrikam", "B2C_1A_Fresh"),
    ]
    assert {each["keys"][0]["generated"] for each in found["keysets"]} == {None}
    assert found["keys"] == 13
    assert len(bench.asked(Operation.LIST_KEYSETS)) == 2
    assert bench.asked(Operation.GET_KEYSET) == bench.asked(Operation.GENERATE_KEY) == ()


def test_simulate_live_where_a_keyset_is_missing(bench: Bench) -> None:
    """It cannot be simulated, and nothing is printed but why."""
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_Missing", is_there=False),)))
    run = bench.run("simulate", "--live")
    assert run.code == 1
    assert run.out == ""
    assert "contoso has no keyset B2C_1A_Missing" in run.err


def test_simulate_live_where_a_keyset_will_be_created(bench: Bench) -> None:
    """It begins without a key, and gets its first one; not if it was deleted, since then it is not created."""
    missing = Keyset(id="B2C_1A_Missing", is_there=False, wanted={"create": True})
    bench.begin(Tenant(keysets=(fresh(), missing)))
    run = bench.run("simulate", "--live", "--years", "1", "--output", "json")
    assert run.code == 0, run.err
    created = run.document["keysets"][1]
    assert created["keyset"] == "B2C_1A_Missing"
    assert created["keys"][0]["generated"] is not None
    assert bench.asked(Operation.GENERATE_KEY) == ()


def test_simulate_live_where_a_keyset_was_deleted(bench: Bench) -> None:
    """A keyset that was deleted is not created again, so it cannot be simulated."""
    deleted = Keyset(id="B2C_1A_Deleted", is_there=False, wanted={"create": True})
    bench.begin(Tenant(keysets=(fresh(), deleted), others=(KeysetSeed(id="B2C_1A_Deleted.bak"),)))
    run = bench.run("simulate", "--live")
    assert run.code == 1
    assert "contoso has no keyset B2C_1A_Deleted" in run.err
