"""The report as a table, for people; fit for a terminal and for a pipe."""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

from rotator.core.outcome import Outcome, Planned, reason_name
from rotator.core.text import printable
from rotator.views.phrases import COVERED_UNTIL, TAKES_OVER, by_outcome, covered, details, full_name, remaining, summary

MIN_WIDTH = 40  # columns: what is narrower is left to the terminal to wrap
_HEADER = ("KEYSET", "OUTCOME", "REASON", COVERED_UNTIL.upper(), TAKES_OVER.upper())


def table(outcomes: Sequence[Outcome], now: datetime, width: int | None) -> str:
    """
    A line for each keyset below its tenant, then details, then a summary.

    width: the columns to wrap the details to; None where they are not to be wrapped
    """
    cells = [_cells(outcome, now) for outcome in outcomes]
    lines = []
    for tenant, block in _blocks([_HEADER, *cells], outcomes):
        lines += [tenant, *block, ""]
    for outcome in outcomes:
        name = full_name(outcome.observation.name)
        lines += [line for text in details(outcome) for line in wrapped(f"{name}: {text}", width)]
    return "\n".join([*lines, summary(by_outcome(outcomes))])


def _cells(outcome: Outcome, now: datetime) -> tuple[str, ...]:
    assessment = outcome.observation.assessment
    cover = covered(assessment, now) if assessment else "-"
    activation = (
        outcome.spec.nbf if isinstance(outcome, Planned) else assessment.plan.activation if assessment else None
    )
    takes_over = remaining(activation, now) if activation else "-"
    return (outcome.observation.policy.keyset_id, outcome.name, reason_name(outcome), cover, takes_over)


def _blocks(rows: list[tuple[str, ...]], outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[str]]]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = ("  " + "  ".join(map(str.ljust, cells, widths)).rstrip() for cells in rows)
    for tenant, group in groupby(zip(outcomes, body, strict=True), lambda pair: pair[0].observation.tenant):
        yield tenant, [head, *(line for _, line in group)]


def wrapped(text: str, width: int | None) -> list[str]:
    """*text* as lines of at most *width* columns; as one line where there is no *width*."""
    text = printable(text)
    if not width:
        return [text]
    return textwrap.wrap(text, max(width, MIN_WIDTH), subsequent_indent="  ", break_on_hyphens=False)
