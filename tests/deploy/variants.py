"""The values under test: the examples that the chart ships, and how to find one's way in what comes out of them."""

import copy
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import yaml
from deploy.chart_render import CHART, VALUES, Json, read_values

from rotator import cli

EXAMPLES = {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))}
"""By name. `minimal` is the chart's defaults and what has none."""


def example(name: str, **changes: Any) -> Json:
    """The values of an example, with *changes*, merged as Helm would."""
    return merged(read_values(EXAMPLES[name]), changes)


def documented() -> Json:
    """The values of deploy/kubernetes/rotator.yaml."""
    return read_values(VALUES)


def merged(values: Json, changes: Json) -> Json:
    """*values* with *changes* in them; lists are replaced."""
    whole = copy.deepcopy(values)
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(whole.get(name), dict):
            whole[name] = merged(whole[name], value)
        else:
            whole[name] = copy.deepcopy(value)
    return whole


def only(objects: Iterable[Json], kind: str, name: str | None = None) -> Json:
    """The one object of that kind, and of that name if it is given."""
    found = [each for each in objects if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def kinds(objects: Iterable[Json]) -> list[str]:
    """The kinds, sorted; a kind stands as often as there are objects of it."""
    return sorted(each["kind"] for each in objects)


def pod_templates(objects: Iterable[Json]) -> dict[str, Json]:
    """The template of every pod that can come of *objects*, by kind and name of what it stands in."""
    templates = {}
    for each in objects:
        node = each["spec"]["jobTemplate"] if each["kind"] == "CronJob" else each
        with suppress(KeyError):
            templates[f"{each['kind']} {each['metadata']['name']}"] = node["spec"]["template"]
    return templates


def configuration(objects: Iterable[Json], name: str = "rotator") -> Json:
    """What stands in the rotator.yaml of a ConfigMap."""
    content: Json = yaml.safe_load(configuration_text(objects, name))
    return content


def configuration_text(objects: Iterable[Json], name: str = "rotator") -> str:
    """The rotator.yaml of a ConfigMap."""
    text: str = only(objects, "ConfigMap", name)["data"]["rotator.yaml"]
    return text


def config_check(text: str) -> int:
    """The exit code of `rotator config check` on a file with *text*."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        try:
            return cli.main(["config", "check", "--config", file.name])
        except SystemExit as ended:
            return int(ended.code or 0)
