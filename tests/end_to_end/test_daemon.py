"""The daemon as a real process: its events, its pages, its rotations, and how it stops."""

import json
import re
import signal
import socket
import time
from datetime import datetime, timedelta

import icalendar
import pytest
from end_to_end.harness import Bench, Keyset, Running, Tenant, due, fresh, lapsed, overdue
from waiting import wait_for

from rotator import __version__
from rotator.emulator.faults.fault import Fault, Kind, Moment
from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Stage
from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import Switches
from rotator.service.pages import CHART_CONFIG

GENERATE, LIST = Operation.GENERATE_KEY, Operation.LIST_KEYSETS

LIVES = {
    "check_interval": "1s",
    "settle": "1s",
    "defaults": {"rotate_every": "8s", "overlap": "4s", "publication_lead": "1s", "renewal_window": "6s"},
}
"""A policy of seconds: a key is the active one for 8, valid for 12, and made 7 to 1 before it takes over."""


def young(keyset_id: str, life: int = 12) -> Keyset:
    """A keyset whose key was activated a second ago, so that the next one is due."""
    now = int(time.time()) - 1
    return Keyset(id=keyset_id, keys=(KeySeed(nbf=now, exp=now + life),))


def ready(daemon: Running) -> Running:
    """The daemon, once its first sweep has finished."""
    daemon.log("sweep.finished")
    return daemon


def test_daemon_tells_its_life(bench: Bench) -> None:
    """It says that it started, with what it was started with, what each sweep came to, and that it stopped."""
    bench.begin(Tenant(keysets=(fresh(), due())), check_interval="90m", settle="1h")
    daemon = ready(bench.start())
    run = daemon.stop()
    assert (run.code, run.out) == (0, "")
    assert [line["event"] for line in run.logs] == [
        "rotator.started",
        "keyset.planned",
        "sweep.finished",
        "rotator.stopping",
        "rotator.stopped",
    ]
    started, planned, finished, *_ = run.logs
    stamp = started.pop("timestamp")
    assert datetime.fromisoformat(stamp).utcoffset() == timedelta()
    assert stamp.endswith("Z")
    assert started == {
        "level": "info",
        "event": "rotator.started",
        "version": __version__,
        "config": str(bench.config),
        "tenants": 1,
        "keysets": 2,
        "check_interval": "1h30m",
        "dry_run": False,
        "host": "127.0.0.1",
        "port": started["port"],
    }
    assert (planned["tenant"], planned["keyset"], planned["reason"]) == ("contoso", "B2C_1A_Due", "renewal_due")
    assert {"keysets": 2, "held": 1, "planned": 1, "rotated": 0, "failed": 0}.items() <= finished.items()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_daemon_stops_at_once_where_nothing_is_under_way(bench: Bench, number: signal.Signals) -> None:
    """SIGTERM and SIGINT end an idle daemon with 0, long before its next sweep or second look."""
    bench.begin(Tenant(keysets=(due(),)), check_interval="1h", settle="1h")
    daemon = ready(bench.start())
    daemon.signal(number)
    run = daemon.wait(8)
    assert (run.code, run.logs[-1]["event"]) == (0, "rotator.stopped")
    assert not bench.asked(GENERATE)


def test_daemon_rotates_without_a_gap(bench: Bench) -> None:
    """Over several lives each key is followed by one that was made for its moment: no gap, and not one too many."""
    began = int(time.time())
    keysets = (young("B2C_1A_Short"), young("B2C_1A_Long", life=3600), Keyset(id="B2C_1A_Empty"))
    emulator = bench.begin(Tenant(keysets=keysets), **LIVES)
    daemon = bench.start()
    daemon.log("keyset.rotated", keyset="B2C_1A_Empty")
    born = time.time()
    first = daemon.log("keyset.rotated", keyset="B2C_1A_Short")
    second = daemon.log("keyset.rotated", keyset="B2C_1A_Short", count=2)
    daemon.log("keyset.rotated", keyset="B2C_1A_Long", count=2)
    ended = time.time()
    run = daemon.stop()
    assert run.events("keyset.failed") == []
    tenant = emulator.tenants[0]
    for keyset_id in ("B2C_1A_Short", "B2C_1A_Long"):
        old, *made = tenant.keyset(keyset_id).keys
        assert [(old.nbf or 0) + 8 * turn for turn in range(1, len(made) + 1)] == [each.nbf for each in made], keyset_id
        assert {12} == {(each.exp or 0) - (each.nbf or 0) for each in made}
        assert tenant.gaps(keyset_id, began, ended) == ()
        assert len(made) == len([each for each in run.events("keyset.rotated") if each["keyset"] == keyset_id])
    kids = [each.kid for each in tenant.keyset("B2C_1A_Short").keys]
    assert [first["kid"], second["kid"]] == kids[1:3]
    assert tenant.gaps("B2C_1A_Empty", born, ended) == ()


