import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from core.builders import POLICY, T0, tenant_id
from documents.pages import OF_OURS, ROOT, first_cells, read, section
from prometheus_client import Metric as MetricFamily
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel
from simulation.simulator import SimulatedClock, SimulatedTenant

from rotator import arguments
from rotator.core.assessment import NoteKind
from rotator.core.drift import ChangeKind
from rotator.core.errors import FailureKind
from rotator.core.events import Looked, SweepFinished
from rotator.core.findings import FindingKind
from rotator.core.keyset import Keyset
from rotator.core.outcome import Exit, Held, Observation, OutcomeName
from rotator.core.proof_events import Probed
from rotator.core.publication import Evidence, Probe
from rotator.core.reasons import MEANINGS, Reason, Refusal
from rotator.core.status import KeysetStatus, proofs
from rotator.core.text import format_span
from rotator.edges.credential_settings import CredentialSettings
from rotator.edges.instruments import PREFIX
from rotator.edges.metrics import Metrics, Registry
from rotator.edges.proof_series import proof_series
from rotator.edges.settings import Settings
from rotator.edges.sign_in_settings import SignInSettings
from rotator.edges.tenant_settings import KeysetSettings, PolicySettings, TenantSettings
from rotator.shell.gates import guarded
from rotator.shell.status_store import StatusStore
from rotator.shell.tenant import Tenant
from rotator.views.report_json import row

OUTCOMES = "docs/outcomes-and-failures.md"
DOCUMENTS = "\n".join(path.read_text(encoding="utf-8") for path in OF_OURS)


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Outcomes and failures", OutcomeName),
        ("Reasons", [*Reason, *Refusal]),
        ("Notes", NoteKind),
        ("Findings", FindingKind),
        ("Failures", FailureKind),
    ],
)
def test_documents_have_each_word_of_the_interface(title: str, words: Any) -> None:
    """Each outcome, reason, note and kind of failure has its row on its page, and there is none besides."""
    assert sorted(word.value for word in words) == sorted(first_cells(section(OUTCOMES, title)))


def test_page_about_probes_has_each_finding() -> None:
    """Each finding has its row on the page that says what to do about it."""
    assert sorted(kind.value for kind in FindingKind) == sorted(first_cells(section("docs/proof.md", "Findings")))


