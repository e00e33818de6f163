"""What the chart takes, what it refuses, and in what words."""

import re
from itertools import pairwise
from typing import Any

import helm_python as helm
import pytest
import yaml
from deploy.chart_render import CHART, SCHEMA, Json, chart, render, schema
from deploy.variants import config_check, configuration_text, documented, example, merged

SECRET = "/var/run/secrets/rotator/client-secret"


def refusal(values: Json) -> str:
    """The message for *values* that are refused."""
    with pytest.raises(helm.HelmError) as caught:
        render(values)
    return str(caught.value)


def test_defaults_alone_are_refused() -> None:
    """The two required values have no default, and both are reported at once."""
    told = refusal({})
    assert "image.repository: say where your image is" in told
    assert "config.tenants: name at least one B2C tenant" in told


def _first(**changes: Any) -> Json:
    return {"tenants": [{**example("minimal")["config"]["tenants"][0], **changes}]}


def _keyset(keyset_id: str) -> Json:
    return _first(keysets=[{"id": keyset_id, "use": "sig"}])


def _domain(tenant_id: str) -> Json:
    return _first(tenant_id=tenant_id)


def _tenant(**credential: Any) -> Json:
    return _first(credential={"client_id": "x", **credential})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"replica": 2}, "at '': additional properties 'replica' not allowed", id="misspelled"),
        pytest.param({"image": {"tga": "1"}}, "at '/image': additional properties 'tga' not allowed", id="nested"),
        pytest.param({"replicas": "2"}, "at '/replicas': got string, want integer", id="wrong type"),
        pytest.param({"replicas": -1}, "at '/replicas': minimum: got -1, want 0", id="too few"),
        pytest.param({"runAsUser": 0}, "at '/runAsUser': minimum: got 0, want 1", id="root"),
        pytest.param({"image": {"digest": "sha256:12"}}, "at '/image/digest'", id="half a digest"),
        pytest.param({"image": {"repository": "Registry/x:1"}}, "at '/image/repository'", id="a tag in the repository"),
        pytest.param({"dryRun": {"schedule": "daily"}}, "at '/dryRun/schedule'", id="no schedule"),
        pytest.param({"resources": {"limit": {}}}, "at '/resources': additional properties 'limit'", id="resources"),
        pytest.param({"env": [{"name": "A", "valueFrom": {"secret": "x"}}]}, "'secret' not allowed", id="from nowhere"),
        pytest.param(
            {"config": {"chek_interval": "1h"}}, "additional properties 'chek_interval'", id="unknown setting"
        ),
        pytest.param({"config": {"check_interval": 30}}, "got number, want string", id="a span without unit"),
        pytest.param({"config": {"check_interval": "1 h"}}, "'1 h' does not match pattern", id="no span"),
        pytest.param({"config": {"log": {"level": "loud"}}}, "one of 'debug', 'info', 'warning', 'error'", id="word"),
        pytest.param(
            {"config": {"leader_election": {"lease_name": "x"}}}, "'lease_name' not allowed", id="the chart's"
        ),
        pytest.param({"config": {"http": {"port": 0}}}, "at '/config/http/port': minimum", id="any port"),
        *[
            pytest.param(changes, f"'{label}'", id=f"{label} is the chart's")
            for changes, label in (
                ({"labels": {"app.kubernetes.io/name": "x"}}, "app.kubernetes.io/name"),
                ({"podLabels": {"app.kubernetes.io/component": "x"}}, "app.kubernetes.io/component"),
                ({"podAnnotations": {"checksum/needs-restart": "x"}}, "checksum/needs-restart"),
                ({"monitoring": {"podMonitor": {"labels": {"helm.sh/chart": "x"}}}}, "helm.sh/chart"),
            )
        ],
        pytest.param({"config": {"check_interval": "0s"}}, "'0s' does not match pattern", id="no time at all"),
        pytest.param({"config": _keyset("Foo")}, "/keysets/0/id': 'Foo' does not match pattern", id="half a keyset"),
        pytest.param({"config": _keyset("B2C_1A_X.bak")}, "at '/config/tenants/0/keysets/0/id'", id="a backup"),
        pytest.param(
            {"config": _first(observe_others="yes")},
            "at '/config/tenants/0/observe_others': got string, want boolean",
            id="others, in a word",
        ),
        pytest.param(
            {"config": _first(keysets=[{"id": "B2C_1A_X", "use": "sig", "expires": 2027}])},
            "at '/config/tenants/0/keysets/0/expires'",
            id="an end that is no day",
        ),
        pytest.param({"config": _domain("a b")}, "/tenant_id': 'a b' does not match pattern", id="no domain"),
        pytest.param({"config": _domain("common")}, "at '/config/tenants/0/tenant_id'", id="anybody's domain"),
        pytest.param(
            {"secrets": [{"name": "a", "items": [{"key": "k", "path": ".."}]}]},
            "at '/secrets/0/items/0/path': '..' does not match pattern",
            id="above the directory",
        ),
        pytest.param(
            {"networkPolicy": {"metricsFrom": [{"namespace": "monitoring"}]}},
            "at '/networkPolicy/metricsFrom/0': additional properties 'namespace' not allowed",
            id="no peer",
        ),
        pytest.param({"networkPolicy": {"metricsFrom": [{}]}}, "metricsFrom/0': minProperties", id="nobody"),
        pytest.param(
            {"networkPolicy": {"metricsFrom": [{"ipBlock": {"cidr": "192.0.2.0/24"}, "podSelector": {}}]}},
            "at '/networkPolicy/metricsFrom/0'",
            id="two kinds of peers",
        ),
        pytest.param(
            {"networkPolicy": {"extraEgress": [{"from": []}]}}, "additional properties 'from'", id="a rule inward"
        ),
    ],
)
def test_schema_refuses(changes: Json, told: str) -> None:
    """A value that is unknown or wrong is refused with its path, and with what would be right."""
    assert told in refusal(example("minimal", **changes))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param(
            {"replicas": 3, "config": {"leader_election": {"enabled": False}}},
            "replicas: 3 of them need config.leader_election.enabled: true, or each would write",
            id="several writers",
        ),
        pytest.param(
            {"terminationGracePeriodSeconds": 119},
            "terminationGracePeriodSeconds: a write that is under way can take longer than 119 s; at least 120",
            id="killed while it writes",
        ),
        pytest.param(
            {"config": {"http": {"host": "127.0.0.1"}}}, "nobody could probe or scrape 127.0.0.1", id="loopback"
        ),
        pytest.param({"secrets": []}, f"{SECRET} is not in the pod; name its Secret in secrets", id="no secret"),
        pytest.param(
            {"config": _tenant(client_secret_file="/tmp/secret")}, "/tmp/secret is not in the pod", id="elsewhere"
        ),
        pytest.param(
            {"secrets": [{"name": "a", "items": [{"key": "k", "path": "other"}]}]},
            f"{SECRET} is not in the pod",
            id="another file",
        ),
        pytest.param({"config": _tenant()}, "needs exactly one of client_secret_file", id="no credential"),
        pytest.param(
            {"config": _tenant(client_secret_file=SECRET, certificate_file=SECRET)},
            "config.tenants[0].credential: needs exactly one of",
            id="two credentials",
        ),
        pytest.param(
            {"config": _tenant(certificate_file=SECRET, private_key_file="/tmp/tls.key")},
            "/tmp/tls.key is not in the pod",
            id="a key elsewhere",
        ),
        pytest.param(
            {"config": _tenant(certificate_file=SECRET, certificate_password_file="/tmp/password")},
            "/tmp/password is not in the pod",
            id="a passphrase elsewhere",
        ),
        pytest.param({"config": _tenant(client_secret_env="NO")}, "env has no variable NO", id="no variable"),
        pytest.param(
            {"config": _tenant(federated_token_file="/var/run/secrets/rotator/federated-token")},
            "with workloadIdentity.enabled there is /var/run/secrets/rotator/federated-token",
            id="no token",
        ),
        pytest.param(
            {"secrets": [{"name": "a"}, {"name": "b"}]}, "secrets[1].items: with several Secrets", id="mixed up"
        ),
        pytest.param(
            {"config": {"ca_file": "/etc/ssl/mine.pem"}}, "name a ConfigMap in caConfigMap", id="no such bundle"
        ),
        pytest.param(
            {"config": {"request_timeout": "60s"}},
            "config.request_timeout: 60 s must not be longer than leader_election.renew_deadline without retry_period, "
            "here 30 s",
            id="a write longer than the lead",
        ),
        pytest.param(
            {"config": {"leader_election": {"renew_deadline": "1m"}}},
            "renew_deadline (60 s) must be shorter than lease_duration (60 s)",
            id="two leaders",
        ),
        pytest.param(
            {"config": {"leader_election": {"retry_period": "40s"}}},
            "retry_period (40 s) must be shorter than renew_deadline (40 s)",
            id="no second try",
        ),
        pytest.param(
            {"config": {"tenants": example("minimal")["config"]["tenants"] * 2}},
            "config.tenants[1].name: duplicate tenant name contoso",
            id="a tenant twice",
        ),
        pytest.param(
            {"secrets": [{"name": name, "items": [{"key": "k", "path": "client-secret"}]} for name in "ab"]},
            "secrets[1].items: client-secret is the file of another key or token already",
            id="two secrets in one file",
        ),
        pytest.param(
            {
                "secrets": [{"name": "a", "items": [{"key": "k", "path": "federated-token"}]}],
                "workloadIdentity": {"enabled": True},
            },
            "secrets[0].items: federated-token is the file of another key or token already",
            id="a secret and a token in one file",
        ),
        pytest.param(
            {"workloadIdentity": {"enabled": True, "tokens": [{"audience": each, "path": "x"} for each in "ab"]}},
            "workloadIdentity.tokens: two tokens would be one file",
            id="two tokens in one file",
        ),
        pytest.param({"serviceAccount": {"create": False}}, "serviceAccount.name: say which one there is", id="nobody"),
        pytest.param(
            {"dryRun": {"enabled": True, "serviceAccount": {"create": False}}},
            "dryRun.serviceAccount.name: say which one there is",
            id="a dry run of no account",
        ),
        pytest.param(
            {"dryRun": {"enabled": True, "serviceAccount": {"name": "rotator"}}},
            "dryRun.serviceAccount.name: rotator is that of the daemon",
            id="a dry run of the daemon's account",
        ),
        pytest.param(
            {"env": [{"name": "ROTATOR_LEADER_ELECTION__ENABLED", "value": "false"}]},
            "env[0].name: ROTATOR_LEADER_ELECTION__ENABLED would be a setting of rotator that the chart does not see; "
            "settings go into config",
            id="a setting past the chart",
        ),
        pytest.param(
            {"env": [{"name": "rotator_config", "value": "x"}]},
            "env[0].name: rotator_config would be",
            id="in any case",
        ),
        pytest.param(
            {"dryRun": {"env": [{"name": "ROTATOR_HTTP__PORT", "value": "1"}]}},
            "dryRun.env[0].name: ROTATOR_HTTP__PORT would be",
            id="of the dry run",
        ),
        pytest.param(
            {"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
            "env[0]: A needs exactly one of value and valueFrom",
            id="two values",
        ),
        pytest.param({"env": [{"name": "A"}]}, "env[0]: A needs exactly one of value and valueFrom", id="no value"),
        pytest.param(
            {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
            "env[1].name: A is there already",
            id="a variable twice",
        ),
        pytest.param(
            {"monitoring": {"prometheusRule": {"enabled": True}}},
            "monitoring.prometheusRule.runbookUrl: say where your people find",
            id="no runbook",
        ),
        pytest.param(
            {"dryRun": {"enabled": True}},
            "dryRun.credentials.contoso: say who the dry run is there",
            id="a dry run that can write",
        ),
        pytest.param(
            {"dryRun": {"enabled": True, "credentials": {"contoso": {"client_id": "x", "client_secret_file": SECRET}}}},
            f"dryRun.credentials.contoso: {SECRET} is not in the pod; name its Secret in dryRun.secrets",
            id="a dry run without a secret",
        ),
        pytest.param(
            {"dryRun": {"enabled": True, "credentials": {"contoso": {"client_id": "x", "client_secret_env": "NO"}}}},
            "dryRun.credentials.contoso: dryRun.env has no variable NO",
            id="a dry run without a variable",
        ),
        pytest.param(
            {"dryRun": {"enabled": True, "credentials": {"fabrikam": {"client_id": "x"}}}},
            "dryRun.credentials.fabrikam: config.tenants has no tenant of that name",
            id="a dry run of nobody",
        ),
    ],
)
def test_chart_refuses(changes: Json, told: str) -> None:
    """What would be installed, and not work or write twice, is refused with what to do about it."""
    assert told in refusal(example("minimal", **changes))


