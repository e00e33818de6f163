"""Command lines and standard input that hold what they should not: one line, nothing secret in it, nothing odd."""

import subprocess
import sys
from pathlib import Path

import pytest

from rotator import cli

SECRET = "s3cret-hunter2-value"
CONTENT = f"""
tenants:
  - name: contoso
    tenant_id: contoso.onmicrosoft.com
    credential: {{client_id: app, client_secret_env: NOT_SET}}
    keysets: [{{id: B2C_1A_X, use: sig}}]
# {SECRET}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "rotator.yaml"
    path.write_text(CONTENT, encoding="utf-8")
    return path


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said on stderr, all of it printable."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code in (64, 78)
    said = capsys.readouterr()
    assert said.out == ""
    assert all(line.isprintable() for line in said.err.splitlines()), said.err
    assert max(map(len, said.err.splitlines())) <= 300
    return said.err


@pytest.mark.parametrize(
    "change",
    [
        f"tenants[0].credential.client_secret={SECRET}",
        f"defaults.overlap={SECRET}",
        f"defaults.overlap=[{SECRET}",
        f"defaults.overlap: {SECRET}",
        f"defaults..overlap={SECRET}",
        f"tenants={SECRET}",
        f"tenants[0].keysets[0].id={SECRET}",
        f"tenants[{'9' * 5000}].name={SECRET}",
        f"\x1b[31m\u202e={SECRET}",
        f"{SECRET}",
    ],
)
def test_change_with_a_secret(config: Path, capsys: pytest.CaptureFixture[str], change: str) -> None:
    """Values are not repeated, whatever is wrong with the change."""
    assert SECRET not in complaint(capsys, "simulate", "--config", str(config), "--set", change)


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate", "--outage", "2026\x1b[31m\u202e"),
        ("simulate", "--years", "\x1b[31m\u202e"),
        ("\x1b[31m\u202e",),
        ("--\x1b[31m\u202e",),
        ("emulator", "--port", "\x1b[2J"),
        ("emulator", "--port", "9" * 5000),
    ],
)
def test_argument_with_control_characters(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """They reach no terminal."""
    complaint(capsys, *arguments)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", "eyJ\u00e9".encode(), b"\x00" * 1_000_000, None], ids=repr)
def test_token_that_is_no_text(config: Path, content: bytes | None) -> None:
    """Standard input that is binary, endless or closed is answered as one without a token."""
    command = [sys.executable, "-m", "rotator", "--config", str(config), "token"]
    closed = ["sh", "-c", 'exec "$@" <&-', "sh", *command]
    ended = subprocess.run(
        closed if content is None else command,
        input=content,
        capture_output=True,
        env={"PYTHONIOENCODING": "utf-8", "PATH": "/usr/bin:/bin"},
        timeout=60,
        check=False,
    )
    assert ended.returncode == 64
    assert ended.stderr.decode().splitlines() == [
        "rotator: token: stdin has no JWT, refresh token or authorization code with a kid"
    ]
