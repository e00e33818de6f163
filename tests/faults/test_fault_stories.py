"""
Faults that are more than one line of a table: second writers, least leads, wrong clocks, hidden keys.

Everything is played at once, by passes and by daemons of the real program, each with
tenants of its own on one emulated service; then each test looks at its part.
"""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from end_to_end.harness import DAY, LIFE, Bench, Finished, Running, Tenant, due, instant, lapsed
from faults.rig import (
    blind_repeats,
    by_tenant,
    configure,
    once,
    play_once,
    posts,
    rows_of,
    spoken,
    wait_for_all,
)

from rotator.core.keyset import Key, Keyset
from rotator.core.reasons import Reason
from rotator.core.rotation import Hold, decide
from rotator.edges import config
from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Seen
from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import ReadPath, Switches

KEYSET = "B2C_1A_Due"
GENERATE = Operation.GENERATE_KEY
LEAD = timedelta(hours=3, minutes=2)
"""What is requested where the service refuses a sooner nbf."""

WRITERS = {
    "writer-409": Fault(what=Kind.STATUS, status=409, code="Conflict"),
    "writer-412": Fault(what=Kind.STATUS, status=412, code="PreconditionFailed"),
    "writer-95053": Fault(what=Kind.STATUS, status=400, code="AADB2C95053"),
}
"""How a request is refused while somebody else writes."""

STALE = {
    "stale-briefly": Switches(read_after_write_delay=0.5),
    "stale-for-long": Switches(read_after_write_delay=3.5),
    "flapping": Switches(read_after_write_delay=DAY, read_path=ReadPath.FLAPPING),
}
"""Services whose reads lag behind their writes, by less and by more than `settle`."""

ALTERED = {"an-hour-later": 3600, "an-hour-sooner": -3600}
"""By how many seconds a service makes keys with other dates than requested."""

LEADS = {"needs-3h": 3 * 3600 + 60, "needs-a-day": DAY}
"""The least leads of services that refuse a sooner nbf; both keysets have no valid key."""

KINDS: dict[str, tuple[Operation | None, Fault]] = {
    "auth": (Operation.TOKEN, Fault(what=Kind.STATUS, status=401, code="invalid_client")),
    "forbidden": (Operation.LIST_KEYSETS, Fault(what=Kind.STATUS, status=403)),
    "not_found": (Operation.GET_KEYSET, Fault(what=Kind.STATUS, status=404)),
    "throttled": (Operation.LIST_KEYSETS, Fault(what=Kind.THROTTLED)),
    "network": (Operation.LIST_KEYSETS, Fault(what=Kind.RESET)),
    "timeout": (GENERATE, Fault(what=Kind.STATUS, status=408)),
    "service": (Operation.LIST_KEYSETS, Fault(what=Kind.STATUS, status=503)),
    "bad_request": (GENERATE, Fault(what=Kind.STATUS, status=400)),
    "unreadable": (Operation.LIST_KEYSETS, Fault(what=Kind.HTML, status=200)),
    "mismatch": (GENERATE, Fault(what=Kind.ALTERED, where=GENERATE)),
    "unconfirmed": (GENERATE, Fault(what=Kind.LOST, where=GENERATE)),
    "conflict": (Operation.LIST_KEYSETS, Fault(what=Kind.STATUS, status=409)),
    "clock_skew": (None, Fault(what=Kind.WRONG_DATE, skew=-400)),
}
"""For each kind of failure except `internal`, a fault that causes it."""

SKEWED = "skewed"  # a service whose clock is 70 s behind
HIDING = "hiding"  # a service that never shows a new key
RESETTING = "resetting"  # a service that resets the connection twice before it does anything


@dataclass(frozen=True, kw_only=True)
class Played:
    """
    What came of it.

    passes:   the rows of each pass, by tenant
    codes:    the exit code of each pass that only visited the tenant `needs-3h`
    requests: by tenant
    keys:     nbf and exp of the new keys, by tenant, at the very end
    turns:    how the turn of each old key ends, by tenant
    later:    why the keyset of `needs-3h` is held right before its key activates, and from then on
    """

    passes: Sequence[Mapping[str, Mapping[str, Any]]]
    codes: Sequence[int]
    remark: str
    requests: Mapping[str, Sequence[Seen]]
    keys: Mapping[str, Sequence[tuple[int, int]]]
    turns: Mapping[str, int]
    later: tuple[Reason, Reason]
    hiding: Finished
    failing: Finished
    metrics: str
    status: Sequence[Mapping[str, Any]]


