"""The checks of `doctor` on what was observed, without a service: levels, and what to do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotator.core.checkup import (
    Check,
    CredentialFindings,
    HostFindings,
    LeaseFindings,
    Level,
    Reply,
    TenantFindings,
    exit_of,
)
from rotator.core.errors import Failure, FailureKind
from rotator.core.lease import Lease
from rotator.core.outcome import Exit
from rotator.views.checks import checks, lease_checks
from rotator.views.doctor import doctor_json, doctor_table

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
GRAPH = HostFindings(role="graph", url="https://graph.example", proxy=None, replies=(Reply(seconds=0.1, status=200),))
SOUND = TenantFindings(
    tenant="contoso",
    now=NOW,
    may_write=True,
    client_id="app",
    credential=CredentialFindings(kind="certificate", is_read=True, expires=NOW + timedelta(days=90)),
    hosts=(replace(GRAPH, replies=(Reply(seconds=0.1, status=200, skew=0.4),)),),
    max_seconds=10.0,
    permissions=("TrustFrameworkKeySet.ReadWrite.All",),
)
FAILURE = Failure(kind=FailureKind.NETWORK, message="cannot reach it: refused; check the network")


def one(found: TenantFindings, name: str) -> Check:
    """The only check of that name."""
    (check,) = (each for each in checks(found) if each.name == name)
    return check


def test_sound_tenant() -> None:
    found = tuple(checks(SOUND))
    assert {each.level for each in found} == {Level.OK}
    assert exit_of(found) is Exit.OK


@pytest.mark.parametrize(
    ("levels", "code"),
    [
        ((), Exit.OK),
        ((Level.OK, Level.WARNING), Exit.OK),
        ((Level.WARNING, Level.WOULD_FAIL), Exit.AT_RISK),
        ((Level.WOULD_FAIL, Level.WRONG), Exit.FAILED),
    ],
)
def test_exit_code(levels: tuple[Level, ...], code: Exit) -> None:
    """The worst level decides."""
    assert exit_of(Check(tenant=None, name="token", level=level, result="") for level in levels) is code


@pytest.mark.parametrize(
    ("credential", "level", "result"),
    [
        (CredentialFindings(kind="certificate", is_read=True, expires=NOW), Level.WRONG, "2026-11-28T12:00:00Z"),
        (
            CredentialFindings(kind="certificate", is_read=True, expires=NOW + timedelta(days=29)),
            Level.WARNING,
            "2026-12-27T12:00:00Z",
        ),
        (
            CredentialFindings(kind="certificate", is_read=True, expires=NOW + timedelta(days=30)),
            Level.OK,
            "2026-12-28T12:00:00Z",
        ),
        (CredentialFindings(kind="client secret", is_read=True), Level.WARNING, "expiry unknown"),
        (CredentialFindings(kind="client secret"), Level.WARNING, "not read"),
        (CredentialFindings(kind="federated token", is_read=True), Level.OK, "which another program renews"),
    ],
)
def test_credential(credential: CredentialFindings, level: Level, result: str) -> None:
    found = one(replace(SOUND, credential=credential), "credential")
    assert (found.level, bool(found.advice)) == (level, level is not Level.OK)
    assert found.result.endswith(result)


@pytest.mark.parametrize(
    ("skew", "level"),
    [
        (None, Level.WARNING),
        (60.0, Level.OK),
        (-61.0, Level.WARNING),
        (300.0, Level.WARNING),
        (-301.0, Level.WOULD_FAIL),
    ],
)
def test_clock(skew: float | None, level: Level) -> None:
    """The limits are those of the log and of the gate on writes; the largest difference counts."""
    replies = (Reply(seconds=0.1, status=200, skew=skew), Reply(seconds=0.1, status=200, skew=skew and 1.0))
    sign_in = replace(GRAPH, role="sign_in", replies=(Reply(seconds=0.1, status=200, skew=9999.0),))
    assert one(replace(SOUND, hosts=(replace(GRAPH, replies=replies), sign_in)), "clock").level is level


@pytest.mark.parametrize(
    ("host", "level", "result"),
    [
        (GRAPH, Level.OK, "https://graph.example answers without a proxy, slowest in 100 ms"),
        (
            replace(GRAPH, proxy="http://proxy:3128"),
            Level.OK,
            "https://graph.example answers through http://proxy:3128, slowest in 100 ms",
        ),
        (
            replace(GRAPH, replies=(Reply(seconds=6.0, status=200),)),
            Level.WARNING,
            "https://graph.example answers without a proxy, slowest in 6000 ms",
        ),
        (
            replace(GRAPH, replies=(Reply(seconds=0.1, status=200), Reply(seconds=0.1))),
            Level.WARNING,
            "https://graph.example answers without a proxy, slowest in 100 ms, but not 1 of 2 requests",
        ),
        (
            replace(GRAPH, replies=(Reply(seconds=0.1),), failure=FAILURE),
            Level.WRONG,
            "https://graph.example, without a proxy: cannot reach it: refused",
        ),
    ],
)
def test_host(host: HostFindings, level: Level, result: str) -> None:
    found = one(replace(SOUND, hosts=(host,)), "host")
    assert (found.level, found.result) == (level, result)


def test_token_that_cannot_be_read() -> None:
    assert one(replace(SOUND, permissions=None), "permissions").level is Level.WARNING


LEASE = Lease(holder="pod-1", duration=60.0, transitions=0, version="1")


@pytest.mark.parametrize(
    ("found", "levels"),
    [
        (LeaseFindings(name="rotator", lease=LEASE, rights={"update": True}), [Level.OK, Level.OK]),
        (LeaseFindings(name="rotator", lease=LEASE, rights={"update": False}), [Level.OK, Level.WOULD_FAIL]),
        (LeaseFindings(name="rotator", lease=LEASE, rights={"update": FAILURE}), [Level.OK, Level.WARNING]),
        (LeaseFindings(name="rotator", failure=FAILURE), [Level.WOULD_FAIL]),
        (LeaseFindings(name="rotator", rights={"create": True}), [Level.OK, Level.OK]),
    ],
)
def test_lease(found: LeaseFindings, levels: list[Level]) -> None:
    """Without the lease nothing is written, so a rotation would fail."""
    assert [each.level for each in lease_checks(found)] == levels


def test_report() -> None:
    """Control characters of a service are escaped, and what to do is below the result."""
    found = (
        Check(tenant="contoso", name="keys_v2", subject="B2C_1A_X", level=Level.OK, result="a\x1b[31mb"),
        Check(tenant=None, name="lease", level=Level.WOULD_FAIL, result="gone", advice="make it"),
    )
    assert doctor_table(found, 80).splitlines() == [
        "contoso",
        "  CHECK                     RESULT",
        "                            -> WHAT TO DO",
        "  keys v2 B2C_1A_X          ok: a\\x1b[31mb",
        "",
        "this process",
        "  CHECK                     RESULT",
        "                            -> WHAT TO DO",
        "  lease                     would fail: gone",
        "                            -> make it",
        "",
        "2 checks: 0 wrong, 1 would fail, 0 warning, 1 ok",
    ]
    report: Any = doctor_json(found, NOW)
    assert (report["schema"], report["now"]) == (1, "2026-11-28T12:00:00Z")
    assert report["checks"][1] == {
        "tenant": None,
        "check": "lease",
        "subject": None,
        "level": "would_fail",
        "result": "gone",
        "advice": "make it",
    }
