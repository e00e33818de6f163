"""A dry run: what it reports, what it exits with, and that it only reads."""

import json
import signal
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from end_to_end.harness import DAY, LIFE, Bench, Keyset, Tenant, due, fresh, instant, key, lapsed, overdue

from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Stage
from rotator.emulator.model.seed import READ_ROLE, KeySeed, KeysetSeed
from rotator.emulator.model.switches import Status, Switches

OVERLAP = 25 * 3600
LEAD = 2 * DAY
WINDOW = 14 * DAY


def test_dry_run_document_is_complete(bench: Bench) -> None:
    """The document has each member of the interface, null if it does not apply."""
    began = time.time()
    held, planned = key(age=10, kid="held"), key(age=80, kid="planned")
    bench.begin(
        Tenant(
            keysets=(
                Keyset(id="B2C_1A_Held", keys=(held,)),
                Keyset(id="B2C_1A_Planned", keys=(planned,)),
                Keyset(id="B2C_1A_Missing", is_there=False),
            )
        )
    )
    document = bench.run("--dry-run", "--output", "json").document
    now = document.pop("now")
    assert instant(began) <= now <= instant(time.time())
    activation = {seed.kid: (seed.nbf or 0) + 90 * DAY for seed in (held, planned)}
    message = "the tenant has no keyset B2C_1A_Missing; check its id, tenant_id and cloud"
    assert document == {
        "schema": 1,
        "dry_run": True,
        "keysets": [
            {
                "tenant": "contoso",
                "keyset": "B2C_1A_Held",
                "mode": "rotate",
                "outcome": "held",
                "reason": "not_due",
                "active_kid": "held",
                "covered_until": instant(held.exp or 0),
                "cover": "dated",
                "would": None,
                "renewal_due": instant(activation["held"] - LEAD - WINDOW),
                "publish_by": instant(activation["held"] - LEAD),
                "activation": instant(activation["held"]),
                "key": None,
                "error": None,
                "notes": None,
                "proof": None,
                "calendar": None,
                "activation_pulled_by_seconds": None,
            },
            {
                "tenant": "contoso",
                "keyset": "B2C_1A_Planned",
                "mode": "rotate",
                "outcome": "planned",
                "reason": "renewal_due",
                "active_kid": "planned",
                "covered_until": instant(planned.exp or 0),
                "cover": "dated",
                "would": None,
                "renewal_due": instant(activation["planned"] - LEAD - WINDOW),
                "publish_by": instant(activation["planned"] - LEAD),
                "activation": instant(activation["planned"]),
                "key": {
                    "use": "sig",
                    "kty": "RSA",
                    "nbf": activation["planned"],
                    "exp": activation["planned"] + 90 * DAY + OVERLAP,
                    "kid": None,
                },
                "error": None,
                "notes": None,
                "proof": None,
                "calendar": None,
                "activation_pulled_by_seconds": None,
            },
            {
                "tenant": "contoso",
                "keyset": "B2C_1A_Missing",
                "mode": "rotate",
                "outcome": "failed",
                "reason": "not_found",
                "active_kid": None,
                "covered_until": None,
                "cover": None,
                "would": None,
                "renewal_due": None,
                "publish_by": None,
                "activation": None,
                "key": None,
                "error": {
                    "kind": "not_found",
                    "message": message,
                    "status": None,
                    "code": None,
                    "request_id": None,
                },
                "notes": None,
                "proof": None,
                "calendar": None,
                "activation_pulled_by_seconds": None,
            },
        ],
    }


def test_dry_run_hand_made_keys(bench: Bench) -> None:
    """Undated keys, none, and a two-year key: each is reported with the reason and the plan that fit it."""
    long = key(age=80, life=timedelta(days=730))
    bench.begin(
        Tenant(
            keysets=(
                Keyset(id="B2C_1A_Undated", keys=(KeySeed(kid="net"),)),
                Keyset(id="B2C_1A_Empty"),
                Keyset(id="B2C_1A_Long", keys=(long,)),
            )
        )
    )
    run = bench.run("--dry-run", "--output", "json")
    undated, empty, two_years = run.rows
    now = run.document["now"]
    assert (undated["outcome"], undated["reason"], undated["active_kid"]) == ("planned", "undated", "net")
    assert (undated["covered_until"], undated["cover"]) == (None, "endless")
    assert now == undated["renewal_due"] == undated["publish_by"]
    assert undated["activation"] == instant(undated["key"]["nbf"])
    assert (empty["outcome"], empty["reason"], empty["active_kid"]) == ("planned", "no_valid_key", None)
    assert (empty["covered_until"], empty["cover"]) == (None, "none")
    assert now == instant(empty["key"]["nbf"])
    assert empty["key"]["exp"] - empty["key"]["nbf"] == LIFE.total_seconds()
    assert two_years["reason"] == "renewal_due"
    assert two_years["key"]["nbf"] == (long.nbf or 0) + 90 * DAY, "it is in use for rotate_every, whatever its life"
    assert two_years["covered_until"] == instant(long.exp or 0)


