"""The metrics as they are scraped: names, types, labels, first values, and that each one moves."""

import json
import time

import pytest
from end_to_end.harness import DAY, Bench, Keyset, Tenant, due, fresh, key, lapsed
from end_to_end.scrape import OPENMETRICS, PREFIX, Scrape, reached, scrape, swept
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from rotator import __version__
from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import READ_ROLE, KeySeed
from rotator.emulator.model.switches import Status

KEYSET = ("keyset", "tenant")
REASONS = {
    "auth",
    "forbidden",
    "not_found",
    "throttled",
    "network",
    "timeout",
    "service",
    "bad_request",
    "unreadable",
    "mismatch",
    "unconfirmed",
    "conflict",
    "clock_skew",
    "internal",
}

INTERFACE = {
    "build_info": ("gauge", ("python_version", "version")),
    "dry_run": ("gauge", ()),
    "leader": ("gauge", ()),
    "check_interval_seconds": ("gauge", ()),
    "shard_info": ("gauge", ("index", "total")),
    "config_last_reload_successful": ("gauge", ()),
    "config_last_reload_success_timestamp_seconds": ("gauge", ()),
    "keyset_info": ("gauge", ("keyset", "kty", "mode", "tenant", "use")),
    "keyset_active_key_expiration_timestamp_seconds": ("gauge", KEYSET),
    "keyset_coverage_end_timestamp_seconds": ("gauge", KEYSET),
    "keyset_rotation_due_timestamp_seconds": ("gauge", KEYSET),
    "keyset_publish_by_timestamp_seconds": ("gauge", KEYSET),
    "keyset_next_activation_timestamp_seconds": ("gauge", KEYSET),
    "keyset_last_observed_timestamp_seconds": ("gauge", KEYSET),
    "keyset_undated": ("gauge", KEYSET),
    "keyset_keys": ("gauge", ("keyset", "state", "tenant")),
    "keyset_consecutive_failures": ("gauge", KEYSET),
    "rotations": ("counter", ("keyset", "outcome", "tenant")),
    "failures": ("counter", ("reason",)),
    "sweeps": ("counter", ("outcome",)),
    "sweep_duration_seconds": ("histogram", ()),
    "last_sweep_timestamp_seconds": ("gauge", ()),
    "last_success_timestamp_seconds": ("gauge", ()),
    "graph_requests": ("counter", ("code", "operation")),
    "graph_request_duration_seconds": ("histogram", ("operation",)),
    "graph_retries": ("counter", ("reason",)),
    "token_requests": ("counter", ("outcome",)),
    "clock_skew_seconds": ("gauge", ("tenant",)),
}
"""Type and labels of each; a counter's family has no `_total` in OpenMetrics."""

LATER = {"leader"}
"""What belongs to capabilities that are not there yet."""

MORE_LABELS = {"le", "note"}
"""What a histogram's buckets and further metrics are distinguished by."""


def test_metrics_names_types_and_labels(bench: Bench) -> None:
    """Each metric of the interface is exposed with its type and labels, and no other label than those on any."""
    bench.begin(Tenant(keysets=(due(), fresh())))
    daemon = bench.start()
    daemon.log("keyset.rotated")
    found = swept(daemon)
    ours = {name.removeprefix(PREFIX): family for name, family in found.families.items() if name.startswith(PREFIX)}
    assert [name for name in INTERFACE if name not in ours and name not in LATER] == []
    known = {label for _, labels in INTERFACE.values() for label in labels}
    used = {label for family in ours.values() for sample in family.samples for label in sample.labels}
    assert used <= known | MORE_LABELS
    for name, family in ours.items():
        kind, labels = INTERFACE.get(name, (family.type, None))
        assert kind == family.type, name
        assert family.documentation.endswith("."), f"{name} is explained by a sentence"
        if labels is None:
            continue
        assert {labels} == {
            tuple(sorted(label for label in sample.labels if label != "le")) for sample in family.samples
        }, name


