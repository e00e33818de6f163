"""What the daemon says first on a terminal, and where it listens there."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.commands.serve import banner, on_loopback
from rotator.edges import config
from rotator.edges.settings import Settings


def settings(folder: Path, **more: Any) -> Settings:
    """A configuration of two keysets, and *more*."""
    tenant = {
        "name": "contoso",
        "tenant_id": "contoso.onmicrosoft.com",
        "credential": {"client_id": "app", "client_secret_env": "X"},
        "keysets": [{"id": "B2C_1A_X", "use": "sig"}, {"id": "B2C_1A_Y", "use": "enc", "mode": "observe"}],
    }
    path = folder / "rotator.yaml"
    path.write_text(yaml.safe_dump({**more, "tenants": [tenant]}))
    return config.load(path)


@pytest.mark.parametrize(
    ("more", "host"),
    [({}, "127.0.0.1"), ({"http": {"port": 0}}, "127.0.0.1"), ({"http": {"host": "0.0.0.0"}}, "0.0.0.0")],
)
def test_host_that_was_not_set_is_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], host: str
) -> None:
    """What is set stays, even if it is the default; the rest of the section stays as well."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    before = settings(tmp_path, **more)
    after = on_loopback(before)
    assert (after.http.host, after.http.port) == (host, before.http.port)


def test_host_in_a_pod_with_a_terminal_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes probes from outside."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert on_loopback(settings(tmp_path)).http.host == "0.0.0.0"


def test_host_set_by_a_variable_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable sets it like the file."""
    monkeypatch.setenv("ROTATOR_HTTP__HOST", "0.0.0.0")
    assert on_loopback(settings(tmp_path)).http.host == "0.0.0.0"


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({}, "writes         generates keys that are due, after a second look; 1 of 2 keysets in mode observe"),
        ({"dry_run": True}, "writes         nothing: dry_run is true"),
        ({}, "looks at       2 keysets of 1 tenant, every 1h"),
        ({}, "configuration  rotator.yaml"),
        ({"http": {"host": "::1"}}, "page           http://[::1]:9464/"),
        ({"http": {"host": "0.0.0.0"}}, "page           http://127.0.0.1:9464/  (listens on every interface)"),
        ({"http": {"port": 0}}, "page           on any free port: see rotator.started below"),
    ],
)
def test_banner_says(tmp_path: Path, more: dict[str, Any], line: str) -> None:
    """What it does, which configuration, whether it may write, where its page is, how to stop it; in 80 columns."""
    lines = list(banner(Path("rotator.yaml"), settings(tmp_path, **more)))
    assert f"  {line}" in lines
    assert any("Ctrl-C" in each for each in lines)
    assert len(lines) <= 7