def test_dry_run_of_what_would_be_refused(bench: Bench) -> None:
    """A signing keyset configured enc, and a secret configured RSA: noted, at risk, and no key is planned."""
    bench.begin(
        Tenant(
            keysets=(
                Keyset(
                    id="B2C_1A_Signing", keys=(key(age=80, kid="signing"),), wanted={"use": "enc", "overlap": "25h"}
                ),
                Keyset(id="B2C_1A_Secret", keys=(replace(key(age=80, kid="secret"), kty="oct"),)),
            )
        )
    )
    run = bench.run("--dry-run", "--output", "json")
    assert run.code == 3
    assert [(row["outcome"], row["reason"], row["key"], row["notes"]) for row in run.rows] == [
        ("held", "renewal_due", None, [{"kid": "signing", "note": "use_differs"}]),
        ("held", "renewal_due", None, [{"kid": "secret", "note": "kty_differs"}]),
    ]


def test_dry_run_of_what_is_observed(bench: Bench) -> None:
    """An observed keyset shows the whole plan: what would be generated, when, and why."""
    planned = key(age=80, kid="planned")
    observed = {"mode": "observe"}
    bench.begin(
        Tenant(
            keysets=(
                Keyset(id="B2C_1A_Due", keys=(planned,), wanted=observed),
                Keyset(id="B2C_1A_Fine", keys=(key(age=10),), wanted=observed),
            )
        )
    )
    due, fine = bench.run("--dry-run", "--output", "json").rows
    activation = (planned.nbf or 0) + 90 * DAY
    assert (due["outcome"], due["reason"], due["would"]) == ("held", "observe", "renewal_due")
    assert due["key"] == {
        "use": "sig",
        "kty": "RSA",
        "nbf": activation,
        "exp": activation + 90 * DAY + OVERLAP,
        "kid": None,
    }
    assert (fine["outcome"], fine["reason"], fine["would"], fine["key"]) == ("held", "observe", "not_due", None)
    assert "would be generated: RSA sig key" in bench.run("--dry-run").out


def test_dry_run_key_to_come_that_is_no_cover(bench: Bench) -> None:
    """A future key that is disabled, or comes behind a gap, is named in the outcome."""
    disabled = key(age=-5, status=Status.DISABLED, kid="disabled")
    late = key(age=-30, kid="late")
    bench.begin(
        Tenant(
            keysets=(
                Keyset(id="B2C_1A_Disabled", keys=(key(age=80), disabled)),
                Keyset(id="B2C_1A_Gap", keys=(key(age=80), late)),
            )
        )
    )
    rows = bench.run("--dry-run", "--output", "json").rows
    assert [row["notes"] for row in rows] == [
        [{"kid": "disabled", "note": "disabled"}],
        [{"kid": "late", "note": "behind_gap"}],
    ]
    assert [row["outcome"] for row in rows] == ["planned", "planned"]
    table = bench.run("--dry-run", env={"COLUMNS": "200"}).out
    assert "upcoming key disabled: is disabled" in table
    assert "upcoming key late: becomes active only after the cover has ended" in table


OBSERVE = {"mode": "observe"}
MISSING = Keyset(id="B2C_1A_Missing", is_there=False)


DETAILED = "--detailed-exitcode"
UNDATED = Keyset(id="B2C_1A_Undated", keys=(KeySeed(),))