def test_daemon_looks_twice_before_it_writes(bench: Bench) -> None:
    """Between the first look that finds a key due and the write lies `settle`, however often sweeps come by."""
    emulator = bench.begin(Tenant(keysets=(due(),)), check_interval="1s", settle="4s")
    daemon = bench.start()
    daemon.log("keyset.rotated")
    daemon.stop()
    looks = emulator.seen(LIST)
    (write,) = emulator.seen(GENERATE)
    assert write.time - looks[0].time >= 4
    assert len([look for look in looks if look.time < write.time]) >= 2


def test_daemon_never_writes_in_a_dry_run(bench: Bench) -> None:
    """`dry_run: true` looks and plans, sweep after sweep, and never looks a second time."""
    bench.begin(Tenant(keysets=(due(),)), check_interval="1s", dry_run=True)
    daemon = bench.start()
    daemon.log("sweep.finished", count=2)
    assert json.loads(daemon.get("/status.json").text)["dry_run"] is True
    daemon.stop()
    assert {LIST} == {seen.operation for seen in bench.emulator.requests} - {Operation.TOKEN, Operation.DISCOVERY}
    assert daemon.log("rotator.started")["dry_run"] is True


# --- its pages


def test_daemon_health_and_readiness(bench: Bench) -> None:
    """It is alive from the start, and ready once a first sweep has finished, whatever came of that."""
    emulator = bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_Missing", is_there=False),)))
    hang = emulator.inject(Fault(what=Kind.HANG, where=LIST))
    daemon = bench.start()
    assert emulator.wait_for(LIST)
    assert (daemon.get("/healthz").status, daemon.get("/healthz").text) == (200, "ok\n")
    waiting = daemon.get("/readyz")
    assert (waiting.status, waiting.text) == (503, "the first sweep has not finished\n")
    hang.release()
    daemon.log("sweep.finished", failed=1)
    assert [daemon.get(path).status for path in ("/readyz", "/healthz")] == [200, 200]


def test_daemon_health_does_not_depend_on_the_service(bench: Bench) -> None:
    """Without a service to reach, it stays alive and ready, because a restart would not help."""
    bench.begin(Tenant(keysets=(fresh(),))).inject(Fault(what=Kind.STATUS, status=403))
    daemon = ready(bench.start())
    assert [daemon.get(path).status for path in ("/healthz", "/readyz")] == [200, 200]


def test_daemon_status_document(bench: Bench) -> None:
    """/status.json has the rows of the report, with what is known since the last look."""
    tenants = (Tenant(keysets=(fresh(), due())), Tenant(name="two", keysets=(overdue(),)))
    bench.begin(*tenants, settle="1h")
    expected = bench.run("--dry-run", "--output", "json").rows
    daemon = ready(bench.start())
    answer = daemon.get("/status.json")
    document = json.loads(answer.text)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert {"schema": 1, "dry_run": False}.items() <= document.items()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["now"])
    late = expected[2]["key"]
    assert abs(document["keysets"][2]["key"].pop("nbf") - late.pop("nbf")) < 10, "late, so it moves with now"
    assert abs(document["keysets"][2]["key"].pop("exp") - late.pop("exp")) < 10
    assert expected == document["keysets"]


def test_daemon_status_shows_what_was_rotated(bench: Bench) -> None:
    """After a rotation the row is that of the rotation, until the next look."""
    bench.begin(Tenant(keysets=(due(),)), check_interval="1h")
    daemon = bench.start()
    line = daemon.log("keyset.rotated")
    (row,) = json.loads(daemon.get("/status.json").text)["keysets"]
    assert ("rotated", line["kid"]) == (row["outcome"], row["key"]["kid"])