VAULT = {"name": "vault", "emptyDir": {}}
MOUNT = {"name": "vault", "mountPath": "/vault"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"extraVolumes": [{"name": "ca", "emptyDir": {}}]}, "there is a volume ca already", id="ours"),
        pytest.param({"extraVolumes": [VAULT, VAULT]}, "extraVolumes[1].name: there is a volume vault", id="twice"),
        pytest.param({"extraVolumes": [{"name": "x"}]}, "extraVolumes[0]: x needs exactly one kind", id="no kind"),
        pytest.param({"extraVolumeMounts": [MOUNT]}, "extraVolumes has no volume vault", id="nothing to mount"),
        *[
            pytest.param(
                {"extraVolumes": [VAULT], "extraVolumeMounts": [{**MOUNT, "mountPath": path}]},
                f"extraVolumeMounts[0].mountPath: {path} and ",
                id=path,
            )
            for path in ("/etc/rotator", "/etc/rotator/", "/var/run/secrets/rotator/vault", "/var/run/secrets")
        ],
        pytest.param(
            {"extraVolumes": [VAULT], "extraVolumeMounts": [MOUNT, MOUNT]}, "extraVolumeMounts[1].mountPath", id="again"
        ),
        pytest.param({"dryRun": {"extraVolumes": [VAULT, VAULT]}}, "dryRun.extraVolumes[1].name", id="of the dry run"),
        pytest.param(
            {
                "config": _tenant(client_secret_file="/vault2/secret"),
                "extraVolumes": [VAULT],
                "extraVolumeMounts": [MOUNT],
            },
            "/vault2/secret is not in the pod; name its Secret in secrets, whose keys become files below "
            "/var/run/secrets/rotator/, or mount it by extraVolumes and extraVolumeMounts",
            id="beside what is mounted",
        ),
        pytest.param({"enabled": False}, "enabled: false is for the condition of a larger chart", id="off alone"),
    ],
)
def test_chart_refuses_what_collides(changes: Json, told: str) -> None:
    """What others add is refused where the pod could not start with it, or would not have what it names."""
    assert told in refusal(example("minimal", **changes))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param(
            {"extraVolumes": [{"name": "x", "hostPath": {"path": "/"}}]},
            "'hostPath' not allowed",
            id="the node's files",
        ),
        pytest.param({"extraVolumeMounts": [{**MOUNT, "subPath": "x"}]}, "'subPath' not allowed", id="never changes"),
        pytest.param(
            {"extraVolumeMounts": [{**MOUNT, "readOnly": False}]}, "/extraVolumeMounts/0/readOnly", id="writes"
        ),
        pytest.param({"extraVolumeMounts": [{**MOUNT, "mountPath": "x"}]}, "/mountPath", id="a relative path"),
        pytest.param({"imagePullSecrets": ["x"]}, "at '/imagePullSecrets/0'", id="a name alone"),
        pytest.param({"enabled": "yes"}, "at '/enabled'", id="no boolean"),
        pytest.param({"monitoring": {"podMonitor": {"apiVersion": "v1"}}}, "/podMonitor/apiVersion", id="whose"),
        pytest.param({"monitoring": {"clusterLabels": ["a-b"]}}, "/clusterLabels/0", id="no label"),
        pytest.param({"monitoring": {"clusterLabels": ["pod"]}}, "/clusterLabels/0", id="a process"),
        pytest.param({"lease": {"createAtRuntime": "no"}}, "/lease/createAtRuntime", id="perhaps"),
        pytest.param({"commonLabels": {"helm.sh/chart": "x"}}, "'helm.sh/chart'", id="the chart's label"),
    ],
)
def test_schema_refuses_what_is_added(changes: Json, told: str) -> None:
    """As above, of what others add."""
    assert told in refusal(example("minimal", **changes))


