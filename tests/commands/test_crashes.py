"""What nobody catches in a command that speaks to a service goes through the redaction, as everything else."""

import subprocess
import sys
from pathlib import Path

import pytest

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJl"
STDIN = "eyJraWQiOiJrIn0.e30.c2ln"  # the header is {"kid":"k"}
CONFIG = """
tenants:
  - name: contoso
    tenant_id: contoso.onmicrosoft.com
    cloud: {graph: "https://127.0.0.1:1", login: "https://127.0.0.1:1"}
    credential: {client_id: app, client_secret_env: NOT_SET}
    keysets: [{id: B2C_1A_X, use: sig}]
"""
CRASH = """
import sys
from rotator.cli import main
assert main(sys.argv[2:]) == 1
raise RuntimeError(f"given {sys.argv[1]}")
"""


@pytest.mark.parametrize(
    "call", [("token",), ("discover",), ("doctor",), ("simulate", "--live", "--years", "0.1")], ids=" ".join
)
def test_crash(tmp_path: Path, call: tuple[str, ...]) -> None:
    """The error is logged without the token that it quotes."""
    path = tmp_path / "rotator.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-c", CRASH, JWT, *call, "--config", str(path)]
    ended = subprocess.run(command, input=STDIN, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "rotator.crashed" in ended.stderr
    assert "given [secret]" in ended.stderr
    assert "eyJ" not in ended.stderr.replace("eyJraWQiOiJrIn0", "")