def test_daemon_status_page(bench: Bench) -> None:
    """The page for people is HTML that runs no script, and takes nothing that a service says for markup."""
    key = KeySeed(nbf=1, exp=int(time.time()) + 200 * 86_400, kid="<script>alert(1)</script>")
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_X", keys=(key,)),)))
    page = ready(bench.start()).get("/")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "contoso/<wbr>B2C_<wbr>1A_<wbr>X" in page.text
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_daemon_status_page_of_a_filter(bench: Bench) -> None:
    """What stands behind the question mark says which keysets are shown; whatever stands there, it is a page."""
    bench.begin(Tenant(keysets=(fresh("B2C_1A_One"), fresh("B2C_1A_Two"))))
    daemon = ready(bench.start())
    assert "contoso/<wbr>B2C_<wbr>1A_<wbr>One" in daemon.get("/?q=one").text
    assert "contoso/<wbr>B2C_<wbr>1A_<wbr>Two" not in daemon.get("/?q=one").text
    page = daemon.get("/?q=%22%3E%3Cscript%3E&page=-1&state=%ff")
    assert (page.status, "<script" in page.text) == (200, False)


def test_daemon_status_page_shows_what_it_knows_of_itself(bench: Bench) -> None:
    """Where it runs, its configuration, and what was wrong with the one that it refused."""
    http = {"host": "127.0.0.1", "port": 0, "runbook_url": "https://wiki.example.com/r"}
    bench.begin(Tenant(keysets=(fresh(),)), http=http)
    daemon = ready(bench.start())
    page = daemon.get("/").text
    assert f"<dt>host</dt><dd>{socket.gethostname().replace('-', '-<wbr>')}</dd>" in page
    assert "rotator.yaml</dd>" in page
    bench.config.write_text("tenants: []\n", encoding="utf-8")
    for count in (1, 2):  # once the second one is logged, the first one is on the page
        daemon.signal(signal.SIGHUP)
        daemon.log("config.rejected", count=count)
    said = "configuration refused</span>: The changed configuration is refused since <time>"
    wait_for(lambda: said in daemon.get("/").text)  # a page that took long to render is kept for a moment
    page = daemon.get("/").text
    assert 'href="https://wiki.example.com/r#b2crotatorconfigrefused"' in page


def test_daemon_status_page_of_an_election_turned_off_by_hand(bench: Bench) -> None:
    """In a pod of the chart the page warns of a variable that turns the election off past the chart."""
    bench.begin(Tenant(keysets=(fresh(),)))
    by_hand = {"ROTATOR_CONFIG": CHART_CONFIG, "ROTATOR_LEADER_ELECTION__ENABLED": "false"}
    page = ready(bench.start("--config", str(bench.config), env=by_hand)).get("/")
    assert "ROTATOR_LEADER_ELECTION__ENABLED is set on this pod by hand" in page.text


@pytest.mark.parametrize("path", ["/nowhere", "/metrics/", "/status", "/healthz.json", "//healthz/.."])
def test_daemon_page_that_is_none(bench: Bench, path: str) -> None:
    """Every path that is not a page of the interface is 404."""
    bench.begin(Tenant(keysets=(fresh(),)))
    assert bench.start().get(path).status == 404


def test_daemon_calendar(bench: Bench) -> None:
    """It is served if the configuration says so; otherwise there is no such page."""
    bench.begin(Tenant(keysets=(fresh("B2C_1A_One"),)))
    assert ready(bench.start()).get("/calendar.ics").status == 404
    bench.content["http"] = {"host": "127.0.0.1", "port": 0, "calendar": True}
    bench.write()
    page = ready(bench.start()).get("/calendar.ics")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    events = icalendar.Calendar.from_ical(page.text).walk("VEVENT")
    made = [each for each in events if str(each["STATUS"]) == "CONFIRMED"]
    assert len(made) == 2
    assert len(events) > 10
    assert {"contoso/B2C_1A_One" in str(each["SUMMARY"]) for each in events} == {True}


