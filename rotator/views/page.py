"""
The status page: one HTML document, without a script and without anything from elsewhere.

For whoever is on call: what is in trouble comes first, the most urgent at the top, with
how long is left and what to do. For everybody else: each keyset's keys against time, a
year ahead. Keysets are assessed when the page is requested, and it says how old the looks
are that it is based on.

The markup is in templates/page.html. Whatever it writes is escaped, except what has the
type of markup: the drawings.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import Markup

from rotator.core.status import KeysetStatus, Name
from rotator.core.text import format_instant, printable
from rotator.views.assessment import KeysetAssessment, assess, in_trouble
from rotator.views.conditions import Condition, Level
from rotator.views.phrases import count, full_name, remaining, rounded
from rotator.views.style import HATCHINGS, STYLE, SWATCHES
from rotator.views.svg import render
from rotator.views.timeline import Timeline, draw

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_NAMES = 3  # keysets of one trouble that are named at once; of more, the names are folded away
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")
_MARKS = {
    Level.GOOD: "\N{CHECK MARK}",
    Level.DUE: "\N{BLACK RIGHT-POINTING TRIANGLE}",
    Level.BAD: "\N{MULTIPLICATION X}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """
    The process at one instant.

    refresh:  seconds after which a browser reloads the page
    stale:    how old the last look at a keyset, or the last sweep, may be
    began:    since when it looks at keysets
    swept:    when the last sweep finished; None before that
    silence:  the time since the last heartbeat of its scheduler; None while that is no reason to worry
    dry_run:  whether it never generates a key
    is_idle:  whether it is on standby: with leader election, only the leader looks at keysets
    leader:   the leader's identity, where there is an election; None where there is no leader
    election: how it takes part, as a phrase; None where there is no election
    election_variables: variables that override the election's settings, and that its deployment does not set
    """

    version: str
    refresh: int
    stale: timedelta
    began: datetime
    swept: datetime | None = None
    silence: timedelta | None = None
    dry_run: bool = False
    is_idle: bool = False
    leader: str | None = None
    election: str | None = None
    election_variables: tuple[str, ...] = ()


@cache
def environment() -> "Environment":
    """The templates of this package; every text that they write is made printable and escaped."""
    # Loaded with the first page: it takes longer than all else here, and most processes never show a page.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    found = Environment(
        loader=PackageLoader("rotator.views"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "anchor": _anchor,
        "full_name": full_name,
        "in_full": _in_full,
        "instant": format_instant,
        "pieces": _INSTANT.split,
    }
    found.globals |= {
        "hatchings": HATCHINGS,
        "marks": _MARKS,
        "max_names": MAX_NAMES,
        "style": STYLE,
        "swatches": SWATCHES,
    }
    return found


def _printable(value: object) -> object:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def page(entries: Mapping[Name, KeysetStatus], now: datetime, process: ProcessStatus) -> str:
    """The whole document."""
    assessments = {name: assess(entry, now, process.stale, dry_run=process.dry_run) for name, entry in entries.items()}
    wrong = list(faults(process, now))
    return (
        environment()
        .get_template("page.html")
        .render(
            process=process,
            now=now,
            title=_title(list(assessments.values()), process, is_wrong=bool(wrong)),
            faults=wrong,
            notices=list(notices(process)),
            last_sweep=_last_sweep(process, now),
            troubles=in_trouble(assessments),
            assessments=assessments,
            tenants=groupby(assessments, lambda name: name[0]),
            timeline=_timeline,
            render=render,
        )
    )


def notices(process: ProcessStatus) -> Iterator[str]:
    """What somebody should know of the process before anything else."""
    if process.dry_run:
        yield "Dry run: rotator never generates a key, whatever is due."
    for name in process.election_variables:
        yield (
            f"{name} is set on this pod by hand and overrides the values of the chart; no upgrade removes it. "
            "Runbook: Change it in the cluster"
        )
    if process.election is not None and not process.is_idle:  # otherwise the heading says so
        yield process.election


def faults(process: ProcessStatus, now: datetime) -> Iterator[str]:
    """What is wrong with the process: if it cannot see, the page must not say that all is well."""
    if process.silence is not None:
        yield f"No heartbeat from the scheduler for {rounded(process.silence)}: restart rotator."
    if process.is_idle:
        if process.leader is None:
            yield "There is no leader: no replica looks at keysets. Runbook: B2CRotatorNoLeader"
        return
    age = now - (process.swept or process.began)
    if age > process.stale:
        yield f"No sweep has finished for {rounded(age)}: this page is out of date. Runbook: B2CRotatorStalled"


def _title(assessments: Sequence[KeysetAssessment], process: ProcessStatus, *, is_wrong: bool) -> str:
    if process.is_idle:
        return f"Standby; leader: {process.leader or 'none'}"
    keysets = count(len(assessments))
    bad = sum(each.level is Level.BAD for each in assessments)
    unseen = sum(each.entry.outcome is None for each in assessments)
    parts = [f"{bad} of {keysets} in trouble"] if bad else [keysets]
    if unseen:
        parts.append("not seen yet" if unseen == len(assessments) == 1 else f"{unseen} not seen yet")
    elif not bad:
        parts.append("none in trouble")
    text = ", ".join(parts)
    return f"rotator itself is in trouble; as last seen: {text}" if is_wrong else text


def _last_sweep(process: ProcessStatus, now: datetime) -> str:
    if process.is_idle:
        return "a standby replica does not sweep"
    if process.swept is None:
        return "no sweep has finished yet"
    return f"the last sweep finished {remaining(process.swept, now)} ({format_instant(process.swept)})"


def _in_full(condition: Condition) -> str:
    """A condition as sentences: what it means, what to do, and where to read more."""
    texts = [f"{text[0].upper()}{text[1:]}." for text in (condition.sentence, condition.remedy) if text]
    texts += [f"Runbook: {condition.runbook}"] if condition.runbook else []
    return " ".join(texts)


def _timeline(assessment: KeysetAssessment) -> Timeline | None:
    keyset = assessment.keyset
    return draw(assessment.entry.policy, keyset, assessment.now) if keyset is not None and keyset.keys else None


def _anchor(name: Name) -> str:
    """What identifies *name*, and no other, in an address."""
    return "/".join(quote(part, safe="") for part in name)
