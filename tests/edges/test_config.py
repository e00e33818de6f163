"""The configuration: its defaults, what goes before what, and that no problem repeats a value."""

import json
import os
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from rotator.core.errors import ConfigError
from rotator.core.policy import Mode
from rotator.edges import config, config_schema
from rotator.edges.clouds import CLOUDS
from rotator.edges.process_settings import HttpClientSettings, HttpSettings, LogSettings, MetricsSettings, ShardSettings
from rotator.edges.settings import PREFIX, Settings
from rotator.edges.tenant_settings import PolicySettings

EXAMPLE = Path(__file__).parents[2] / "config" / "rotator.yaml"
SECRET = "kE8Q~not-a-real-secret-of-anybody.aB3"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine changes a setting."""
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


def minimal(**more: object) -> dict[str, Any]:
    """A configuration with no more than it must have, and *more*."""
    tenant = {
        "name": "contoso",
        "tenant_id": "contoso.onmicrosoft.com",
        "credential": {"client_id": "app", "client_secret_file": "/secret"},
        "keysets": [{"id": "B2C_1A_X", "use": "sig"}],
    }
    return {"tenants": [tenant], **more}


def load(folder: Path, content: object) -> Settings:
    """What comes of *content*."""
    path = folder / "rotator.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return config.load(path)


def problems(folder: Path, content: object) -> list[str]:
    """What is wrong with *content*."""
    try:
        load(folder, content)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


# --- the file that is shipped


def test_example_has_every_default(tmp_path: Path) -> None:
    """The shipped file says what holds anyway: without it, only its tenants would be missing."""
    example = config.load(EXAMPLE)
    content = yaml.safe_load(EXAMPLE.read_text())
    assert example == load(tmp_path, {"tenants": content["tenants"]})


@pytest.mark.parametrize(
    ("section", "model", "left_out"),
    [
        (None, Settings, {"leader_election"}),
        ("log", LogSettings, set()),
        ("http", HttpSettings, set()),
        ("http_client", HttpClientSettings, set()),
        ("metrics", MetricsSettings, set()),
        ("shard", ShardSettings, set()),
        ("defaults", PolicySettings, {"accept_unreadable_secret"}),
    ],
)
def test_example_names_every_setting(section: str | None, model: type[BaseModel], left_out: set[str]) -> None:
    """Each setting stands in the shipped file, but for what only some need, and nobody should turn on by copying."""
    content = yaml.safe_load(EXAMPLE.read_text())
    named = set(content if section is None else content[section])
    assert set(model.model_fields) - named <= left_out


def test_example_policies() -> None:
    """Without its own overlap a signing key overlaps by 25 hours; what a keyset says goes before the defaults."""
    settings = config.load(EXAMPLE)
    signing, encryption = settings.policies(settings.tenants[0])
    assert ("sig", timedelta(hours=25), timedelta(days=90)) == (signing.use, signing.overlap, signing.rotate_every)
    assert ("enc", timedelta(days=91), timedelta(days=180)) == (
        encryption.use,
        encryption.overlap,
        encryption.rotate_every,
    )
    assert {Mode.ROTATE} == {policy.mode for policy in (signing, encryption)}


def test_policy_overlap_by_use(tmp_path: Path) -> None:
    """Not given, the overlap follows from the use; given in the defaults, it holds for both."""
    content = minimal()
    content["tenants"][0]["keysets"] = [{"id": f"B2C_1A_{use}", "use": use} for use in ("sig", "enc")]
    settings = load(tmp_path, content)
    assert [timedelta(hours=25), timedelta(days=15)] == [
        policy.overlap for policy in settings.policies(settings.tenants[0])
    ]
    settings = load(tmp_path, content | {"defaults": {"overlap": "2d"}})
    assert [timedelta(days=2)] * 2 == [policy.overlap for policy in settings.policies(settings.tenants[0])]


@pytest.mark.parametrize("cloud", list(CLOUDS))
def test_cloud_by_name(tmp_path: Path, cloud: str) -> None:
    """A cloud that is named stands for its two roots."""
    content = minimal()
    content["tenants"][0]["cloud"] = cloud
    roots = load(tmp_path, content).tenants[0].roots
    assert CLOUDS[cloud] == roots
    assert roots.graph.startswith("https://")


def test_cloud_by_hand(tmp_path: Path) -> None:
    """Roots given by hand are taken as they are, but for a slash at the end."""
    content = minimal()
    content["tenants"][0]["cloud"] = {"graph": "https://localhost:1/", "login": "https://localhost:2"}
    roots = load(tmp_path, content).tenants[0].roots
    assert (roots.graph, roots.login) == ("https://localhost:1", "https://localhost:2")


@pytest.mark.parametrize(
    "root",
    [
        "http://a",
        "https://",
        "https://a/b",
        "https://a?b",
        "https://u:p@a",
        "a",
        "",
        "https://[::1",
        "https://a:99999",
        "https://a:0",
        "https://@a",
        "https://u@a",
        "https://a?",
        "https://a#",
        "https://a#b",
        "https://a/..",
        "https://a/../",
        "https://a..b",
        "https://.",
        "https://a b",
        " https://a",
        "https://a\t",
        "https://a\n",
        "https://a\x00",
        "https://a\u202e",
        "https://a\\b",
        "https://a\\",
        "https:\\\\a",
        "https://%61",
        "https://[::g]",
        7,
    ],
)
def test_cloud_root_that_is_none(tmp_path: Path, root: object) -> None:
    """Anything but an https root is refused with its path."""
    content = minimal()
    content["tenants"][0]["cloud"] = {"graph": root, "login": "https://localhost"}
    (problem,) = problems(tmp_path, content)
    assert problem.startswith("tenants[0].cloud.graph: ")


# --- the environment


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        ("ROTATOR_CHECK_INTERVAL", "10m", "check_interval", timedelta(minutes=10)),
        ("ROTATOR_SETTLE", "0s", "settle", timedelta()),
        ("ROTATOR_CONCURRENCY", "3", "concurrency", 3),
        ("ROTATOR_REQUEST_TIMEOUT", "1m30s", "request_timeout", timedelta(seconds=90)),
        ("ROTATOR_DRY_RUN", "true", "dry_run", True),
        ("ROTATOR_DRY_RUN", "1", "dry_run", True),
        ("ROTATOR_CA_FILE", "/ca.pem", "ca_file", Path("/ca.pem")),
        ("ROTATOR_LOG__LEVEL", "debug", "log.level", "debug"),
        ("ROTATOR_LOG__FORMAT", "console", "log.format", "console"),
        ("ROTATOR_HTTP__HOST", "::1", "http.host", "::1"),
        ("ROTATOR_HTTP__PORT", "9000", "http.port", 9000),
        ("ROTATOR_DEFAULTS__MODE", "observe", "defaults.mode", Mode.OBSERVE),
        ("ROTATOR_DEFAULTS__ROTATE_EVERY", "30d", "defaults.rotate_every", timedelta(days=30)),
        ("ROTATOR_DEFAULTS__OVERLAP", "2w", "defaults.overlap", timedelta(weeks=2)),
        ("ROTATOR_DEFAULTS__PUBLICATION_LEAD", "1d", "defaults.publication_lead", timedelta(days=1)),
        ("ROTATOR_DEFAULTS__RENEWAL_WINDOW", "7d", "defaults.renewal_window", timedelta(days=7)),
        ("ROTATOR_DEFAULTS__MINIMUM_LEAD", "3h", "defaults.minimum_lead", timedelta(hours=3)),
        ("rotator_settle", "7s", "settle", timedelta(seconds=7)),
        ("ROTATOR_LOG", '{"level": "error"}', "log.level", "error"),
    ],
)
def test_environment_sets_every_scalar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, path: str, expected: object
) -> None:
    """Every scalar can be set by a variable, which goes before the file."""
    monkeypatch.setenv(name, value)
    found: Any = load(tmp_path, minimal(check_interval="5h", settle="5h", concurrency=5, http={"port": 5}))
    for part in path.split("."):
        found = getattr(found, part)
    assert expected == found


def test_environment_changes_one_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable for one member of a section leaves the others as the file has them."""
    monkeypatch.setenv("ROTATOR_LOG__LEVEL", "debug")
    settings = load(tmp_path, minimal(log={"format": "console", "level": "error"}))
    assert (settings.log.level, settings.log.format) == ("debug", "console")