def test_daemon_page_with_a_query(bench: Bench) -> None:
    """What stands behind a question mark makes no other page of it."""
    bench.begin(Tenant(keysets=(fresh(),)))
    assert bench.start().get("/healthz?verbose=1").status == 200


def test_daemon_page_by_another_method(bench: Bench) -> None:
    """Any method but GET and HEAD is 405, and names those that are allowed."""
    bench.begin(Tenant(keysets=(fresh(),)))
    daemon = bench.start()
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = daemon.get("/healthz", method=method)
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD"), method
    assert daemon.get("/healthz", method="HEAD").status == 200


def test_daemon_pages_while_a_client_is_slow(bench: Bench) -> None:
    """A client that opens a connection and says nothing keeps nobody else waiting, and does not hold up the end."""
    bench.begin(Tenant(keysets=(fresh(),)))
    daemon = ready(bench.start())
    with socket.create_connection(("127.0.0.1", daemon.port)):
        assert daemon.get("/healthz", timeout=5).status == 200
        daemon.signal(signal.SIGTERM)
        assert daemon.wait(8).code == 0


# --- how it stops


def test_daemon_stopped_while_a_write_is_under_way(bench: Bench) -> None:
    """The write in flight is finished and its outcome logged; none begins after it, in no keyset and no tenant."""
    one = Tenant(name="one", keysets=(due("B2C_1A_First"), due("B2C_1A_Second")))
    two = Tenant(name="two", keysets=(due("B2C_1A_Third"),))
    emulator = bench.begin(one, two, settle="3s")
    emulator.inject(Fault(what=Kind.SLOW, where=LIST, tenant=two.domain, delay=2))
    hang = emulator.inject(Fault(what=Kind.HANG, where=GENERATE))
    daemon = bench.start()
    daemon.log("keyset.planned", tenant="two")
    assert emulator.wait_for(GENERATE)
    daemon.signal(signal.SIGTERM)
    daemon.log("rotator.stopping")
    assert not emulator.wait_for(GENERATE, count=2, timeout=2.5), "a write began after the signal"
    hang.release()
    run = daemon.wait(10)
    assert (run.code, run.logs[-1]["event"]) == (0, "rotator.stopped")
    assert [(line["tenant"], line["keyset"]) for line in run.events("keyset.rotated")] == [("one", "B2C_1A_First")]
    assert [seen.keyset for seen in emulator.seen(GENERATE)] == ["B2C_1A_First"]


def test_daemon_stopped_while_the_answer_to_a_write_is_lost(bench: Bench) -> None:
    """Where the write in flight breaks off, it is looked once whether the key is there, and that is logged."""
    emulator = bench.begin(Tenant(keysets=(due(),)), settle="1s")
    emulator.inject(Fault(what=Kind.RESET, where=GENERATE, when=Moment.AFTER_COMMIT))
    hang = emulator.inject(Fault(what=Kind.HANG, where=GENERATE, when=Moment.AFTER_COMMIT))
    daemon = bench.start()
    assert emulator.wait_for(GENERATE, stage=Stage.COMMITTED)
    daemon.signal(signal.SIGTERM)
    daemon.log("rotator.stopping")
    hang.release()
    run = daemon.wait(10)
    assert (run.code, len(run.events("keyset.rotated"))) == (0, 1)


def test_daemon_stopped_while_it_looks(bench: Bench) -> None:
    """A look that hangs ends with its request, and nothing more is asked."""
    emulator = bench.begin(Tenant(keysets=(due(),)), request_timeout="5s")
    emulator.inject(Fault(what=Kind.HANG, where=LIST))
    daemon = bench.start()
    assert emulator.wait_for(LIST)
    daemon.signal(signal.SIGTERM)
    run = daemon.wait(15)
    assert (run.code, run.logs[-1]["event"]) == (0, "rotator.stopped")
    assert len(emulator.seen(LIST)) == 1


def test_daemon_stopped_while_it_waits_to_ask_again(bench: Bench) -> None:
    """A pause that the service requested is cut short by the wish to stop."""
    emulator = bench.begin(Tenant(keysets=(due(),)))
    emulator.inject(Fault(what=Kind.THROTTLED, where=LIST, retry_after=25))
    daemon = bench.start()
    assert emulator.wait_for(LIST, stage=Stage.ANSWERED)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(12).code == 0


