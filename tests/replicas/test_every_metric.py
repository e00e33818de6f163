"""
Every metric moves: one real process to which everything happens that is counted.

What stands still from the first scrape to the last is a metric that nobody feeds, and
an alert on it would never fire. There is a tenant for each reason of failure; a bug
and a sweep that hangs are put into the process, since it is meant to have neither.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from end_to_end.harness import Bench, Keyset, Running, Tenant, due, fresh, key
from end_to_end.scrape import PREFIX, scrape
from kubernetes import fake_api as fake
from kubernetes.fake_api import Kubernetes
from replicas.fleet import PERIODS

from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import READ_ROLE
from rotator.emulator.model.switches import Status, Switches

LIST, GENERATE = Operation.LIST_KEYSETS, Operation.GENERATE_KEY

CONSTANT = {
    "build_info",
    "shard_info",
    "log_lines_dropped",
    "publication_delay_seconds",  # these two move in tests/end_to_end/test_proof.py
    "activation_delay_seconds",
}
"""Metrics that stay the same until the process ends; lines are dropped in `tests/surroundings/test_stuck.py`."""

EXPECTED_CODES = {"200", "201"}
"""Of the statuses that are there from the start these must come; the others are whatever Graph may answer."""

PATIENCE = 60.0

GREMLIN = """
import pathlib, sys, threading, time

def bug(*_):
    raise RuntimeError("a bug")

def hang(*arguments, **options):
    time.sleep(5)
    return wait(*arguments, **options)

def work():
    global wait
    orders = pathlib.Path({orders!r})
    while not (orders / "raise").exists():
        time.sleep(0.05)
    sweeps, visit = sys.modules["rotator.shell.sweeps"], sys.modules["rotator.shell.visit"].Visit
    look, wait, visit.look = visit.look, sweeps.wait, bug
    while not (orders / "hang").exists():
        time.sleep(0.05)
    visit.look, sweeps.wait = look, hang
    while not (orders / "go on").exists():
        time.sleep(0.05)
    sweeps.wait = wait