def test_environment_that_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that a template left empty sets nothing."""
    monkeypatch.setenv("ROTATOR_CHECK_INTERVAL", "")
    assert load(tmp_path, minimal()).check_interval == timedelta(hours=1)


def test_environment_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .env that lies around means nothing."""
    (tmp_path / ".env").write_text("ROTATOR_SETTLE=1s\n")
    monkeypatch.chdir(tmp_path)
    assert load(tmp_path, minimal()).settle == timedelta(minutes=2)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("ROTATOR_SETTLE", "5", "settle: "),
        ("ROTATOR_DRY_RUN", "maybe", "dry_run: must be true or false"),
        ("ROTATOR_HTTP__PORT", "-1", "http.port: must be at least 0"),
        ("ROTATOR_HTTP__RUNBOOK_URL", "runbook.md", "http.runbook_url: must be an http or https address"),
        ("ROTATOR_HTTP__SHARD_URL", "https://a/", "http.shard_url: write {shard} where the index of the shard stands"),
        ("ROTATOR_SHARD__INDEX", "1", "shard: shard.index must be less than shard.total: shards are counted from 0"),
        ("ROTATOR_LOG__LEVL", "debug", "log.levl: unknown key; did you mean level?"),
        ("ROTATOR_DEFAULTS__KTY", "EC", "defaults.kty: must be RSA or oct"),
        ("ROTATOR_SETTEL", "5s", "ROTATOR_SETTEL: unknown environment variable"),
        ("ROTATOR_", "x", "ROTATOR_: unknown environment variable"),
        ("ROTATOR_LOG", "{", "ROTATOR_LOG: is not valid JSON"),
        ("ROTATOR_TENANTS__0__NAME", "x", "tenants"),
    ],
)
def test_environment_that_makes_no_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    """A variable that means nothing, or nothing sensible, is a problem that names it or what it sets."""
    monkeypatch.setenv(name, value)
    found = problems(tmp_path, minimal())
    assert any(each.startswith(problem) for each in found), found
    assert all(len(each.splitlines()) == 1 for each in found)


