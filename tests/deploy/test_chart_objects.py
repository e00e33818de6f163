"""What comes out of the chart is what Kubernetes takes, and what was meant."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import helm_python as helm
import jsonschema
import kubernetes_validate
import pytest
import yaml
from deploy.chart_render import CHART, ROOT, Json, chart, notes, render, texts
from deploy.crds import SCHEMAS
from deploy.variants import EXAMPLES, configuration, documented, example, kinds, only, pod_templates

from rotator import __version__
from rotator.core.text import parse_span
from rotator.edges.config_file import Loader
from rotator.service.leader import END_TIMEOUT
from rotator.service.pages import CHART_CONFIG
from rotator.wiring import STOP_TIMEOUT

VERSIONS = ("1.29", "1.31", "1.33", "1.35", "1.37")
REQUESTS_AFTER_A_STOP = 17
"""
A write that is under way when the program is to stop goes on with at most so many requests, each STOP_TIMEOUT long.
The one under way may be the discovery of the login host; then token and POST, refused for its token, so discovery,
token and POST again; and looking, enabling and looking again, each refused once for its token: 2 + 3 + 3 * 4.
"""

LOOKUP = 'lookup "apps/v1" "Deployment" .root.Release.Namespace .name'
ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
NEXT = "version: 99.0.0\nappVersion: 99.0.0"


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_are_what_kubernetes_takes(version: str) -> None:
    """Every object of every variant fits the schema of its kind, without one unknown field."""
    objects = [each for name in EXAMPLES for each in render(example(name)) if each["kind"] not in SCHEMAS]
    different = {json.dumps(each, sort_keys=True): each for each in objects}  # most are the same in most variants
    for each in different.values():
        assert kubernetes_validate.validate(each, version, strict=True) == version


def test_versions_of_kubernetes_are_those_that_the_chart_takes() -> None:
    """The chart refuses what is older than the oldest version that its objects were validated for."""
    assert chart().metadata["kubeVersion"] == f">={VERSIONS[0]}.0-0"


@pytest.mark.parametrize(("name", "kind"), [*(("monitoring", kind) for kind in SCHEMAS), ("key-vault", "PodMonitor")])
def test_objects_are_what_prometheus_operator_takes(name: str, kind: str) -> None:
    """PodMonitor and PrometheusRule fit their schemas, Azure's PodMonitor too."""
    jsonschema.validate(only(render(example(name)), kind), SCHEMAS[kind])


def test_schemas_of_kubernetes_refuse_what_is_unknown() -> None:
    """A misspelled field of a template would not pass unseen."""
    deployment = only(render(example("minimal")), "Deployment")
    deployment["spec"]["template"]["spec"]["teminationGracePeriodSeconds"] = 1
    with pytest.raises(kubernetes_validate.ValidationError, match="teminationGracePeriodSeconds"):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("name", EXAMPLES)
def test_lint_finds_nothing(name: str) -> None:
    """Helm's own linter has no error and no warning."""
    report = helm.lint(CHART, example(name), strict=True, namespace="rotator")
    assert (report["errors"], [each for each in report["messages"] if each["severity"] > 1]) == ([], [])


def test_chart_is_of_this_version() -> None:
    """What the chart installs by default is the program that it comes with."""
    assert chart().metadata["appVersion"] == chart().version == __version__


def test_default_is_one_replica_with_the_lease() -> None:
    """By default, there is one replica, its lease, and nothing that needs a CRD or would block a drain."""
    objects = render(example("minimal"))
    expected = ["ConfigMap", "Deployment", "NetworkPolicy", "Role", "RoleBinding", "Service", "ServiceAccount"]
    assert kinds(objects) == expected
    assert only(objects, "Deployment")["spec"]["replicas"] == 1


# --- one leader


def test_lease_is_shipped_empty_where_it_cannot_be_created() -> None:
    """A Lease is shipped only where rotator may not create it; it is empty, and no upgrade takes it away."""
    assert "Lease" not in kinds(render(example("minimal")))
    lease = only(render(example("lease-shipped")), "Lease")
    assert (lease["spec"], lease["metadata"]["annotations"]) == ({}, {"helm.sh/resource-policy": "keep"})