def test_metrics_counters_are_there_from_the_start(bench: Bench) -> None:
    """Before anything has happened every counter is at 0 for each label it can have, and what is unknown is absent."""
    bench.begin(Tenant(keysets=(due(), fresh())), Tenant(name="two", keysets=(due(),)))
    hang = bench.emulator.inject(Fault(what=Kind.HANG, where=Operation.DISCOVERY))
    daemon = bench.start()
    assert bench.emulator.wait_for(Operation.DISCOVERY)
    found = scrape(daemon)
    hang.release()
    keysets = [("contoso", "B2C_1A_Due"), ("contoso", "B2C_1A_Fresh"), ("two", "B2C_1A_Due")]
    assert {(tenant, keyset, outcome): 0.0 for tenant, keyset in keysets for outcome in ("rotated", "failed")} == {
        (each["tenant"], each["keyset"], each["outcome"]): found.of("rotations_total", **each)
        for each in found.series("rotations_total")
    }
    assert dict.fromkeys(REASONS, 0.0) == {
        each["reason"]: found.of("failures_total", **each) for each in found.series("failures_total")
    }
    for name, label, least in (
        ("sweeps_total", "outcome", {"succeeded", "failed"}),
        ("graph_retries_total", "reason", {"throttled", "network", "timeout", "service"}),
        ("token_requests_total", "outcome", {"granted", "failed"}),
    ):
        assert least <= {each[label] for each in found.series(name)}, name
        assert {0.0} == {found.of(name, **each) for each in found.series(name)}, name
    operations = {"list_keysets", "get_keyset", "create_keyset", "generate_key", "enable_key"}
    codes = {"401", "403", "429", "500", "503", "error"}
    asked = {(operation, code): 0.0 for operation in operations for code in codes}
    asked |= {(operation, "201" if operation == "create_keyset" else "200"): 0.0 for operation in operations}
    assert asked | {("enable_key", "204"): 0.0} == {
        (each["operation"], each["code"]): found.of("graph_requests_total", **each)
        for each in found.series("graph_requests_total")
    }
    assert operations == {each["operation"] for each in found.series("graph_request_duration_seconds_count")}
    assert found["sweep_duration_seconds_count"] == 0
    for name in ("last_sweep_timestamp_seconds", "last_success_timestamp_seconds", "clock_skew_seconds"):
        assert found.series(name) == [], name
    assert found.series("keyset_coverage_end_timestamp_seconds") == []
    assert found.series("keyset_keys") == []
    assert keysets == [(each["tenant"], each["keyset"]) for each in found.series("keyset_info")]


def test_metrics_no_created_series(bench: Bench) -> None:
    """No `_created` beside the counters, in neither format, and no label that names a kid, a URL or a message."""
    bench.begin(Tenant(keysets=(due(),)))
    daemon = bench.start()
    kid = daemon.log("keyset.rotated")["kid"]
    for accept in ("text/plain", OPENMETRICS):
        text = daemon.get("/metrics", Accept=accept).text
        assert "_created" not in text
        assert kid not in text
        assert bench.emulator.url not in text


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/plain", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0"),
    ],
)
def test_metrics_by_content_negotiation(bench: Bench, accept: str, content_type: str) -> None:
    """Prometheus's text or OpenMetrics, as requested, both of which their own parsers read, with the same samples."""
    bench.begin(Tenant(keysets=(fresh(),)), check_interval="1h")
    daemon = bench.start()
    daemon.log("sweep.finished")
    answer = daemon.get("/metrics", Accept=accept)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(content_type)
    parse = parse_openmetrics if "openmetrics" in content_type else parse_text
    found = Scrape(parse(answer.text))
    assert found.of("sweeps_total", outcome="succeeded") == 1.0
    assert found["sweep_duration_seconds_count"] == 1.0


def test_metrics_of_the_program(bench: Bench) -> None:
    """What runs, how it is configured, and when it read its configuration."""
    began = int(time.time())
    bench.begin(Tenant(keysets=(fresh(wanted={"mode": "observe"}), due())), check_interval="90m", dry_run=True)
    found = swept(bench.start())
    (info,) = found.series("build_info")
    assert __version__ == info["version"]
    assert (
        found["dry_run"],
        found["check_interval_seconds"],
        found["config_last_reload_successful"],
    ) == (1.0, 5400.0, 1.0)
    assert began <= found["config_last_reload_success_timestamp_seconds"] <= time.time()
    assert found.series("keyset_info") == [
        {"tenant": "contoso", "keyset": "B2C_1A_Fresh", "use": "sig", "kty": "RSA", "mode": "observe"},
        {"tenant": "contoso", "keyset": "B2C_1A_Due", "use": "sig", "kty": "RSA", "mode": "rotate"},
    ]