def test_environment_fault_says_where_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a value comes from a variable, the problem names the variable: the file is right."""
    monkeypatch.setenv("ROTATOR_DRY_RUN", "maybe")
    (problem,) = problems(tmp_path, minimal(dry_run=False))
    assert problem.endswith(" (from ROTATOR_DRY_RUN)")


@pytest.mark.parametrize(
    ("root", "normal"),
    [
        ("HTTPS://LOCALHOST", "https://localhost"),
        ("https://Localhost./", "https://localhost"),
        ("https://localhost:443", "https://localhost"),
        ("https://localhost.:0443/", "https://localhost"),
        ("https://localhost:8443/", "https://localhost:8443"),
        ("https://[::1]:443", "https://[::1]"),
        ("https://[FE80::A]:8443", "https://[fe80::a]:8443"),
        ("https://10.0.0.1", "https://10.0.0.1"),
    ],
)
def test_cloud_root_has_one_spelling(tmp_path: Path, root: str, normal: str) -> None:
    """Spellings of one root are the same root, so that no directory counts as two."""
    content = minimal()
    content["tenants"][0]["cloud"] = {"graph": root, "login": root}
    roots = load(tmp_path, content).tenants[0].roots
    assert (roots.graph, roots.login) == (normal, normal)
    content["tenants"] += [{**content["tenants"][0], "name": "again", "cloud": {"graph": normal, "login": normal}}]
    assert any("duplicate keyset" in each for each in problems(tmp_path, content))


def test_tenant_id_has_one_spelling(tmp_path: Path) -> None:
    """A dot at the end of a domain makes it no other domain; two dots make it none."""
    content = minimal()
    content["tenants"][0]["tenant_id"] = "Contoso.onmicrosoft.com."
    assert load(tmp_path, content).tenants[0].tenant_id == "Contoso.onmicrosoft.com"
    content["tenants"][0]["tenant_id"] = "contoso..onmicrosoft.com"
    assert problems(tmp_path, content)[0].startswith("tenants[0].tenant_id: must be the tenant's GUID")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ca_file", "a\0b"),
        ("tenants.0.credential.client_secret_file", "a\0b"),
        ("http.host", "a\0b"),
        ("http.host", "a" * 64),
        ("http.host", ""),
        ("leader_election.service_account_directory", "a\0b"),
        ("settle", "9" * 5000 + "s"),
        ("settle", 10**90),
    ],
    ids=lambda value: str(value)[:40],
)
def test_value_that_no_system_call_takes(tmp_path: Path, path: str, value: object) -> None:
    """A NUL in the name of a file or a host, a label that is too long, a number without end: a problem in one line."""
    content = minimal()
    place: Any = content
    *parents, last = path.split(".")
    for each in parents:
        place = place[int(each)] if each.isdigit() else place.setdefault(each, {})
    place[last] = value
    (problem,) = problems(tmp_path, content)
    assert problem.startswith(path.replace(".0", "[0]") + ": ")
    assert len(problem) < 200


def test_number_of_too_many_digits(tmp_path: Path) -> None:
    """A number that Python refuses to print is refused where it stands in the file."""
    assert problems(tmp_path, minimal(settle=10**4299)) == ["line 1, column 9: not a valid int"]


def test_span_of_any_length(tmp_path: Path) -> None:
    """Zeros in front change nothing; more digits than a hundred years have are too many."""
    assert load(tmp_path, minimal(settle="0" * 5000 + "7s")).settle == timedelta(seconds=7)
    assert problems(tmp_path, minimal(settle="9" * 5000 + "s")) == ["settle: is longer than a hundred years"]


def test_environment_that_is_nested_too_deeply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON of any depth in a variable is a problem, and not a traceback."""
    monkeypatch.setenv("ROTATOR_TENANTS", "[" * 60_000)
    (problem,) = problems(tmp_path, minimal())
    assert problem == "environment: a variable holds JSON that is nested too deeply"


