"""The command line: what is invalid, what is said, and what is not loaded for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from end_to_end.harness import Bench, Finished, Tenant, due, fresh

from rotator import __version__

NEVER = frozenset({"rich", "click", "typer"})
HEAVY = frozenset({"apscheduler", "cryptography", "httpcore", "httpx", "msal", "prometheus_client", "pydantic"}) | {
    "pydantic_settings",
    "requests",
    "structlog",
    "werkzeug",
    "yaml",
    "ssl",
}
EMULATOR = frozenset({"rotator.emulator", "rotator.commands.demo", "werkzeug"})
PAGE = frozenset({"jinja2", "markupsafe", "rotator.views.page"})
DAEMON = PAGE | {"apscheduler", "prometheus_client", "rotator.service.daemon", "rotator.edges.metrics"}

REPORT = """
import json, sys
from rotator.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
finally:
    print("\\n" + json.dumps(sorted(sys.modules)))
"""


def loaded(bench: Bench, *arguments: str) -> set[str]:
    """The modules that a call has loaded when it is over."""
    finished = subprocess.run(
        [sys.executable, "-c", REPORT, *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        env=bench.environment(),
    )
    return set(json.loads(finished.stdout.splitlines()[-1]))


def usage(run: Finished) -> str:
    """The complaint of a call that made no sense."""
    assert (run.code, run.out) == (64, "")
    complaint, advice = run.err.splitlines()
    assert advice.startswith("Try 'rotator")
    assert advice.endswith("--help'.")
    return complaint


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(("--nonsense",), "rotator: unrecognized arguments: --nonsense", id="unknown option"),
        pytest.param(("--dry",), "rotator: unrecognized arguments: --dry", id="option cut short"),
        pytest.param(("revoke",), "rotator: argument COMMAND: invalid choice: 'revoke'", id="unknown command"),
        pytest.param(
            ("--once", "--dry-run"),
            "rotator: argument --dry-run: not allowed with argument --once",
            id="two ways at once",
        ),
        pytest.param(
            ("--once", "status"),
            "rotator: --once and --dry-run cannot be combined with the command status",
            id="way and command",
        ),
        pytest.param(("--detailed-exitcode",), "rotator: --detailed-exitcode needs --dry-run", id="detail of nothing"),
        pytest.param(
            ("--once", "--detailed-exitcode"), "rotator: --detailed-exitcode needs --dry-run", id="detail of a write"
        ),
        pytest.param(
            ("--output", "json"),
            "rotator: --output needs --once, --dry-run, status, token, rotate, doctor or simulate",
            id="report of a daemon",
        ),
        pytest.param(
            ("--once", "--output", "xml"), "rotator: argument --output: invalid choice: 'xml'", id="unknown output"
        ),
        pytest.param(("--tenant", "x"), "rotator: --tenant needs --once, --dry-run or status", id="part of a daemon"),
        pytest.param(
            ("status", "--watch", "--output", "json"),
            "rotator: --watch cannot be combined with --output json",
            id="many documents",
        ),
        pytest.param(
            ("completion", "tcsh"), "rotator completion: argument bash|zsh|fish: invalid choice: 'tcsh'", id="shell"
        ),
        pytest.param(("--config",), "rotator: argument --config: expected one argument", id="no file"),
        pytest.param(
            ("config",), "rotator config: the following arguments are required: check|schema|init", id="config what?"
        ),
        pytest.param(
            ("config", "mend"), "rotator config: argument check|schema|init: invalid choice: 'mend'", id="unknown verb"
        ),
        pytest.param(
            ("emulator", "--port", "70000"),
            "rotator emulator: argument --port: '70000' is not a valid port (0-65535)",
            id="port",
        ),
    ],
)
def test_cli_nonsense(bench: Bench, arguments: tuple[str, ...], complaint: str) -> None:
    """A command line that is invalid is refused with 64 and one line that says why, before anything is read."""
    assert usage(bench.run(*arguments)).startswith(complaint)


def test_cli_nonsense_goes_before_a_bad_configuration(bench: Bench) -> None:
    """Where both hold, 64 is returned and not 78."""
    bench.config.write_text("nonsense")
    assert bench.run("--once", "--dry-run").code == 64


def test_cli_version(bench: Bench) -> None:
    """The version stands on stdout, and nothing else."""
    run = bench.run("--version")
    assert (0, f"rotator {__version__}\n", "") == (run.code, run.out, run.err)


def test_cli_help_names_every_command_option_and_exit_code(bench: Bench) -> None:
    """Help is on stdout, and has all that the interface promises."""
    run = bench.run("--help")
    assert (run.code, run.err) == (0, "")
    words = [
        "--config",
        "ROTATOR_CONFIG",
        "config/rotator.yaml",
        "--output",
        "--once",
        "--dry-run",
        "--detailed-exitcode",
    ]
    words += ["--version", "status", "config", "emulator", "demo", "exit codes:"]
    assert [word for word in words if word not in run.out] == []
    codes = run.out.partition("exit codes:\n")[2].splitlines()[:7]
    assert [line.split()[0] for line in codes] == ["0", "1", "2", "3", "4", "64", "78"]


def test_cli_configuration_by_option_goes_before_the_variable(bench: Bench, tmp_path: Path) -> None:
    """--config is taken before ROTATOR_CONFIG, before and after the command."""
    bench.begin(Tenant(keysets=(fresh(),)))
    good = str(bench.config)
    env = {"ROTATOR_CONFIG": str(tmp_path / "nowhere.yaml")}
    for arguments in (("config", "check", "--config", good), ("--config", good, "config", "check")):
        run = bench.run(*arguments, env=env)
        assert (0, f"{good}: valid (1 tenant, 1 keyset)\n") == (run.code, run.out)
    assert bench.run("config", "check", env=env).code == 78


def test_cli_configuration_by_default(tmp_path: Path, bench: Bench) -> None:
    """Without option and variable, config/rotator.yaml is read."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "rotator.yaml").write_text("{}")
    run = subprocess.run(
        [sys.executable, "-m", "rotator", "config", "check"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        cwd=tmp_path,
        env=bench.environment({"ROTATOR_CONFIG": ""}),
    )
    assert (run.returncode, run.stderr) == (78, "config/rotator.yaml:1: tenants: is missing\n")


def test_cli_config_check_reads_the_files_and_asks_nobody(bench: Bench) -> None:
    """A check reads the file and those that it names, and asks no service; what is missing is a warning, or a fault."""
    bench.begin(Tenant(keysets=(fresh(), due())), Tenant(name="two", keysets=(fresh(),)))
    run = bench.run("config", "check")
    assert (0, "", f"{bench.config}: valid (2 tenants, 3 keysets)\n") == (run.code, run.err, run.out)
    bench.secret_file.unlink()
    run = bench.run("config", "check")
    assert (0, f"{bench.config}: valid, 2 warnings (2 tenants, 3 keysets)\n") == (run.code, run.out)
    first, _ = run.err.splitlines()
    number = first.removeprefix(f"{bench.config}:").partition(":")[0]
    assert "client_secret_file" in bench.config.read_text().splitlines()[int(number) - 1]
    assert first.endswith("No such file or directory (warning)")
    assert bench.run("config", "check", "--strict").code == 78
    assert not bench.emulator.requests


def test_cli_config_init_is_a_valid_configuration(bench: Bench) -> None:
    """What it prints is short, and lacks nothing but what only its reader knows."""
    run = bench.run("config", "init", env={"ROTATOR_CONFIG": "/nowhere"})
    assert (run.code, run.err) == (0, "")
    assert len(run.out.splitlines()) < 30
    bench.config.write_text(run.out)
    checked = bench.run("config", "check")
    assert (checked.code, "2 keysets" in checked.out) == (0, True)
    assert [line.partition("credential.")[2].partition(":")[0] for line in checked.err.splitlines()] == [
        "client_id",
        "client_secret_file",
    ]


def test_cli_help_of_a_command(bench: Bench) -> None:
    """`help` prints what `--help` does, of rotator and of each command; `version` what `--version` does."""
    for words in ((), ("status",), ("config", "check")):
        assert bench.run("help", *words).out == bench.run(*words, "--help").out
    assert bench.run("version").out == bench.run("--version").out
    assert usage(bench.run("help", "nonsense")).startswith("rotator: argument COMMAND: invalid choice: 'nonsense'")


def test_cli_config_schema(bench: Bench) -> None:
    """The schema is JSON on stdout, needs no configuration, and knows every key."""
    run = bench.run("config", "schema", env={"ROTATOR_CONFIG": "/nowhere"})
    schema = run.document
    assert (run.code, run.err) == (0, "")
    keys = {"check_interval", "settle", "concurrency", "request_timeout", "dry_run", "ca_file", "log", "http"}
    assert keys | {"defaults", "tenants"} <= set(schema["properties"])
    assert "required" not in schema
    assert schema["anyOf"] == [{"required": ["tenants"]}, {"required": ["tenants_directory"]}]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("--nonsense",), ("--once", "--dry-run"), ("status", "--help"), ("config",)],
    ids=" ".join,
)
def test_cli_loads_nothing_heavy_to_answer(bench: Bench, arguments: tuple[str, ...]) -> None:
    """Help, version and complaints are there before anything heavy is imported."""
    assert set() == loaded(bench, *arguments) & (HEAVY | NEVER | EMULATOR | PAGE)


def test_cli_loads_no_network_to_check_a_configuration(bench: Bench) -> None:
    """A check loads neither what asks, nor what logs, nor what serves."""
    bench.begin(Tenant(keysets=(fresh(),)))
    unneeded = {"msal", "requests", "httpx", "httpcore", "structlog", "cryptography"} | DAEMON | EMULATOR | NEVER
    assert set() == loaded(bench, "config", "check") & unneeded


@pytest.mark.parametrize("arguments", [("--dry-run",), ("--once",), ("status",)], ids=" ".join)
def test_cli_loads_no_daemon_for_one_pass(bench: Bench, arguments: tuple[str, ...]) -> None:
    """One pass loads no scheduler, no metrics, no web server, no templates and no emulator."""
    bench.begin(Tenant(keysets=(due(),)))
    modules = loaded(bench, *arguments)
    assert set() == modules & (DAEMON | EMULATOR | NEVER)
    assert {"httpx", "msal"} <= modules, "the call did what it was to do"
