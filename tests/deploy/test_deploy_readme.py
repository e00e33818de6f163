"""What deploy/README.md says is so: its examples are taken, and what it names is there."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from deploy.chart_render import CHART, ROOT, Json, chart, render
from deploy.variants import EXAMPLES, configuration, example, merged

README = ROOT / "deploy" / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^ *```yaml\n(.*?)^ *```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_examples_of_values_are_taken(number: int) -> None:
    """The chart accepts the values of each example in the text."""
    values: Json = yaml.safe_load(BLOCKS[number])
    objects = render(merged(example("minimal"), values))
    assert configuration(objects)["tenants"] == values["config"]["tenants"]


def test_links_lead_somewhere() -> None:
    """Each file that it links to is there, and each of its headings."""
    targets = set(re.findall(r"\]\(([^)]+)\)", TEXT))
    anchors = {f"#{title.lower().replace(' ', '-')}" for title in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)}
    assert {target for target in targets if target.startswith("#")} <= anchors
    files = {target for target in targets if not target.startswith("#")}
    assert {file for file in files if not (README.parent / file.partition("#")[0]).exists()} == set()
    assert {file for file in files if "values.yaml" in file and "/ci/" in file} <= {
        f"helm/rotator/ci/{path.name}" for path in EXAMPLES.values()
    }


def test_values_that_it_names_exist() -> None:
    """Each value that it names by its path is one of the chart's, or a setting in its config."""
    names = re.findall(
        r"`((?:config|dryRun|image|monitoring|networkPolicy|serviceAccount|workloadIdentity)\.[\w.]+)", TEXT
    )
    assert names
    known = {*_paths(chart().values), "config.reloaded", "config.rejected"}  # and two events of the log
    assert {name for name in names if name not in known} == set()


def _paths(node: Any, path: str = "") -> Iterator[str]:
    if path:
        yield path
    if isinstance(node, dict):
        for name, each in node.items():
            yield from _paths(each, f"{path}.{name}" if path else name)


def test_every_example_of_the_chart_says_what_it_is() -> None:
    """The examples begin with a comment: for whom they are."""
    texts = {name: path.read_text(encoding="utf-8") for name, path in EXAMPLES.items()}
    assert [name for name, text in texts.items() if not text.startswith("# ")] == []
    assert (CHART / ".helmignore").read_text(encoding="utf-8").splitlines().count("ci/") == 1