def test_names_are_printed_without_control_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of keys, variables and files cannot make a terminal do something."""
    nasty = "\x1b[31m\u202e\x9b"
    monkeypatch.setenv(f"ROTATOR_{nasty}", "x")
    found = problems(tmp_path, minimal(**{nasty: 1}))
    assert len(found) == 2
    found += problems(tmp_path, '"\\e\\u202e": 1\n"\\e\\u202e": 1\n')
    assert all(each.isprintable() and "\\u202e" in each for each in found), found
    with pytest.raises(ConfigError) as error:
        config.load(tmp_path / "\x1b[31m")
    assert str(error.value).isprintable()


# --- the file


def test_file_of_aliases_that_stand_for_too_much(tmp_path: Path) -> None:
    """Aliases of aliases are counted before anything is built of them."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (problem,) = problems(tmp_path, "\n".join(lines))
    assert problem == "line 1, column 1: with its aliases it has more than 250000 values"
    merges = ["m0: &m0 {a: 1, b: 2}"]
    merges += [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}]}}" for n in range(1, 12)]
    (problem,) = problems(tmp_path, "\n".join(merges))
    assert "more than 250000 values" in problem


def test_file_that_is_too_large(tmp_path: Path) -> None:
    """A file of more than 1 MiB is refused, as is a device without end."""
    text = yaml.safe_dump(minimal())
    assert problems(tmp_path, text + "#" * (1 << 20)) == ["cannot be read: larger than 1 MiB"]
    with pytest.raises(ConfigError, match="cannot be read: larger than 1 MiB"):
        config.load(Path("/dev/zero"))


