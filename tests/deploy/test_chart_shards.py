"""Several processes that share the tenants: what the chart renders for each shard, and what it refuses."""

import json
import shutil
from pathlib import Path

import helm_python as helm
import kubernetes_validate
import pytest
import yaml
from deploy.chart_render import CHART, Json, notes, render
from deploy.crds import SCHEMAS
from deploy.variants import example, kinds, only, pod_templates

from rotator.edges.settings import Settings

SHARDS = 3


def of(objects: list[Json], kind: str) -> list[Json]:
    """The objects of one kind, in the order of the shards."""
    return [each for each in objects if each["kind"] == kind]


def names(objects: list[Json], kind: str) -> list[str]:
    return [each["metadata"]["name"] for each in of(objects, kind)]


def variables(template: Json) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in template["spec"]["containers"][0]["env"]}


def sharded(name: str = "monitoring", **changes: object) -> list[Json]:
    return render(example(name, shards=SHARDS, **changes))


def test_each_shard_has_objects_of_its_own() -> None:
    """A Deployment, a Service, a PodMonitor and, with standby replicas, a disruption budget, named by shard."""
    objects = sharded(replicas=2)
    for kind in ("Deployment", "Service", "PodMonitor", "PodDisruptionBudget"):
        assert names(objects, kind) == ["rotator-0", "rotator-1", "rotator-2"]
    for kind in ("ServiceAccount", "NetworkPolicy", "Role"):
        assert names(objects, kind) == ["rotator"]


def test_shards_are_what_kubernetes_takes() -> None:
    """Every object of a release with shards fits the schema of its kind."""
    objects = [*sharded("several-tenants", replicas=2), *sharded(lease={"createAtRuntime": False})]
    for each in objects:
        if each["kind"] not in SCHEMAS:
            assert kubernetes_validate.validate(each, "1.33", strict=True) == "1.33"


def test_each_process_knows_its_shard() -> None:
    """Every shard from 0 is there once, of the same total, in the daemon and in the dry run."""
    for kind in ("Deployment", "CronJob"):
        found = [variables(each) for each in pod_templates(of(sharded("several-tenants"), kind)).values()]
        shards = [(each["ROTATOR_SHARD__INDEX"], each["ROTATOR_SHARD__TOTAL"]) for each in found]
        assert shards == [("0", "3"), ("1", "3"), ("2", "3")]


def test_one_shard_is_as_without_shards() -> None:
    """No variable, no label and no name of a shard is there where one process has all tenants."""
    values = example("several-tenants")
    assert render({**values, "shards": 1}) == render(values)
    assert "shard" not in json.dumps([each for each in render(values) if each["kind"] not in SCHEMAS]).lower()


def test_selectors_tell_the_shards_apart() -> None:
    """Deployment, Service, PodMonitor and budget of a shard select the pods of that shard, and no other."""
    objects = sharded(replicas=2)
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in of(objects, "Deployment")]
    for kind in ("Deployment", "Service", "PodMonitor", "PodDisruptionBudget"):
        for shard, each in enumerate(of(objects, kind)):
            selector = each["spec"]["selector"].get("matchLabels", each["spec"]["selector"])
            assert [selector.items() <= labels.items() for labels in pods] == [shard == n for n in range(SHARDS)]
    policy = only(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert all(policy.items() <= labels.items() for labels in pods)


def test_leases_are_those_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Role and the empty Leases name exactly the Leases that the processes use."""
    objects = sharded(lease={"createAtRuntime": False})
    content = yaml.safe_load(only(objects, "ConfigMap", "rotator")["data"]["rotator.yaml"])
    used = []
    for each in of(objects, "Deployment"):
        for name, value in variables(each["spec"]["template"]).items():
            if name.startswith("ROTATOR_SHARD__"):
                monkeypatch.setenv(name, value)
        used.append(Settings(**content).lease_name)
    assert used == ["rotator-0", "rotator-1", "rotator-2"]
    assert names(objects, "Lease") == used
    assert only(objects, "Role")["rules"][0]["resourceNames"] == used


def test_an_update_never_runs_two_numbers_of_shards_side_by_side() -> None:
    """The old pods of a shard end before the new ones begin."""
    assert {each["spec"]["strategy"]["type"] for each in of(sharded(), "Deployment")} == {"Recreate"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"config": {"settle": "59s"}}, "config.settle: with shards it must not be shorter"),
        (
            {"config": {"leader_election": {"lease_duration": "3m"}}},
            "leader_election.lease_duration (180 s), here 120 s",
        ),
        ({"config": {"leader_election": {"enabled": False}}}, "shards: 3 of them need config.leader_election.enabled"),
        ({"podLabels": {"rotator-shard": "0"}}, "rotator-shard"),
    ],
)
def test_values_with_which_shards_could_collide_are_refused(changes: Json, told: str) -> None:
    """Two processes may have one tenant for a moment while the number of shards changes: settle must outlast it."""
    with pytest.raises(helm.HelmError) as refused:
        sharded(**changes)
    assert told in str(refused.value)


@pytest.mark.parametrize("shards", [0, 101, "2"])
def test_number_of_shards_is_bounded(shards: object) -> None:
    """The suffix fits into every name."""
    with pytest.raises(helm.HelmError, match="shards"):
        render(example("minimal", shards=shards))


def test_names_of_shards_are_short_enough() -> None:
    """The name of a CronJob has 52 characters at most, that of a Deployment 63."""
    objects = render(example("several-tenants", shards=100, fullnameOverride="x" * 40))
    assert max(len(name) for name in names(objects, "CronJob")) <= 52
    assert kinds(objects).count("CronJob") == 100


def with_live(folder: Path, live: Json) -> Path:
    """A copy of the chart that finds the Deployments *live* in the cluster, by name."""
    path = Path(shutil.copytree(CHART, folder))
    file = path / "templates" / "_names.tpl"
    before = 'lookup "apps/v1" "Deployment" .root.Release.Namespace .name'
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, 'get (.root.Files.Get "old.yaml" | fromYaml) .name'), encoding="utf-8")
    (path / "old.yaml").write_text(yaml.safe_dump(live), encoding="utf-8")
    return path


def test_selector_of_a_shard_that_would_change_is_refused(tmp_path: Path) -> None:
    """What is in the cluster under the name of a shard is compared with that shard."""
    values = example("minimal", shards=SHARDS)
    live = {each["metadata"]["name"]: each for each in of(render(values), "Deployment")}
    assert len(of(render(values, path=with_live(tmp_path / "same", live)), "Deployment")) == SHARDS
    live["rotator-2"]["spec"]["selector"]["matchLabels"]["rotator-shard"] = "1"
    with pytest.raises(helm.HelmError, match="Deployment rotator-2 is there"):
        render(values, path=with_live(tmp_path / "other", live))


def test_notes_name_the_shards() -> None:
    """The commands are for the first shard, and the others are named."""
    shown = notes(example("several-tenants", shards=SHARDS))
    assert "in 3 shards; repeat the commands for each of rotator-0, rotator-1, rotator-2." in shown
    assert "deployment/rotator-0" in shown
    assert "cronjob/rotator-dry-run-0" in shown
