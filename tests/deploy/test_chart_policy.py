"""Every pod of ours satisfies the restricted Pod Security Standard, and what we ask of it in addition."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from deploy.chart_render import MANIFEST, Json, render
from deploy.restricted import violations
from deploy.variants import EXAMPLES, example, pod_templates


@pytest.mark.parametrize("name", EXAMPLES)
def test_pods_are_restricted(name: str) -> None:
    """No template of a pod, in any variant, has anything that the profile forbids."""
    templates = pod_templates(render(example(name)))
    assert templates
    assert {where: told for where, template in templates.items() if (told := violations(template))} == {}


def test_pods_of_the_manifest_are_restricted() -> None:
    """The manifest without Helm meets the same security standard, and its namespace enforces it."""
    objects = [each for each in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")) if each]
    templates = pod_templates(objects)
    assert list(templates) == ["Deployment rotator", "CronJob rotator-dry-run"]
    assert [fault for template in templates.values() for fault in violations(template)] == []
    assert objects[0]["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}


def _without(*path: str) -> Callable[[Json], None]:
    def change(pod: Json) -> None:
        node: Any = pod
        for name in path[:-1]:
            node = node[name]
        del node[path[-1]]

    return change


def _container(**changes: Any) -> Callable[[Json], None]:
    return lambda pod: pod["containers"][0].update(changes)


def _pod_security(**changes: Any) -> Callable[[Json], None]:
    return lambda pod: pod["securityContext"].update(changes)


def _security(**changes: Any) -> Callable[[Json], None]:
    return lambda pod: pod["containers"][0]["securityContext"].update(changes)


DEVIATIONS: dict[str, tuple[Callable[[Json], None], str]] = {
    "a token unasked": (_without("automountServiceAccountToken"), "automountServiceAccountToken is not false"),
    "service links": (_without("enableServiceLinks"), "enableServiceLinks is not false"),
    "the account of everybody": (_without("serviceAccountName"), "it has no ServiceAccount of its own"),
    "no seccomp": (_without("securityContext", "seccompProfile"), "it has no seccomp profile"),
    "perhaps root": (_without("securityContext", "runAsNonRoot"), "runAsNonRoot is not True"),
    "root": (_pod_security(runAsUser=0), "it runs as root"),
    "sysctls": (_pod_security(sysctls=[{"name": "kernel.shm_rmid_forced", "value": "0"}]), "it sets sysctls"),
    "the node's network": (lambda pod: pod.update(hostNetwork=True), "hostNetwork is set"),
    "the node's files": (
        lambda pod: pod["volumes"].append({"name": "node", "hostPath": {"path": "/"}}),
        "volume node is of kind hostPath",
    ),
    "a root that can be written to": (_security(readOnlyRootFilesystem=False), "readOnlyRootFilesystem is not True"),
    "more rights later": (_security(allowPrivilegeEscalation=None), "allowPrivilegeEscalation is not False"),
    "privileged": (_security(privileged=True), "it is privileged"),
    "a capability more": (_security(capabilities={"drop": ["ALL"], "add": ["NET_RAW"]}), "it keeps capabilities"),
    "one capability less": (_security(capabilities={"drop": ["NET_RAW"]}), "it keeps capabilities"),
    "all of /proc": (_security(procMount="Unmasked"), "procMount is set"),
    "a port of the node": (_container(ports=[{"containerPort": 1, "hostPort": 1}]), "it takes a port of the node"),
    "no resources": (_container(resources={}), "it does not say what it needs"),
    "any image": (_container(image="registry.example.com/rotator:latest"), "its image may be another one tomorrow"),
    "subPath": (
        _container(volumeMounts=[{"mountPath": "/etc/rotator", "subPath": "rotator.yaml", "readOnly": True}]),
        "/etc/rotator is mounted by subPath: it would never change",
    ),
    "a directory to write to": (_container(volumeMounts=[{"mountPath": "/tmp"}]), "/tmp can be written to"),
}


@pytest.mark.parametrize("name", DEVIATIONS)
def test_each_deviation_is_found(name: str) -> None:
    """A pod that deviates in one thing has exactly that told of it."""
    change, told = DEVIATIONS[name]
    template = pod_templates(render(example("minimal")))["Deployment rotator"]
    change(template["spec"])
    assert {fault.removeprefix("rotator: ") for fault in violations(template)} == {told}