def test_larger_chart_may_have_it_as_a_part() -> None:
    """A larger chart hands `global` to it, and has a boolean `enabled` among its values, for its condition."""
    values = example("minimal", enabled=True, **{"global": {"imageRegistry": "x"}})
    assert render(values) == render(example("minimal"))


def test_labels_of_the_house_may_be_common() -> None:
    """The recommended labels that the chart does not set can be set."""
    assert render(example("minimal", commonLabels={"app.kubernetes.io/part-of": "identity"}))


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ("99 99 * * *", "99 is no minute"),
        ("0 24 * * *", "24 is no hour"),
        ("0 0 0 * *", "0 is no day of the month"),
        ("0 0 1 13 *", "13 is no month"),
        ("0 0 * * 7", "7 is no day of the week"),
        ("*/0 * * * *", "*/0 is no minute"),
        ("@fortnightly", "there is no @fortnightly"),
    ],
)
def test_schedule_that_never_comes_is_refused(schedule: str, told: str) -> None:
    """A CronJob that Kubernetes would refuse is refused before, with the field that is wrong."""
    assert f"dryRun.schedule: {told}" in refusal(merged(documented(), {"dryRun": {"schedule": schedule}}))


@pytest.mark.parametrize("schedule", ["17 5 * * *", "*/15 0-6,22 1,15 JAN-mar Mon-5", "5-59/10 ? * * SUN", "@daily"])
def test_schedule_that_comes_is_taken(schedule: str) -> None:
    """What Kubernetes takes, the chart takes."""
    told = [each["spec"] for each in render(merged(documented(), {"dryRun": {"schedule": schedule}})) if _is_job(each)]
    assert [spec["schedule"] for spec in told] == [schedule]


