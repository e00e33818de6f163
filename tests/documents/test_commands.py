"""The commands of the documents, run: the quick start on an emulated tenant, and each filter of jq on real output."""

import json
import re
import shlex
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jq
import pytest
from documents.pages import OF_OURS, ROOT, calls, prose, section, snippets
from documents.pictures import ROTATOR, SECONDS, clean_environment
from end_to_end.harness import Bench, Keyset, Tenant, due, fresh, key

from rotator import cli
from rotator.emulator.model.switches import Status

OURS = {"make", "pip", "rotator"}
OTHERS = {".", "docker", "helm", "jq", "kubectl", "prometheus", "promtool", "python3", "sed"}
OF_LINUX = {"install", "journalctl", "systemctl"}
PROGRAMS = OURS | OTHERS | OF_LINUX
"""What a reader of docs/ runs; kubectl, helm, promtool and systemd are also tested with what they read in deploy/."""

RUNBOOK = ROOT / "deploy" / "runbook.md"
PAGES = (*OF_OURS, RUNBOOK, ROOT / "deploy" / "README.md")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


# --- the quick start


def _block(text: str, call: str) -> list[str]:
    """The lines of the block of *text* that has the line *call*, without those that install and activate .venv."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if call in block]
    lines: list[str] = block.splitlines()
    at = lines.index(". .venv/bin/activate")
    assert lines[:at] in ([], ["make install"])
    return lines[at + 1 :]


def _arguments(line: str, directory: Path) -> list[str]:
    program, *arguments = shlex.split(line.replace("/tmp/emulated", str(directory)))
    assert program == "rotator"
    return [ROTATOR, *arguments]


def test_quick_start_makes_a_plan(tmp_path: Path) -> None:
    """The commands of the README, with another directory and port, print a plan and the status of the demo tenant."""
    text = section("README.md", "Make a plan for an emulated tenant")
    serve, *others = _block(text, "rotator emulator")
    assert others == []
    plan, status = _block(text, "--dry-run")
    environment = clean_environment()
    command = [*_arguments(serve, tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as emulator:
        try:
            assert emulator.stdout is not None
            assert any(line.startswith("Ctrl-C") for line in emulator.stdout)
            planned, shown = (
                subprocess.run(
                    _arguments(line, tmp_path),
                    capture_output=True,
                    text=True,
                    timeout=SECONDS,
                    env=environment,
                    check=False,
                )
                for line in (plan, status)
            )
        finally:
            emulator.terminate()
    assert "to be generated: RSA sig key" in planned.stdout, planned.stderr
    assert "covered until" in shown.stdout, shown.stderr
    # The demo tenant has a keyset without a valid key, which the README does not promise away.
    assert (planned.returncode, shown.returncode) == (3, 3)


def test_seed_of_the_pictures_is_one_for_the_emulator() -> None:
    """What the file of the pictures says to run is a command line that is accepted, and its file is itself."""
    text = (ROOT / "docs" / "pictures" / "tenants.yaml").read_text(encoding="utf-8")
    (line,) = re.findall(r"^# +rotator (.*)$", text, re.MULTILINE)
    options = cli.parser().parse_args(shlex.split(line))
    assert (ROOT / options.seed).read_text(encoding="utf-8") == text


# --- every other command


def test_commands_are_of_known_programs() -> None:
    """No block for a shell has a program that no test knows."""
    first = {words[0] for snippet in snippets("sh") for words in calls(snippet.text)}
    assert {word.removeprefix("/opt/rotator/bin/") for word in first} <= PROGRAMS


def test_files_that_commands_name_exist() -> None:
    """Each file of the repository that is an argument in a block for a shell is there."""
    words = [word for snippet in snippets("sh") for words in calls(snippet.text) for word in words]
    named = {name for word in words for name in re.findall(r"^(?:-.*=)?((?:config|deploy|docs)/\S+)$", word)}
    assert {"deploy/compose.yaml", "deploy/prometheus/prometheus.yaml", "deploy/systemd/rotator.service"} <= named
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_sed_replaces_what_the_dashboard_has() -> None:
    """The addresses that the documents replace in the dashboard are in it."""
    scripts = [words[2] for snippet in snippets("sh") for words in calls(snippet.text) if words[0] == "sed"]
    old = [text for script in scripts for text in re.findall(r"s\|([^|]+)\|", script)]
    dashboard = (ROOT / "deploy" / "grafana" / "dashboard.json").read_text(encoding="utf-8")
    assert len(old) == 2
    assert [text for text in old if text not in dashboard] == []


def test_configuration_to_start_with_is_valid(tmp_path: Path) -> None:
    """What the documents write to rotator.yaml with `rotator config init` is a configuration that the check accepts."""
    assert "rotator config init > rotator.yaml\n" in section("docs/configuration.md", "Configuration")
    path = tmp_path / "rotator.yaml"
    with path.open("w", encoding="utf-8") as file:
        subprocess.run([ROTATOR, "config", "init"], stdout=file, check=True, timeout=SECONDS, env=clean_environment())
    checked = subprocess.run(
        [ROTATOR, "config", "check", "--config", str(path)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=clean_environment(),
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_redirections_do_not_count_as_calls() -> None:
    """Where a call reads from or writes to is not the name of a program."""
    text = "rotator token < token.txt | jq . 2>&1; make x > /tmp/file\n"
    assert [words[0] for words in calls(text)] == ["rotator", "jq", "make"]


def test_pip_installs_an_extra_that_exists() -> None:
    """The extra that the documents install is one of the project's."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = [name for snippet in snippets("sh") for name in re.findall(r"pip install '\.\[(\w+)\]'", snippet.text)]
    assert named
    assert set(named) <= set(extras)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_a_text_are_valid(page: Path) -> None:
    """A call of make or of rotator within a sentence is one that exists."""
    spans = re.findall(r"`([^`\n]+)`", prose(page))
    targets = {word for span in spans if span.startswith("make ") for word in span.split()[1:] if "=" not in word}
    assert targets <= TARGETS
    spans = [span.replace("SHELL", "bash").replace("COMMAND", "status") for span in spans]
    calls = [span for span in spans if span.startswith("rotator ") and not re.search(r"\.\.\.|\b(?:FILE|DIR)\b", span)]
    assert [call for call in calls if not _is_accepted(shlex.split(call)[1:])] == []


