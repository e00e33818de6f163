"""The command `--once`: one sweep that generates what is due, then exits."""

from pathlib import Path

from rotator.commands.check import exit_on_config_error
from rotator.commands.one_shot import OneShot
from rotator.core.outcome import Outcome, Planned, exit_code
from rotator.service.inbox import heed_signals
from rotator.views.table import table


def once(path: Path, *, as_json: bool) -> int:
    """
    Look at every keyset, ask for what is due `settle` later, and print what came of it; the exit code.

    A stop that is asked for meanwhile lets a write finish that has begun, and begins none.
    """
    with exit_on_config_error():
        run = OneShot(path, as_json=as_json)
        heed_signals(run.stop)
        outcomes = run.sweep()
        if not run.settings.dry_run:
            _settle(run, outcomes)
            outcomes = run.finish()
        run.report(table, outcomes, as_json=as_json, dry_run=run.settings.dry_run)
        return exit_code(outcomes, detailed=False)


def _settle(run: OneShot, outcomes: list[Outcome]) -> None:
    planned = sum(isinstance(outcome, Planned) for outcome in outcomes)
    if planned:
        seconds = run.settings.settle.total_seconds()
        run.program.log.info("sweep.settling", seconds=seconds, keysets=planned)