def test_file_that_is_a_pipe(tmp_path: Path) -> None:
    """A pipe is read once; a reload says why it cannot be read again, and no look waits for it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    sources = config.Sources(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(yaml.safe_dump(minimal())))
    writer.start()
    assert sources.load().tenants[0].name == "contoso"
    writer.join()
    assert not sources.have_changed()
    with pytest.raises(ConfigError, match="is a pipe or a device, which can be read only once"):
        sources.load()


def test_file_that_changes_between_reads(tmp_path: Path) -> None:
    """What was read is what is compared, and a file that was read can be read again."""
    file = tmp_path / "rotator.yaml"
    file.write_text(yaml.safe_dump(minimal()))
    sources = config.Sources(file)
    for _ in range(2):
        sources.load()
        assert not sources.have_changed()
    file.write_text(yaml.safe_dump(minimal(settle="3m")))
    assert sources.have_changed()
    assert sources.load().settle == timedelta(minutes=3)


def test_file_with_anchors_and_merges(tmp_path: Path) -> None:
    """Anchors and merge keys are YAML like any other; what is merged does not count as given twice."""
    content = """
        defaults: &slow {rotate_every: 180d}
        tenants:
          - name: contoso
            tenant_id: contoso.onmicrosoft.com
            credential: {client_id: app, client_secret_file: /secret}
            keysets:
              - {<<: *slow, id: B2C_1A_X, use: sig, rotate_every: 60d}
    """
    settings = load(tmp_path, content)
    assert timedelta(days=60) == settings.policies(settings.tenants[0])[0].rotate_every


def test_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    """A byte order mark, which editors on Windows write, is not part of the first key."""
    assert load(tmp_path, "\ufeff" + yaml.safe_dump(minimal())).tenants[0].name == "contoso"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: *nowhere\n", "line 1, column 4: found undefined alias"),
        ("? [a]\n: b\n", "line 1, column 3: found unhashable key"),
        ("a: b\n---\nc: d\n", "line 2, column 1: but found another document"),
        ("a: \x00\n", "is not valid YAML"),
        ("a: &a [*a]\n", ""),
        ("[" * 1500, ""),
        ("yes: 1\n", "must be a mapping of names to values"),
        ("tenants: {}\n", "tenants: "),
        ("tenants: contoso\n", "tenants: "),
        ("tenants: [contoso]\n", "tenants[0]: "),
        ("tenants: [[]]\n", "tenants[0]: "),
        ("tenants: [null]\n", "tenants[0]: "),
    ],
    ids=lambda text: repr(text)[:30],
)
def test_file_of_a_strange_form(tmp_path: Path, content: str, problem: str) -> None:
    """However strange, a file that is not a configuration ends in problems of one line each."""
    found = problems(tmp_path, content)
    assert found
    assert found[0].startswith(problem)
    assert all(len(each.splitlines()) == 1 for each in found)


def leaves(content: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path to every value that is neither a mapping nor a list."""
    if isinstance(content, dict):
        for name, inner in content.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(content, list):
        for number, inner in enumerate(content):
            yield from leaves(inner, (*path, number))
    else:
        yield path


def full() -> dict[str, Any]:
    """The shipped configuration, with further members whose values could be wrong."""
    content: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    tenant = content["tenants"][0]
    tenant["cloud"] = {"graph": "https://localhost", "login": "https://localhost"}
    tenant["credential"] |= {"client_secret_expires": "2030-01-01"}
    tenant["keysets"][0] |= {"mode": "rotate", "kty": "RSA", "minimum_lead": "0s", "accept_unreadable_secret": False}
    return content


@pytest.mark.parametrize("path", list(leaves(full())), ids=lambda path: ".".join(map(str, path)))
def test_fault_never_repeats_a_value(tmp_path: Path, path: tuple[str | int, ...]) -> None:
    """Wherever a secret was put by mistake, no problem has it."""
    for wrong in (SECRET, [SECRET], {SECRET: SECRET}, {"client_secret": SECRET}):
        content: Any = full()
        at = content
        for part in path[:-1]:
            at = at[part]
        at[path[-1]] = wrong
        found = "\n".join(problems(tmp_path, content))
        assert f"{SECRET}" not in found.replace(f".{SECRET}: unknown key", "")
        assert not re.search(r"nput should|valid (string|integer|boolean|dictionary|tuple|list)|Error", found)