def named(kind: str) -> str:
    """The tenant in which a kind of failure happens."""
    return kind.replace("_", "-")


def tenants() -> Iterator[Tenant]:
    """Every tenant with a fault."""
    for name in (*WRITERS, *ALTERED, RESETTING, SKEWED, *map(named, KINDS)):
        yield Tenant(name=name, keysets=(due(KEYSET),))
    for name, switches in STALE.items():
        yield Tenant(name=name, keysets=(due(KEYSET),), switches=switches)
    yield Tenant(name=HIDING, keysets=(due(KEYSET),), switches=Switches(read_after_write_delay=DAY))
    for name, lead in LEADS.items():
        yield Tenant(name=name, keysets=(lapsed(KEYSET),), switches=Switches(minimum_nbf_lead=lead))


def play(folder: Path) -> Played:
    """Run all tenants."""
    everybody = {tenant.name: tenant for tenant in tenants()}
    with Bench(folder) as bench:
        bench.begin(*everybody.values())
        inject(bench, everybody)
        passing = [everybody[name] for name in (*WRITERS, *ALTERED, *STALE, "needs-a-day")]
        hasty = {"check_interval": "1s", "log": {"level": "debug", "format": "json"}}
        hiding = daemon(bench, "hiding", [everybody[HIDING], everybody[RESETTING]], **hasty)
        failing = daemon(bench, "failing", [everybody[name] for name in (*map(named, KINDS), SKEWED)])
        several = configure(bench, "passing", passing)
        early = configure(bench, "early", [everybody["needs-3h"]])
        with second_writers(bench, everybody):
            passes = [once(bench, several), once(bench, early)]
            metrics, status = pages(failing)
            failed = failing.stop()  # before it looks a second time at what failed: a minute later
            firsts = wait_for_all(passes)
        time.sleep(STALE["stale-for-long"].read_after_write_delay)
        thens = wait_for_all([once(bench, several), once(bench, early)])
        (last,) = wait_for_all([once(bench, early)])
        bench.emulator.wait_for(Operation.LIST_KEYSETS, tenant=everybody[HIDING].domain, count=8, timeout=60)
        return Played(
            passes=[{name: row for run in runs for name, (row,) in rows_of(run).items()} for runs in (firsts, thens)],
            codes=[firsts[1].code, thens[1].code, last.code],
            remark=firsts[1].events("keyset.rotated")[0].get("remark", ""),
            hiding=hiding.stop(),
            failing=failed,
            requests=by_tenant(bench.emulator.requests),
            keys={name: [(key.nbf, key.exp) for key in bench.keys(KEYSET, name)[1:]] for name in everybody},
            turns={name: bench.keys(KEYSET, name)[0].nbf + 90 * DAY for name in everybody},
            later=held_later(early, bench.keys(KEYSET, "needs-3h")),
            metrics=metrics,
            status=status,
        )


def inject(bench: Bench, everybody: Mapping[str, Tenant]) -> None:
    """Set the faults that exist from the start."""
    faults = [(name, replace(fault, where=GENERATE, times=1)) for name, fault in WRITERS.items()]
    faults += [(name, Fault(what=Kind.ALTERED, where=GENERATE, shift=shift)) for name, shift in ALTERED.items()]
    faults += [(named(kind), replace(fault, where=where)) for kind, (where, fault) in KINDS.items()]
    faults.append((RESETTING, Fault(what=Kind.RESET, where=GENERATE, times=2)))
    faults.append((SKEWED, Fault(what=Kind.WRONG_DATE, skew=-70)))
    for name, fault in faults:
        bench.emulator.inject(replace(fault, tenant=everybody[name].domain))


@contextmanager
def second_writers(bench: Bench, everybody: Mapping[str, Tenant]) -> Iterator[None]:
    """While a request for a key is under way, somebody else adds that very key."""

    def write(name: str) -> None:
        tenant = bench.emulator.tenant(everybody[name].domain)
        bench.emulator.wait_for(GENERATE, tenant=tenant.domain, timeout=60)
        nbf = bench.keys(KEYSET, name)[0].nbf + 90 * DAY
        tenant.add_key(KEYSET, KeySeed(nbf=nbf, exp=nbf + int(LIFE.total_seconds())))
        pauses[name].release()

    pauses = {
        name: bench.emulator.inject(Fault(what=Kind.HANG, where=GENERATE, tenant=everybody[name].domain, times=1))
        for name in WRITERS
    }
    threads = [threading.Thread(target=write, args=(name,)) for name in WRITERS]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


