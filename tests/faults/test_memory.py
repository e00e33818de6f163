"""Hostile answers of many tenants at once: the process stays within the memory that the chart gives it."""

import json
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from end_to_end.harness import Bench, Tenant, due
from faults.rig import Daemon, configure

from rotator.edges.answer_memory import MAX_ANSWER_BYTES
from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation

TENANTS = 8
LIMIT = 256  # MiB, of the pod; the chart's default
ALLOWANCE = 24  # MiB that the limit leaves to the kernel's share of a pod
CHART = Path(__file__).parents[2] / "deploy" / "helm" / "rotator" / "values.yaml"
ROOM = MAX_ANSWER_BYTES - 4096
KEYSETS = tuple(due(f"B2C_1A_K{n}") for n in range(14))
ID = KEYSETS[0].id
MANY_KEYS = json.dumps([{"kid": f"{n:0500}", "nbf": 1, "exp": 2} for n in range(1000)])


def keysets(*pairs: tuple[str, str]) -> str:
    """A list of keysets, each with its id and the JSON of its keys."""
    return '{"value":[' + ",".join(f'{{"id":"{name}","keys":{keys}}}' for name, keys in pairs) + "]}"


ANSWERS = {
    "empty objects": keysets((ID, "[" + "{}," * (ROOM // 3) + "{}]")),
    "numbers": keysets((ID, "[" + "1.5," * (ROOM // 4) + "1]")),
    "one wide text": json.dumps({"value": [], "more": "x" * (ROOM - 100) + "\U0001f600"}, ensure_ascii=False),
    "texts with escapes": json.dumps({"value": [], "more": ["x" * 200 + "\u2028"] * 39_000}),
    "one text with an escape": json.dumps({"value": [], "more": "x" * (ROOM - 100) + "\u2028"}),
    "one text with a wide escape": json.dumps({"value": [], "more": "x" * (ROOM - 100) + "\U0001f600"}),
    "wide texts": json.dumps({"value": [], "more": ["x" * 200 + "\U0001f600"] * 39_000}, ensure_ascii=False),
    "as many keys as may be": keysets(*((each.id, MANY_KEYS) for each in KEYSETS)),
    "not JSON": "x" * ROOM,
}


def test_limit_is_the_charts() -> None:
    """The limit that is held here is the one of the chart."""
    resources = yaml.safe_load(CHART.read_text())["resources"]
    assert resources["limits"]["memory"] == f"{LIMIT}Mi"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("body", ANSWERS.values(), ids=ANSWERS.keys())
def test_memory_of_hostile_answers(tmp_path: Path, body: str) -> None:
    """Eight tenants that all answer with as much as may be do not end the process for the others."""
    assert len(body.encode()) <= MAX_ANSWER_BYTES
    tenants = [Tenant(name=f"hostile{n}", keysets=KEYSETS) for n in range(TENANTS)]
    with Bench(tmp_path) as bench:
        emulator = bench.begin(*tenants, Tenant(name="good", keysets=KEYSETS))
        for tenant in tenants:
            emulator.inject(Fault(what=Kind.BODY, where=Operation.LIST_KEYSETS, tenant=tenant.domain, body=body))
        path = configure(
            bench, "all", (*tenants, Tenant(name="good")), dry_run=True, concurrency=16, request_timeout="60s"
        )
        with closing(Daemon(bench, path)) as daemon:
            daemon.ready()
            status = json.loads(daemon.get("/status.json")[1])
            peak = daemon.peak
            daemon.stop()
    rows = [each for each in status["keysets"] if each["tenant"] == "good"]
    assert [each["outcome"] for each in rows] == ["planned"] * len(KEYSETS)
    assert peak < LIMIT - ALLOWANCE, f"{peak:.0f} MiB"