def test_metrics_of_a_keyset(bench: Bench) -> None:
    """The instants are those of the report, and every key is counted in its state."""
    begin = int(time.time())
    keys = (
        KeySeed(nbf=begin - 10 * DAY, exp=begin + 81 * DAY),
        KeySeed(nbf=begin - 100 * DAY, exp=begin - 9 * DAY),
        KeySeed(nbf=begin - 99 * DAY, exp=begin + 1 * DAY),
        KeySeed(nbf=begin + 70 * DAY, exp=begin + 170 * DAY),
        KeySeed(nbf=begin - 5 * DAY, exp=begin + 80 * DAY, status=Status.DISABLED),
        KeySeed(),
    )
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_All", keys=keys),)))
    found = swept(bench.start())
    name = {"tenant": "contoso", "keyset": "B2C_1A_All"}
    assert begin + 81 * DAY == found.of("keyset_active_key_expiration_timestamp_seconds", **name)
    assert begin + 170 * DAY == found.of("keyset_coverage_end_timestamp_seconds", **name)
    activation = begin + 160 * DAY
    assert activation == found.of("keyset_next_activation_timestamp_seconds", **name)
    assert activation - 2 * DAY == found.of("keyset_publish_by_timestamp_seconds", **name)
    assert activation - 16 * DAY == found.of("keyset_rotation_due_timestamp_seconds", **name)
    assert begin <= found.of("keyset_last_observed_timestamp_seconds", **name) <= time.time()
    states = ("active", "upcoming", "retained", "expired", "disabled", "undated")
    assert dict.fromkeys(states, 1.0) == {
        each["state"]: found.of("keyset_keys", **each) for each in found.series("keyset_keys")
    }
    assert found.of("keyset_consecutive_failures", **name) == 0.0


def test_metrics_of_what_does_not_expire(bench: Bench) -> None:
    """If the active key does not expire, or there is none, its end and that of cover are absent: never 0 or now."""
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_Undated", keys=(KeySeed(),)), lapsed())), dry_run=True)
    found = swept(bench.start())
    assert found.series("keyset_active_key_expiration_timestamp_seconds") == []
    assert found.series("keyset_coverage_end_timestamp_seconds") == []
    assert found.of("keyset_keys", tenant="contoso", keyset="B2C_1A_Lapsed", state="expired") == 1.0
    assert found.of("keyset_keys", tenant="contoso", keyset="B2C_1A_Lapsed", state="active") == 0.0


def test_metrics_of_a_rotation(bench: Bench) -> None:
    """A rotation counts once, with its requests; the keyset's next instants are those of the new key."""
    old = key(age=80)
    bench.begin(Tenant(keysets=(Keyset(id="B2C_1A_Due", keys=(old,)),)), check_interval="1h")
    daemon = bench.start()
    name = {"tenant": "contoso", "keyset": "B2C_1A_Due"}
    daemon.log("sweep.finished")  # the rotation may come before the end of the sweep that called for it
    found = reached(daemon, 1, "rotations_total", **name, outcome="rotated")
    assert tuple(found.of("rotations_total", **name, outcome=each) for each in ("rotated", "failed")) == (1.0, 0.0)
    new = bench.keys("B2C_1A_Due")[1]
    assert new.exp == found.of("keyset_coverage_end_timestamp_seconds", **name)
    assert new.nbf + 90 * DAY == found.of("keyset_next_activation_timestamp_seconds", **name)
    for operation, count in (("list_keysets", 1), ("get_keyset", 2), ("generate_key", 1), ("enable_key", 0)):
        assert count == found.of("graph_requests_total", operation=operation, code="200"), operation
        assert count == found.of("graph_request_duration_seconds_count", operation=operation), operation
    assert found.of("token_requests_total", outcome="granted") == 1.0
    assert tuple(found.of("sweeps_total", outcome=each) for each in ("succeeded", "failed")) == (1.0, 0.0)
    assert abs(found.of("clock_skew_seconds", tenant="contoso")) < 10
    assert 0 < found["sweep_duration_seconds_sum"] < 10