def daemon(bench: Bench, name: str, visited: Sequence[Tenant], **settings: object) -> Running:
    """Start the daemon for some tenants."""
    return bench.start("--config", str(configure(bench, name, visited, **settings)))


def pages(running: Running) -> tuple[str, list[Mapping[str, Any]]]:
    """The metrics and the rows of a daemon, once every kind of failure has shown, or none comes any more."""
    until = time.monotonic() + 50
    rows: list[Mapping[str, Any]] = []
    while time.monotonic() < until and not (
        KINDS.keys() <= {row["reason"] for row in rows} and SKEWED in rotated(rows)
    ):
        time.sleep(0.2)
        rows = json.loads(running.get("/status.json").text)["keysets"]
    return running.get("/metrics").text, rows


def rotated(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """The tenants whose keyset was rotated."""
    return {row["tenant"] for row in rows if row["outcome"] == "rotated"}


def held_later(path: Path, found: Sequence[Any]) -> tuple[Reason, Reason]:
    """Why the only keyset of *path*, with the keys *found*, is held a second before the last activates, and then."""
    settings = config.load(path, {})
    (policy,) = settings.policies(settings.tenants[0])
    keys = tuple(
        Key(
            kid=key.kid,
            nbf=datetime.fromtimestamp(key.nbf, UTC),
            exp=datetime.fromtimestamp(key.exp, UTC),
            use=key.use,
            kty=key.kty,
        )
        for key in found
    )
    keyset, activation = Keyset(id=KEYSET, keys=keys), keys[-1].activates
    before = decide(
        policy, keyset, activation - timedelta(seconds=1), minimum_lead=LEAD
    )  # after the refusal of a sooner one
    after = decide(policy, keyset, activation)
    assert isinstance(before, Hold)
    assert isinstance(after, Hold)
    return before.reason, after.reason


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The result."""
    return play_once(tmp_path_factory, "stories", play)


def told(row: Mapping[str, Any]) -> tuple[str, str]:
    """What a row says in short."""
    return row["outcome"], row["reason"]


def successor(played: Played, name: str) -> tuple[int, int]:
    """The dates of the one right successor of a tenant's key."""
    return played.turns[name], played.turns[name] + int(LIFE.total_seconds())


@pytest.mark.parametrize("name", WRITERS)
def test_second_writer(played: Played, name: str) -> None:
    """If a request is refused because somebody else writes, and their key shows then, no second key is requested."""
    first, then = (each[name] for each in played.passes)
    assert [told(first), told(then)] == [("held", "not_due")] * 2
    assert [successor(played, name)] == played.keys[name]
    assert len(posts(played.requests[name])) == 1


@pytest.mark.parametrize("name", ALTERED)
def test_other_dates(played: Played, name: str) -> None:
    """A key with other dates than requested is a mismatch that names both; no further key is made beside it."""
    first, then = (each[name] for each in played.passes)
    assert (told(first), then["outcome"]) == (("failed", "mismatch"), "held")
    (nbf, exp), (asked_nbf, asked_exp) = played.keys[name][0], successor(played, name)
    for got, asked in ((nbf, asked_nbf), (exp, asked_exp)):
        assert f"is {instant(got)}, not {instant(asked)}" in first["error"]["message"]
    assert len(posts(played.requests[name])) == len(played.keys[name]) == 1


@pytest.mark.parametrize(
    ("name", "comes_to"),
    [
        ("stale-briefly", ("rotated", "renewal_due")),
        ("stale-for-long", ("failed", "unconfirmed")),
        ("flapping", ("rotated", "renewal_due")),
    ],
)
def test_stale_reads(played: Played, name: str, comes_to: tuple[str, str]) -> None:
    """A key that reads do not show yet is waited for, then reported as unconfirmed; once it shows, it is enough."""
    first, then = (each[name] for each in played.passes)
    assert [comes_to, ("held", "not_due")] == [told(first), told(then)]
    assert [successor(played, name)] == played.keys[name]


def test_least_lead(played: Played) -> None:
    """Where the service refuses an nbf as too soon, one with the lead known from the field is requested, loudly."""
    requests, (key,) = played.requests["needs-3h"], played.keys["needs-3h"]
    refused, granted, *later = posts(requests)
    assert [refused.status, granted.status, *(post.status for post in later)] == [400, 200, 400, 400]
    assert "nbf" in played.remark
    assert "3h2m" in played.remark
    for post, lead in ((refused, timedelta()), (granted, LEAD)):
        assert abs(spoken(post.body)["nbf"] - post.time - lead.total_seconds()) < 5
    assert (key[0], key[0] + int(LIFE.total_seconds())) == key
    assert told(played.passes[0]["needs-3h"]) == ("rotated", "no_valid_key")


def test_least_lead_held(played: Played) -> None:
    """Until that key is valid every look holds with no_valid_key and 3, and makes no other; then the keyset is well."""
    assert told(played.passes[1]["needs-3h"]) == ("held", "no_valid_key")
    assert played.codes == [0, 3, 3]
    assert played.later == (Reason.NO_VALID_KEY, Reason.NOT_DUE)
    assert len(played.keys["needs-3h"]) == 1


def test_least_lead_refused(played: Played) -> None:
    """A service that refuses that lead as well is asked no third time in a pass."""
    assert [told(each["needs-a-day"]) for each in played.passes] == [("failed", "bad_request")] * 2
    assert [post.status for post in posts(played.requests["needs-a-day"])] == [400] * 4


def test_hidden_keys(played: Played) -> None:
    """A service that hides new keys gets no more than two of them; then the keyset is held by the guard, aloud."""
    held = played.hiding.events("keyset.held")
    assert len(played.keys[HIDING]) <= 2, "every sweep made another key, and none can be taken back"
    assert list({(line["tenant"], line["reason"]) for line in held if line["tenant"] == HIDING}) == [
        (HIDING, "runaway_guard")
    ]
    assert {line["level"] for line in held if line["reason"] == "runaway_guard"} <= {"warning", "error"}


def test_daemon_never_repeats_blindly(played: Played) -> None:
    """A daemon asks again after an unknown outcome only after two looks that show nothing, and makes one key."""
    requests = played.requests[RESETTING]
    assert [post.status for post in posts(requests)] == [None, None, 200]
    assert not blind_repeats(requests)
    assert [successor(played, RESETTING)] == played.keys[RESETTING]
    assert not blind_repeats(played.requests[HIDING])


@pytest.mark.parametrize("kind", KINDS)
def test_every_failure_shows(played: Played, kind: str) -> None:
    """A failure of whatever kind is a line in the log, counted, and stands in the status."""
    (line,) = (each for each in played.failing.events("keyset.failed") if each["tenant"] == named(kind))
    assert ("error", kind) == (line["level"], line["kind"])
    assert f'b2c_rotator_failures_total{{reason="{kind}"}} 1.0\n' in played.metrics
    failures = f'b2c_rotator_keyset_consecutive_failures{{keyset="{KEYSET}",tenant="{named(kind)}"}} 1.0\n'
    assert failures in played.metrics
    (row,) = (each for each in played.status if each["tenant"] == named(kind))
    assert ("failed", kind) == told(row)


def test_clock_that_is_a_little_wrong(played: Played) -> None:
    """A skew of more than a minute is reported and measured, and keys are made nevertheless."""
    skewed = [line for line in played.failing.events("clock.skewed") if line["tenant"] == SKEWED]
    assert [line["level"] for line in skewed] == ["warning"]
    assert abs(skewed[0]["seconds"] - 70) < 10
    assert abs(skew(played, SKEWED) - 70) < 10
    assert [successor(played, SKEWED)] == played.keys[SKEWED]


def test_clock_that_is_wrong(played: Played) -> None:
    """A skew of more than five minutes is reported and measured, and no key is made."""
    assert abs(skew(played, named("clock_skew")) - 400) < 10
    assert not posts(played.requests[named("clock_skew")])
    assert not played.keys[named("clock_skew")]


def skew(played: Played, name: str) -> float:
    """The skew of a tenant as measured."""
    (value,) = re.findall(rf'^b2c_rotator_clock_skew_seconds{{tenant="{name}"}} (\S+)$', played.metrics, re.MULTILINE)
    return float(value)