@pytest.mark.parametrize("name", EXAMPLES)
def test_rights_end_at_the_lease(name: str) -> None:
    """
    A role gives get and update on the one Lease that the configuration names, to the daemon alone.

    The right to create one cannot be limited to a name; where the Lease is shipped it is not given.
    """
    objects = render(example(name))
    if name == "lease-off":
        assert {"Lease", "Role", "RoleBinding"}.isdisjoint(kinds(objects))
        return
    lease = configuration(objects)["leader_election"]["lease_name"]
    one = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    expected = [{**one, "resourceNames": [lease], "verbs": ["get", "update"]}, {**one, "verbs": ["create"]}]
    if name == "lease-shipped":
        assert only(objects, "Lease")["metadata"]["name"] == lease
        del expected[1]
    role = only(objects, "Role")
    assert (role["metadata"]["namespace"], role["rules"]) == ("rotator", expected)
    binding = only(objects, "RoleBinding")
    assert binding["roleRef"]["name"] == only(objects, "Role")["metadata"]["name"]
    account = only(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    assert [(subject["kind"], subject["name"]) for subject in binding["subjects"]] == [("ServiceAccount", account)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_token_for_the_api_is_there_for_the_lease_alone(name: str) -> None:
    """Only a daemon with the lease on has a token for the Kubernetes API; a dry run never has."""
    have = {where for where, template in pod_templates(render(example(name))).items() if _has_api_token(template)}
    assert have == (set() if name == "lease-off" else {"Deployment rotator"})


def _has_api_token(template: Json) -> bool:
    sources = [
        source for volume in template["spec"]["volumes"] for source in volume.get("projected", {}).get("sources", [])
    ]
    return any("audience" not in source.get("serviceAccountToken", {"audience": ""}) for source in sources)


def test_update_with_the_lease_starts_the_new_pod_first() -> None:
    """With a lease a pod too many does no harm, so a configuration that is invalid leaves the old pod alone."""
    strategy = only(render(example("minimal")), "Deployment")["spec"]["strategy"]
    assert strategy == ROLLING


def test_update_without_the_lease_stops_the_old_pod_first() -> None:
    """Without a lease two pods would be two writers."""
    deployment = only(render(example("lease-off")), "Deployment")["spec"]
    assert (deployment["strategy"], deployment["replicas"]) == ({"type": "Recreate"}, 1)


@pytest.mark.parametrize(
    ("before", "now", "strategy"),
    [
        ("lease-off", "minimal", "Recreate"),
        ("minimal", "minimal", "RollingUpdate"),
        ("minimal", "lease-off", "Recreate"),
        ("lease-off", "lease-off", "Recreate"),
    ],
)
def test_update_that_turns_the_lease_on_stops_the_old_pod_first(
    tmp_path: Path, before: str, now: str, strategy: str
) -> None:
    """A pod without the lease never runs beside another: the step to the lease does not start the new one first."""
    old = only(render(example(before)), "Deployment")
    new = _upgraded(tmp_path, old, now)
    assert new["spec"]["strategy"]["type"] == strategy


@pytest.mark.parametrize(
    ("generation", "observed", "updated", "strategy"),
    [
        pytest.param(2, 2, 1, "RollingUpdate", id="the old pod is gone, and the new one there"),
        pytest.param(2, 2, 0, "Recreate", id="the old pod still stops"),
        pytest.param(2, 1, 1, "Recreate", id="nobody has looked yet"),
    ],
)
def test_step_to_the_lease_is_over_when_the_old_pod_is_gone(
    tmp_path: Path, generation: int, observed: int, updated: int, strategy: str
) -> None:
    """Another upgrade during that step does not shorten it; the first upgrade after it starts the new pod first."""
    old = _upgraded(tmp_path / "step", only(render(example("lease-off")), "Deployment"), "minimal")
    old["metadata"]["generation"] = generation
    old["status"] = {"observedGeneration": observed, "updatedReplicas": updated}
    assert _upgraded(tmp_path / "then", old, "minimal")["spec"]["strategy"]["type"] == strategy


def _upgraded(folder: Path, old: Json, now: str) -> Json:
    """The Deployment of an example, rendered where *old* is the one in the cluster."""
    path = _living(folder, old)
    return only(render(example(now), path=path), "Deployment")


def _living(folder: Path, old: Json) -> Path:
    """The chart, in a cluster that has *old*."""
    path = _changed(folder, "templates/_names.tpl", LOOKUP, '.root.Files.Get "old.yaml" | fromYaml')
    (path / "old.yaml").write_text(yaml.safe_dump(old), encoding="utf-8")
    return path


def _changed(folder: Path, file: str, before: str, after: str) -> Path:
    """A copy of the chart, which differs in one place."""
    path = Path(shutil.copytree(CHART, folder / "chart"))
    text = (path / file).read_text(encoding="utf-8")
    assert text.count(before) == 1
    (path / file).write_text(text.replace(before, after), encoding="utf-8")
    return path


def _by_hand(old: Json, **variables: str) -> Json:
    """A Deployment after `kubectl set env`."""
    container = old["spec"]["template"]["spec"]["containers"][0]
    container["env"] += [{"name": name, "value": value} for name, value in variables.items()]
    return old


OFF = {"ROTATOR_LEADER_ELECTION__ENABLED": "false"}


def test_election_that_was_turned_off_by_hand_stops_the_old_pod_first(tmp_path: Path) -> None:
    """A pod in which a variable turns the election off writes without a lease: a new one may not start beside it."""
    old = _by_hand(only(render(example("minimal")), "Deployment"), **OFF)
    assert _upgraded(tmp_path, old, "minimal")["spec"]["strategy"]["type"] == "Recreate"


def test_election_that_was_turned_off_by_hand_allows_one_replica(tmp_path: Path) -> None:
    """Helm would keep the variable, so several replicas would all write: refused, with the way out."""
    path = _living(tmp_path, _by_hand(only(render(example("standby")), "Deployment"), **OFF))
    with pytest.raises(helm.HelmError, match="replicas: ROTATOR_LEADER_ELECTION__ENABLED is set in Deployment rotator"):
        render(example("standby"), path=path)


def test_notes_warn_of_settings_by_hand(tmp_path: Path) -> None:
    """Settings that no upgrade takes away are named, with the commands that do; the chart's own are none of them."""
    old = only(render(example("minimal")), "Deployment")
    assert "WARNING" not in notes(example("minimal"), path=_living(tmp_path / "without", old))
    told = notes(example("minimal"), path=_living(tmp_path / "with", _by_hand(old, ROTATOR_DRY_RUN="true", **OFF)))
    assert "not from this chart: ROTATOR_DRY_RUN, ROTATOR_LEADER_ELECTION__ENABLED" in told
    assert "set env deployment/rotator ROTATOR_DRY_RUN- ROTATOR_LEADER_ELECTION__ENABLED-" in told
    assert told.index("--replicas=0") < told.index("wait --for=delete pod") < told.index("set env")


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        pytest.param({"nameOverride": "rotat"}, "rotator", id="the release's name has it in it"),
        pytest.param({"nameOverride": "other", "fullnameOverride": "rotator"}, "rotator", id="the name is given"),
    ],
)
def test_selector_that_would_change_is_refused(tmp_path: Path, changed: Json, name: str) -> None:
    """Kubernetes refuses another selector only when half of the upgrade is done: it is refused before."""
    values = example("minimal", **changed)
    old = only(render(example("minimal")), "Deployment")
    assert old["metadata"]["name"] == only(render(values), "Deployment")["metadata"]["name"] == name
    path = _living(tmp_path, old)
    with pytest.raises(helm.HelmError, match="nameOverride: Deployment rotator is there, and selects its pods by"):
        render(values, path=path)
    assert only(render(example("minimal"), path=path), "Deployment")["spec"]["selector"] == old["spec"]["selector"]


