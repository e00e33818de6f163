"""One pass that writes: what is generated, what is reported, and what a broken answer leads to."""

import json
import signal
import time
from datetime import timedelta

import pytest
from end_to_end.harness import DAY, LIFE, Bench, Keyset, Tenant, due, fresh, instant, key, lapsed, overdue

from rotator.emulator.faults.fault import Fault, Kind, Moment
from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Stage
from rotator.emulator.model.seed import READ_ROLE, KeySeed
from rotator.emulator.model.switches import Status, Switches

GENERATE = Operation.GENERATE_KEY


def only_new_key(bench: Bench, keyset: str, before: int = 1) -> tuple[str, int, int]:
    """The kid, nbf and exp of the one key that was added to the *before* that were there."""
    (new,) = bench.keys(keyset)[before:]
    return new.kid, new.nbf, new.exp


def test_once_generates_the_one_key_that_is_due(bench: Bench) -> None:
    """The keyset has one new key, with the dates that follow from the old one to the second, and the row says so."""
    old = key(age=80, kid="old")
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_Due", keys=(old,)),)))
    run = bench.run("--once", "--output", "json")
    kid, nbf, exp = only_new_key(bench, "B2C_1A_Due")
    assert (old.nbf or 0) + 90 * DAY == nbf
    assert nbf + LIFE.total_seconds() == exp
    assert (run.code, run.document["dry_run"]) == (0, False)
    assert run.row == {
        "tenant": "contoso",
        "keyset": "B2C_1A_Due",
        "mode": "rotate",
        "outcome": "rotated",
        "reason": "renewal_due",
        "active_kid": "old",
        "covered_until": instant(exp),
        "cover": "dated",
        "would": None,
        "renewal_due": instant(nbf - 16 * DAY),
        "publish_by": instant(nbf - 2 * DAY),
        "activation": instant(nbf),
        "key": {"use": "sig", "kty": "RSA", "nbf": nbf, "exp": exp, "kid": kid},
        "error": None,
        "notes": None,
        "proof": None,
        "calendar": None,
        "activation_pulled_by_seconds": None,
    }
    (line,) = run.events("keyset.rotated")
    assert (instant(nbf), instant(exp), kid) == (line["nbf"], line["exp"], line["kid"])


def test_once_late_but_covered(bench: Bench) -> None:
    """Late, the lead shrinks before the overlap does: the new key takes over where the old one's turn ends."""
    old = key(age=89)
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_Overdue", keys=(old,)),)))
    run = bench.run("--once", "--output", "json")
    _, nbf, _ = only_new_key(bench, "B2C_1A_Overdue")
    assert ("overdue", (old.nbf or 0) + 90 * DAY) == (run.row["reason"], nbf)


def test_once_again_holds(bench: Bench) -> None:
    """What was carried out is not carried out again by the next run, nor is what nothing called for."""
    bench.begin(Tenant(keysets=(due(), fresh(), overdue(), lapsed(), Keyset(id="B2C_1A_Undated", keys=(KeySeed(),)))))
    first, second = (bench.run("--once", "--output", "json") for _ in range(2))
    assert [row["outcome"] for row in first.rows] == ["rotated", "held", "rotated", "rotated", "rotated"]
    assert (second.code, [row["outcome"] for row in second.rows]) == (0, ["held"] * 5)
    assert len(bench.asked(GENERATE)) == 4


def test_once_dates_where_now_counts(bench: Bench) -> None:
    """Late, without a valid key, and with none but an undated one, the new key's dates follow from now."""
    long = key(age=95, life=timedelta(days=730))
    bench.begin(
        Tenant(
            keysets=(
                Keyset(id="B2C_1A_Long", keys=(long,)),
                lapsed(),
                Keyset(id="B2C_1A_Undated", keys=(KeySeed(),)),
                Keyset(id="B2C_1A_Empty"),
            )
        )
    )
    began = int(time.time())
    assert bench.run("--once").code == 0
    ended = time.time()
    for keyset, lead, before in (
        ("B2C_1A_Long", 2 * DAY, 1),
        ("B2C_1A_Lapsed", 0, 1),
        ("B2C_1A_Undated", 2 * DAY, 1),
        ("B2C_1A_Empty", 0, 0),
    ):
        _, nbf, exp = only_new_key(bench, keyset, before)
        assert began <= nbf - lead <= ended, keyset
        assert exp - nbf == LIFE.total_seconds()


