"""
The chart, rendered offline, and what is made from it: `make manifests` writes both.

- deploy/kubernetes/rotator.yaml is the chart with deploy/kubernetes/values.yaml, for those without Helm;
- the definitions in the chart's values.schema.json are the program's own schema of its configuration, so
  that Helm refuses what the program would refuse.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

from rotator.edges import config_schema

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "rotator"
SCHEMA = CHART / "values.schema.json"
MANIFEST = ROOT / "deploy" / "kubernetes" / "rotator.yaml"
VALUES = MANIFEST.with_name("values.yaml")
NAME = NAMESPACE = "rotator"

Json = dict[str, Any]

_HEADER = """\
# rotator for those without Helm: rendered by `make manifests` from the chart deploy/helm/rotator, with values.yaml
# beside this file. Before you apply it, put in your image, your tenants, and the names of your Secrets;
# deploy/README.md tells how.
---
apiVersion: v1
kind: Namespace
metadata:
  name: rotator
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
_ORDER = (
    "ServiceAccount",
    "ConfigMap",
    "Lease",
    "Role",
    "RoleBinding",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
    "Deployment",
    "CronJob",
)


@cache
def chart(path: Path = CHART) -> helm.Chart:
    """The chart; loaded once, since it is immutable."""
    return helm.Chart.load(path)


def render(values: Json, *, name: str = NAME, namespace: str = NAMESPACE, path: Path = CHART) -> list[Json]:
    """Every object of a release."""
    return [yaml.safe_load(text) for text in texts(values, name=name, namespace=namespace, path=path)]


def texts(values: Json, *, name: str = NAME, namespace: str = NAMESPACE, path: Path = CHART) -> list[str]:
    """Every object of a release, as it is written."""
    files = chart(path).render(values, name=name, namespace=namespace)
    documents = [
        document
        for file, text in sorted(files.items())
        if file.endswith(".yaml")
        for document in re.split(r"^---\n", text, flags=re.MULTILINE)
    ]
    return [document.strip("\n") + "\n" for document in documents if yaml.safe_load(document) is not None]


def notes(values: Json, path: Path = CHART) -> str:
    """The notes that Helm prints after an installation."""
    text: str = chart(path).render(values, name=NAME, namespace=NAMESPACE)["rotator/templates/NOTES.txt"]
    return text


def read_values(path: Path) -> Json:
    """A file of values, as Helm reads it."""
    values: Json = helm.values_from_yaml(path.read_text(encoding="utf-8"))
    return values


def manifest() -> str:
    """What deploy/kubernetes/rotator.yaml has to be."""
    documents = texts(read_values(VALUES))
    documents.sort(key=_place)
    body = "---\n".join(documents)
    # Helm's own labels would say that it looks after these objects.
    body = re.sub(r"^ *(app\.kubernetes\.io/managed-by|helm\.sh/chart): .*\n", "", body, flags=re.MULTILINE)
    return f"{_HEADER}---\n{body}"


def _place(document: str) -> tuple[int, str]:
    content = yaml.safe_load(document)
    return _ORDER.index(content["kind"]), content["metadata"]["name"]


def schema() -> str:
    """What the chart's values.schema.json has to be."""
    content = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return json.dumps({**content, "definitions": _definitions()}, indent=2) + "\n"


def _definitions() -> Json:
    """The program's schema as every Helm understands it, less what the chart itself sees to."""
    whole = config_schema.schema()
    del whole["$id"]  # it would be the base of the references
    # Its tenants are in the values, and it has one Deployment and one Lease: a shard would leave tenants to nobody.
    del whole["anyOf"], whole["properties"]["tenants_directory"], whole["properties"]["shard"]
    whole["required"] = ["tenants"]
    definitions = {**whole.pop("$defs"), "Settings": whole}
    del definitions["ShardSettings"]
    election = definitions["LeaderElectionSettings"]["properties"]
    for name in ("lease_name", "namespace", "service_account_directory"):
        del election[name]
    definitions["HttpSettings"]["properties"]["port"]["minimum"] = 1
    del definitions["Settings"]["properties"]["tenants"]["minItems"]  # the chart says it in better words
    words = {f"#/$defs/{name}": definitions.pop(name) for name in list(definitions) if "enum" in definitions[name]}
    simple: Json = _simplified(definitions, words)
    return dict(sorted(simple.items()))


def _simplified(node: Any, words: Json) -> Any:
    """Draft 7, without titles and defaults, with *words* in their places, and without what Go's expressions lack."""
    if isinstance(node, list):
        return [_simplified(each, words) for each in node]
    if not isinstance(node, dict):
        return node
    if reference := node.get("$ref"):
        at_hand = words.get(reference)
        return _simplified(at_hand, words) if at_hand else {"$ref": reference.replace("#/$defs/", "#/definitions/")}
    kept = {
        name: {key: _simplified(value, words) for key, value in each.items()}
        if name == "properties"
        else _simplified(each, words)
        for name, each in node.items()
        if name not in ("$schema", "title", "default", "examples", "discriminator")
        and not (name == "format" and each == "path")
    }
    if isinstance(pattern := kept.get("pattern"), str) and pattern.startswith("^(?=.)"):
        kept |= {"pattern": pattern.replace("(?=.)", ""), "minLength": 2}
    return _or_null(kept)


def _or_null(node: Json) -> Json:
    """A member that may be null, without an alternative: what is refused is then told in one line."""
    choice = node.get("anyOf", [])
    if len(choice) != 2 or choice[1] != {"type": "null"} or "type" not in choice[0]:
        return node
    kind = choice[0]
    merged = {**node, **kind, "type": [kind["type"], "null"]}
    del merged["anyOf"]
    if "enum" in merged:
        merged["enum"] = [*merged["enum"], None]
    return merged


def main() -> None:
    """Write what is made from the chart."""
    SCHEMA.write_text(schema(), encoding="utf-8")
    MANIFEST.write_text(manifest(), encoding="utf-8")


if __name__ == "__main__":
    main()
