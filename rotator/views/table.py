"""The report as a table, for people; fit for a terminal and for a pipe."""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

from rotator.core.outcome import Outcome, Planned, reason_name
from rotator.core.text import printable
from rotator.views.words import covered, details, full_name, remaining, summary


def table(outcomes: Sequence[Outcome], now: datetime, width: int | None) -> str:
    """A line for each keyset under its tenant, then what needs more words; wrapped to *width* columns, if given."""
    cells = [_cells(outcome, now) for outcome in outcomes]
    lines = []
    for tenant, block in _blocks([("KEYSET", "OUTCOME", "REASON", "COVERED", "NEXT KEY"), *cells], outcomes):
        lines += [tenant, *block, ""]
    for outcome in outcomes:
        lines += [line for text in details(outcome) for line in wrapped(f"{full_name(outcome)}: {text}", width)]
    return "\n".join([*lines, summary(outcomes)])


def _cells(outcome: Outcome, now: datetime) -> tuple[str, ...]:
    assessment = outcome.observation.assessment
    cover = covered(assessment, now) if assessment else "-"
    activation = (
        outcome.spec.nbf if isinstance(outcome, Planned) else assessment.plan.activation if assessment else None
    )
    following = remaining(activation, now) if activation else "-"
    return (outcome.observation.policy.keyset_id, outcome.name, reason_name(outcome), cover, following)


def _blocks(rows: list[tuple[str, ...]], outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[str]]]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = ("  " + "  ".join(map(str.ljust, cells, widths)).rstrip() for cells in rows)
    for tenant, group in groupby(zip(outcomes, body, strict=True), lambda pair: pair[0].observation.tenant):
        yield tenant, [head, *(line for _, line in group)]


def wrapped(text: str, width: int | None) -> list[str]:
    """*text* as lines of at most *width* columns; as one where there is no width."""
    text = printable(text)
    return textwrap.wrap(text, max(width, 40), subsequent_indent="  ", break_on_hyphens=False) if width else [text]