def test_once_encryption_keyset(bench: Bench) -> None:
    """An encryption key overlaps by the 15 days that refresh tokens live for, if nothing else is said."""
    old = key(age=80, use="enc", life=timedelta(days=105))
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_Enc", use="enc", keys=(old,)),)))
    assert bench.run("--once").code == 0
    _, nbf, exp = only_new_key(bench, "B2C_1A_Enc")
    assert ((old.nbf or 0) + 90 * DAY, 105 * DAY) == (nbf, exp - nbf)


def test_once_unreadable_secret_that_is_accepted(bench: Bench) -> None:
    """An oct keyset is rotated where the configuration says that nobody needs to read the secret."""
    old = key(age=80, kty="oct")
    wanted = {"kty": "oct", "accept_unreadable_secret": True}
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_Oct", keys=(old,), wanted=wanted),)))
    run = bench.run("--once", "--output", "json")
    assert (run.code, run.row["outcome"], run.row["key"]["kty"]) == (0, "rotated", "oct")


def test_once_asks_with_four_members(bench: Bench) -> None:
    """The body of generateKey has use, kty, nbf and exp, and nothing else."""
    bench.begin(Tenant(keysets=(due(),)))
    assert bench.run("--once").code == 0
    (seen,) = bench.asked(GENERATE)
    _, nbf, exp = only_new_key(bench, "B2C_1A_Due")
    assert {"use": "sig", "kty": "RSA", "nbf": nbf, "exp": exp} == json.loads(seen.body or "")


def test_once_waits_and_looks_again_before_it_writes(bench: Bench) -> None:
    """Between the look that finds a key due and the one right before the write lies `settle`."""
    bench.begin(Tenant(keysets=(due(), fresh())), settle="1s")
    run = bench.run("--once", "--output", "json")
    first = bench.asked(Operation.LIST_KEYSETS)[0].time
    second = bench.asked(Operation.GET_KEYSET)[0].time
    (write,) = bench.asked(GENERATE)
    assert first + 1 <= second <= write.time
    assert [(line["seconds"], line["keysets"]) for line in run.events("sweep.settling")] == [(1.0, 1)]
    assert {"B2C_1A_Due"} == {seen.keyset for seen in bench.asked(Operation.GET_KEYSET)}


def test_once_writes_nothing_that_the_second_look_does_not_call_for(bench: Bench) -> None:
    """A key that somebody else adds between the two looks is enough."""
    emulator = bench.begin(Tenant(keysets=(due(),)), settle="1s")
    running = bench.start("--once", "--output", "json")
    assert emulator.wait_for(Operation.LIST_KEYSETS, stage=Stage.ANSWERED)
    emulator.tenants[0].add_key("B2C_1A_Due", key(age=-9))
    run = running.wait()
    assert (run.code, run.row["outcome"], run.row["reason"]) == (0, "held", "not_due")
    assert not bench.asked(GENERATE)


@pytest.mark.parametrize(
    ("settings", "env"),
    [
        pytest.param({"dry_run": True}, {}, id="in the file"),
        pytest.param({}, {"ROTATOR_DRY_RUN": "true"}, id="in the environment"),
        pytest.param({"dry_run": False}, {"ROTATOR_DRY_RUN": "true"}, id="the environment goes first"),
    ],
)
def test_once_with_dry_run_configured(bench: Bench, settings: dict[str, object], env: dict[str, str]) -> None:
    """`dry_run: true` in the configuration means that nothing is written, whatever the command line says."""
    bench.begin(Tenant(keysets=(due(), overdue())), **settings)
    run = bench.run("--once", "--output", "json", env=env)
    assert (run.code, run.document["dry_run"]) == (3, True)
    assert [row["outcome"] for row in run.rows] == ["planned", "planned"]
    assert not bench.asked(GENERATE)