@pytest.mark.parametrize(
    ("keysets", "option", "code"),
    [
        pytest.param((fresh(),), DETAILED, 0, id="nothing is due"),
        pytest.param((due(),), None, 0, id="a rotation is due"),
        pytest.param((due(),), DETAILED, 2, id="a rotation is due, and that was asked"),
        pytest.param((UNDATED,), None, 0, id="only an undated key"),
        pytest.param((UNDATED,), DETAILED, 2, id="only an undated key, and that was asked"),
        pytest.param((due(wanted=OBSERVE),), DETAILED, 0, id="due, but only observed"),
        pytest.param((overdue(),), None, 3, id="overdue"),
        pytest.param((overdue(wanted=OBSERVE),), DETAILED, 3, id="overdue, and only observed"),
        pytest.param((lapsed(),), None, 3, id="no valid key"),
        pytest.param((lapsed(wanted=OBSERVE),), None, 3, id="no valid key, and only observed"),
        pytest.param((MISSING,), None, 1, id="a keyset is missing"),
        pytest.param((due(), fresh(), overdue()), DETAILED, 3, id="3 goes before 2"),
        pytest.param((due(), lapsed(), MISSING), DETAILED, 1, id="1 goes before 3 and 2"),
    ],
)
def test_dry_run_exit_code(bench: Bench, keysets: tuple[Keyset, ...], option: str | None, code: int) -> None:
    """The first of 1, 3, 2, 0 that holds is returned, and 2 only if it is requested."""
    bench.begin(Tenant(keysets=keysets))
    assert bench.run("--dry-run", *((option,) if option else ())).code == code


def test_dry_run_reads_only(bench: Bench) -> None:
    """Whatever is due, a dry run sends one GET for each tenant, and looks no second time."""
    bench.begin(Tenant(keysets=(due(), overdue(), lapsed())), settle="1h")
    assert bench.run("--dry-run").code == 3
    assert [seen.operation for seen in bench.emulator.requests] == [
        Operation.DISCOVERY,
        Operation.TOKEN,
        Operation.LIST_KEYSETS,
    ]


def test_dry_run_needs_only_read_permission(bench: Bench) -> None:
    """TrustFrameworkKeySet.Read.All alone is enough."""
    bench.begin(Tenant(keysets=(due(),), roles=(READ_ROLE,)))
    run = bench.run("--dry-run", "--detailed-exitcode")
    assert (run.code, run.events("keyset.failed")) == (2, [])


def test_dry_run_keeps_the_order_of_the_configuration(bench: Bench) -> None:
    """Rows stand in the order of the file, whichever tenant answers first, and however the service sorts."""
    zeta = Tenant(name="zeta", keysets=(due("B2C_1A_Z"), fresh("B2C_1A_A")))
    alpha = Tenant(name="alpha", keysets=(fresh("B2C_1A_M"), overdue("B2C_1A_B"), due("B2C_1A_C")))
    emulator = bench.begin(zeta, alpha)
    emulator.inject(Fault(what=Kind.SLOW, where=Operation.LIST_KEYSETS, tenant=zeta.domain, delay=0.3))
    rows = bench.run("--dry-run", "--output", "json").rows
    assert [(row["tenant"], row["keyset"]) for row in rows] == [
        ("zeta", "B2C_1A_Z"),
        ("zeta", "B2C_1A_A"),
        ("alpha", "B2C_1A_M"),
        ("alpha", "B2C_1A_B"),
        ("alpha", "B2C_1A_C"),
    ]


@pytest.mark.parametrize(("concurrency", "together"), [(8, True), (1, False)])
def test_dry_run_tenants_side_by_side(bench: Bench, concurrency: int, *, together: bool) -> None:
    """As many tenants are looked at side by side as `concurrency` says."""
    tenants = [Tenant(name=name, keysets=(fresh(),)) for name in ("one", "two")]
    emulator = bench.begin(*tenants, concurrency=concurrency)
    hang = emulator.inject(Fault(what=Kind.HANG, where=Operation.LIST_KEYSETS))
    running = bench.start("--dry-run")
    assert emulator.wait_for(Operation.LIST_KEYSETS, count=1)
    assert together == emulator.wait_for(Operation.LIST_KEYSETS, count=2, timeout=10 if together else 0.4)
    hang.release()
    assert running.wait().code == 0


def test_dry_run_follows_every_page(bench: Bench) -> None:
    """A keyset is found on whichever page it stands; one that is not configured is passed over."""
    others = tuple(KeysetSeed(id=f"B2C_1A_Other{number}", keys=(KeySeed(),)) for number in range(3))
    bench.begin(Tenant(keysets=(fresh(), due()), others=others, switches=Switches(page_size=2)))
    rows = bench.run("--dry-run", "--output", "json").rows
    assert [row["reason"] for row in rows] == ["not_due", "renewal_due"]
    assert len(bench.asked(Operation.LIST_KEYSETS)) == 3