threading.Thread(target=work, daemon=True).start()
"""
"""Loaded by the interpreter before the program: makes every look raise, or every sweep hang, while a file says so."""


def _tenant(reason: str, keyset: Keyset, **more: object) -> Tenant:
    return Tenant(name=reason.replace("_", "-"), keysets=(keyset,), **more)  # type: ignore[arg-type]


def _tenants(other_secret: Path) -> list[Tenant]:
    """The one in which all goes well, and one for each reason of failure."""
    disabled = key(age=-80, status=Status.DISABLED)
    missing = Keyset(id="B2C_1A_New", is_there=False, wanted={"create": True})
    good = Tenant(
        keysets=(
            due(),
            fresh(),
            Keyset(id="B2C_1A_Noted", keys=(key(age=10), disabled)),
            Keyset(id="B2C_1A_Net"),
            missing,
        ),
        switches=Switches(generated_status=Status.DISABLED, update_answers_key=True),
    )
    return [
        good,
        _tenant("auth", fresh(), credential={"client_secret_file": str(other_secret)}),
        _tenant("forbidden", due(), roles=(READ_ROLE,)),
        _tenant("not_found", Keyset(id="B2C_1A_Missing", is_there=False)),
        *(_tenant(reason, fresh()) for reason in ("throttled", "network", "timeout", "service", "unreadable")),
        *(_tenant(reason, due()) for reason in ("bad_request", "mismatch", "unconfirmed", "conflict", "clock_skew")),
    ]


FAULTS = {
    "throttled": Fault(what=Kind.THROTTLED, retry_after=0, where=LIST),
    "network": Fault(what=Kind.RESET, where=LIST),
    "timeout": Fault(what=Kind.HANG, where=LIST),
    "service": Fault(what=Kind.STATUS, status=503, where=LIST),
    "unreadable": Fault(what=Kind.HTML, status=200, where=LIST),
    "bad_request": Fault(what=Kind.STATUS, status=400, code="AADB2C95032", where=GENERATE),
    "mismatch": Fault(what=Kind.ALTERED, where=GENERATE),
    "unconfirmed": Fault(what=Kind.LOST, where=GENERATE),
    "conflict": Fault(what=Kind.STATUS, status=409, code="AADB2C95053", where=GENERATE),
    "clock_skew": Fault(what=Kind.WRONG_DATE, skew=-600),
}


class Series(NamedTuple):
    """A series; *family* is the metric's name without what a sample's kind adds to it."""

    family: str
    name: str
    labels: frozenset[tuple[str, str]]


class Record:
    """Every series of ours that was ever scraped; buckets apart, since their counts tell as much."""

    def __init__(self, daemon: Running) -> None:
        self._daemon = daemon
        self._scrapes: list[dict[Series, float]] = []

    def until(self, name: str, least: float = 1, **labels: str) -> None:
        """Scrape, at least once, until that series has *least*."""
        end = time.monotonic() + PATIENCE
        series = Series(name.removesuffix("_total"), name, frozenset(labels.items()))
        while self._scrape().get(series, -1) < least:
            assert time.monotonic() < end, f"{name} {labels} did not reach {least}"
            time.sleep(0.1)

    def still(self) -> set[str]:
        """The series that were there at first, and had one and the same value in every scrape; of statuses, one."""
        return {
            f"{series.name}{dict(series.labels) or ''}"
            for series, value in self._scrapes[0].items()
            if dict(series.labels).get("code", "200") in EXPECTED_CODES
            and {value} == {each.get(series) for each in self._scrapes}
        }

    def families_still(self) -> set[str]:
        """The metrics of which no series ever came, went, or changed."""
        known = {series for each in self._scrapes for series in each}
        moved = {series for series in known if len({each.get(series) for each in self._scrapes}) > 1}
        return {series.family for series in known} - {series.family for series in moved}

    def _scrape(self) -> dict[Series, float]:
        self._scrapes.append(
            {
                Series(family.name.removeprefix(PREFIX), name.removeprefix(PREFIX), frozenset(labels.items())): value
                for family in scrape(self._daemon).families.values()
                for name, labels, value, *_ in family.samples
                if family.name.startswith(PREFIX) and not name.endswith("_bucket")
            }
        )
        return self._scrapes[-1]


def test_every_metric_moves(bench: Bench, api: Kubernetes, tmp_path: Path) -> None:
    """Each metric changes, and so does each series that exists from the start: none is without a source."""
    orders = tmp_path / "orders"
    for each in (orders, tmp_path / "site"):
        each.mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(GREMLIN.format(orders=str(orders)))
    other_secret = tmp_path / "other-secret"
    other_secret.write_text("kE8Q~another-secret-that-is-wrong.aB3")
    tenants = _tenants(other_secret)
    election = {**PERIODS, "service_account_directory": str(api.mount(tmp_path / "account", "pod-0"))}
    emulator = bench.begin(
        *tenants,
        check_interval="1s",
        request_timeout="2s",
        concurrency=len(tenants),
        leader_election=election,
    )
    for reason, fault in FAULTS.items():
        emulator.inject(replace(fault, tenant=f"{reason.replace('_', '-')}.onmicrosoft.com"))
    bench.content["tenants"][0]["credential"]["client_secret_expires"] = "2031-01-01"
    bench.write()
    unheard = api.inject(fake.Fault(what=fake.Kind.HANG))
    daemon = bench.start(env={**api.environment, "PYTHONPATH": str(tmp_path / "site")})
    daemon.may_raise = True

    record = Record(daemon)
    record.until("leader", 0)
    unheard.remove()
    record.until("leader")
    for reason in ("auth", "forbidden", "not_found", *FAULTS):
        record.until("failures_total", reason=reason)
    record.until("rotations_total", tenant="contoso", keyset="B2C_1A_Due", outcome="rotated")
    record.until("rotations_total", tenant="contoso", keyset="B2C_1A_New", outcome="rotated")
    for name in ("raise", "hang"):
        (orders / name).touch()
        outcome = {"raise": "raised", "hang": "missed"}[name]
        record.until("sweeps_total", outcome=outcome)
    (orders / "go on").touch()
    api.inject(fake.Fault(what=fake.Kind.STATUS, method="PUT", times=1))
    record.until("lease_renew_failures_total")

    bench.config.write_text("tenants: many")
    record.until("config_reloads_total", outcome="rejected")
    del bench.content["tenants"][1:]
    bench.content |= {"dry_run": True, "check_interval": "2s"}
    bench.write()
    record.until("config_reloads_total", outcome="accepted")
    record.until("sweeps_total", outcome="succeeded")

    assert record.families_still() == CONSTANT
    assert {name for name in record.still() if not name.startswith(tuple(CONSTANT))} == set()
    daemon.stop()
