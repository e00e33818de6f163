"""The status: every keyset with its keys, what happens next, and that it only reads."""

import time

import pytest
from end_to_end.harness import DAY, Bench, Keyset, Tenant, due, fresh, instant, key, lapsed, overdue

from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import READ_ROLE, KeySeed
from rotator.emulator.model.switches import Status


def test_status_shows_every_key_with_its_state(bench: Bench) -> None:
    """Each key stands in its own line, in the order of activation, with its state and its dates."""
    begin = int(time.time())
    keys = (
        KeySeed(nbf=begin - 10 * DAY, exp=begin + 81 * DAY, kid="now"),
        KeySeed(nbf=begin - 100 * DAY, exp=begin - 9 * DAY, kid="past"),
        KeySeed(nbf=begin - 99 * DAY, exp=begin + 1 * DAY, kid="before"),
        KeySeed(nbf=begin + 70 * DAY, exp=begin + 170 * DAY, kid="next"),
        KeySeed(nbf=begin - 5 * DAY, exp=begin + 80 * DAY, kid="off", status=Status.DISABLED),
        KeySeed(kid="net"),
    )
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_All", keys=keys),)))
    out = bench.run("status").out
    lines = [line.split() for line in out.splitlines()]
    header = lines.index(["KID", "STATE", "ACTIVE", "FROM", "EXPIRES"])
    dates = {seed.kid: [instant(seed.nbf), instant(seed.exp)] for seed in keys if seed.nbf and seed.exp}
    assert lines[header + 1 : header + 7] == [
        ["net", "undated", "-", "-"],
        ["past", "expired", *dates["past"]],
        ["before", "retained", *dates["before"]],
        ["now", "active", *dates["now"]],
        ["off", "disabled", *dates["off"]],
        ["next", "upcoming", *dates["next"]],
    ]
    assert "contoso/B2C_1A_All  RSA sig, rotate" in out
    assert f"covered until  {instant(begin + 170 * DAY)}" in out
    assert out.endswith("1 keyset: 1 fine\n")


def test_status_json_is_the_same_document_with_keys(bench: Bench) -> None:
    """The rows are those of a dry run, with keys; it is marked as a dry run only if one is configured."""
    bench.begin(Tenant(keysets=(fresh(), due(), Keyset(id="B2C_1A_Missing", is_there=False))))
    runs = [
        bench.run(*arguments)
        for arguments in (
            ("--dry-run", "--output", "json"),
            ("status", "--output", "json"),
            ("--output", "json", "status"),
        )
    ]
    assert [run.code for run in runs] == [1, 1, 1]
    assert runs[1].rows == runs[2].rows
    assert runs[0].rows == [{name: row[name] for name in row if name != "keys"} for row in runs[1].rows]
    assert [row["keys"] is None for row in runs[1].rows] == [False, False, True]
    assert {name: runs[1].document[name] for name in ("schema", "dry_run")} == {"schema": 1, "dry_run": False}


def test_status_json_has_every_key(bench: Bench) -> None:
    """A key has its kid, what it is, its dates as instants, and what is to be noted of it."""
    begin = int(time.time())
    keys = (
        KeySeed(kid="net"),
        KeySeed(nbf=begin - 10 * DAY, exp=begin + 81 * DAY, kid="now"),
        KeySeed(nbf=begin + 70 * DAY, exp=begin + 170 * DAY, kid="off", status=Status.DISABLED),
    )
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_All", keys=keys),)), dry_run=True)
    run = bench.run("status", "--output", "json")
    assert run.document["dry_run"] is True
    same = {"use": "sig", "kty": "RSA", "certificate": None, "published": None}
    dates = {seed.kid: {"nbf": instant(seed.nbf), "exp": instant(seed.exp)} for seed in keys if seed.nbf and seed.exp}
    assert run.row["keys"] == [
        {"kid": "net", "state": "undated", "nbf": None, "exp": None, "enabled": True, "notes": [], **same},
        {"kid": "now", "state": "active", **dates["now"], "enabled": True, "notes": [], **same},
        {"kid": "off", "state": "disabled", **dates["off"], "enabled": False, "notes": ["disabled"], **same},
    ]


def test_status_of_a_selection(bench: Bench) -> None:
    """Only what is selected is requested and printed; a name that is not configured is invalid use."""
    bench.begin(Tenant(keysets=(fresh(), due())), Tenant(name="fabrikam", keysets=(fresh(),)))
    run = bench.run("status", "--output", "json", "--tenant", "fabrikam")
    assert [(row["tenant"], row["keyset"]) for row in run.rows] == [("fabrikam", "B2C_1A_Fresh")]
    assert {seen.tenant for seen in bench.asked(Operation.LIST_KEYSETS)} == {"fabrikam.onmicrosoft.com"}
    run = bench.run("--dry-run", "--output", "json", "--keyset", "b2c_1a_fresh")
    assert [(row["tenant"], row["keyset"]) for row in run.rows] == [
        ("contoso", "B2C_1A_Fresh"),
        ("fabrikam", "B2C_1A_Fresh"),
    ]
    run = bench.run("--dry-run", "--tenant", "contoso", "--keyset", "B2C_1A_Due", "--keyset", "B2C_1A_Fresh")
    assert run.out.endswith("2 keysets: 1 due, 1 fine\n")
    run = bench.run("status", "--tenant", "contosso")
    complaint = "rotator: --tenant: 'contosso' is not in the configuration, which has contoso, fabrikam\n"
    assert (run.code, run.out, run.err) == (64, "", complaint)
    run = bench.run("--once", "--tenant", "fabrikam", "--keyset", "B2C_1A_Due")
    assert (run.code, run.out) == (64, "")