def test_fault_for_each_mistake(tmp_path: Path) -> None:
    """All problems are reported at once, in the order of the file's sections."""
    content = minimal(settle=5, nonsense=1, dry_run="maybe")
    content["tenants"][0] |= {"name": "", "keysets": [{"id": "x", "use": "both"}, {"id": "B2C_1A_Y"}]}
    assert {
        "settle",
        "nonsense",
        "dry_run",
        "tenants[0].name",
        "tenants[0].keysets[0].id",
        "tenants[0].keysets[0].use",
        "tenants[0].keysets[1].use",
    } == {each.partition(":")[0] for each in problems(tmp_path, content)}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (
            {"rotate_every": "10d", "publication_lead": "5d", "renewal_window": "6d"},
            (
                "publication_lead (5d) + renewal_window (6d) must be shorter than rotate_every (10d); "
                "they are too long by 1d1s"
            ),
        ),
        (
            {"minimum_lead": "3d"},
            "minimum_lead (3d) must not be longer than publication_lead (2d); it is too long by 1d",
        ),
        ({"kty": "oct"}, "kty: oct with mode: rotate would generate a secret that cannot be read"),
    ],
)
def test_fault_of_numbers_that_collide(tmp_path: Path, policy: dict[str, object], message: str) -> None:
    """What is right each for itself and wrong together is reported with the numbers and by how much, of each keyset."""
    content = minimal(defaults=policy)
    content["tenants"][0]["keysets"].append({"id": "B2C_1A_Y", "use": "enc"})
    found = problems(tmp_path, content)
    assert [each.partition(": ")[0] for each in found] == ["tenants[0].keysets[0]", "tenants[0].keysets[1]"]
    assert all(message in each for each in found)


@pytest.mark.parametrize("policy", [{"mode": "observe"}, {"accept_unreadable_secret": True}])
def test_unreadable_secret_that_is_allowed(tmp_path: Path, policy: dict[str, object]) -> None:
    """An oct keyset may be observed; it is rotated only if the configuration says that nobody needs to read it."""
    content = minimal()
    content["tenants"][0]["keysets"][0] |= {"kty": "oct", **policy}
    assert problems(tmp_path, content) == []


def test_fault_names_its_line(tmp_path: Path) -> None:
    """Each fault has the line of the value, or of the nearest part of the file that there is."""
    text = """\
settle: 5
defaults: &slow {rotate_every: 180d}
tenants:
  - name: contoso
    tenant_id: contoso.onmicrosoft.com
    credential:
      client_id: app
      client_secret: x
    keysets:
      - {<<: *slow, id: B2C_1A_X, use: both}
      - id: B2C_1A_Y
        use: sig
        publication_lead: 170d
  - name: contoso
    tenant_id: other.onmicrosoft.com
    credential: {client_id: app, client_secret_env: X}
    keysets: [{id: B2C_1A_X, use: sig}]
"""
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    lines = {problem.path: problem.line for problem in raised.value.problems}
    assert lines == {
        "settle": 1,
        "tenants[0].credential.client_secret": 8,
        "tenants[0].keysets[0].use": 10,
    }
    assert f"{tmp_path / 'rotator.yaml'}:8: tenants[0].credential.client_secret: unknown key" in str(raised.value)
    fixed = text.replace("settle: 5\n", "").replace("client_secret: x", "client_secret_env: X").replace("both", "sig")
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, fixed)
    lines = {problem.path: problem.line for problem in raised.value.problems}
    assert lines == {"tenants[0].keysets[1]": 10, "tenants[1].name": 13}


