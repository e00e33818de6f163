"""The rule file, the dashboard and the runbook: valid, tested, and true to the program."""

import json
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from edges.test_x5c import ISSUER, LEAF
from end_to_end.harness import Bench, Keyset, Tenant, due, fresh, key
from monitoring.stack import (
    DASHBOARD,
    RULE_TESTS,
    RULES,
    RUNBOOK,
    WEEK_TESTS,
    alerts,
    all_rules,
    expressions,
    metric_names,
    panels,
    promtool,
    wait_for,
)
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from rotator import cli
from rotator.core.assessment import NoteKind
from rotator.core.errors import FailureKind
from rotator.core.findings import FindingKind
from rotator.core.keyset import KeyState
from rotator.core.proof import Slot
from rotator.core.reasons import Reason, Refusal
from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.switches import Status
from rotator.shell.gates import MAX_SKEW, NOTABLE_SKEW

ALERTS = alerts()
RULE_CASES: list[dict[str, Any]] = yaml.safe_load(RULE_TESTS.read_text(encoding="utf-8"))["tests"]
RUNBOOK_TEXT = RUNBOOK.read_text(encoding="utf-8")
DASHBOARD_CONTENT: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
LOGS = (RULES.parents[2] / "docs" / "logs.md").read_text(encoding="utf-8")
OTHER_ENDS = ("B2CCertificateExpiring", "B2CKeysetExpiring")
OF_A_PROBE = (
    "policy_token_lifetime_seconds",
    "policy_jwks_consecutive_failures",
    "jwks_fetches_total",
    "canary_tokens_total",
    "keyset_changes_total",
)
VALUES = {
    "state": {state.value for state in KeyState},
    "reason": {word.value for words in (Reason, Refusal, FailureKind) for word in words},
    "outcome": {"held", "planned", "rotated", "failed"},
    "note": {kind.value for kinds in (NoteKind, FindingKind) for kind in kinds},
    "mode": {"inventory"},
    "slot": {slot.value for slot in Slot},
    "code": {"429"},
    "alertname": set(ALERTS),
    "alertstate": {"firing"},
}
"""What the labels that a query may ask for can be."""


# --- the rules


@pytest.mark.usefixtures("programs")
def test_rules_make_sense_to_promtool() -> None:
    """Prometheus' own tool finds nothing wrong with the rule file."""
    checked = promtool("check", "rules", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"SUCCESS: {len(all_rules())} rules found" in checked.stdout


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("file", [RULE_TESTS, WEEK_TESTS], ids=lambda file: file.stem)
def test_rules_fire_at_the_right_moment(file: Path) -> None:
    """Each alert fires when the file says, with these words, and not before, nor for what only looks like it."""
    tested = promtool("test", "rules", file)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize(
    ("old", "new", "case"),
    [
        pytest.param("0.25 *", "0.3 *", "a key of a year that gets no successor", id="a threshold"),
        pytest.param("for: 15m", "for: 14m", "a rotation that fails", id="a wait"),
        pytest.param("consecutive_failures[", "failures[", "a rotation that fails", id="the name of a metric"),
        pytest.param("[10m]", "[2m]", "a rotation that fails", id="what bridges a gap"),
        pytest.param("b2c_rotator_leader[", "b2c_leader[", "what a former leader leaves behind", id="who leads"),
        pytest.param("(.+)-[0-9]+", "(.+)-x[0-9]+", "a shard that nobody has", id="which shards belong together"),
        pytest.param("[3d]", "[9m]", "somebody takes over and sweeps slowly", id="whose sweep counts"),
        pytest.param(
            ":closed[1h]", ":known[1h]", "a rotation that fails while looks lie far apart", id="what stands meanwhile"
        ),
        pytest.param(
            ":known[1h]", ":max[1h]", "cover runs out while the keyset cannot be seen", id="what is remembered"
        ),
    ],
)
def test_rule_tests_notice_a_change(tmp_path: Path, old: str, new: str, case: str) -> None:
    """A rule file that was changed fails the tests of the rules."""
    text = RULES.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "rules.yaml").write_text(text.replace(old, new), encoding="utf-8")
    cases = [test for test in RULE_CASES if test["name"] == case]
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": cases}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    tested = promtool("test", "rules", tmp_path / "tests.yaml")
    assert (tested.returncode, "FAILED" in tested.stdout + tested.stderr) == (1, True)