def _is_job(each: Json) -> bool:
    return bool(each["kind"] == "CronJob")


@pytest.mark.parametrize(
    "config",
    [
        {"request_timeout": "30s"},
        {"request_timeout": "50s", "leader_election": {"lease_duration": "1m30s", "renew_deadline": "1m"}},
        {"request_timeout": "2m", "leader_election": {"enabled": False}},
        {"leader_election": None},
    ],
)
def test_periods_that_fit_are_taken(config: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chart refuses no periods that the program takes in a cluster, and those alone."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
    assert config_check(configuration_text(render(example("minimal", config=config)))) == 0


def test_every_fault_is_told_at_once() -> None:
    """All of several mistakes are reported at once."""
    told = refusal(example("minimal", secrets=[], terminationGracePeriodSeconds=1, config={"ca_file": "/x"}))
    assert len(re.findall(r"^  \w", told, re.MULTILINE)) == 3


def test_longer_grace_is_taken() -> None:
    """Who wants to wait longer may."""
    objects = render(example("minimal", terminationGracePeriodSeconds=600))
    assert [
        each["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        for each in objects
        if each["kind"] == "Deployment"
    ] == [600]


# --- the two files that say what there is


def test_every_value_is_in_the_schema_and_the_other_way_round() -> None:
    """No value without a rule, no rule for a value that is not shown; `global` and `enabled` are a larger chart's."""
    assert set(chart().values) == set(chart_schema()["properties"]) - {"global", "enabled"}
    for name in ("image", "dryRun", "networkPolicy", "workloadIdentity"):
        assert set(chart().values[name]) == set(chart_schema()["properties"][name]["properties"])


def chart_schema() -> Json:
    """The chart's schema of its values."""
    content: Json | None = chart().schema
    assert content is not None
    return content


def test_every_object_of_the_schema_is_closed() -> None:
    """What has members of its own names takes no others."""
    open_ones = [path for path, node in _objects(chart_schema(), "") if node.get("additionalProperties") is not False]
    assert open_ones == []


def _objects(node: Any, path: str) -> list[tuple[str, Json]]:
    if isinstance(node, list):
        return [found for index, each in enumerate(node) for found in _objects(each, f"{path}/{index}")]
    if not isinstance(node, dict):
        return []
    own = [(path, node)] if "properties" in node and "type" in node else []
    return own + [found for name, each in node.items() for found in _objects(each, f"{path}/{name}")]


def test_every_value_is_explained() -> None:
    """Each value stands directly below a comment, but for those that are explained where their like stands first."""
    alike = {
        "enabled",
        "create",
        "name",
        "annotations",
        "labels",
        "clientId",
        "tenantId",
        "tokens",
        "requests",
        "limits",
    }
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    values = [(above, line) for above, line in pairwise(lines) if re.match(r"(  ){0,2}[a-zA-Z]+:", line)]
    assert len(values) > 50
    bare = [line for above, line in values if not above.lstrip().startswith("#")]
    assert {line.strip().partition(":")[0] for line in bare} - alike == set()


def test_schema_knows_the_settings_of_the_program() -> None:
    """The part of the schema that speaks of rotator.yaml is made from the program's own: `make manifests` renews it."""
    assert SCHEMA.read_text(encoding="utf-8") == schema()


def test_defaults_say_what_the_program_says() -> None:
    """Of the settings, the chart gives only what it has to: the rest is the program's default, in one place."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["config"] == {"tenants": [], "leader_election": {"enabled": True}}
    assert merged({}, chart().values["config"]) == yaml.safe_load(text)["config"]
