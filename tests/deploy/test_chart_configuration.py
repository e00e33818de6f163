"""The rotator.yaml in the chart's ConfigMaps is one that the program takes, and says what the values say."""

import pytest
import yaml
from deploy.chart_render import MANIFEST, Json, render
from deploy.variants import EXAMPLES, config_check, configuration, configuration_text, example, only

from rotator.edges.settings import Settings


@pytest.fixture(autouse=True)
def _cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a pod finds itself, so that what holds in a cluster only is checked too."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")


@pytest.mark.parametrize("name", EXAMPLES)
def test_config_check_finds_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`rotator config check` takes every configuration that comes out of the chart."""
    maps = [each for each in render(example(name)) if "rotator.yaml" in each.get("data", {})]
    assert maps
    for each in maps:
        assert config_check(each["data"]["rotator.yaml"]) == 0, capsys.readouterr().err


def test_config_check_finds_nothing_in_the_manifest(capsys: pytest.CaptureFixture[str]) -> None:
    """The same for what is applied without Helm."""
    objects = [each for each in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")) if each]
    for name in ("rotator", "rotator-dry-run"):
        assert config_check(only(objects, "ConfigMap", name)["data"]["rotator.yaml"]) == 0, capsys.readouterr().err


def test_config_check_finds_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """It is asked in earnest: a wrong setting is not taken."""
    text = configuration_text(render(example("minimal")))
    assert config_check(text.replace("use: sig", "use: both")) == 78
    assert "tenants[0].keysets[0].use" in capsys.readouterr().err


@pytest.mark.parametrize("name", EXAMPLES)
def test_configuration_says_what_the_values_say(name: str) -> None:
    """What the program reads are the settings in the values; only about the lease does the chart say more."""
    values = example(name)
    told = configuration(render(values))
    wanted = Settings(**values["config"])
    assert Settings(**told).model_dump(exclude={"leader_election"}) == wanted.model_dump(exclude={"leader_election"})
    lease = told["leader_election"]
    assert lease["enabled"] is (name != "lease-off")
    assert lease.get("lease_name") == (None if name == "lease-off" else "rotator")


def test_periods_of_the_lease_are_handed_on() -> None:
    """The values may say how long a lease lasts; auto is on in a cluster, and the chart says so."""
    assert configuration(render(example("standby")))["leader_election"] == {
        "enabled": True,
        "lease_name": "rotator",
        "lease_duration": "30s",
        "renew_deadline": "20s",
        "retry_period": "5s",
    }


def test_dry_run_reads_the_same_but_for_who_it_is() -> None:
    """The dry run looks at the same keysets with the same rotation policies, so its plan is the daemon's."""
    objects = render(example("several-tenants"))
    daemon, dry_run = (_anonymous(configuration(objects, name)) for name in ("rotator", "rotator-dry-run"))
    assert dry_run == daemon


def _anonymous(content: Json) -> Json:
    content.pop("leader_election")
    for tenant in content["tenants"]:
        tenant.pop("credential")
    return content