def test_once_observe_never_writes(bench: Bench) -> None:
    """An observed keyset is held with the reason observe and its plan, and the others are still rotated."""
    observed = {"mode": "observe"}
    bench.begin(Tenant(keysets=(overdue("B2C_1A_Observed", wanted=observed), due("B2C_1A_Rotated"))))
    run = bench.run("--once", "--output", "json")
    row, other = run.rows
    assert (
        run.code,
        row["mode"],
        row["outcome"],
        row["reason"],
        other["outcome"],
    ) == (3, "observe", "held", "observe", "rotated")
    assert all(row[name] for name in ("covered_until", "renewal_due", "publish_by", "activation"))
    assert row["would"] == "overdue"
    assert row["activation"] == instant(row["key"]["nbf"])
    assert [seen.keyset for seen in bench.asked(GENERATE)] == ["B2C_1A_Rotated"]


def test_once_exit_code_rotated_overdue(bench: Bench) -> None:
    """What was overdue and is rotated now is nothing to complain of."""
    bench.begin(Tenant(keysets=(overdue(), lapsed())))
    assert bench.run("--once").code == 0


def test_once_exit_code_failure_goes_first(bench: Bench) -> None:
    """A rotation that failed is 1, also if another keyset is overdue; a third is rotated nevertheless."""
    observed = overdue("B2C_1A_Observed", wanted={"mode": "observe"})
    emulator = bench.begin(Tenant(keysets=(observed, due("B2C_1A_Fails"), due("B2C_1A_Works"))))
    emulator.inject(Fault(what=Kind.STATUS, status=400, code="AADB2C90136", where=GENERATE, keyset="B2C_1A_Fails"))
    run = bench.run("--once", "--output", "json")
    assert (run.code, [row["outcome"] for row in run.rows]) == (1, ["held", "failed", "rotated"])
    failed = run.rows[1]
    assert (
        failed["error"]["kind"],
        failed["error"]["status"],
        failed["error"]["code"],
    ) == ("bad_request", 400, "AADB2C90136")
    assert failed["reason"] == "bad_request"
    assert failed["key"]["kid"] is None
    (request,) = bench.asked(GENERATE, keyset="B2C_1A_Fails")
    (line,) = run.events("keyset.failed")
    assert request.client_request_id == line["client_request_id"]
    assert failed["error"]["request_id"] == line["request_id"]


def test_once_table(bench: Bench) -> None:
    """The table names the key that was generated, with its kid."""
    bench.begin(Tenant(keysets=(due(),)))
    out = bench.run("--once", env={"COLUMNS": "200"}).out
    kid, nbf, exp = only_new_key(bench, "B2C_1A_Due")
    assert "  B2C_1A_Due  rotated  renewal_due  " in out
    assert f"generated: RSA sig key, active from {instant(nbf)}, expires {instant(exp)}, kid {kid}\n" in out
    assert out.endswith("1 keyset: 1 rotated\n")


def test_once_forbidden_names_the_permission_to_write(bench: Bench) -> None:
    """With the permission to read alone, the failure names the one that writing takes."""
    bench.begin(Tenant(keysets=(due(),), roles=(READ_ROLE,)))
    run = bench.run("--once", "--output", "json")
    error = run.row["error"]
    assert (run.code, error["kind"], error["status"]) == (1, "forbidden", 403)
    assert "TrustFrameworkKeySet.ReadWrite.All" in error["message"]
    assert len(bench.keys("B2C_1A_Due")) == 1


