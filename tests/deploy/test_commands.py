"""
No command of the documents takes a field from the chart.

With Helm 4 each field of an object has an owner. Whatever else changes a field that the
chart sets becomes its owner, and the next upgrade fails with a conflict.

Source: "Server-Side Apply" of Kubernetes' documentation; Helm 4 applies on the server's side.
"""

import re
import shlex
from collections.abc import Iterator

import pytest
from deploy.chart_render import CHART, ROOT, Json, notes, render
from deploy.variants import configuration, documented, example, only

DOCUMENTS = {name: (ROOT / "deploy" / name).read_text(encoding="utf-8") for name in ("runbook.md", "README.md")}
READS = {"config", "describe", "exec", "get", "logs", "port-forward", "wait"}
MAKES = {"apply", "create", "label"}  # of what is not the chart's: a namespace, Secrets, a manifest without Helm
RUNBOOK = "runbook.md"


def commands(text: str, program: str) -> Iterator[list[str]]:
    """The words of every call of *program* in the blocks of a document, and of those in its text with a variable."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    inline = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    lines += [code for code in inline if code.startswith(f"{program} ") and "$" in code]
    for line in lines:
        for call in re.findall(rf"(?:^|[;(|&] *){program} [^|;)]*", line.strip()):
            words = shlex.split(call.lstrip(";(|& "), comments=True)
            yield words[1:]


KUBECTL = [words for text in DOCUMENTS.values() for words in commands(text, "kubectl")]
HELM = sorted({tuple(words) for words in commands(DOCUMENTS[RUNBOOK], "helm") if words[0] == "upgrade"})


def faults(words: list[str]) -> list[str]:
    """What a call of kubectl would take from the chart."""
    flags = ("--namespace", "-n")
    while words[0] in flags:
        words = words[2:]
    verb = words[0]
    if verb in READS or verb in MAKES or words[:2] in (["rollout", "status"], ["rollout", "restart"]):
        return []
    if verb == "scale":
        replicas = re.search(r"--replicas[= ](\S+)", " ".join(words))
        return [] if replicas is not None and replicas.group(1) == "0" else [f"spec.replicas, by {words}"]
    if verb == "set":
        return [f"a variable, by {words}" for word in words[3:] if not re.fullmatch(r"ROTATOR_\w+-", word)]
    if words[:2] == ["delete", "lease"]:
        return []
    return [f"something, by {words}"]


def test_commands_are_found() -> None:
    """There are commands of every kind, so that nothing is found only because nothing was read."""
    verbs = {words[2] if words[0] == "--namespace" else words[0] for words in KUBECTL}
    assert {"scale", "set", "rollout", "logs", "delete", "get", "wait"} <= verbs
    assert len(HELM) > 4, HELM


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_take_nothing_from_the_chart(name: str) -> None:
    """A command reads, stops all pods, restarts them, or takes away what somebody put there past the chart."""
    assert [fault for words in commands(DOCUMENTS[name], "kubectl") for fault in faults(words)] == []


@pytest.mark.parametrize(
    "call",
    [
        "kubectl scale deploy/x --replicas 1",
        "kubectl scale deploy/x --replicas=2",
        "kubectl set env deploy/x ROTATOR_LEADER_ELECTION__ENABLED=false",
        "kubectl set image deploy/x rotator=y",
        "kubectl patch configmap x -p '{}'",
        "kubectl edit configmap x",
        "kubectl delete pod x",
        "kubectl annotate deploy/x a=b",
    ],
)
def test_commands_that_take_something_are_noticed(call: str) -> None:
    """The test above would notice each of these."""
    assert faults(shlex.split(call)[1:])


def test_chart_leaves_alone_what_commands_change() -> None:
    """What a restart writes, and what is removed by hand, are not fields of the chart."""
    for name in ("minimal", "standby", "key-vault"):
        template = only(render(example(name)), "Deployment")["spec"]["template"]
        assert "kubectl.kubernetes.io/restartedAt" not in template["metadata"]["annotations"]
        variables = {each["name"] for each in template["spec"]["containers"][0]["env"]}
        assert {each for each in variables if each.startswith("ROTATOR_")} == {"ROTATOR_CONFIG"}


@pytest.mark.parametrize("title", re.findall(r"^## (.+)$", DOCUMENTS[RUNBOOK], flags=re.MULTILINE))
def test_who_stops_the_pods_says_how_to_start_them(title: str) -> None:
    """A section that scales to 0 says how the pods come back: by Helm, which sets the number again."""
    section = DOCUMENTS[RUNBOOK].partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    stopped = re.search(r"kubectl scale \S+ --replicas 0", section)
    assert stopped is None or "helm upgrade" in section[stopped.end() :]


@pytest.mark.parametrize("words", HELM, ids=" ".join)
def test_upgrades_are_taken(words: tuple[str, ...]) -> None:
    """What the runbook sets by Helm are values that the chart takes; it never sets several replicas."""
    assert words[1:3] == ("$RELEASE", "$CHART")
    assert set(words[3:]) - set(_settings(words)) <= {"--reset-then-reuse-values", "--force-conflicts", "--set"}
    values = example("minimal")
    for setting in _settings(words):
        path, _, value = setting.partition("=")
        node = values
        for name in path.split(".")[:-1]:
            node = node.setdefault(name, {})
        node[path.rpartition(".")[2]] = {"true": True, "false": False}.get(
            value, value if not value.isdigit() else int(value)
        )
    assert only(render(values), "Deployment")["spec"]["replicas"] == 1


def _settings(words: tuple[str, ...]) -> list[str]:
    return [word for word in words if "=" in word]


def test_way_out_of_the_election_is_the_chart_s() -> None:
    """One replica without an election is a value of the chart, which stops the old pods first; it needs no variable."""
    section = DOCUMENTS[RUNBOOK].partition("\n## B2CRotatorNoLeader\n")[2].partition("\n## ")[0]
    off, on = (f"config.leader_election.enabled={each}" for each in ("false", "true"))
    assert section.index(off) < section.index(on), "it is turned on again"
    assert "ROTATOR_LEADER_ELECTION" not in section
    objects = render(example("minimal", config={"leader_election": {"enabled": False}}))
    assert only(objects, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    assert configuration(objects)["leader_election"] == {"enabled": False}


@pytest.mark.parametrize("values", [documented(), example("lease-off")], ids=["documented", "lease-off"])
def test_notes_take_nothing_from_the_chart(values: Json) -> None:
    """The same of what Helm prints; what it warns of is tested with the objects."""
    calls = [
        line.strip().partition("#")[0] for line in notes(values).splitlines() if line.strip().startswith("kubectl")
    ]
    assert calls
    assert [fault for call in calls for fault in faults(shlex.split(call)[1:])] == []
    text = (CHART / "templates" / "NOTES.txt").read_text(encoding="utf-8")
    assert "--replicas=0" in text
    assert not re.search(r"--replicas=[1-9]", text)