def test_metrics_of_a_key_that_had_to_be_enabled(bench: Bench) -> None:
    """The request that enables a key is counted by the status the service gives it."""
    bench.begin(Tenant(keysets=(due(),))).switch(generated_status="disabled")
    daemon = bench.start()
    reached(daemon, 1, "graph_requests_total", operation="enable_key", code="204")
    name = {"tenant": "contoso", "keyset": "B2C_1A_Due"}
    reached(daemon, 1, "rotations_total", **name, outcome="rotated")


def test_metrics_of_a_rotation_that_fails(bench: Bench) -> None:
    """It counts as a failed rotation, as a failure by its kind, and in the keyset's streak."""
    bench.begin(Tenant(keysets=(due(),), roles=(READ_ROLE,)), check_interval="1h")
    daemon = bench.start()
    name = {"tenant": "contoso", "keyset": "B2C_1A_Due"}
    found = reached(daemon, 1, "rotations_total", **name, outcome="failed")
    assert tuple(found.of("rotations_total", **name, outcome=each) for each in ("rotated", "failed")) == (0.0, 1.0)
    assert found.of("failures_total", reason="forbidden") == 1.0
    assert found.of("keyset_consecutive_failures", **name) == 1.0
    assert found.of("graph_requests_total", operation="generate_key", code="403") == 1.0


def test_metrics_of_sweeps_that_fail(bench: Bench) -> None:
    """Failures add up, the time of the last success stands still, and both start again with a success."""
    emulator = bench.begin(Tenant(keysets=(fresh(),)), check_interval="2s")
    daemon = bench.start()
    first = swept(daemon)
    assert first["last_sweep_timestamp_seconds"] == first["last_success_timestamp_seconds"]
    refusal = emulator.inject(Fault(what=Kind.STATUS, status=403, where=Operation.LIST_KEYSETS))
    daemon.log("sweep.finished", failed=1)
    name = {"tenant": "contoso", "keyset": "B2C_1A_Fresh"}
    assert scrape(daemon).of("keyset_coverage_end_timestamp_seconds", **name), "it was seen one interval ago"
    daemon.log("sweep.finished", failed=1, count=2)
    found = scrape(daemon)
    assert found.of("sweeps_total", outcome="failed") >= 2
    assert found.of("failures_total", reason="forbidden") >= 2
    assert found.of("keyset_consecutive_failures", **name) >= 2
    assert found["last_sweep_timestamp_seconds"] > found["last_success_timestamp_seconds"]
    refusal.remove()
    before = len(daemon.events("sweep.finished"))
    daemon.log("sweep.finished", count=before + 2)
    found = scrape(daemon)
    assert found.of("keyset_consecutive_failures", **name) == 0.0
    assert found["last_success_timestamp_seconds"] >= first["last_success_timestamp_seconds"] + 4


def test_metrics_of_a_sweep_that_a_tenant_holds_up(bench: Bench) -> None:
    """A tenant that takes longer than an interval is late: no success, and no reason not to look at the others."""
    slow = Tenant(name="slow", keysets=(fresh(),))
    emulator = bench.begin(slow, Tenant(keysets=(fresh(),)), check_interval="1s")
    hang = emulator.inject(Fault(what=Kind.HANG, where=Operation.LIST_KEYSETS, tenant=slow.domain, times=1))
    daemon = bench.start()
    daemon.log("sweep.finished", late=1, held=1, count=2)
    found = reached(daemon, 2, "sweeps_total", outcome="failed")
    assert found.of("sweeps_total", outcome="succeeded") == 0
    assert found.series("last_success_timestamp_seconds") == []
    assert len(bench.asked(Operation.LIST_KEYSETS, tenant=slow.domain)) == 1, "it is not asked anew before it is done"
    hang.release()
    reached(daemon, 1, "sweeps_total", outcome="succeeded")