def test_once_adopts_the_key_of_a_lost_answer(bench: Bench) -> None:
    """Where the answer is lost but the key is there, it is found by looking, and not requested again."""
    emulator = bench.begin(Tenant(keysets=(due(),)))
    emulator.inject(Fault(what=Kind.RESET, when=Moment.AFTER_COMMIT, where=GENERATE, times=1))
    run = bench.run("--once", "--output", "json")
    assert (run.code, run.row["outcome"]) == (0, "rotated")
    kid, _, _ = only_new_key(bench, "B2C_1A_Due")
    assert (kid, 1) == (run.row["key"]["kid"], len(bench.asked(GENERATE)))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param(Fault(what=Kind.RESET, where=GENERATE), "network", id="connection reset"),
        pytest.param(Fault(what=Kind.CLOSE, where=GENERATE), "network", id="connection closed"),
        pytest.param(Fault(what=Kind.STATUS, status=500, where=GENERATE), "service", id="500"),
        pytest.param(Fault(what=Kind.STATUS, status=503, retry_after=1, where=GENERATE), "service", id="503"),
        pytest.param(Fault(what=Kind.STATUS, status=504, where=GENERATE), "service", id="504"),
        pytest.param(Fault(what=Kind.STATUS, status=400, code="AADB2C90063", where=GENERATE), "service", id="90063"),
        pytest.param(Fault(what=Kind.HTML, where=GENERATE), "service", id="gateway page"),
        pytest.param(Fault(what=Kind.HTML, status=200, where=GENERATE), "unreadable", id="HTML with 200"),
        pytest.param(Fault(what=Kind.REDIRECT, where=GENERATE), "unreadable", id="redirect"),
        pytest.param(Fault(what=Kind.LOST, where=GENERATE), "unconfirmed", id="said it did, and did not"),
    ],
)
def test_once_never_repeats_a_write_blindly(bench: Bench, fault: Fault, kind: str) -> None:
    """Where the outcome of a write is not known and no key shows, the run fails and asks no second time."""
    bench.begin(Tenant(keysets=(due(),))).inject(fault)
    run = bench.run("--once", "--output", "json")
    assert (1, "failed", kind) == (run.code, run.row["outcome"], run.row["error"]["kind"])
    assert len(bench.asked(GENERATE)) == 1
    assert bench.asked(Operation.GET_KEYSET)[-1].number > bench.asked(GENERATE)[0].number, "it has looked afterwards"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(what=Kind.THROTTLED, retry_after=1, where=GENERATE, times=1), id="429"),
        pytest.param(
            Fault(what=Kind.THROTTLED, retry_after=1, retry_after_as_date=True, where=GENERATE, times=1), id="429, date"
        ),
        pytest.param(Fault(what=Kind.STATUS, status=409, code="AADB2C95053", where=GENERATE, times=1), id="conflict"),
        pytest.param(Fault(what=Kind.STATUS, status=401, where=GENERATE, times=1), id="token refused once"),
    ],
)
def test_once_asks_again_where_nothing_was_done(bench: Bench, fault: Fault) -> None:
    """If the service says that it did nothing, the key is requested again, and there is one in the end."""
    bench.begin(Tenant(keysets=(due(),))).inject(fault)
    run = bench.run("--once", "--output", "json")
    assert (run.code, run.row["outcome"]) == (0, "rotated")
    assert len(bench.asked(GENERATE)) == 2
    only_new_key(bench, "B2C_1A_Due")


def test_once_looks_anew_before_it_asks_again(bench: Bench) -> None:
    """After a refusal that asks to wait, the keyset is read and decided on again before the next write."""
    emulator = bench.begin(Tenant(keysets=(due(),)))
    emulator.inject(Fault(what=Kind.THROTTLED, retry_after=4, where=GENERATE, times=1))
    running = bench.start("--once", "--output", "json")
    assert emulator.wait_for(GENERATE, stage=Stage.ANSWERED)
    emulator.tenants[0].add_key("B2C_1A_Due", key(age=-9))
    assert running.wait().row["outcome"] == "held"
    assert len(bench.asked(GENERATE)) == 1


def test_once_throttled_for_long(bench: Bench) -> None:
    """A wait that the service asks for and that is too long for a run is not sat out."""
    emulator = bench.begin(Tenant(keysets=(due(),)))
    emulator.inject(Fault(what=Kind.THROTTLED, retry_after=600, where=GENERATE))
    run = bench.run("--once", "--output", "json", timeout=15)
    assert (run.code, run.row["error"]["kind"]) == (1, "throttled")


