import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from documents.pages import ROOT, Snippet, calls, rows, section, snippets

from rotator import cli
from rotator.core.keyset import Key, Keyset
from rotator.core.rotation import Rotate, decide
from rotator.core.text import format_instant
from rotator.edges import config
from rotator.edges.settings import Settings
from rotator.edges.tenant_settings import KeysetSettings, PolicySettings
from rotator.views.phrases import falls_short

TENANT = {
    "name": "contoso",
    "tenant_id": "contoso.onmicrosoft.com",
    "credential": {"client_id": "00000000-0000-0000-0000-000000000000", "client_secret_env": "SECRET"},
    "keysets": [{"id": "B2C_1A_X", "use": "sig"}],
}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
EXAMPLES = (
    "A normal rotation",
    "A late rotation",
    "An undated key",
    "A key with exp and no nbf",
    "A two-year key",
    "An encryption keyset",
    "An overlap that cannot be met",
)


# --- commands


def _commands(program: str) -> list[tuple[str, list[str]]]:
    """Each call of *program* in a snippet for a shell: where it is, and its arguments."""
    return [
        (snippet.id, words[1:])
        for snippet in snippets("sh")
        for words in calls(snippet.text)
        if Path(words[0]).name == program
    ]


@pytest.mark.parametrize(("where", "arguments"), _commands("rotator"))
def test_commands_of_rotator_are_valid(where: str, arguments: list[str]) -> None:
    """Each call of rotator in a document is one that its command line accepts."""
    code: object = 0
    try:
        cli.parser().parse_args(arguments)
    except SystemExit as ended:
        code = ended.code  # --help and --version end with 0
    assert not code, where


@pytest.mark.parametrize(("where", "arguments"), _commands("make"))
def test_commands_of_make_are_targets(where: str, arguments: list[str]) -> None:
    """Each target of make in a document is one of the Makefile."""
    assert {word for word in arguments if "=" not in word} <= TARGETS, where


def test_documents_have_commands() -> None:
    """The two tests above have something to look at."""
    assert len(_commands("rotator")) > 10
    assert len(_commands("make")) > 3


def test_snippets_name_their_language() -> None:
    """Each fenced block says what it is, so that none escapes the tests; commands are in blocks for a shell."""
    assert [snippet.id for snippet in snippets() if not snippet.language] == []
    others = [snippet for snippet in snippets() if snippet.language != "sh"]
    assert [snippet.id for snippet in others if re.search(r"^(rotator|make) ", snippet.text, re.MULTILINE)] == []


# --- configurations


def _configurations() -> list[Snippet]:
    """The YAML snippets that are a configuration, or a part of one."""
    return [snippet for snippet in snippets("yaml") if set(yaml.safe_load(snippet.text)) <= set(Settings.model_fields)]


@pytest.mark.parametrize("snippet", _configurations(), ids=lambda snippet: snippet.id)
def test_configurations_are_valid(snippet: Snippet, tmp_path: Path) -> None:
    """Each configuration in a document is accepted; a part of one, together with a tenant."""
    content = {"tenants": [TENANT], **yaml.safe_load(snippet.text)}
    path = tmp_path / "rotator.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    settings = config.load(path, {})
    assert [tenant.name for tenant in settings.tenants] == [tenant["name"] for tenant in content["tenants"]]


def test_snippets_in_yaml_are_configurations_or_examples() -> None:
    """No YAML snippet is left out: it is a configuration, or an example with a policy and keys."""
    examples = [snippet for snippet in snippets("yaml") if set(yaml.safe_load(snippet.text)) == {"policy", "keys"}]
    assert len(examples) == len(EXAMPLES)
    assert len(_configurations()) + len(examples) == len(list(snippets("yaml")))
    assert len(_configurations()) > 3


# --- worked examples


def _instant(text: str | datetime) -> datetime:
    found = datetime.fromisoformat(text) if isinstance(text, str) else text
    return found.astimezone(UTC)


def _key(member: dict[str, Any]) -> Key:
    nbf, exp = (member.get(name) for name in ("nbf", "exp"))
    return Key(kid=member["kid"], nbf=nbf and _instant(nbf), exp=exp and _instant(exp))


@pytest.mark.parametrize("title", EXAMPLES)
def test_worked_examples(title: str) -> None:
    """Each row of a worked example is what `decide` says, to the second."""
    text = section("docs/how-it-decides.md", title)
    given = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    policy = KeysetSettings(id="B2C_1A_X", **given["policy"]).policy(PolicySettings())
    keyset = Keyset(id="B2C_1A_X", keys=tuple(map(_key, given["keys"])))
    told = rows(text)[1:]
    assert told
    for cells in told:
        decision = decide(policy, keyset, _instant(cells[0]))
        dates = ["-", "-"]
        if isinstance(decision, Rotate):
            dates = [format_instant(decision.spec.nbf), format_instant(decision.spec.exp)]
        short = falls_short(decision.assessment.shortfall) or "-"
        assert [type(decision).__name__.lower(), decision.reason.value, *dates, short] == cells[1:]