def _is_accepted(arguments: list[str]) -> bool:
    try:
        cli.parser().parse_args(arguments)
    except SystemExit as ended:
        return not ended.code  # --help and --version end with 0
    return True


def test_languages_of_blocks_are_known() -> None:
    """A block is in a language that a test reads, or a drawing."""
    assert {snippet.language for snippet in snippets()} == {"sh", "yaml", "hcl", "text"}


def test_terraform_ignores_the_keys_of_a_keyset() -> None:
    """The block for Terraform has the two arguments that keep it from replacing a keyset."""
    (block,) = snippets("hcl")
    assert re.fullmatch(r"lifecycle \{\n  ignore_changes  = all\n  prevent_destroy = true\n\}\n", block.text)


# --- filters of jq


def _filters() -> Iterator[tuple[str, str]]:
    """Each filter, and `status`, `log`, `jwks` or `object` for what it reads."""
    pages = (RUNBOOK, *OF_OURS)
    for line in (line for page in pages for line in page.read_text(encoding="utf-8").splitlines()):
        for text in re.findall(r"jq (?:-\w+ )?'([^']*)'", line):
            page = "jwks" if "/discovery/v2.0/keys" in line else "status" if "/status.json" in line else "object"
            yield text, "log" if "fromjson" in text else page


FILTERS = sorted(set(_filters()))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The page /status.json and the log of a daemon with keysets of every outcome, and then a bad configuration."""
    with Bench(tmp_path_factory.mktemp("daemon")) as bench:
        noted = Keyset(id="B2C_1A_Noted", keys=(key(age=10), key(age=-20, status=Status.DISABLED)))
        missing = Keyset(id="B2C_1A_Missing", is_there=False)
        bench.begin(Tenant(keysets=(fresh(), due(), noted, missing)), check_interval="1h", settle="1h")
        daemon = bench.start()
        daemon.log("sweep.finished")
        page = json.loads(daemon.get("/status.json").text)
        bench.content["settle"] = "never"
        bench.write()
        daemon.signal(signal.SIGHUP)
        daemon.log("config.rejected")
        finished = daemon.stop()
    return {"status": page, "log": finished.err, "object": json.loads(DEPLOYMENT), "jwks": {"keys": [{"kid": "k"}]}}


DEPLOYMENT = """{
  "spec": {
    "selector": {"matchLabels": {"app.kubernetes.io/name": "rotator"}},
    "template": {"spec": {"containers": [{"env": [{"name": "ROTATOR_CONFIG"}]}]}}
  }
}"""


def test_filters_are_found() -> None:
    """There are filters of each kind."""
    assert {kind for _, kind in FILTERS} == {"status", "log", "object"}
    assert len(FILTERS) > 15


@pytest.mark.parametrize(("text", "kind"), FILTERS)
def test_filters_of_jq_run(real: dict[str, Any], text: str, kind: str) -> None:
    """Each filter runs on real output, and finds what is there: keysets, failures, notes, a refused configuration."""
    program = jq.compile(text)
    lines = real["log"].splitlines() if kind == "log" else [real[kind]]
    found = [result for line in lines for result in program.input_value(line)]
    rare = (
        "keyset.rotated",
        "keyset.changed",
        "key.signing",
        "note.added",
        "probe.failed",
        "mismatch",
        '"auth"',
        "throttled",
        "clock.skewed",
        ".publish_by <",
    )
    assert found or any(word in text and "keyset.failed" not in text for word in rare), text


@pytest.mark.parametrize(("text", "kind"), FILTERS)
def test_filters_of_jq_name_members_that_exist(real: dict[str, Any], text: str, kind: str) -> None:
    """Each member that a filter picks is one of a row, of the page, or of a line in the log."""
    picked = {name.strip() for names in re.findall(r"\{([\w, ]+)\}", text) for name in names.split(",")}
    known = {"leads", "leader", *real["status"], *real["status"]["keysets"][0]}
    if kind == "log":
        known = set(re.findall(r"`(\w+)`", section("docs/logs.md", "Logs")))
    assert picked <= known
    events = set(re.findall(r'\.event == "([^"]+)"', text))
    assert events <= set(re.findall(r"`([a-z]+\.[a-z]+)`", section("docs/logs.md", "Logs")))
