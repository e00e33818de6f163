"""A real Prometheus and a real Alertmanager watch the real daemon, from its keysets to somebody's telephone."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from end_to_end.harness import Bench, Keyset, Tenant, due, fresh
from monitoring.stack import (
    DASHBOARD,
    RULES,
    Alertmanager,
    Prometheus,
    Receiver,
    expressions,
    hurried,
    page,
    panels,
    promtool,
)

from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import KeySeed

pytestmark = pytest.mark.usefixtures("programs")

LIVES = {"rotate_every": "9s", "overlap": "5s", "publication_lead": "2s", "renewal_window": "5s"}
"""A policy of seconds: a key may be followed two after its activation, and the end of cover is twelve later."""

LONGER_LIVES = {"rotate_every": "30s", "overlap": "12s", "publication_lead": "2s", "renewal_window": "20s"}
"""The same with more time until cover ends, so that each alert on the way there fires on a busy machine."""

OF_OPTIONS = (
    "Calendars",
    "Certificates and configured ends",
    "Changes by others",
    "Delays, tokens and the canary's credential",
    "From published to in use",
    "Holds end in",
    "What shows which key is in use",
    "JWKS last read",
    "Keys that every policy lists",
    "Keysets without an end",
    "Requests of probes",
)
"""Panels that say why they are empty if calendars, holds, certificates or `sign_in` are not configured."""


def brief(keyset_id: str, lives: Mapping[str, str] = LIVES) -> Keyset:
    """A keyset whose key was activated just now and is valid for seconds."""
    now = int(time.time())
    life = sum(int(lives[name].removesuffix("s")) for name in ("rotate_every", "overlap"))
    return Keyset(id=keyset_id, keys=(KeySeed(nbf=now, exp=now + life),), wanted=lives)


def test_alerts_reach_somebody(tmp_path: Path, bench: Bench, webhook: Receiver) -> None:
    """
    Each trouble calls somebody for the keyset or the tenant that is in it, and for no other; and again when it is over.

    Of contoso's keysets one is refused its keys until its cover has ended; one turns all the time, and one is fine.
    Another tenant lets nobody in. In the end the program goes.
    """
    locked = Tenant(name="locked", keysets=(fresh("B2C_1A_One"), fresh("B2C_1A_Two")))
    blocked = {"tenant": "contoso", "keyset": "B2C_1A_Blocked"}
    with Alertmanager(tmp_path / "alertmanager", webhook.url) as alertmanager:
        keysets = (brief("B2C_1A_Blocked", LONGER_LIVES), brief("B2C_1A_Turning"), fresh("B2C_1A_Fine"))
        emulator = bench.begin(Tenant(keysets=keysets), locked, check_interval="1s")
        emulator.inject(Fault(what=Kind.STATUS, status=401, where=Operation.LIST_KEYSETS, tenant=locked.domain))
        refusal = Fault(what=Kind.STATUS, status=403, where=Operation.GENERATE_KEY, keyset="B2C_1A_Blocked")
        refused = emulator.inject(refusal)
        daemon = bench.start()
        with Prometheus(
            tmp_path / "prometheus",
            {"rotator": daemon.port},
            rules=hurried(RULES.read_text(encoding="utf-8")),
            alertmanager=alertmanager.port,
        ):
            failing = webhook.wait("B2CRotationFailing", severity="warning", **blocked)
            locked_out = webhook.wait("B2CRotatorAuthFailing", severity="warning", tenant="locked")
            for one in ("B2C_1A_One", "B2C_1A_Two"):
                webhook.wait("B2CKeysetUnobserved", tenant="locked", keyset=one)
            webhook.wait("B2CKeysetCoverEnding", severity="critical", **blocked)
            expired = webhook.wait("B2CKeysetWithoutValidKey", severity="critical", **blocked)
            refused.remove()
            webhook.wait("B2CKeysetWithoutValidKey", status="resolved", **blocked)
            assert daemon.stop().code == 0
            webhook.wait("B2CRotatorAbsent", severity="critical")
    assert "(forbidden)" in failing["annotations"]["summary"]
    assert failing["annotations"]["summary"].endswith("of cover left")
    assert locked_out["annotations"]["summary"].startswith("locked: authentication fails, so 2 keyset(s)")
    assert expired["annotations"]["summary"] == "contoso/B2C_1A_Blocked has no valid key: users cannot sign in"
    assert expired["annotations"]["runbook_url"].endswith("#b2ckeysetwithoutvalidkey")
    called = {(alert["labels"].get("tenant"), alert["labels"].get("keyset")) for alert in webhook.arrived}
    assert called == {
        ("contoso", "B2C_1A_Blocked"),
        ("locked", None),
        ("locked", "B2C_1A_One"),
        ("locked", "B2C_1A_Two"),
        (None, None),
    }


def test_prometheus_reads_what_is_exposed(tmp_path: Path, bench: Bench) -> None:
    """Prometheus reads both formats to the same series, and exemplars; its linter has nothing to say of ours."""
    bench.begin(Tenant(keysets=(fresh(), due("B2C_1A_Turned"))), check_interval="1s", settle="1s")
    daemon = bench.start()
    daemon.log("keyset.rotated")
    # From the next look on no series comes or goes, however long it takes until both scrapes have been made.
    daemon.log("sweep.finished", count=len(daemon.events("sweep.finished")) + 2)

    def as_text() -> tuple[str, str]:
        reply = daemon.get("/metrics", Accept="text/plain")
        return reply.headers["Content-Type"], reply.text

    assert as_text()[0].startswith("text/plain")
    linted = promtool("check", "metrics", stdin=as_text()[1])
    assert "b2c_rotator" not in linted.stdout + linted.stderr
    with (
        page(as_text) as text_port,
        Prometheus(tmp_path / "prometheus", {"openmetrics": daemon.port, "text": text_port}) as prometheus,
    ):
        prometheus.until("count_over_time(b2c_rotator_build_info[1m]) > 1 and on () count(up == 1) == 2")
        ours = '{__name__=~"b2c_rotator_.+|process_.+|python_.+"}'
        rotated = 'b2c_rotator_rotations_total{keyset="B2C_1A_Turned",outcome="rotated"} > 0'
        assert {found["metric"]["job"] for found in prometheus.until(rotated)} == {"openmetrics", "text"}
        series: dict[str, set[tuple[tuple[str, str], ...]]] = {"openmetrics": set(), "text": set()}
        for found in prometheus.query(ours):
            labels = {name: value for name, value in found["metric"].items() if name not in {"job", "instance"}}
            series[found["metric"]["job"]].add(tuple(sorted(labels.items())))
        assert series["openmetrics"] == series["text"]
        assert not [labels for labels in series["text"] if dict(labels)["__name__"].endswith("_created")]
        assert not [title for title, text in expressions(json.loads(DASHBOARD.read_text())) if _fails(prometheus, text)]
        status, exemplars = prometheus.ask(
            "query_exemplars",
            query="b2c_rotator_graph_request_duration_seconds_bucket",
            start=str(time.time() - 60),
            end=str(time.time()),
        )
        assert status == 200
        assert {"client_request_id"} == {
            label for found in exemplars for each in found["exemplars"] for label in each["labels"]
        }


def test_dashboard_has_no_empty_panel_where_all_is_fine(tmp_path: Path, bench: Bench) -> None:
    """Each panel shows something, although nothing has failed and no key was generated, or says why it does not."""
    bench.begin(Tenant(keysets=(fresh(),)), check_interval="1s")
    daemon = bench.start()
    daemon.log("sweep.finished", count=2)
    dashboard = json.loads(DASHBOARD.read_text())
    explained = {panel["title"] for panel in panels(dashboard) if len(_no_value(panel)) > len("-")}
    assert explained == {
        "Alerts that fire",
        "Notes on keys and keysets",
        "Credential expires in",
        *OF_OPTIONS,
    }
    with Prometheus(tmp_path / "prometheus", {"rotator": daemon.port}) as prometheus:
        prometheus.until("count_over_time(b2c_rotator_build_info[1m]) > 3")
        shown = {title for title, text in expressions(dashboard) if prometheus.query(text)}
    assert {panel["title"] for panel in panels(dashboard)} - explained - shown == set()
    assert "Rotations" not in shown, "an annotation without a rotation"


def _no_value(panel: dict[str, Any]) -> str:
    """What a panel shows in the place of a value that is missing."""
    return str(panel["fieldConfig"]["defaults"].get("noValue", ""))


def _fails(prometheus: Prometheus, text: str) -> bool:
    """Whether Prometheus refuses a query."""
    return prometheus.ask("query", query=text)[0] != 200
