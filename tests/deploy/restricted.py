"""
What a pod of ours must be: the restricted Pod Security Standard, and what we ask of it in addition.

Source: "Pod Security Standards", profile restricted, Kubernetes 1.37.
"""

from collections.abc import Iterator

from deploy.chart_render import Json

VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)


def violations(template: Json) -> list[str]:
    """What is wrong with the template of a pod, by path."""
    pod = template["spec"]
    faults = [*_of_pod(pod), *_of_volumes(pod)]
    containers = [*pod.get("initContainers", []), *pod["containers"], *pod.get("ephemeralContainers", [])]
    for container in containers:
        found = [*_of_security(pod, container), *_of_use(container)]
        faults += [f"{container['name']}: {fault}" for fault in found]
    return faults


def _of_pod(pod: Json) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if pod.get(name):
            yield f"{name} is set"
    if pod.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken is not false"
    if pod.get("enableServiceLinks") is not False:
        yield "enableServiceLinks is not false"
    if not pod.get("serviceAccountName"):
        yield "it has no ServiceAccount of its own"
    security = pod.get("securityContext", {})
    if security.get("sysctls"):
        yield "it sets sysctls"
    if 0 in (security.get("runAsUser"), security.get("runAsGroup"), security.get("fsGroup")):
        yield "it runs as root"


def _of_volumes(pod: Json) -> Iterator[str]:
    for volume in pod.get("volumes", []):
        if kind := set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']} is of kind {', '.join(kind)}"


def _of_security(pod: Json, container: Json) -> Iterator[str]:
    outer, own = pod.get("securityContext", {}), container.get("securityContext", {})
    both = {**outer, **own}
    wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True}
    for name, value in wanted.items():
        if (both if name == "runAsNonRoot" else own).get(name) is not value:
            yield f"{name} is not {value}"
    if own.get("privileged"):
        yield "it is privileged"
    if both.get("runAsUser") == 0:
        yield "it runs as root"
    if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "it has no seccomp profile"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []) or capabilities.get("add"):
        yield "it keeps capabilities"
    for name in {"procMount", "seLinuxOptions", "appArmorProfile", "windowsOptions"} & set(both):
        yield f"{name} is set"


def _of_use(container: Json) -> Iterator[str]:
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "it takes a port of the node"
    for mount in container.get("volumeMounts", []):
        if "subPath" in mount or "subPathExpr" in mount:
            yield f"{mount['mountPath']} is mounted by subPath: it would never change"
        if mount.get("readOnly") is not True:
            yield f"{mount['mountPath']} can be written to"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
        yield "it does not say what it needs"
    if container["image"].rpartition("/")[2].partition("@")[0].endswith(":latest") or ":" not in container["image"]:
        yield "its image may be another one tomorrow"
