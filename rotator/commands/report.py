"""Prints the outcomes of a pass over all keysets, as a table or as one JSON document."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime

from rotator.commands.terminal import width
from rotator.core.outcome import Outcome
from rotator.edges.stdout import say
from rotator.views.report_json import Json
from rotator.wiring import Program

Render = Callable[[Sequence[Outcome], datetime, int], str]
"""Renders outcomes as text: outcomes, the instant of the pass, and the columns that lines may have."""


def print_table(program: Program, render: Render, outcomes: Sequence[Outcome], now: datetime) -> bool:
    """Print *outcomes* as *render* writes them, redacted; False if the reader has ended."""
    return say(program.redactor.redact(render(outcomes, now, width())))


def print_json(program: Program, document: Json) -> None:
    """Print *document*, redacted."""
    say(program.redactor.redact(json.dumps(document, indent=2)))