def test_daemon_killed_between_write_and_answer(bench: Bench) -> None:
    """A process that starts again after a crash sees the key that the one before it made, and makes no second one."""
    emulator = bench.begin(Tenant(keysets=(due(),)), check_interval="1s")
    hang = emulator.inject(Fault(what=Kind.HANG, where=GENERATE, when=Moment.AFTER_COMMIT))
    daemon = bench.start()
    assert emulator.wait_for(GENERATE, stage=Stage.COMMITTED)
    daemon.signal(signal.SIGKILL)
    assert daemon.process.wait(5) == -signal.SIGKILL
    hang.remove()
    again = bench.start()
    again.log("sweep.finished", count=2, held=1)
    assert again.stop().code == 0
    assert len(emulator.seen(GENERATE)) == 1


# --- one does not cost the other


def test_daemon_tenant_that_fails(bench: Bench) -> None:
    """A tenant that hangs or refuses does not hold up another's rotation."""
    hanging, refusing = Tenant(name="hanging", keysets=(due(),)), Tenant(name="refusing", keysets=(due(),), roles=())
    emulator = bench.begin(hanging, refusing, Tenant(name="good", keysets=(due(),)))
    hang = emulator.inject(Fault(what=Kind.HANG, where=LIST, tenant=hanging.domain))
    daemon = bench.start()
    assert daemon.log("keyset.rotated")["tenant"] == "good"
    assert daemon.log("keyset.failed")["tenant"] == "refusing"
    hang.release()
    assert daemon.log("keyset.rotated", count=2)["tenant"] == "hanging"


def test_daemon_keyset_that_fails(bench: Bench) -> None:
    """A keyset whose rotation fails costs the ones after it nothing."""
    emulator = bench.begin(Tenant(keysets=(due("B2C_1A_Fails"), Keyset(id="B2C_1A_Gone", is_there=False), due())))
    emulator.inject(Fault(what=Kind.STATUS, status=400, code="AADB2C95032", where=GENERATE, keyset="B2C_1A_Fails"))
    daemon = bench.start()
    daemon.log("keyset.rotated", keyset="B2C_1A_Due")
    assert daemon.log("keyset.failed", keyset="B2C_1A_Fails")["code"] == "AADB2C95032"
    assert daemon.log("keyset.failed", keyset="B2C_1A_Gone")["kind"] == "not_found"


def test_daemon_sweeps_go_on_after_a_failure(bench: Bench) -> None:
    """What failed in one sweep is looked at again in the next, and rotated once it can be."""
    emulator = bench.begin(Tenant(keysets=(due(),)), check_interval="1s")
    refusal = emulator.inject(Fault(what=Kind.STATUS, status=403, where=LIST))
    daemon = bench.start()
    daemon.log("sweep.finished", count=2, failed=1)
    refusal.remove()
    daemon.log("keyset.rotated")


def test_daemon_key_made_disabled_is_enabled(bench: Bench) -> None:
    """Where the service creates keys disabled, the daemon enables its own in the same rotation."""
    emulator = bench.begin(Tenant(keysets=(lapsed(),)))
    emulator.switch(generated_status="disabled")
    daemon = bench.start()
    kid = daemon.log("keyset.rotated")["kid"]
    (patch,) = emulator.seen(Operation.UPDATE_KEY)
    assert patch.path.endswith(f"/{kid}")
    assert emulator.tenants[0].gaps("B2C_1A_Lapsed", time.time() - 0.001, time.time() + 3600) == ()


def test_daemon_service_whose_nodes_disagree(bench: Bench) -> None:
    """While reads flap between before and after a write, no second key is made."""
    switches = Switches(read_after_write_delay=3, read_path="flapping")  # type: ignore[arg-type]
    emulator = bench.begin(Tenant(keysets=(due(),), switches=switches), check_interval="1s", settle="3s")
    daemon = bench.start()
    daemon.log("keyset.rotated")
    seen = len(daemon.events("sweep.finished"))
    daemon.log("sweep.finished", count=seen + 3)
    daemon.stop()
    assert len(emulator.seen(GENERATE)) == 1