@pytest.mark.parametrize("answers_key", [True, False])
def test_once_enables_the_key_that_was_created_disabled(bench: Bench, *, answers_key: bool) -> None:
    """Where the service creates keys disabled, the same run enables that one and no other."""
    idle = key(age=-300, status=Status.DISABLED, kid="idle")
    switches = Switches(generated_status=Status.DISABLED, update_answers_key=answers_key)
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_Due", keys=(key(age=80), idle)),), switches=switches))
    run = bench.run("--once", "--output", "json")
    new = bench.keys("B2C_1A_Due")[-1]
    assert (0, "rotated", new.kid) == (run.code, run.row["outcome"], run.row["key"]["kid"])
    assert new.status is Status.ENABLED
    assert bench.keys("B2C_1A_Due")[1].status is Status.DISABLED
    (patch,) = bench.asked(Operation.UPDATE_KEY)
    assert (f"/keys_v2/{new.kid}", {"status": "enabled"}) == (
        patch.path[-len(f"/keys_v2/{new.kid}") :],
        json.loads(patch.body or ""),
    )


def test_once_key_that_is_not_what_was_asked_for(bench: Bench) -> None:
    """A key with other dates than requested is a failure that says what differs."""
    bench.begin(Tenant(keysets=(due(),))).inject(Fault(what=Kind.ALTERED, where=GENERATE))
    run = bench.run("--once", "--output", "json")
    kid, nbf, _ = only_new_key(bench, "B2C_1A_Due")
    error = run.row["error"]
    assert (run.code, error["kind"]) == (1, "mismatch")
    assert kid in error["message"]
    assert f"nbf is {instant(nbf)}, not {instant(run.row['key']['nbf'])}" in error["message"]


def test_once_waits_until_reads_show_the_key(bench: Bench) -> None:
    """A service whose reads lag behind its writes is looked at until it shows the key, within settle."""
    switches = Switches(read_after_write_delay=0.5)
    bench.begin(Tenant(keysets=(due(),), switches=switches), settle="2s")
    run = bench.run("--once", "--output", "json")
    assert (run.code, run.row["outcome"]) == (0, "rotated")
    only_new_key(bench, "B2C_1A_Due")


@pytest.mark.parametrize(
    "switches",
    [
        pytest.param(Switches(string_dates=True), id="dates as strings"),
        pytest.param(Switches(single_key_wrapped=True), id="key inside value"),
        pytest.param(Switches(generated_status=None), id="no status"),
        pytest.param(Switches(status_shown=False), id="status never shown"),
        pytest.param(Switches(missing_keyset_status=404, inner_error_member="innererror"), id="other spellings"),
    ],
)
def test_once_whatever_the_service_is_like(bench: Bench, switches: Switches) -> None:
    """What nobody knows of the service makes no difference to what is generated."""
    old = key(age=80)
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_Due", keys=(old,)),), switches=switches))
    run = bench.run("--once", "--output", "json")
    _, nbf, _ = only_new_key(bench, "B2C_1A_Due")
    assert (0, "rotated", (old.nbf or 0) + 90 * DAY) == (run.code, run.row["outcome"], nbf)


def test_once_answer_that_is_no_json_and_a_key_that_is_there(bench: Bench) -> None:
    """Where the answer to the write cannot be read but the key shows, the rotation is done."""
    bench.begin(Tenant(keysets=(due(),), switches=Switches(trailing_comma=True)))
    run = bench.run("--once", "--output", "json")
    kid, _, _ = only_new_key(bench, "B2C_1A_Due")
    assert (0, "rotated", kid) == (run.code, run.row["outcome"], run.row["key"]["kid"])


def test_once_stopped_while_it_settles(bench: Bench) -> None:
    """A run that is asked to stop before it has written ends at once, and writes nothing."""
    emulator = bench.begin(Tenant(keysets=(due(),)), settle="1h")
    running = bench.start("--once", "--output", "json")
    running.log("sweep.settling")
    running.signal(signal.SIGTERM)
    run = running.wait(15)
    assert (run.code, run.row["outcome"], run.row["reason"]) == (0, "held", "stopping")
    assert len(run.events("rotator.stopping")) == 1
    assert not emulator.seen(GENERATE)


