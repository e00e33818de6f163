"""
The report as a table: a line for each keyset below its tenant, then details, then totals.

It fits a terminal of 60 columns, and a pipe. A text that applies to several keysets of a tenant, such as why
they could not be looked at, appears once.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

from rotator.core.outcome import Failed, Held, Outcome, reason_name
from rotator.core.proof_events import Probed
from rotator.core.reasons import Reason
from rotator.core.text import printable
from rotator.views.columns import Cells, columns, wrapped
from rotator.views.phrases import (
    COVERED_UNTIL,
    NEXT_DUE,
    NEXT_TAKES_OVER,
    about,
    covered,
    details,
    remaining,
)
from rotator.views.proof import probe_failures
from rotator.views.standing import Standing, assessed, problems, standing, totals

_HEADER = ("KEYSET", "OUTCOME", "REASON", *(label.upper() for label in (COVERED_UNTIL, NEXT_TAKES_OVER, NEXT_DUE)))
_BRIEF_HEADER = ("KEYSET", "STATE", COVERED_UNTIL.upper(), NEXT_DUE.upper())


def table(outcomes: Sequence[Outcome], now: datetime, width: int) -> str:
    """
    A line for each keyset below its tenant, then details, then how many keysets have each standing.

    width: columns of a line; longer ids are shortened in the middle
    """
    lines = list(_blocks(_HEADER, outcomes, lambda outcome: _cells(outcome, now), width))
    lines += [line for text in _details(outcomes) for line in wrapped(text, width)]
    return "\n".join([*lines, *wrapped(_totals(outcomes, now), width)])


def brief(
    outcomes: Sequence[Outcome],
    now: datetime,
    width: int,
    *,
    only_problems: bool = False,
    probed: Sequence[Probed] = (),
) -> str:
    """
    A line for each keyset below its tenant, and how many keysets have each standing; *width* as in `table`.

    only_problems: leave out the lines of keysets without problems
    probed:        the probes of the tenants that have a sign-in side
    """
    evidence = {each.tenant_id: each.evidence for each in probed}

    def cells(outcome: Outcome) -> Cells:
        seen = outcome.observation
        assessment, of_now = seen.assessment, assessed(outcome, now, evidence.get(seen.tenant_id))
        return (
            seen.policy.keyset_id,
            Standing.UNKNOWN if standing(of_now) is Standing.UNKNOWN else of_now.label,
            covered(assessment, now) if assessment else "-",
            remaining(assessment.plan.renewal_due, now) if assessment else "-",
        )

    shown = problems(outcomes, now) if only_problems else outcomes
    failures = [line for text in probe_failures(probed) for line in wrapped(text, width)]
    lines = [*_blocks(_BRIEF_HEADER, shown, cells, width), *failures]
    return "\n".join([*lines, *wrapped(_totals(outcomes, now), width)])


def _totals(outcomes: Sequence[Outcome], now: datetime) -> str:
    return totals(standing(assessed(outcome, now)) for outcome in outcomes)


def _cells(outcome: Outcome, now: datetime) -> Cells:
    """
    The cells of a line.

    *Next takes over* is for an existing key, *next due* for the one that will be generated after it.
    """
    observation, assessment = outcome.observation, outcome.observation.assessment
    name, reason = observation.policy.keyset_id, reason_name(outcome)
    if assessment is None or observation.keyset is None:
        return (name, outcome.name, reason, "-", "-", "-")
    if isinstance(outcome, Held) and outcome.would not in (None, Reason.NOT_DUE):
        reason = f"{reason} ({outcome.would})"
    upcoming = next(observation.keyset.upcoming(now), None)
    takes_over = remaining(upcoming.activates, now) if upcoming else "-"
    due = remaining(assessment.plan.renewal_due, now)
    return (name, outcome.name, reason, covered(assessment, now), takes_over, due)


def _blocks(header: Cells, outcomes: Sequence[Outcome], cells: Callable[[Outcome], Cells], width: int) -> Iterator[str]:
    """The lines of each tenant, and an empty line after them."""
    rows = [(outcome.observation.tenant, tuple(map(printable, cells(outcome)))) for outcome in outcomes]
    layout = columns(header, [row for _, row in rows], width)
    for tenant, group in groupby(rows, lambda row: row[0]):
        yield printable(tenant)
        yield from layout.head()
        for _, row in group:
            yield from layout.row(row)
        yield ""


def _details(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The texts that the lines have no room for; a failure of several keysets of a tenant appears once."""
    for tenant, group in groupby(outcomes, lambda outcome: outcome.observation.tenant):
        of_tenant = list(group)
        failed: dict[str, list[str]] = {}
        for outcome in of_tenant:
            if isinstance(outcome, Failed):
                failed.setdefault(outcome.failure.message, []).append(outcome.observation.policy.keyset_id)
        for outcome in of_tenant:
            for text in details(outcome):
                names = failed.get(text, [outcome.observation.policy.keyset_id])
                if outcome.observation.policy.keyset_id == names[0]:
                    yield f"{about(tenant, names, of=len(of_tenant))}: {text}"