def test_fault_of_a_variable_has_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that comes from the environment is not in the file."""
    monkeypatch.setenv("ROTATOR_SETTLE", "5")
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, minimal(settle="2m"))
    assert [problem.line for problem in raised.value.problems] == [None]


def test_schema_has_defaults_that_are_valid() -> None:
    """Every default of a text matches the pattern of its property, also in the defaults of sections."""
    schema = config_schema.schema()
    assert schema["$id"]
    checked = 0
    for properties in (each["properties"] for each in (schema, *schema["$defs"].values()) if "properties" in each):
        for name, each in properties.items():
            if isinstance(each.get("default"), str) and "pattern" in each:
                assert re.search(each["pattern"], each["default"]), name
                checked += 1
            section = schema["$defs"].get(each.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
            for inner, value in (each.get("default") or {}).items() if section else ():
                if isinstance(value, str) and "pattern" in section[inner]:
                    assert re.search(section[inner]["pattern"], value), inner
                    checked += 1
    assert checked >= 10


def test_schema_knows_every_key() -> None:
    """The schema is JSON, refuses unknown keys, and its durations are texts with a pattern."""
    schema = json.loads(json.dumps(config_schema.schema()))
    assert set(schema["properties"]) == set(Settings.model_fields)
    sections = [each for each in (schema, *schema["$defs"].values()) if "properties" in each]
    assert {False} == {each["additionalProperties"] for each in sections}
    assert "pattern" in schema["properties"]["check_interval"]


@pytest.mark.parametrize(
    ("concurrency", "client", "expected"),
    [(8, {}, 64), (64, {}, 128), (8, {"max_connections": 16}, 16), (8, {"max_connections": 300}, 300)],
)
def test_connections(tmp_path: Path, concurrency: int, client: dict[str, int], expected: int) -> None:
    """As many as configured; where nothing is configured, never too few for `concurrency`."""
    assert load(tmp_path, minimal(concurrency=concurrency, http_client=client)).max_connections == expected


def test_connections_that_are_too_few(tmp_path: Path) -> None:
    """A configured number that would have threads wait for each other is refused."""
    (problem,) = problems(tmp_path, minimal(concurrency=9, http_client={"max_connections": 17}))
    assert "http_client.max_connections must be at least 2 x concurrency, here 18" in problem


def test_shard_has_its_tenants_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tenant is in exactly one shard, and the environment goes before the file."""
    (tenant,) = minimal()["tenants"]
    tenants = [tenant | {"name": f"t{n}", "tenant_id": f"t{n}.onmicrosoft.com"} for n in range(20)]
    path = tmp_path / "rotator.yaml"
    path.write_text(json.dumps({"tenants": tenants, "shard": {"index": 0, "total": 3}}), encoding="utf-8")
    found = list[str]()
    for index in range(3):
        monkeypatch.setenv("ROTATOR_SHARD__INDEX", str(index))
        settings = config.Sources(path).load()
        assert settings.shard.index == index
        assert settings.lease_name == f"rotator-{index}"
        found += [each.name for each in settings.tenants]
    assert sorted(found) == sorted(each["name"] for each in tenants)


def test_shard_stays_until_the_next_start(tmp_path: Path) -> None:
    """A reload moves no tenant: another process may have it still."""
    (tenant,) = minimal()["tenants"]
    tenants = [tenant | {"name": f"t{n}", "tenant_id": f"t{n}.onmicrosoft.com"} for n in range(20)]
    path = tmp_path / "rotator.yaml"
    path.write_text(json.dumps({"tenants": tenants, "shard": {"index": 0, "total": 3}}), encoding="utf-8")
    sources = config.Sources(path)
    before = sources.load().tenants
    path.write_text(json.dumps({"tenants": tenants, "shard": {"index": 0, "total": 2}}), encoding="utf-8")
    after = sources.load()
    assert after.tenants == before
    assert after.shard.total == 2


def test_shard_that_does_not_exist(tmp_path: Path) -> None:
    """Shards are counted from 0."""
    (problem,) = problems(tmp_path, minimal(shard={"index": 4, "total": 4}))
    assert "shard.index must be less than shard.total" in problem