def test_once_stopped_before_every_tenant_was_looked_at(bench: Bench) -> None:
    """Each keyset has its row, and one that could not be looked at is not a success."""
    tenants = (Tenant(name="slow", keysets=(fresh(),)), Tenant(keysets=(lapsed(),)))
    emulator = bench.begin(*tenants, concurrency=1)
    hang = emulator.inject(Fault(what=Kind.HANG, where=Operation.LIST_KEYSETS))
    running = bench.start("--once", "--output", "json")
    assert emulator.wait_for(Operation.LIST_KEYSETS)
    running.signal(signal.SIGTERM)
    running.log("rotator.stopping")
    hang.release()
    run = running.wait(10)
    assert [(row["outcome"], row["reason"]) for row in run.rows] == [("held", "not_due"), ("held", "stopping")]
    assert run.code == 1


def test_once_asked_twice_to_stop(bench: Bench) -> None:
    """A second signal changes nothing: the write in flight is finished, and nobody complains."""
    emulator = bench.begin(Tenant(keysets=(due(),)))
    hang = emulator.inject(Fault(what=Kind.HANG, where=GENERATE))
    running = bench.start("--once", "--output", "json")
    assert emulator.wait_for(GENERATE)
    for _ in range(3):
        running.signal(signal.SIGINT)
        running.log("rotator.stopping")
        time.sleep(0.1)
    hang.release()
    run = running.wait(10)
    assert (run.code, run.row["outcome"]) == (0, "rotated")
    events = [line["event"] for line in run.logs]
    assert events == ["keyset.planned", "sweep.settling", "rotator.stopping", "keyset.rotated"]


def test_once_stopped_while_a_write_is_under_way(bench: Bench) -> None:
    """The write in flight is finished and reported; the one that would come next does not begin."""
    emulator = bench.begin(Tenant(keysets=(due("B2C_1A_First"), due("B2C_1A_Second"))))
    hang = emulator.inject(Fault(what=Kind.HANG, where=GENERATE))
    running = bench.start("--once", "--output", "json")
    assert emulator.wait_for(GENERATE)
    running.signal(signal.SIGINT)
    running.log("rotator.stopping")
    hang.release()
    run = running.wait(10)
    first, second = run.rows
    assert (first["outcome"], second["outcome"], second["reason"]) == ("rotated", "held", "stopping")
    assert run.code == 0
    assert [seen.keyset for seen in bench.asked(GENERATE)] == ["B2C_1A_First"]


def test_once_clock_that_is_wrong(bench: Bench) -> None:
    """Where the local clock and the service's differ by more than five minutes, no key is generated."""
    emulator = bench.begin(Tenant(keysets=(due(), fresh())))
    emulator.inject(Fault(what=Kind.WRONG_DATE, skew=600))
    run = bench.run("--once", "--output", "json")
    assert (run.code, [row["outcome"] for row in run.rows]) == (1, ["failed", "held"])
    assert run.rows[0]["error"]["kind"] == "clock_skew"
    assert "behind the service's" in run.rows[0]["error"]["message"]
    assert [line["tenant"] for line in run.events("clock.skewed")] == ["contoso"]
    assert not bench.asked(GENERATE)


def test_once_service_that_wants_more_lead(bench: Bench) -> None:
    """Where a late key is refused for its nbf, one that leaves the lead known from the field is requested instead."""
    began = int(time.time())
    bench.begin(Tenant(keysets=(lapsed(),), switches=Switches(minimum_nbf_lead=3 * 3600)))
    run = bench.run("--once", "--output", "json")
    _, nbf, _ = only_new_key(bench, "B2C_1A_Lapsed")
    assert (run.code, run.row["outcome"], len(bench.asked(GENERATE))) == (0, "rotated", 2)
    assert began + 3 * 3600 <= nbf <= time.time() + 4 * 3600
    (line,) = run.events("keyset.rotated")
    assert (line["level"], "minimum_lead" in line["remark"]) == ("warning", True)