def test_lease_is_the_same_in_every_version(tmp_path: Path) -> None:
    """An upgrade does not write to a Lease that is shipped, which would cost the leader its lead; nor does a label."""
    path = _changed(tmp_path, "Chart.yaml", f"version: {__version__}\nappVersion: {__version__}", NEXT)
    before = only(render(example("lease-shipped")), "Lease")
    common = {"labels": {"team": "identity"}, "commonLabels": {"a": "b"}, "commonAnnotations": {"a": "b"}}
    after = render(example("lease-shipped", replicas=2, **common), path=path)
    assert only(after, "Deployment")["metadata"]["labels"]["app.kubernetes.io/version"] == "99.0.0"
    assert only(after, "Lease") == before


@pytest.mark.parametrize(("replicas", "there"), [(0, False), (1, False), (2, True), (3, True)])
def test_disruption_budget_is_there_for_several_replicas(replicas: int, there: bool) -> None:  # noqa: FBT001
    """A budget over one replica would block every drain, so it is there for several only; so is their spread."""
    objects = render(example("minimal", replicas=replicas))
    assert ("PodDisruptionBudget" in kinds(objects)) is there
    assert ("topologySpreadConstraints" in only(objects, "Deployment")["spec"]["template"]["spec"]) is there


def test_disruption_budget_lets_one_go() -> None:
    """At most one replica is taken away at a time, and one that is not ready may always go."""
    budget = only(render(example("standby")), "PodDisruptionBudget")["spec"]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


