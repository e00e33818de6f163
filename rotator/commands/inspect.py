"""The commands that only read: `--dry-run` and `status`."""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rotator.commands.check import faults_told
from rotator.commands.report import is_terminal, print_report
from rotator.core.outcome import Outcome, exit_code
from rotator.shell.reconcile import look
from rotator.views.status import status as render_status
from rotator.views.table import table
from rotator.wiring import Runtime, sweep_told, wire


def dry_run(path: Path, *, as_json: bool, detailed: bool) -> int:
    """One sweep that only reads, and the plan."""
    with faults_told():
        runtime = wire(path, table=not as_json)
        outcomes, now = _look_only(runtime)
        print_report(runtime, table, outcomes, now, as_json=as_json, dry_run=True)
        return exit_code(outcomes, detailed=detailed)


def status(path: Path, *, as_json: bool) -> int:
    """One sweep that only reads, and every keyset with its keys."""
    with faults_told():
        runtime = wire(path, table=not as_json)
        outcomes, now = _look_only(runtime)
        print_report(runtime, _status, outcomes, now, as_json=as_json, dry_run=True)
        return exit_code(outcomes, detailed=False)


def _look_only(runtime: Runtime) -> tuple[list[Outcome], datetime]:
    now = runtime.clock.now()
    return sweep_told(runtime, lambda tenant: look(tenant, now)), now


def _status(outcomes: Sequence[Outcome], now: datetime, width: int | None) -> str:
    return render_status(outcomes, now, width, colour=is_terminal() and not os.environ.get("NO_COLOR"))