@pytest.mark.parametrize("name", ALERTS)
def test_alert_is_tested_both_ways(name: str) -> None:
    """Each alert has a moment at which it fires, a moment before it at which it does not, and a case without it."""
    fires, quiet, just_before = 0, 0, 0
    for test in RULE_CASES:
        checks = [check for check in test.get("alert_rule_test", []) if check["alertname"] == name]
        firing = [_minutes(check["eval_time"]) for check in checks if check["exp_alerts"]]
        silent = [_minutes(check["eval_time"]) for check in checks if not check["exp_alerts"]]
        fires += len(firing)
        quiet += bool(silent)
        just_before += any(late - early in (1, 2) for late in firing for early in silent)
    assert fires
    assert quiet
    assert just_before


def test_alerts_have_no_label_of_a_process() -> None:
    """What fires is about a keyset, a tenant or a job: not about a pod, whose restart would make it another alert."""
    checks = [check for test in RULE_CASES for check in test.get("alert_rule_test", [])]
    labels = {label for check in checks for alert in check["exp_alerts"] for label in alert["exp_labels"]}
    assert labels == {"severity", "cluster", "tenant", "keyset", "note", "job"}


def _minutes(span: str) -> int:
    found = re.fullmatch(r"(\d+)m", span)
    assert found, span
    return int(found.group(1))


@pytest.mark.parametrize("name", ALERTS)
def test_alert_says_what_somebody_on_call_needs(name: str) -> None:
    """Each alert has a severity, says which keyset, tenant or job, what breaks, and where to read on."""
    alert = ALERTS[name]
    assert re.fullmatch(r"B2C([A-Z][a-z]+)+", name)
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    summary, description = alert["annotations"]["summary"], alert["annotations"]["description"]
    assert re.search(r"\$labels\.(keyset|tenant|job)", summary)
    assert re.search(r"[Uu]sers|[Nn]obody|[Ss]ign-in", description), "what does it mean for users?"
    base, _, anchor = alert["annotations"]["runbook_url"].rpartition("#")
    assert anchor in {_anchor(title) for title in _sections()}
    assert f"sed -i 's|{base}|" in RULES.read_text(encoding="utf-8").partition("groups:")[0], "one place to change it"


@pytest.mark.parametrize("name", [name for name in ALERTS if "$labels.keyset" in str(ALERTS[name])])
def test_alert_about_a_keyset_says_how_long_is_left(name: str) -> None:
    """An alert about a keyset names its tenant too, and how much cover is left, or until another end, in words."""
    summary = ALERTS[name]["annotations"]["summary"]
    assert "{{ $labels.tenant }}/{{ $labels.keyset }}" in summary
    left = "humanizeDuration }}" if name in OTHER_ENDS else "humanizeDuration }} of cover left"
    assert name == "B2CKeysetWithoutValidKey" or left in summary


def test_thresholds_are_those_of_the_program() -> None:
    """What the rules and their texts say of a skewed clock is what the program does."""
    clock = ALERTS["B2CRotatorClockSkewed"]
    assert clock["expr"].endswith(f"> {NOTABLE_SKEW:.0f}")
    assert "Above five minutes no key is generated" in clock["annotations"]["description"]
    assert MAX_SKEW == 5 * 60


# --- several clusters in one store


def test_rules_keep_clusters_apart() -> None:
    """
    Every aggregation and every match by labels in a rule keeps `cluster`.

    But for one question: whether anything runs at all, anywhere in the store.
    """
    for rule in all_rules():
        found = re.findall(r"\b(?:by|on|without|ignoring|group_left|group_right) \(([^)]*)\)", rule["expr"])
        assert {each for each in found if not each.startswith("cluster")} <= {""}, rule
        assert "" not in found or rule["expr"].count("on ()") == 1, rule
        assert not re.search(r"\b(?:sum|min|max|count|group|avg) ?\((?!\))", rule["expr"]), (
            "an aggregation of everything"
        )
        asked = re.findall(r'printf "([^"\\]|\\.)*\{(cluster=%q,)?', rule.get("annotations", {}).get("summary", ""))
        assert all(cluster for _, cluster in asked), rule