def test_dry_run_stdout_is_the_report_and_stderr_the_log(bench: Bench) -> None:
    """Stdout has the report and nothing else, stderr has nothing but log lines, at every level."""
    bench.begin(Tenant(keysets=(fresh(), due(), MISSING)), log={"level": "debug"})
    run = bench.run("--dry-run", "--output", "json")
    assert [name for name in ("schema", "now", "dry_run", "keysets") if name not in json.loads(run.out)] == []
    assert all(list(line)[:3] == ["timestamp", "level", "event"] for line in run.logs)
    by_keyset = {
        line["keyset"]: (line["event"], line["level"], line["tenant"]) for line in run.logs if "keyset" in line
    }
    assert by_keyset == {
        "B2C_1A_Fresh": ("keyset.held", "debug", "contoso"),
        "B2C_1A_Due": ("keyset.planned", "info", "contoso"),
        "B2C_1A_Missing": ("keyset.failed", "error", "contoso"),
    }
    requests = run.events("request.finished")
    ids = [seen.client_request_id for seen in bench.emulator.seen(stage=Stage.ANSWERED)]
    assert ids == [line["client_request_id"] for line in requests]


def test_dry_run_table(bench: Bench) -> None:
    """The table has a line for each keyset under its tenant, and below it what needs more words."""
    now = time.time() + 1800  # half an hour of room for the words that count hours
    held = KeySeed(nbf=int(now) - 10 * DAY, exp=int(now) + 80 * DAY + OVERLAP)
    planned = KeySeed(nbf=int(now) - 80 * DAY, exp=int(now) + 10 * DAY + OVERLAP)
    bench.begin(
        Tenant(keysets=(Keyset(id="B2C_1A_Held", keys=(held,)), Keyset(id="B2C_1A_Planned", keys=(planned,)))),
        Tenant(name="fabrikam", keysets=(MISSING,)),
    )
    activation = (planned.nbf or 0) + 90 * DAY
    nbf, exp = instant(activation), instant(activation + 90 * DAY + OVERLAP)
    missing = "the tenant has no keyset B2C_1A_Missing; check its id, tenant_id and cloud"
    assert bench.run("--dry-run", env={"COLUMNS": "120"}).out == (
        "contoso\n"
        "  KEYSET          OUTCOME  REASON       COVERED UNTIL  NEXT TAKES OVER  NEXT DUE\n"
        "  B2C_1A_Held     held     not_due      in 81d1h       -                in 64d\n"
        "  B2C_1A_Planned  planned  renewal_due  in 11d1h       -                5d23h ago\n"
        "\n"
        "fabrikam\n"
        "  KEYSET          OUTCOME  REASON       COVERED UNTIL  NEXT TAKES OVER  NEXT DUE\n"
        "  B2C_1A_Missing  failed   not_found    -              -                -\n"
        "\n"
        f"contoso/B2C_1A_Planned: to be generated: RSA sig key, active from {nbf}, expires {exp}\n"
        f"fabrikam/B2C_1A_Missing: {missing}\n"
        "3 keysets: 1 failed, 1 due, 1 fine\n"
    )


def test_dry_run_log_beside_a_table_is_readable(bench: Bench) -> None:
    """Beside a table stderr has readable lines, without what the table says; JSON if it is wanted."""
    bench.begin(Tenant(keysets=(due(), MISSING)), log={"level": "debug"})
    lines = bench.run("--dry-run").err.splitlines()
    assert any("request.finished" in line for line in lines)
    assert not any(line.startswith("{") or "keyset." in line or "\x1b" in line for line in lines)
    bench.content["log"] = {"format": "json"}
    bench.write()
    assert [line["event"] for line in bench.run("--dry-run").logs] == ["keyset.planned", "keyset.failed"]


def test_dry_run_forbidden_names_the_permission_to_read(bench: Bench) -> None:
    """Without a permission to read, the failure names the one that is missing."""
    bench.begin(Tenant(keysets=(fresh(),), roles=()))
    run = bench.run("--dry-run", "--output", "json")
    error = run.row["error"]
    assert (
        run.code,
        error["kind"],
        error["status"],
        error["code"],
    ) == (1, "forbidden", 403, "Authorization_RequestDenied")
    assert "TrustFrameworkKeySet.Read.All" in error["message"]
    assert error["request_id"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_dry_run_ends_at_a_signal(bench: Bench, number: signal.Signals) -> None:
    """Nothing is under way that would have to be finished: it ends at once, as shells expect it."""
    emulator = bench.begin(Tenant(keysets=(fresh(),)))
    hang = emulator.inject(Fault(what=Kind.HANG, where=Operation.LIST_KEYSETS))
    running = bench.start("--dry-run")
    assert emulator.wait_for(Operation.LIST_KEYSETS)
    running.signal(number)
    ended = running.wait(5)
    assert (ended.code, ended.out, ended.err) == (128 + number, "", "")
    hang.release()
