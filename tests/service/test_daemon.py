"""The control loop on its own: the daemon without threads, its requests handled one after the other."""

import json
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.edges.config import Sources
from rotator.edges.settings import Settings
from rotator.service.daemon import Daemon
from rotator.service.inbox import FilesDue, ReloadAsked
from rotator.shell.clock import SystemClock
from rotator.shell.jobs import InlineExecutor, JobQueue
from rotator.wiring import Program, wire

CONTENT = {
    "tenants": [
        {
            "name": "contoso",
            "tenant_id": "contoso.onmicrosoft.com",
            "credential": {"client_id": "0f1e2d3c-0000-4000-8000-000000000001", "client_secret_env": "SECRET"},
            "keysets": [{"id": "B2C_1A_One", "use": "sig"}],
        }
    ]
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "rotator.yaml"
    path.write_text(yaml.safe_dump(CONTENT))
    return path


def daemon_of(program: Program) -> Daemon:
    return Daemon(program, scheduler=JobQueue(SystemClock()), pools=lambda _, __: InlineExecutor())


def handle_all(daemon: Daemon) -> None:
    for request in daemon.inbox.pending():
        daemon.handle(request)


def logged(stream: StringIO) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in map(json.loads, stream.getvalue().splitlines()):
        yield line["event"], line


def test_file_that_changes_after_it_was_read_at_the_start(config: Path) -> None:
    """A file that is written between the read at the start and the first comparison is read again."""
    stream = StringIO()

    def write_later_content(settings: Settings) -> Settings:
        if not settings.dry_run:
            config.write_text(yaml.safe_dump(CONTENT | {"dry_run": True}))
        return settings

    daemon = daemon_of(wire(config, stream=stream, revise=write_later_content))
    assert not daemon.settings.dry_run
    daemon.inbox.put_once(FilesDue())
    handle_all(daemon)
    assert [line["dry_run"] for event, line in logged(stream) if event == "config.reloaded"] == [True]
    assert daemon.settings.dry_run


def test_unchanged_file_is_not_read_again(config: Path) -> None:
    """A comparison that finds no difference reloads nothing."""
    stream = StringIO()
    daemon = daemon_of(wire(config, stream=stream))
    daemon.inbox.put_once(FilesDue())
    handle_all(daemon)
    assert [event for event, _ in logged(stream)] == []


def test_reload_is_asked_while_the_files_are_compared(config: Path) -> None:
    """A signal during the comparison is handled after it, once, and neither disturbs the other."""
    stream = StringIO()
    program = wire(config, stream=stream)

    class Interrupted(Sources):
        def have_changed(self) -> bool:
            for _ in range(3):
                daemon.inbox.put_once(ReloadAsked())
            return super().have_changed()

    sources = Interrupted(config)
    sources.load()
    daemon = daemon_of(replace(program, sources=sources))
    daemon.inbox.put_once(FilesDue())
    handle_all(daemon)
    assert [event for event, _ in logged(stream)] == ["config.reloaded"]
