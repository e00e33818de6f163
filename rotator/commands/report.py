"""Printing what came of a pass over all keysets, as a table or as one JSON document."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import datetime

from rotator.core.outcome import Outcome
from rotator.edges.stdout import say
from rotator.views.report_json import document
from rotator.wiring import Program

Render = Callable[[Sequence[Outcome], datetime, int | None], str]
"""Renders outcomes as text: outcomes, the instant of the pass, and the terminal's width; None where there is none."""


def print_report(
    program: Program, render: Render, outcomes: Sequence[Outcome], now: datetime, *, as_json: bool, dry_run: bool
) -> None:
    """Print *outcomes*, redacted: as JSON, or as *render* writes them."""
    if as_json:
        text = json.dumps(document(outcomes, now, dry_run=dry_run), indent=2)
    else:
        text = render(outcomes, now, shutil.get_terminal_size().columns if is_terminal() else None)
    say(program.redactor.redact(text))


def is_terminal() -> bool:
    """True if stdout is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()