@pytest.mark.parametrize("request_timeout", ["1s", "15s", "30s", "1m30s"])
def test_grace_is_longer_than_the_longest_write(request_timeout: str) -> None:
    """A pod is killed only after the longest write that can be under way, and handing the lease over, have ended."""
    objects = render(example("lease-off", config={"request_timeout": request_timeout}))
    grace = only(objects, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    longest = parse_span(request_timeout) + timedelta(seconds=REQUESTS_AFTER_A_STOP * STOP_TIMEOUT + END_TIMEOUT)
    assert timedelta(seconds=grace) > longest


# --- configuration and credentials


def test_change_of_what_is_reloaded_restarts_nothing() -> None:
    """Another interval changes the ConfigMap, and not the pods."""
    before, after = render(example("minimal")), render(example("minimal", config={"check_interval": "10m"}))
    assert configuration(before) != configuration(after)
    assert only(before, "Deployment") == only(after, "Deployment")


@pytest.mark.parametrize(
    "changed",
    [
        {"log": {"level": "debug"}},
        {"http": {"port": 9000}},
        {"concurrency": 4},
        {"leader_election": {"enabled": False}},
    ],
)
def test_change_of_what_is_not_reloaded_replaces_the_pods(changed: Json) -> None:
    """What takes effect at the next start only, gets one."""
    name = "checksum/needs-restart"
    before, after = (
        only(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"][name]
        for objects in (render(example("minimal")), render(example("minimal", config=changed)))
    )
    assert before != after


@pytest.mark.parametrize("name", EXAMPLES)
def test_configuration_is_mounted_as_a_directory(name: str) -> None:
    """The program is told to read its file from the directory that a ConfigMap is mounted as."""
    for template in pod_templates(render(example(name))).values():
        container = template["spec"]["containers"][0]
        variables = {each["name"]: each.get("value") for each in container["env"]}
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
        assert variables["ROTATOR_CONFIG"] == CHART_CONFIG == "/etc/rotator/rotator.yaml"
        assert mounts["/etc/rotator"]["configMap"]["name"] in ("rotator", "rotator-dry-run")


def test_dry_run_never_sees_the_credential_that_can_write() -> None:
    """The pod of a dry run has its own Secrets, its own ServiceAccount, and another app in every tenant."""
    values = example("several-tenants")
    objects = render(values)
    templates = pod_templates(objects)
    daemon, dry_run = templates["Deployment rotator"]["spec"], templates["CronJob rotator-dry-run"]["spec"]
    assert daemon["serviceAccountName"] != dry_run["serviceAccountName"]
    assert _secrets(daemon) == {"rotator-contoso", "rotator-fabrikam", "rotator-wwi"}
    assert _secrets(dry_run) == {"rotator-read-only"}
    told = [tenant["credential"] for tenant in configuration(objects, "rotator-dry-run")["tenants"]]
    assert told == [values["dryRun"]["credentials"][tenant["name"]] for tenant in values["config"]["tenants"]]


def test_dry_run_has_of_the_variables_what_is_no_secret() -> None:
    """A proxy variable is for both; one from a Secret, or of the daemon's credential, is for the pod that names it."""
    tenant = example("several-tenants")["config"]["tenants"][2]
    plain = {**tenant, "name": "plain", "credential": {"client_id": "x", "client_secret_env": "IN_PLAIN"}}
    read = _variable("READS", "rotator-read-only")
    values = example(
        "several-tenants",
        config={"tenants": [tenant, plain]},
        env=[
            {"name": "HTTPS_PROXY", "value": "http://192.0.2.10:3128"},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "IN_PLAIN", "value": "secret"},
            {"name": "SEEN_BY_BOTH", "value": "daemon"},
            _variable("WWI_CLIENT_SECRET", "rotator-wwi"),
            read,
        ],
        secrets=[],
    )
    dry_run = {
        "env": [{"name": "SEEN_BY_BOTH", "value": "dry run"}, _variable("READS_TOO", "rotator-reads-too")],
        "credentials": {
            "Wide World Importers": {"client_id": "r", "client_secret_env": "READS"},
            "plain": {"client_id": "r", "client_secret_env": "READS_TOO"},
        },
    }
    templates = pod_templates(render({**values, "dryRun": {**values["dryRun"], **dry_run}}))
    daemon, reader = (
        {each["name"]: each for each in templates[name]["spec"]["containers"][0]["env"]}
        for name in ("Deployment rotator", "CronJob rotator-dry-run")
    )
    assert set(daemon) == {"ROTATOR_CONFIG", *(each["name"] for each in values["env"])}
    assert set(reader) == {"ROTATOR_CONFIG", "HTTPS_PROXY", "NODE", "READS", "SEEN_BY_BOTH", "READS_TOO"}
    assert (reader["READS"], reader["SEEN_BY_BOTH"]["value"]) == (read, "dry run")
    assert _secrets(templates["CronJob rotator-dry-run"]["spec"]) == {"rotator-read-only", "rotator-reads-too"}


def _variable(name: str, secret: str) -> Json:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": "client-secret"}}}


def _secrets(pod: Json) -> set[str]:
    """The Secrets that a pod gets to see, however it does."""
    sources = [source for volume in pod["volumes"] for source in volume.get("projected", {}).get("sources", [])]
    found = [source["secret"]["name"] for source in sources if "secret" in source]
    found += [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        found += [each["secretRef"]["name"] for each in container.get("envFrom", []) if "secretRef" in each]
        places = [each.get("valueFrom", {}).get("secretKeyRef") for each in container.get("env", [])]
        found += [place["name"] for place in places if place]
    return set(found)


def test_dry_run_is_a_job_that_tells() -> None:
    """The CronJob runs `rotator --dry-run`, one at a time, and a late keyset fails it at once."""
    job = only(render(documented()), "CronJob")["spec"]
    template = job["jobTemplate"]["spec"]
    container = template["template"]["spec"]["containers"][0]
    assert (container["args"], job["concurrencyPolicy"], job["timeZone"]) == (
        ["--dry-run", "--output", "table"],
        "Forbid",
        "Etc/UTC",
    )
    final = [rule["onExitCodes"]["values"] for rule in template["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    assert final == [[3, 64, 78]]


def test_workload_identity_is_complete() -> None:
    """There is a label on the pods, annotations on the accounts, and a token where the configuration points."""
    objects = render(example("workload-identity"))
    for where, template in pod_templates(objects).items():
        name = where.partition(" ")[2]
        account = only(objects, "ServiceAccount", template["spec"]["serviceAccountName"])
        client_id = configuration(objects, name)["tenants"][0]["credential"]["client_id"]
        assert template["metadata"]["labels"]["azure.workload.identity/use"] == "true"
        assert account["metadata"]["annotations"] == {
            "azure.workload.identity/client-id": client_id,
            "azure.workload.identity/tenant-id": "22222222-2222-2222-2222-222222222222",
        }
        credentials = next(volume for volume in template["spec"]["volumes"] if volume["name"] == "credentials")
        token = {"audience": "api://AzureADTokenExchange", "expirationSeconds": 3600, "path": "federated-token"}
        assert credentials["projected"]["sources"] == [{"serviceAccountToken": token}]


def test_other_clouds_have_other_audiences() -> None:
    """The audience of the token is that of the tenant's cloud."""
    template = pod_templates(render(example("china")))["Deployment rotator"]
    credentials = next(volume for volume in template["spec"]["volumes"] if volume["name"] == "credentials")
    assert [source["serviceAccountToken"]["audience"] for source in credentials["projected"]["sources"]] == [
        "api://AzureADTokenExchangeChina"
    ]


def test_platform_may_choose_the_user() -> None:
    """If the platform chooses the user, the chart requests none; root is still refused."""
    pod = pod_templates(render(example("closed-network")))["Deployment rotator"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_image_is_by_digest_where_there_is_one() -> None:
    """A digest wins over the tag; without either, the tag is the chart's version."""
    images = {
        name: pod_templates(render(example(name)))["Deployment rotator"]["spec"]["containers"][0]["image"]
        for name in ("minimal", "several-tenants", "standby")
    }
    assert images == {
        "minimal": f"registry.example.com/rotator:{__version__}",
        "several-tenants": "registry.example.com/rotator:1.2.3",
        "standby": f"registry.example.com/rotator@sha256:{'0' * 64}",
    }


# --- who finds whom


@pytest.mark.parametrize("name", EXAMPLES)
def test_selectors_find_the_daemon_and_nothing_else(name: str) -> None:
    """Service, budget, monitor and Deployment select the daemon's pods, the network policy the others too."""
    objects = render(example(name))
    labels = {where: template["metadata"]["labels"] for where, template in pod_templates(objects).items()}
    for each in objects:
        selector: Any = each["spec"].get("selector") if "spec" in each else None
        if each["kind"] == "NetworkPolicy":
            selector = each["spec"]["podSelector"]
        if not selector:
            continue
        wanted = selector.get("matchLabels", selector)
        found = {where for where, having in labels.items() if wanted.items() <= having.items()}
        assert found == (set(labels) if each["kind"] == "NetworkPolicy" else {"Deployment rotator"}), each["kind"]


def test_network_policy_lets_through_what_is_needed() -> None:
    """Names, 443 anywhere, and the Kubernetes API for the lease; in comes only who reads metrics."""
    spec = only(render(example("monitoring")), "NetworkPolicy")["spec"]
    names = [(port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")]  # 5353: OpenShift's own
    outward = [(port["port"], port["protocol"]) for rule in spec["egress"] for port in rule["ports"]]
    assert outward == [*names, (443, "TCP"), (6443, "TCP")]
    assert [(rule["ports"], len(rule["from"])) for rule in spec["ingress"]] == [
        ([{"port": 9464, "protocol": "TCP"}], 1)
    ]


def test_port_is_the_same_everywhere() -> None:
    """Another port in the configuration is also the port of the Service and of the probes."""
    objects = render(example("several-tenants"))
    container = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    inward = only(objects, "NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"]
    assert (container["ports"], inward) == ([{"name": "http", "containerPort": 9000}], 9000)


def test_two_releases_share_nothing() -> None:
    """Two releases in one namespace have no object of one name, and select none of each other's pods."""
    values = example("workload-identity")
    one, two = render(values, name="north"), render(values, name="south")
    names = [{(each["kind"], each["metadata"]["name"]) for each in objects} for objects in (one, two)]
    assert names[0].isdisjoint(names[1])
    wanted = only(one, "Deployment")["spec"]["selector"]["matchLabels"]
    having = only(two, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert not wanted.items() <= having.items()


def test_long_names_are_cut() -> None:
    """The longest name of a release makes names that Kubernetes takes; a CronJob's may have 52 letters."""
    names = [each["metadata"]["name"] for each in render(example("workload-identity"), name="r" * 53)]
    assert max(map(len, names)) <= 52


def test_long_names_that_begin_alike_stay_apart() -> None:
    """Two releases whose names differ only where they are cut have no object of one name; a short one stays."""
    values = example("workload-identity")
    one, two = ({(o["kind"], o["metadata"]["name"]) for o in render(values, name="r" * 50 + each)} for each in "ab")
    assert one.isdisjoint(two)
    assert only(render(values, name="r" * 32), "Role")["metadata"]["name"] == "r" * 32 + "-rotator"


@pytest.mark.parametrize("word", ["123", "true", "1e3", "0x10", "null"])
def test_names_that_look_like_something_else_stay_names(word: str) -> None:
    """A name may be made of digits, or be a word that means something in YAML: it is a text wherever it stands."""
    values = example("minimal", **_everywhere(word))
    for each in render(values, name=word, namespace=word):
        assert kubernetes_validate.validate(each, VERSIONS[-1], strict=True), each["kind"]
        assert [path for path, node in _strings(each) if not isinstance(node, str)] == []


def _everywhere(word: str) -> Json:
    credential = {"client_id": "x", "certificate_file": f"/var/run/secrets/rotator/{word}"}
    tenant = {**example("minimal")["config"]["tenants"][0], "credential": credential}
    own = {
        "secrets": [{"name": word, "items": [{"key": word, "path": word}]}],
        "workloadIdentity": {
            "enabled": True,
            "clientId": word,
            "tenantId": word,
            "tokens": [{"audience": word, "path": f"{word}.t"}],
        },
    }
    return {
        **own,
        "image": {"pullSecrets": [word], "tag": word},
        "config": {"tenants": [tenant]},
        "dryRun": {
            **own,
            "enabled": True,
            "credentials": {"contoso": credential},
            "serviceAccount": {"name": f"{word}.r"},
        },
        "serviceAccount": {"name": word},
        "caConfigMap": word,
        "priorityClassName": word,
        "nameOverride": word,
        "fullnameOverride": word,
        "labels": {"team": word},
        "commonLabels": {"common": word},
        "commonAnnotations": {"common": word},
        "podLabels": {"team": word},
        "podAnnotations": {"team": word},
        "deployment": {"labels": {"own": word}, "annotations": {"own": word}},
        "service": {"labels": {"own": word}, "annotations": {"own": word}},
        "imagePullSecrets": [{"name": f"{word}.s"}],
        "extraVolumes": [{"name": word, "emptyDir": {}}],
        "extraVolumeMounts": [{"name": word, "mountPath": f"/mnt/{word}"}],
        "lease": {"createAtRuntime": False},
        "topologySpread": [{"topologyKey": word}],
        "replicas": 2,
    }


def _strings(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """What stands where Kubernetes wants a text, as far as its schemas do not say so."""
    if isinstance(node, list):
        for index, each in enumerate(node):
            yield from _strings(each, f"{path}/{index}")
    elif isinstance(node, dict):
        texts = path.rpartition("/")[2] in ("labels", "annotations", "matchLabels")
        for name, each in node.items():
            if texts or name in ("name", "namespace"):
                yield f"{path}/{name}", each
            yield from _strings(each, f"{path}/{name}")


def test_labels_given_twice_stand_once() -> None:
    """A label that is given for all and for one kind of object stands there once, as the nearer place says."""
    values = example(
        "monitoring",
        labels={"release": "everything", "grafana_dashboard": "0"},
        podLabels={"azure.workload.identity/use": "false"},
        workloadIdentity={"enabled": True},
    )
    objects = [yaml.load(text, Loader) for text in texts(values)]  # it refuses what is given twice
    assert only(objects, "PodMonitor")["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert only(objects, "ConfigMap", "rotator-dashboard")["metadata"]["labels"]["grafana_dashboard"] == "1"
    labels = pod_templates(objects)["Deployment rotator"]["metadata"]["labels"]
    assert labels["azure.workload.identity/use"] == "true"


def test_account_that_is_there_is_used() -> None:
    """Who may not make ServiceAccounts names those that there are; the right to the lease follows."""
    accounts = {
        "serviceAccount": {"create": False, "name": "there"},
        "dryRun": {"serviceAccount": {"create": False, "name": "there-to-read"}},
    }
    objects = render(example("workload-identity", **accounts))
    assert "ServiceAccount" not in kinds(objects)
    assert {name: each["spec"]["serviceAccountName"] for name, each in pod_templates(objects).items()} == {
        "Deployment rotator": "there",
        "CronJob rotator-dry-run": "there-to-read",
    }
    assert [each["name"] for each in only(objects, "RoleBinding")["subjects"]] == ["there"]


def test_account_has_the_name_that_is_wanted() -> None:
    """A ServiceAccount that is made can be called otherwise than the rest."""
    objects = render(example("minimal", serviceAccount={"name": "identity"}))
    assert only(objects, "ServiceAccount")["metadata"]["name"] == "identity"
    assert only(objects, "RoleBinding")["subjects"][0]["name"] == "identity"
    assert only(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "identity"


# --- what others add


def test_annotations_and_labels_are_everywhere() -> None:
    """What is common stands on every object and every pod; what is for one kind, there alone."""
    own = {"annotations": {"own": "annotation"}, "labels": {"own": "label"}}
    kinds_with_own = {"Deployment": "deployment", "Service": "service", "CronJob": "dryRun"}
    values = example(
        "several-tenants",
        commonLabels={"team": "identity"},
        commonAnnotations={"owner": "me"},
        serviceAccount=own,
        dryRun={"serviceAccount": own},
        monitoring={"podMonitor": {"enabled": True}, "dashboard": {"enabled": True}},
    )
    for value in kinds_with_own.values():
        values[value] = {**values.get(value, {}), **own}
    objects = render(values)
    for each in objects:
        metadata = each["metadata"]
        assert (metadata["labels"]["team"], metadata["annotations"]["owner"]) == ("identity", "me"), each["kind"]
        has_own = each["kind"] in (*kinds_with_own, "ServiceAccount")
        assert (metadata["labels"].get("own") == "label") is has_own, each["kind"]
        assert (metadata["annotations"].get("own") == "annotation") is has_own, each["kind"]
    for template in pod_templates(objects).values():
        assert (template["metadata"]["labels"]["team"], template["metadata"]["annotations"]["owner"]) == (
            "identity",
            "me",
        )
        assert "own" not in template["metadata"]["labels"] | template["metadata"]["annotations"]


def test_nearer_annotations_and_labels_go_first() -> None:
    """What is given in several places stands once, as the nearest place says."""
    objects = [
        yaml.load(text, Loader)  # it refuses what is given twice
        for text in texts(
            example(
                "several-tenants",
                commonLabels={"a": "common", "b": "common", "c": "common"},
                labels={"a": "labels", "b": "labels"},
                commonAnnotations={"a": "common", "b": "common", "c": "common"},
                podLabels={"a": "pod", "b": "pod"},
                podAnnotations={"a": "pod", "b": "pod"},
                deployment={"labels": {"a": "own"}, "annotations": {"a": "own"}},
                dryRun={"podLabels": {"a": "own"}, "podAnnotations": {"a": "own"}},
            )
        )
    ]
    deployment, templates = only(objects, "Deployment")["metadata"], pod_templates(objects)
    assert [deployment["labels"][name] for name in "abc"] == ["own", "labels", "common"]
    assert [deployment["annotations"].get(name) for name in "abc"] == ["own", "common", "common"]
    daemon, dry_run = (templates[name]["metadata"] for name in ("Deployment rotator", "CronJob rotator-dry-run"))
    for where in ("labels", "annotations"):
        assert [daemon[where][name] for name in "abc"] == ["pod", "pod", "common"]
        assert [dry_run[where][name] for name in "abc"] == ["own", "pod", "common"]


def test_vault_brings_the_dry_run_only_what_is_its_own() -> None:
    """The daemon's annotations for Vault's agent are not used for the dry run, which would get the same credential."""
    tenant = example("minimal")["config"]["tenants"][0]
    secret = {"client_id": "x", "client_secret_file": "/vault/secrets/client-secret"}
    inject = {"vault.hashicorp.com/agent-inject": "true"}
    values = example(
        "minimal",
        secrets=[],
        config={"tenants": [{**tenant, "credential": secret}]},
        podAnnotations={**inject, "vault.hashicorp.com/role": "rotator", "team": "identity"},
        dryRun={
            "enabled": True,
            "credentials": {"contoso": secret},
            "podAnnotations": {**inject, "vault.hashicorp.com/role": "reader"},
        },
    )
    templates = pod_templates(render(values))
    told = {name: template["metadata"]["annotations"] for name, template in templates.items()}
    assert told["Deployment rotator"]["vault.hashicorp.com/role"] == "rotator"
    assert told["CronJob rotator-dry-run"] == {**inject, "vault.hashicorp.com/role": "reader", "team": "identity"}
    del values["dryRun"]["podAnnotations"]
    with pytest.raises(helm.HelmError, match=r"dryRun\.credentials\.contoso: /vault/secrets/client-secret is not"):
        render(values)


def test_credentials_may_lie_on_volumes_of_others() -> None:
    """Each pod has its own further volumes, mounted where its credentials point, and none of the other's."""
    objects = render(example("key-vault"))
    for where, wanted in (("Deployment rotator", "rotator"), ("CronJob rotator-dry-run", "rotator-read-only")):
        pod = pod_templates(objects)[where]["spec"]
        classes = [each["csi"]["volumeAttributes"]["secretProviderClass"] for each in pod["volumes"] if "csi" in each]
        mounts = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "key-vault"]
        assert classes == [wanted]
        assert mounts == [{"name": "key-vault", "mountPath": "/mnt/key-vault", "readOnly": True}]
        assert "credentials" not in [each["name"] for each in pod["volumes"]]


def test_ca_file_may_lie_on_a_volume_of_others() -> None:
    """A bundle that something else brings needs no ConfigMap."""
    volumes = {
        "extraVolumes": [{"name": "trust", "csi": {"driver": "csi.example.com"}}],
        "extraVolumeMounts": [{"name": "trust", "mountPath": "/mnt/trust/"}],
    }
    objects = render(example("minimal", config={"ca_file": "/mnt/trust/ca.crt"}, **volumes))
    assert configuration(objects)["ca_file"] == "/mnt/trust/ca.crt"


def test_pull_secrets_are_those_of_all_places() -> None:
    """The usual form, the chart's own, and what a larger chart hands to all of its parts, each once."""
    objects = render(
        example(
            "several-tenants",
            image={"pullSecrets": ["a", "b"]},
            imagePullSecrets=[{"name": "b"}, {"name": "c"}],
            **{"global": {"imagePullSecrets": ["d", {"name": "e"}, "a"], "anything": {"else": 1}}},
        )
    )
    for template in pod_templates(objects).values():
        assert [each["name"] for each in template["spec"]["imagePullSecrets"]] == list("abcde")


def test_nodes_are_chosen() -> None:
    """The image is for Linux, unless that is taken back; more labels, tolerations and affinity are for every pod."""
    taint = {"key": "kubernetes.azure.com/scalesetpriority", "operator": "Exists", "effect": "NoSchedule"}
    affinity: Json = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
    chosen = {"nodeSelector": {"pool": "system"}, "tolerations": [taint], "affinity": affinity}
    for template in pod_templates(render(example("workload-identity", **chosen))).values():
        pod = template["spec"]
        assert pod["nodeSelector"] == {"kubernetes.io/os": "linux", "pool": "system"}
        assert (pod["tolerations"], pod["affinity"]) == ([taint], affinity)
    for template in pod_templates(render(example("minimal", nodeSelector={"kubernetes.io/os": None}))).values():
        assert "nodeSelector" not in template["spec"]


# --- monitoring: one source


CLUSTER_LABELS = [["cluster"], ["k8s_cluster"], ["region", "cluster"], []]


@pytest.mark.parametrize("labels", CLUSTER_LABELS, ids=str)
def test_rules_keep_the_labels_that_are_wanted(tmp_path: Path, labels: list[str]) -> None:
    """Whichever labels tell clusters apart stand in every by(), on(), query and summary; promtool takes the rules."""
    spec = _rule(labels)["spec"]
    rules = spec["groups"][0]["rules"]
    for text in (rule["expr"] for rule in rules):
        for inner in re.findall(r"\b(?:by|on) \(([^)]*)\)", text):
            kept = inner.split(", ") if inner else []
            assert not kept or kept[: len(labels)] == labels, text
            assert "cluster" in labels or "cluster" not in kept, text
    for summary in (rule["annotations"]["summary"] for rule in rules if "alert" in rule):
        assert summary.startswith(
            "".join(f"{{{{ with $labels.{label} }}}}{{{{ . }}}}: {{{{ end }}}}" for label in labels)
        )
        assert ("$labels.cluster" in summary) is ("cluster" in labels), summary
        for query in re.findall(r'printf "((?:[^"\\]|\\.)*)"((?: \$labels\.\w+)*)', summary):
            assert query[0].count("%q") == query[1].count("$labels."), summary
            assert re.findall(r"(\w+)=%q", query[0]) == re.findall(r"\$labels\.(\w+)", query[1]), summary
    if shutil.which("promtool"):
        file = tmp_path / "rules.yaml"
        file.write_text(yaml.safe_dump(spec), encoding="utf-8")
        checked = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def _rule(labels: list[str]) -> Json:
    return only(render(example("monitoring", monitoring={"clusterLabels": labels})), "PrometheusRule")


@pytest.mark.parametrize("labels", CLUSTER_LABELS, ids=str)
def test_dashboard_keeps_the_labels_that_are_wanted(labels: list[str]) -> None:
    """Each label has a variable to choose by; every query asks for it, and every aggregation and legend keeps it."""
    objects = render(example("monitoring", monitoring={"clusterLabels": labels}))
    dashboard = json.loads(only(objects, "ConfigMap", "rotator-dashboard")["data"]["rotator.json"])
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    assert list(variables) == ["datasource", *labels, "job", "tenant", "keyset"]
    for label in labels:
        assert variables[label]["definition"] == f"label_values(b2c_rotator_build_info, {label})"
        assert variables[label]["query"]["query"] == variables[label]["definition"]
    asked = "{" + ",".join(f'{label}=~"${label}"' for label in labels)
    panels = [each for panel in dashboard["panels"] for each in (panel, *panel.get("panels", []))]
    for target in (target for panel in panels for target in panel.get("targets", [])):
        assert target["expr"].count(asked) >= len(re.findall(r"\bb2c_rotator_\w+", target["expr"])), target["expr"]
        assert all(kept.startswith(", ".join(labels)) for kept in re.findall(r"by \(([^)]*)\)", target["expr"]))
        assert ("$cluster" in target["expr"]) is ("cluster" in labels), target["expr"]
        assert "legendFormat" not in target or target["legendFormat"].endswith(
            "".join(f" {{{{{label}}}}}" for label in labels)
        )


def test_pod_monitor_has_the_api_of_the_scraper() -> None:
    """Azure's managed Prometheus reads its own kind of PodMonitor, with the same fields."""
    ours = only(render(example("monitoring")), "PodMonitor")
    azure = only(
        render(example("monitoring", monitoring={"podMonitor": {"apiVersion": "azmonitoring.coreos.com/v1"}})),
        "PodMonitor",
    )
    assert (ours["apiVersion"], azure["apiVersion"]) == ("monitoring.coreos.com/v1", "azmonitoring.coreos.com/v1")
    assert ours["spec"] == azure["spec"]


def test_alerts_are_those_of_the_rule_file() -> None:
    """The PrometheusRule is deploy/prometheus/rules.yaml, but for where its links lead."""
    text = (ROOT / "deploy" / "prometheus" / "rules.yaml").read_text(encoding="utf-8")
    text = text.replace("https://runbook.example.com/rotator/runbook.md", "https://wiki.example.com/rotator")
    rule = only(render(example("monitoring")), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(text)
    links = [each["annotations"]["runbook_url"] for each in rule["spec"]["groups"][0]["rules"] if "alert" in each]
    assert [link for link in links if not link.startswith("https://wiki.example.com/rotator#")] == []


def test_dashboard_is_the_one_that_is_tested() -> None:
    """The ConfigMap for Grafana's sidecar holds deploy/grafana/dashboard.json, but for where its links lead."""
    told = only(render(example("monitoring")), "ConfigMap", "rotator-dashboard")
    text = (ROOT / "deploy" / "grafana" / "dashboard.json").read_text(encoding="utf-8")
    text = text.replace("https://runbook.example.com/rotator/runbook.md", "https://wiki.example.com/rotator")
    assert told["data"]["rotator.json"].strip() == text.strip()
    assert json.loads(told["data"]["rotator.json"]) == json.loads(text)
    assert told["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_packaged_chart_is_whole(tmp_path: Path) -> None:
    """What the chart links to is in its archive, and gives the same objects; the examples are not."""
    archive = Path(helm.package(CHART, destination=tmp_path))
    values = example("monitoring")
    assert render(values, path=archive) == render(values)
    assert [file["name"] for file in chart(archive).files if file["name"].startswith("ci/")] == []


# --- what is told


def test_notes_say_what_to_check_next() -> None:
    """The notes after an installation use the names of the release."""
    told = notes(documented())
    for wanted in (
        "rollout status deployment/rotator",
        "get lease rotator",
        "rotator --dry-run",
        "cronjob/rotator-dry-run",
    ):
        assert wanted in told
    assert "monitoring.podMonitor.enabled is false" in told
    assert "never start a second rotator" in notes(example("lease-off"))