def test_status_in_brief_and_of_problems(bench: Bench) -> None:
    """A line for each keyset; only the keysets that need somebody; the totals count all of them."""
    bench.begin(Tenant(keysets=(fresh(), due(), lapsed(), Keyset(id="B2C_1A_Missing", is_there=False))))
    out = bench.run("status", "--brief").out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  B2C")] == [
        "B2C_1A_Fresh",
        "B2C_1A_Due",
        "B2C_1A_Lapsed",
        "B2C_1A_Missing",
    ]
    assert out.endswith("4 keysets: 1 urgent, 1 failed, 1 due, 1 fine\n")
    out = bench.run("status", "--brief", "--problems").out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  B2C")] == [
        "B2C_1A_Lapsed",
        "B2C_1A_Missing",
    ]
    assert out.endswith("4 keysets: 1 urgent, 1 failed, 1 due, 1 fine\n")
    out = bench.run("status", "--problems").out
    assert "B2C_1A_Fresh" not in out
    rows = bench.run("status", "--problems", "--output", "json").rows
    assert [row["keyset"] for row in rows] == ["B2C_1A_Lapsed", "B2C_1A_Missing"]


@pytest.mark.parametrize(
    ("keysets", "code"),
    [
        pytest.param((fresh(), due()), 0, id="nothing is wrong"),
        pytest.param((overdue(),), 3, id="overdue"),
        pytest.param((lapsed(), Keyset(id="B2C_1A_Missing", is_there=False)), 1, id="a keyset is missing"),
    ],
)
def test_status_exit_code(bench: Bench, keysets: tuple[Keyset, ...], code: int) -> None:
    """The exit code tells what is wrong, as that of a dry run does."""
    bench.begin(Tenant(keysets=keysets))
    assert bench.run("status").code == code


def test_status_reads_only(bench: Bench) -> None:
    """One GET for each tenant, with the permission to read alone."""
    bench.begin(Tenant(keysets=(due(), overdue()), roles=(READ_ROLE,)))
    assert bench.run("status").code == 3
    assert [seen.operation for seen in bench.emulator.requests] == [
        Operation.DISCOVERY,
        Operation.TOKEN,
        Operation.LIST_KEYSETS,
    ]


def test_status_says_what_happens_next(bench: Bench) -> None:
    """Under each keyset stand the instants of the plan and what would be generated."""
    old = key(age=80 - 1 / 48)  # half an hour of room for the words that count hours
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_Due", keys=(old,)), Keyset(id="B2C_1A_Empty"))))
    out = bench.run("status").out
    activation = (old.nbf or 0) + 90 * DAY
    for line in (
        f"  due            {instant(activation - 16 * DAY)}  5d23h ago\n",
        f"  publish by     {instant(activation - 2 * DAY)}  in 8d\n",
        f"  takes over     {instant(activation)}  in 10d\n",
        f"  to be generated: RSA sig key, active from {instant(activation)}, ",
        "  no keys\n",
    ):
        assert line in out, line


def test_status_kid_that_would_steer_a_terminal(bench: Bench) -> None:
    """What a service says is printed so that no terminal obeys it."""
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_X", keys=(key(age=10, kid="\x1b[2Jgone\nnew line"),)),)))
    run = bench.run("status")
    assert "\\x1b[2Jgone\\nnew line" in run.out
    assert "\x1b" not in run.out + run.err


def test_status_of_a_shard(bench: Bench) -> None:
    """Each tenant is in exactly one of the shards; nothing is asked of the others."""
    names = [f"tenant{n}" for n in range(6)]
    bench.begin(*(Tenant(name=name, keysets=(fresh(),)) for name in names))
    found = [
        bench.run("status", "--output", "json", "--shard", str(index), "--total-shards", "2").rows for index in range(2)
    ]
    shown = [{str(row["tenant"]) for row in rows} for rows in found]
    assert shown[0] | shown[1] == set(names)
    assert not shown[0] & shown[1]
    assert all(shown)
    assert len(bench.emulator.seen(Operation.LIST_KEYSETS)) == len(names)


def test_shard_options_that_do_not_fit(bench: Bench) -> None:
    """A shard that does not exist is a fault of the configuration; a command that has no share refuses the option."""
    bench.begin(Tenant(keysets=(fresh(),)))
    assert bench.run("status", "--shard", "2", "--total-shards", "2").code == 78
    assert bench.run("--shard", "x").code == 64
    assert bench.run("--shard", "0", "simulate").code == 64
