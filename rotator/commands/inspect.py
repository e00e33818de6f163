"""The commands that only read: `--dry-run` and `status`."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from rotator.commands import terminal
from rotator.commands.check import exit_on_error
from rotator.commands.one_shot import Call, OneShot
from rotator.commands.report import print_json, print_table
from rotator.core.outcome import Exit, Outcome, exit_code
from rotator.core.proof_events import Probed
from rotator.edges.stdout import say
from rotator.views.inventory import inventory_json, inventory_text
from rotator.views.report_json import document, status_document
from rotator.views.standing import problems
from rotator.views.status import status as render_status
from rotator.views.table import brief, table

WATCH_INTERVAL = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """
    The form of `status`: a line or a block for each keyset; all keysets, or only those with problems.

    has_others: also the keysets of the tenants that are not configured
    """

    is_brief: bool = False
    only_problems: bool = False
    has_others: bool = False

    def text(self, outcomes: Sequence[Outcome], now: datetime, width: int, probed: Sequence[Probed] = ()) -> str:
        """The report as text."""
        if self.is_brief:
            return brief(outcomes, now, width, only_problems=self.only_problems, probed=probed)
        colour = terminal.is_stdout() and not os.environ.get("NO_COLOR")
        return render_status(outcomes, now, width, colour=colour, only_problems=self.only_problems, probed=probed)


def dry_run(call: Call, *, detailed: bool) -> int:
    """Make one sweep that only reads, and print the plan; returns the exit code."""
    with exit_on_error():
        run = OneShot(call, dry_run=True)
        outcomes = run.sweep()
        if call.as_json:
            print_json(run.program, document(outcomes, run.began, dry_run=True))
        else:
            print_table(run.program, table, outcomes, run.began)
        return exit_code(outcomes, detailed=detailed)


def status(call: Call, look: Look) -> int:
    """
    Make one sweep that only reads, and one probe of each sign-in side, and print every keyset with its keys.

    Returns:
        The exit code, which does not depend on the probes.

    """
    with exit_on_error():
        run = OneShot(call, dry_run=True, has_others=look.has_others)
        outcomes, probed = run.sweep(), run.probe()
        if call.as_json:
            shown = problems(outcomes, run.began) if look.only_problems else outcomes
            found = status_document(shown, run.began, dry_run=run.settings.dry_run, probed=probed)
            if look.has_others:
                found["inventory"] = inventory_json(run.inventories(), run.began)
            print_json(run.program, found)
        else:
            _print(run, look, outcomes, probed)
        return exit_code(outcomes, detailed=False)


def _print(run: OneShot, look: Look, outcomes: Sequence[Outcome], probed: Sequence[Probed]) -> bool:
    """Print the report; False if the reader has ended."""
    is_read = print_table(run.program, partial(look.text, probed=probed), outcomes, run.began)
    others = inventory_text(run.inventories(), run.began, terminal.width())
    return say(run.program.redactor.redact(others)) if is_read and others else is_read


def watch(call: Call, look: Look) -> int:
    """Repeat `status` every `WATCH_INTERVAL` until a signal ends the program, or the reader of stdout ends."""
    with exit_on_error():
        run = OneShot(call, dry_run=True, has_others=look.has_others)
        is_first = True
        while True:
            outcomes, probed = run.sweep(), run.probe()
            if terminal.is_stdout():
                sys.stdout.write("\033[H\033[2J\033[3J")  # move the cursor home, clear the screen and the scroll buffer
            elif not is_first:
                say("")
            is_first = False
            if not _print(run, look, outcomes, probed) or not run.pause("next look", WATCH_INTERVAL):
                return Exit.OK