def test_metrics_of_a_keyset_that_was_not_seen_for_long(bench: Bench) -> None:
    """After two and a half intervals without an observation, what was seen is gone: old news looks like news."""
    emulator = bench.begin(Tenant(keysets=(fresh(),)), check_interval="1s")
    daemon = bench.start()
    swept(daemon)
    emulator.inject(Fault(what=Kind.STATUS, status=403, where=Operation.LIST_KEYSETS))
    daemon.log("sweep.finished", failed=1, count=6)
    found = scrape(daemon)
    for metric in ("keyset_coverage_end_timestamp_seconds", "keyset_last_observed_timestamp_seconds", "keyset_keys"):
        assert found.series(metric) == [], metric
    assert found.of("keyset_info", tenant="contoso", keyset="B2C_1A_Fresh", use="sig", kty="RSA", mode="rotate") == 1.0


@pytest.mark.parametrize(
    ("fault", "reason", "code"),
    [
        (Fault(what=Kind.THROTTLED, retry_after=0, times=1, where=Operation.LIST_KEYSETS), "throttled", "429"),
        (Fault(what=Kind.STATUS, status=503, retry_after=0, times=1, where=Operation.LIST_KEYSETS), "service", "503"),
        (Fault(what=Kind.RESET, times=1, where=Operation.LIST_KEYSETS), "network", "error"),
        (Fault(what=Kind.HANG, times=1, where=Operation.LIST_KEYSETS), "timeout", "error"),
    ],
    ids=["throttled", "service", "network", "timeout"],
)
def test_metrics_of_requests_that_are_made_again(bench: Bench, fault: Fault, reason: str, code: str) -> None:
    """A GET that is made again counts as a retry by its reason, and each attempt by its result."""
    bench.begin(Tenant(keysets=(fresh(),)), request_timeout="4s").inject(fault)
    found = swept(bench.start())
    assert found.of("graph_retries_total", reason=reason) == 1.0
    assert found.of("graph_requests_total", operation="list_keysets", code=code) == 1.0
    assert found.of("graph_requests_total", operation="list_keysets", code="200") == 1.0
    assert found.of("graph_request_duration_seconds_count", operation="list_keysets") == 2.0
    assert found.of("failures_total", reason=reason) == 0.0


def test_metrics_of_tokens_that_are_not_granted(bench: Bench) -> None:
    """A refused token counts as such, and as a failure of each keyset of the tenant."""
    bench.begin(Tenant(keysets=(fresh(), due())))
    bench.secret_file.write_text("kE8Q~another-secret-that-is-wrong.aB3")
    found = swept(bench.start())
    assert tuple(found.of("token_requests_total", outcome=each) for each in ("granted", "failed")) == (0.0, 1.0)
    assert found.of("failures_total", reason="auth") == 2.0


def test_metrics_of_a_clock_that_is_wrong(bench: Bench) -> None:
    """The skew is how far the local clock is ahead of the service's, by tenant."""
    emulator = bench.begin(Tenant(keysets=(due(),)), Tenant(name="two", keysets=(fresh(),)))
    emulator.inject(Fault(what=Kind.WRONG_DATE, skew=-600, tenant="contoso.onmicrosoft.com"))
    daemon = bench.start()
    daemon.log("sweep.finished")  # both have been looked at
    found = reached(daemon, 1, "failures_total", reason="clock_skew")
    assert abs(found.of("clock_skew_seconds", tenant="contoso") - 600) < 10
    assert abs(found.of("clock_skew_seconds", tenant="two")) < 10


def test_metrics_agree_with_the_status_document(bench: Bench) -> None:
    """The two views of one look say the same."""
    bench.begin(Tenant(keysets=(fresh(), due())), dry_run=True)
    daemon = bench.start()
    found = swept(daemon)
    for row in json.loads(daemon.get("/status.json").text)["keysets"]:
        name = {"tenant": row["tenant"], "keyset": row["keyset"]}
        for member, metric in (
            ("covered_until", "coverage_end"),
            ("renewal_due", "rotation_due"),
            ("publish_by", "publish_by"),
            ("activation", "next_activation"),
        ):
            value = found.of(f"keyset_{metric}_timestamp_seconds", **name)
            assert row[member] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(value)), metric