def test_documents_have_the_meaning_of_each_reason() -> None:
    """What a reason means is said once, in the code; its page repeats it word for word."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section(OUTCOMES, "Reasons"), re.MULTILINE))
    assert {word.value: meaning for word, meaning in MEANINGS.items()} == rows
    assert set(MEANINGS) == {*Reason, *Refusal}


@pytest.mark.parametrize(("page", "title"), [("README.md", "Command line"), ("docs/command-line.md", "Exit codes")])
def test_documents_have_each_exit_code(page: str, title: str) -> None:
    """Each exit code has its row in the README and on its page, and its line in --help."""
    rows = re.findall(r"^\| (\d+) \|", section(page, title), re.MULTILINE)
    assert [str(code.value) for code in Exit] == rows
    told = arguments.parser().format_help()
    assert [code for code in rows if not re.search(rf"^  {code} ", told, re.MULTILINE)] == []


def test_documents_have_each_option(capsys: pytest.CaptureFixture[str]) -> None:
    """Each option of the command line and of its commands is on its page, and there is none besides."""
    commands = re.findall(r"^    ([a-z]+) ", arguments.parser().format_help(), re.MULTILINE)
    assert {"status", "emulator"} < set(commands)
    for words in ([], ["config", "check"], ["config", "schema"], *([command] for command in commands)):
        with pytest.raises(SystemExit):
            arguments.parser().parse_args([*words, "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert options == set(re.findall(r"--[a-z][a-z-]+", read("docs/command-line.md")))


def test_readme_has_each_option_without_a_command() -> None:
    """The README has each option that goes without a command."""
    options = set(re.findall(r"--[a-z-]+", arguments.parser().format_help()))
    assert {option for option in options if option not in read("README.md")} == set()


def test_documents_have_each_member_of_the_report() -> None:
    """Each member of a row of the JSON report has its row on its page, and there is none besides."""
    look = Held(
        observation=Observation(tenant="contoso", tenant_id=tenant_id(), policy=POLICY, now=T0), reason=Reason.OBSERVE
    )
    assert sorted(row(look)) == sorted(first_cells(section("docs/command-line.md", "JSON")))


def test_documents_have_each_event() -> None:
    """Each event that the program logs has its row on its page, and there is none besides."""
    logged = {event for path in (ROOT / "rotator").rglob("*.py") for event in _events(path)}
    assert sorted(logged) == sorted(first_cells(section("docs/logs.md", "Logs")))


def _events(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or "emulator" in path.parts or path.name == "demo.py":
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[0] if node.args else None
        logs = called in ("debug", "info", "warning", "error", "critical", "emit")
        names = (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,)
        for name in names if logs else ():
            if isinstance(name, ast.Constant) and re.fullmatch(r"[a-z]+\.[a-z]+", str(name.value)):
                yield str(name.value)


def test_documents_have_each_setting() -> None:
    """Each setting has its row on its page, with its default."""
    rows = dict(re.findall(r"^\| `([^|]*)` \| ([^|]*)\|", section("docs/configuration.md", "Settings"), re.MULTILINE))
    rows = {name: default for names, default in rows.items() for name in re.split(r"`, `", names)}
    settings = dict(_settings(Settings, ""))
    for model, prefix in ((TenantSettings, "tenants[]."),):
        settings |= {f"{prefix}{name}": "" for name in model.model_fields if name != "keysets"}
    settings["tenants[].keysets[]"] = ""
    assert sorted(settings) == sorted(rows)
    told = {name: default for name, default in settings.items() if default}
    assert {name: default for name, default in told.items() if default not in rows[name]} == {}
    names = set(KeysetSettings.model_fields) - {"id", "use", "expires", "create"}
    assert names == set(PolicySettings.model_fields)


def _settings(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        if name == "tenants":
            continue
        default = field.default
        if isinstance(default, BaseModel):
            yield from _settings(type(default), f"{prefix}{name}.")
        else:
            yield prefix + name, _written(default)


def _written(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, timedelta):
        return {"2d": "48h"}.get(format_span(value), format_span(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_documents_have_each_finding() -> None:
    """Each finding of probes has its row on the page about them."""
    assert sorted(kind.value for kind in FindingKind) == sorted(first_cells(section("docs/proof.md", "Findings")))


def test_documents_have_each_member_of_sign_in() -> None:
    """Each member of `sign_in` has its row in its section."""
    told = first_cells(section("docs/proof.md", "Configuration"))
    assert sorted(SignInSettings.model_fields) == sorted(set(told) - {"sign_in"})


def test_shipped_configuration_writes_every_default_out() -> None:
    """What config/rotator.yaml says is what holds if nothing is said."""
    text = (ROOT / "config" / "rotator.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    tenants = content.pop("tenants")
    assert Settings(tenants=tenants) == Settings(tenants=tenants, **content)


def _families() -> dict[str, MetricFamily]:
    """Each metric of ours, by its name without the prefix."""
    tenant = Tenant(
        name="contoso",
        id=tenant_id(),
        policies=(POLICY,),
        keysets=SimulatedTenant(SimulatedClock(T0), ()),
        writing=guarded(()),
    )
    store = StatusStore(lambda _: None, [tenant])
    keyset = Keyset(id=POLICY.keyset_id, keys=())
    seen = Observation(tenant="contoso", tenant_id=tenant_id(), policy=POLICY, now=T0, keyset=keyset)
    store.on_event(Looked(outcome=Held(observation=seen, reason=Reason.OBSERVE), is_preliminary=False, failures=0))
    store.on_event(Probed(tenant="contoso", tenant_id=tenant_id(), probe=Probe(now=T0), evidence=Evidence()))
    metrics = Metrics(Registry(), store, lambda: T0)
    metrics.configure(timedelta(hours=1), dry_run=False)
    metrics.on_event(SweepFinished(seconds=1.0, outcomes=(), late=0))
    observation = Observation(
        tenant="contoso", tenant_id=tenant.id, policy=POLICY, now=T0, keyset=Keyset(id=POLICY.keyset_id, keys=())
    )
    probed = KeysetStatus(policy=POLICY, observation=observation, evidence=Evidence())
    entries = {("contoso", POLICY.keyset_id): probed}
    proof = "".join(proof_series(PREFIX, entries, proofs(entries, T0), T0))
    return {
        family.name.removeprefix(PREFIX) + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(metrics.render("")[0].decode() + proof)
        if family.name.startswith(PREFIX)
    }


def test_help_of_each_metric_says_what_and_in_which_unit() -> None:
    """The unit is in words: seconds, Unix time, a number, or 1 and 0."""
    forms = {
        r"counter .*": r"Number of .*\.",
        r"\w+ .*_timestamp_seconds": r"Unix time in seconds .*\.",
        r"\w+ .*_seconds": r"Seconds .*\.",
        r"gauge .*": r"(?:Number of .*|1 if .*; (?:otherwise 0|0 if .*)|.*; always 1)\.",
    }
    wrong = {}
    for name, family in _families().items():
        form = next(form for kind, form in forms.items() if re.fullmatch(kind, f"{family.type} {name}"))
        if not re.fullmatch(form, family.documentation):
            wrong[name] = family.documentation
    assert wrong == {}


def test_documents_have_each_metric() -> None:
    """Each metric of ours has its row on its page, and there is none besides."""
    exposed = _families()
    told = {name.partition("{")[0] for name in first_cells(section("docs/metrics-and-alerts.md", "Metrics"))}
    assert sorted(exposed) == sorted(told)


def test_documents_have_each_change() -> None:
    """Each kind of change by others has its row."""
    told = first_cells(section("docs/outcomes-and-failures.md", "Changes by others"))
    assert sorted(told) == sorted(ChangeKind)


def test_config_file_has_each_setting() -> None:
    """The file that shows the whole configuration shows each name in it, if only in a comment."""
    shown = set(re.findall(r"[a-z_]+(?=:)", (ROOT / "config" / "rotator.yaml").read_text(encoding="utf-8")))
    tops = {part for name, _ in _settings(Settings, "") for part in name.split(".")}
    fields = {*tops, *TenantSettings.model_fields, *CredentialSettings.model_fields, *KeysetSettings.model_fields}
    assert fields - shown == set()


def test_documents_name_tests_that_exist() -> None:
    """Each test that a document names, such as for a promise, is there."""
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", DOCUMENTS)
    assert len(named) > 15
    missing = [
        (path, name)
        for path, name in named
        if not (ROOT / path).is_file() or (name and f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8"))
    ]
    assert missing == []
