"""The commands that only read: `--dry-run` and `status`."""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rotator.commands.check import exit_on_config_error
from rotator.commands.one_shot import OneShot
from rotator.commands.report import is_terminal
from rotator.core.outcome import Outcome, exit_code
from rotator.views.status import status as render_status
from rotator.views.table import table


def dry_run(path: Path, *, as_json: bool, detailed: bool) -> int:
    """One sweep that only reads, and the plan; the exit code."""
    with exit_on_config_error():
        run = OneShot(path, as_json=as_json, dry_run=True)
        outcomes = run.sweep()
        run.report(table, outcomes, as_json=as_json, dry_run=True)
        return exit_code(outcomes, detailed=detailed)


def status(path: Path, *, as_json: bool) -> int:
    """One sweep that only reads, and every keyset with its keys; the exit code."""
    with exit_on_config_error():
        run = OneShot(path, as_json=as_json, dry_run=True)
        outcomes = run.sweep()
        run.report(_status, outcomes, as_json=as_json, dry_run=True)
        return exit_code(outcomes, detailed=False)


def _status(outcomes: Sequence[Outcome], now: datetime, width: int | None) -> str:
    return render_status(outcomes, now, width, colour=is_terminal() and not os.environ.get("NO_COLOR"))
