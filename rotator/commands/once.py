"""The command `--once`: one sweep that generates the keys that are due."""

import sys
from collections.abc import Sequence

from rotator.commands import terminal
from rotator.commands.check import exit_on_error
from rotator.commands.one_shot import Call, OneShot
from rotator.commands.report import print_json, print_table
from rotator.core.outcome import Failed, Outcome, Planned, Rotated, exit_code
from rotator.service.inbox import heed_signals
from rotator.views.phrases import count
from rotator.views.report_json import document
from rotator.views.table import table


def once(call: Call) -> int:
    """
    Look at every keyset, request the keys that are due `settle` later, print the outcomes; returns the exit code.

    After a request to stop, a write in progress is finished, and no further one begins.
    """
    with exit_on_error():
        run = OneShot(call)
        heed_signals(run.stop)
        outcomes = run.sweep()
        if not run.settings.dry_run:
            settle(run, outcomes)
            outcomes = run.finish()
        if call.as_json:
            print_json(run.program, document(outcomes, run.began, dry_run=run.settings.dry_run))
        else:
            print_table(run.program, table, outcomes, run.began)
        if run.is_stopping and terminal.is_stderr():
            print(written(outcomes), file=sys.stderr)
        return exit_code(outcomes, detailed=False)


def settle(run: OneShot, outcomes: Sequence[Outcome]) -> None:
    """Log that what is planned is asked for after a second look."""
    planned = sum(isinstance(outcome, Planned) for outcome in outcomes)
    if planned:
        seconds = run.settings.settle.total_seconds()
        run.program.log.info("sweep.settling", seconds=seconds, keysets=planned)


def written(outcomes: Sequence[Outcome]) -> str:
    """One line about what a run wrote before it was stopped."""
    rotated = sum(isinstance(outcome, Rotated) for outcome in outcomes)
    unsure = sum(isinstance(outcome, Failed) and outcome.spec is not None for outcome in outcomes)
    found = []
    if rotated:
        found.append(f"{count(rotated, 'key')} generated")
    if unsure:
        found.append(f"{count(unsure, 'key')} requested that may exist: see the report")
    return f"stopped; {', '.join(found) if found else 'nothing was written'}"