@pytest.mark.parametrize("name", ALERTS)
def test_alert_says_which_cluster(name: str) -> None:
    """The summary begins with the cluster, if there is one."""
    summary = ALERTS[name]["annotations"]["summary"]
    assert summary.startswith("{{ with $labels.cluster }}{{ . }}: {{ end }}")


def test_dashboard_keeps_clusters_apart() -> None:
    """Every metric is requested by cluster, and every aggregation keeps it, but for the totals of what was chosen."""
    for panel in panels(DASHBOARD_CONTENT):
        for target in panel["targets"]:
            text = target["expr"]
            names = re.findall(r"\b(?:b2c_rotator_\w+|process_\w+|ALERTS\b)", text)
            assert len(names) == text.count('{cluster=~"$cluster",job=~"$job'), text
            assert set(re.findall(r"\b(?:by|on) \((\w+)", text)) <= {"cluster"}, text
            total = re.match(r"(?:min|count)\(", text)
            bare = re.findall(r"\b(?:sum|min|max|count) ?\(", text[total.end() if total else 0 :])
            assert bare == [], text
            assert "legendFormat" not in target or "{{cluster}}" in target["legendFormat"], text


# --- what they name is there


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every metric that the real daemon exposes, with the names of its labels."""
    with Bench(tmp_path_factory.mktemp("daemon")) as bench:
        secret = {"client_secret_file": str(bench.secret_file), "client_secret_expires": "2099-01-01"}
        noted = Keyset(id="B2C_1A_Noted", keys=(key(age=10), key(age=-20, status=Status.DISABLED)))
        missing = Keyset(id="B2C_1A_Missing", is_there=False)  # a failure
        listed = Keyset(id="B2C_1A_Listed", keys=(key(age=80), key(age=-5)))
        certified = Keyset(
            id="B2C_1A_Certified",
            keys=(key(age=10, x5c=(LEAF, ISSUER)),),
            wanted={"mode": "observe", "expires": "2099-01-01"},
        )
        tenant = Tenant(
            keysets=(fresh(), due(), noted, missing, listed, certified),
            credential=secret,
            policies={"B2C_1A_signin": ("B2C_1A_Listed",)},
        )
        defaults = {"calendar": "always", "hold": {"until": "2099-01-01"}}
        calendars = {"always": {"time_zone": "Europe/Berlin"}}
        emulator = bench.begin(tenant, check_interval="2s", settle="1h", calendars=calendars, defaults=defaults)
        emulator.inject(Fault(what=Kind.STATUS, status=503, where=Operation.LIST_KEYSETS, times=1))
        daemon = bench.start()
        daemon.log("sweep.finished", count=2)
        emulator.tenant(tenant.domain).add_key("B2C_1A_Listed", key(age=1))
        daemon.log("keyset.changed")
        found = ""

        def is_probed() -> bool:
            nonlocal found
            found = daemon.get("/metrics", Accept="application/openmetrics-text; version=1.0.0").text
            return all(f"b2c_rotator_{name}{{" in found for name in OF_A_PROBE)

        wait_for(is_probed, lambda: f"nothing was probed: {daemon.events('probe.failed')}")
        assert daemon.stop().code == 0
    names: dict[str, set[str]] = {}
    for family in parse_openmetrics(found):  # type: ignore[no-untyped-call]
        if family.type == "gauge":
            names.setdefault(family.name, set())  # what is unknown has a name, and no sample
        for sample in family.samples:
            names.setdefault(sample.name, set()).update(sample.labels)
    return names


def test_rules_name_metrics_that_exist(exposed: dict[str, set[str]]) -> None:
    """Every metric that a rule names is exposed by the daemon, or recorded by a rule before it."""
    recorded: set[str] = set()
    for rule in all_rules():
        texts = [rule["expr"], *rule.get("annotations", {}).values()]
        assert metric_names(texts) <= set(exposed), rule
        handed_on = {rule.get("record", "")}  # a rule may hand its own last value on
        assert {name for text in texts for name in re.findall(r"\w+:\w+:\w+", text)} <= recorded | handed_on, rule
        recorded |= handed_on


def test_rules_record_nothing_in_vain() -> None:
    """Every recorded series is read by another rule or shown in an alert."""
    texts = [
        text
        for rule in all_rules()
        for text in (rule["expr"], *rule.get("annotations", {}).values())
        if isinstance(text, str)
    ]
    for rule in all_rules():
        if "record" in rule:
            used = [text for text in texts if rule["record"] in text and text != rule["expr"]]
            assert used, rule["record"]


def test_dashboard_names_metrics_that_exist(exposed: dict[str, set[str]]) -> None:
    """Every metric that the dashboard names is exposed by the daemon, and it needs no rule file."""
    texts = [text for _, text in expressions(DASHBOARD_CONTENT)]
    assert metric_names(texts) <= set(exposed)
    assert not [text for text in texts if re.search(r"\w:\w", text)]


def test_dashboard_shows_every_metric(exposed: dict[str, set[str]]) -> None:
    """What the daemon exposes about itself and its keysets is on the dashboard."""
    shown = metric_names(text for _, text in expressions(DASHBOARD_CONTENT))
    ours = {re.sub(r"_(bucket|count|sum)$", "_bucket", name) for name in exposed if name.startswith("b2c_rotator_")}
    assert sorted(ours - shown) == []


def test_selectors_ask_for_labels_that_exist(exposed: dict[str, set[str]]) -> None:
    """A query asks only for labels that the metric has, and for values that the program gives them."""
    texts = [rule["expr"] for rule in all_rules()] + [text for _, text in expressions(DASHBOARD_CONTENT)]
    found = [found for text in texts for found in re.findall(r"(\w[\w:]*)\{([^}]*)\}", text)]
    assert found
    for metric, matchers in found:
        for label, value in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
            # `cluster` and `job` are labels of the target, or of the store.
            assert metric not in exposed or label in exposed[metric] | {"cluster", "job"}, (metric, label)
            assert value in {".*", ".*|", "B2C.+"} or set(value.split("|")) <= VALUES[label], (metric, label, value)


# --- the dashboard


def test_dashboard_can_be_imported() -> None:
    """It has a fixed uid and no id, can be edited, and asks for its data source, tenant and keyset."""
    assert DASHBOARD_CONTENT["uid"] == "b2c-rotator"
    assert "id" not in DASHBOARD_CONTENT
    assert DASHBOARD_CONTENT["editable"] is True
    assert DASHBOARD_CONTENT["schemaVersion"] >= 36
    variables = {variable["name"]: variable for variable in DASHBOARD_CONTENT["templating"]["list"]}
    assert list(variables) == ["datasource", "cluster", "job", "tenant", "keyset"]
    wanted = 'label_values(b2c_rotator_keyset_info{cluster=~"$cluster",job=~"$job",tenant=~"$tenant"}, keyset)'
    assert variables["keyset"]["definition"] == variables["keyset"]["query"]["query"] == wanted


def test_dashboard_panels_explain_themselves() -> None:
    """Each panel has a unique title, a description and a unit, and uses the selected data source."""
    shown = panels(DASHBOARD_CONTENT)
    titles = [panel["title"] for panel in shown]
    assert sorted(set(titles)) == sorted(titles)
    for panel in shown:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources), panel["title"]


def test_dashboard_panels_do_not_overlap() -> None:
    """No two panels share an id; none share a place within the open part, or within a collapsed row."""
    opened = DASHBOARD_CONTENT["panels"]
    groups = [opened, *(row["panels"] for row in opened if row.get("panels"))]
    every = [panel for group in groups for panel in group]
    assert len({panel["id"] for panel in every}) == len(every)
    for group in groups:
        places = [
            (x, y)
            for panel in group
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(set(places)) == len(places)
        assert {x for x, _ in places} == set(range(24))


def test_dashboard_answers_the_first_questions_first() -> None:
    """Cover left, least first, and the alerts that fire come first; at most 12 panels are open."""
    first, second, *_ = [panel for panel in DASHBOARD_CONTENT["panels"] if panel["type"] != "row"]
    assert [each["type"] for each in (first, second)] == ["table", "table"]
    assert first["gridPos"]["y"] == second["gridPos"]["y"] == 1
    assert first["transformations"][-1] == {
        "id": "sortBy",
        "options": {"fields": {}, "sort": [{"field": "Cover left", "desc": False}]},
    }
    assert [target["expr"].split("{")[0] for target in second["targets"]] == ["ALERTS"]
    rows = [panel for panel in DASHBOARD_CONTENT["panels"] if panel["type"] == "row"]
    assert len(DASHBOARD_CONTENT["panels"]) - len(rows) <= 12
    assert [bool(row["panels"]) for row in rows] == [row["collapsed"] for row in rows]
    assert sum(row["collapsed"] for row in rows) == len(rows) - 2


def test_dashboard_links_to_runbook_and_page() -> None:
    """The dashboard and both tables of its first row lead to the runbook, as the alerts do, and to the status page."""
    runbook = next(iter(ALERTS.values()))["annotations"]["runbook_url"].partition("#")[0]
    tables = [panel for panel in panels(DASHBOARD_CONTENT) if "links" in panel["fieldConfig"]["defaults"]]
    assert [panel["title"] for panel in tables] == ["Cover left, least first", "Alerts that fire"]
    for links in (DASHBOARD_CONTENT["links"], *(panel["fieldConfig"]["defaults"]["links"] for panel in tables)):
        assert {link["title"]: link["url"] for link in links} == {
            "Runbook": runbook,
            "Status page": "https://rotator.example.com/",
        }


def test_dashboard_looks_at_rotations_over_90_days() -> None:
    """Rotations are rare: their panel shows 90 days by the day, and an annotation marks each where it happened."""
    (panel,) = [each for each in panels(DASHBOARD_CONTENT) if "rotations_total" in str(each["targets"])]
    assert (panel["timeFrom"], panel["interval"]) == ("90d", "1d")
    assert all("[1d]" in target["expr"] for target in panel["targets"])
    (annotation,) = DASHBOARD_CONTENT["annotations"]["list"]
    assert annotation["enable"] is True
    assert "changes(b2c_rotator_rotations_total{" in annotation["expr"]
    assert 'outcome="rotated"' in annotation["expr"]


@pytest.mark.usefixtures("programs")
def test_annotation_marks_rotations_and_no_restart(tmp_path: Path) -> None:
    """A counter that rises is marked; a process that was started again, whose counter is at 0, is not."""
    (annotation,) = [text for title, text in expressions(DASHBOARD_CONTENT) if title == "Rotations"]
    name = 'b2c_rotator_rotations_total{tenant="contoso",keyset="B2C_1A_Turned",outcome="rotated"}'
    marks = [("9m", 0), ("10m", 1), ("14m", 1), ("20m", 0), ("31m", 0)]
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": "0x9 1x19 0x10"}],
            "promql_expr_test": [
                {
                    "expr": annotation,
                    "eval_time": moment,
                    "exp_samples": [{"labels": '{tenant="contoso",keyset="B2C_1A_Turned"}', "value": mark}] * mark,
                }
                for moment, mark in marks
            ],
        }
    ]
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [], "tests": tests}), encoding="utf-8")
    tested = promtool("test", "rules", file)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.usefixtures("programs")
def test_dashboard_queries_are_promql(tmp_path: Path) -> None:
    """Every query of the dashboard is one that Prometheus can parse."""
    rules = [
        {"record": f"dashboard:query:{number}", "expr": text}
        for number, (_, text) in enumerate(expressions(DASHBOARD_CONTENT))
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    checked = promtool("check", "rules", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr


# --- the runbook


def _sections() -> dict[str, str]:
    """The text of the runbook by its headings of the second level."""
    parts = re.split(r"^## (.+)$", RUNBOOK_TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _anchor(title: str) -> str:
    """What a heading is called in a link."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def test_runbook_has_a_section_for_each_alert() -> None:
    """Each alert has its section in the order of the rules, and no section is for an alert that does not exist."""
    assert [title for title in _sections() if title.startswith("B2C")] == list(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_runbook_section_says_what_to_do(name: str) -> None:
    """Each section says what the alert means, how to look, what to do and when to call somebody else."""
    text = _sections()[name]
    parts = re.findall(r"^\*\*(.+?)\*\*", text, flags=re.MULTILINE)
    assert parts == ["What it means.", "Look.", "Do.", "Escalate."]
    assert f"({ALERTS[name]['labels']['severity']})" in text.strip().splitlines()[0]


def test_runbook_links_lead_somewhere() -> None:
    """Every link within the runbook has a heading to go to."""
    headings = {_anchor(title) for title in re.findall(r"^#+ (.+)$", RUNBOOK_TEXT, flags=re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK_TEXT)) <= headings


def test_runbook_commands_are_those_of_the_program() -> None:
    """Every call of the program in the runbook is one that its command line takes."""
    calls = list(_calls())
    assert len(calls) > 5
    for call in calls:
        cli.parser().parse_args(call)


def _calls() -> Iterator[list[str]]:
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", RUNBOOK_TEXT, flags=re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.partition("|")[0], comments=True)
            if words[:1] == ["rotator"]:
                yield words[1:]


def test_runbook_asks_the_cluster_for_what_was_named_first() -> None:
    """
    A command for Kubernetes names no release of ours, but what the reader was told to set before.

    Logs that are selected by labels end after ten lines, unless it says otherwise.
    """
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", RUNBOOK_TEXT, flags=re.MULTILINE | re.DOTALL)
    calls = [line for block in blocks for line in block.splitlines() if "kubectl" in line]
    before = next(at for at, line in enumerate(calls) if line.startswith("SELECTOR="))
    assert len(calls) > before + 10
    for line in calls[before:]:
        assert re.search(r'"\$(NAME|SELECTOR|POD)"', line), line
        assert "kubectl logs -l" not in line or "--tail" in line, line
    assert not re.findall(r"(?:deploy|lease|pod)[/ ]rotator", RUNBOOK_TEXT)


def test_runbook_has_each_command_without_kubernetes() -> None:
    """Each kind of call that looks at, restarts or stops the program has its row for systemd and docker."""
    text = _sections()["Without Kubernetes"]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    known = {call for kubectl, systemd, docker, _ in rows if systemd and docker for call in _kubectl(kubectl)}
    used = _kubectl("\n".join(body for title, body in _sections().items() if title.startswith("B2C")))
    others = {"kubectl get", "kubectl set", "kubectl rollout status"}  # of the cluster's own objects
    assert {"kubectl logs", "kubectl rollout restart", "kubectl scale"} <= used
    assert used - others <= known
    assert "journalctl --unit rotator" in text


def _kubectl(text: str) -> set[str]:
    """The kinds of calls of kubectl in a text."""
    return set(re.findall(r"kubectl (?:rollout )?[a-z]+", text))


def test_runbook_events_are_those_of_the_program() -> None:
    """Every log event in code style that the runbook names is one that docs/logs.md explains."""
    named = set(re.findall(r"`([a-z]+\.[a-z]+)`", RUNBOOK_TEXT)) - {"rotator.yaml"}
    events = set(re.findall(r"`([a-z]+\.[a-z]+)`", LOGS))
    assert named <= events


def test_runbook_metrics_exist(exposed: dict[str, set[str]]) -> None:
    """Every metric that the runbook names is exposed by the daemon."""
    assert metric_names([RUNBOOK_TEXT]) <= set(exposed)


def test_rules_stand_in_order() -> None:
    """The alerts about keysets come before those about the program, in rules and runbook alike."""
    about = ["Rotator" not in name for name in ALERTS]
    assert not [pair for pair in pairwise(about) if pair == (False, True)]
