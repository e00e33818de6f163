"""What is applied without Helm is what the chart renders."""

import kubernetes_validate
import pytest
import yaml
from deploy.chart_render import MANIFEST, manifest

TEXT = MANIFEST.read_text(encoding="utf-8")


def test_manifest_is_up_to_date() -> None:
    """deploy/kubernetes/rotator.yaml is the chart as it is now: `make manifests` renews it."""
    assert manifest() == TEXT


@pytest.mark.parametrize("version", ["1.29", "1.37"])
def test_manifest_is_what_kubernetes_takes(version: str) -> None:
    """Each of its objects fits the schema of its kind."""
    objects = [each for each in yaml.safe_load_all(TEXT) if each]
    assert [kubernetes_validate.validate(each, version, strict=True) for each in objects] == [version] * len(objects)


def test_manifest_names_a_namespace_everywhere() -> None:
    """Whatever the current context is, everything lands in one namespace; that is made first."""
    objects = [each for each in yaml.safe_load_all(TEXT) if each]
    assert (objects[0]["kind"], objects[0]["metadata"]["name"]) == ("Namespace", "rotator")
    assert {each["metadata"]["namespace"] for each in objects[1:]} == {"rotator"}


def test_manifest_is_nobody_s_release() -> None:
    """It does not say that Helm looks after it."""
    assert "Helm" not in TEXT.partition("---")[2]
    assert "helm.sh" not in TEXT