def test_once_pending_successor_that_is_no_cover(bench: Bench) -> None:
    """While a key as we make them is pending, no second one is made, even where the first overlaps too little."""
    pending = key(age=-10.5, kid="pending")
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_Due", keys=(key(age=80), pending)),)))
    run = bench.run("--once", "--output", "json")
    assert (run.row["outcome"], run.row["reason"]) == ("held", "runaway_guard")
    assert run.row["notes"] == [{"kid": "pending", "note": "overlap_too_short"}]
    assert not bench.asked(GENERATE)


def test_once_with_one_directory_under_two_names(bench: Bench) -> None:
    """The GUID and a domain of one directory are one: it gets no key until one entry is removed."""
    bench.begin(Tenant(keysets=(due(),)), Tenant(name="fabrikam", keysets=(due(),)))
    (contoso, _) = bench.content["tenants"]
    bench.content["tenants"].append({**contoso, "name": "again", "tenant_id": bench.emulator.tenants[0].id})
    bench.write()
    run = bench.run("--once", "--output", "json")
    rows = {row["tenant"]: row for row in run.rows}
    assert (run.code, rows["fabrikam"]["outcome"]) == (1, "rotated")
    for name, other in (("contoso", "again"), ("again", "contoso")):
        assert rows[name]["error"]["kind"] == "conflict"
        assert f"tenant {other} is the same directory" in rows[name]["error"]["message"]
    assert [seen.tenant for seen in bench.asked(GENERATE)] == ["fabrikam.onmicrosoft.com"]


def test_dry_run_with_one_directory_under_two_names(bench: Bench) -> None:
    """The first look at the second entry says so, although nothing is due."""
    bench.begin(Tenant(keysets=(fresh(),)))
    (contoso,) = bench.content["tenants"]
    bench.content["tenants"].append({**contoso, "name": "again", "tenant_id": bench.emulator.tenants[0].id})
    bench.content["concurrency"] = 1
    bench.write()
    run = bench.run("--dry-run", "--output", "json")
    rows = {row["tenant"]: row for row in run.rows}
    assert run.code == 1
    assert rows["again"]["error"]["kind"] == "conflict"
    assert "tenant contoso is the same directory" in rows["again"]["error"]["message"]


def test_once_creates_the_keyset_that_is_missing(bench: Bench) -> None:
    """A dry run only says that it would; `--once` creates the keyset and its first key, and the next run holds."""
    missing = Keyset(id="B2C_1A_New", is_there=False, wanted={"create": True})
    bench.begin(Tenant(keysets=(fresh(), missing)))
    dry = bench.run("--dry-run", "--output", "json", "--detailed-exitcode")
    assert (dry.code, dry.rows[1]["outcome"], dry.rows[1]["reason"]) == (2, "planned", "missing")
    plan = " ".join(bench.run("--dry-run").out.split())  # it is wrapped
    assert "B2C_1A_New: the keyset is to be created, and then its first key: RSA sig key" in plan
    assert not bench.asked(Operation.CREATE_KEYSET)
    first, second = (bench.run("--once", "--output", "json") for _ in range(2))
    assert (first.code, first.rows[1]["outcome"], first.rows[1]["reason"]) == (0, "rotated", "no_valid_key")
    assert [line["keyset"] for line in first.events("keyset.created")] == ["B2C_1A_New"]
    assert (second.code, second.rows[1]["outcome"]) == (0, "held")
    assert (len(bench.asked(Operation.CREATE_KEYSET)), len(bench.keys("B2C_1A_New"))) == (1, 1)


def test_once_leaves_a_deleted_keyset_to_people(bench: Bench) -> None:
    """Where the tenant has the backup of a keyset, it is not created, and the row says why."""
    deleted = Keyset(id="B2C_1A_Deleted", wanted={"create": True})
    bench.begin(Tenant(keysets=(deleted,)))
    bench.emulator.tenants[0].delete("B2C_1A_Deleted")
    run = bench.run("--once", "--output", "json")
    assert (run.code, run.row["reason"]) == (1, "not_found")
    assert "recreated" in run.row["error"]["message"]
    assert not bench.asked(Operation.CREATE_KEYSET)
