"""
The status page: one HTML document without scripts and without resources from other hosts.

Keysets in trouble come first, the most urgent at the top, with the time that is left and what to
do. Then follow the timelines of all keysets, a year ahead, collapsed by tenant. Many keysets are split
into several pages, and can be filtered. Keysets are assessed when the page is requested; the page says how
old the looks are.

The markup is in templates. All values are escaped, except the drawings, which have the type `Markup`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import Markup

from rotator.core.status import KeysetStatus, Name
from rotator.core.text import format_instant, printable
from rotator.views.assessment import KeysetAssessment, assess
from rotator.views.condition import Condition, Level
from rotator.views.drift import changes_told
from rotator.views.glossary import TERMS
from rotator.views.inventory import Section
from rotator.views.phrases import count, full_name, remaining
from rotator.views.process import ProcessStatus, process_conditions
from rotator.views.selection import PAGE, Query, Selection, count_states, select
from rotator.views.style import HATCHINGS, ICONS, STYLE, SWATCHES
from rotator.views.svg import render
from rotator.views.timeline import Timeline, draw
from rotator.views.urgency import in_trouble

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_OPEN = 3  # keysets of one trouble that are not collapsed; with so few keysets, no tenant is collapsed either
MAX_TENANTS = 1000  # tenants in the list of the filter
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")
_JOINT = re.compile(r"(?<=[^_\-/][_\-/])(?=[^_\-/])")  # positions at which a name may be wrapped
_MARKS = {
    Level.CRITICAL: "\N{MULTIPLICATION X}",
    Level.WARNING: "\N{BLACK UP-POINTING TRIANGLE}",
    Level.INFORMATION: "\N{BLACK RIGHT-POINTING TRIANGLE}",
    Level.FINE: "\N{CHECK MARK}",
}
_LEVELS = tuple(Level)


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantPart:
    """
    The part of a tenant on one page.

    level:    the worst level of all its keysets
    summary:  how many of its keysets are in each state
    others:   its keysets on this page that are not in trouble
    troubles: its keysets on this page that are in trouble, which the page shows above
    """

    name: str
    level: Level
    summary: str
    others: tuple[Name, ...]
    troubles: tuple[Name, ...]


@cache
def environment() -> "Environment":
    """The template environment; each text in a template is made printable and escaped."""
    # Imported with the first page: the import is slow, and most processes never render a page.
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
        "parts": _JOINT.split,
        "pieces": _INSTANT.split,
        "section": _section,
    }
    found.globals |= {
        "changes_told": changes_told,
        "hatchings": HATCHINGS,
        "icons": ICONS,
        "marks": _MARKS,
        "max_open": MAX_OPEN,
        "style": STYLE,
        "swatches": SWATCHES,
        "terms": TERMS,
    }
    return found


def _printable(value: object) -> object:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def page(
    entries: Mapping[Name, KeysetStatus],
    now: datetime,
    process: ProcessStatus,
    query: Query | None = None,
    inventory: Sequence[Section] = (),
) -> str:
    """
    Render the document with the keysets that *query* selects, by default all, one page of them at a time.

    inventory: the keysets that are not configured, which are collapsed
    """
    query = query or Query()
    assessments = {name: assess(entry, now, process.stale, dry_run=process.dry_run) for name, entry in entries.items()}
    of_process = process_conditions(process, now)
    selection = select(assessments, query)
    troubles = in_trouble({name: assessments[name] for name in selection.shown})

    return (
        environment()
        .get_template("page.html")
        .render(
            process=process,
            now=now,
            level=_worst([*(each.level for each in of_process), *(each.level for each in assessments.values())]),
            title=_title(assessments.values(), process, of_process),
            heading=_heading(assessments.values(), process, of_process),
            of_process=of_process,
            last_sweep=_last_sweep(process, now),
            query=query,
            states=count_states(assessments),
            names=list(dict.fromkeys(tenant for tenant, _ in assessments))[:MAX_TENANTS],
            selection=selection,
            part=_part(selection, query),
            troubles=troubles,
            assessments=assessments,
            tenants=_tenants(assessments, selection),
            timeline=partial(_timeline, now, dry_run=process.dry_run),
            render=render,
            inventory=inventory,
        )
    )


def _timeline(now: datetime, assessment: KeysetAssessment, *, dry_run: bool) -> Timeline | None:
    """The timeline of a keyset; None without keys."""
    if (keyset := assessment.keyset) is None or not keyset.keys:
        return None
    entry = assessment.entry
    return draw(entry.policy, keyset, now, is_written=assessment.is_written and not dry_run, evidence=entry.evidence)


def _worst(levels: Iterable[Level]) -> Level:
    return min(levels, key=_LEVELS.index, default=Level.FINE)


def _title(assessments: Iterable[KeysetAssessment], process: ProcessStatus, of_process: Sequence[Condition]) -> str:
    """The title of the browser tab: the worst level, and how many keysets have it."""
    levels = [each.level for each in assessments]
    worst = _worst([*levels, *(each.level for each in of_process)])
    if not worst.is_trouble:
        return f"Standby; leader: {process.leader}" if process.is_idle else f"{count(len(levels))}: none in trouble"
    number = levels.count(worst)
    what = f"{number} of {count(len(levels))}" if number else "rotator itself"
    return f"{worst.value.capitalize()}: {what}"


def _heading(assessments: Iterable[KeysetAssessment], process: ProcessStatus, of_process: Sequence[Condition]) -> str:
    if process.is_idle:
        return f"Standby; leader: {process.leader or 'none'}"
    text = _counts(assessments)
    is_blind = any(condition.level is Level.CRITICAL for condition in of_process)
    return f"rotator itself is in trouble; as last seen: {text}" if is_blind else text


def _counts(assessments: Iterable[KeysetAssessment]) -> str:
    """How many keysets are in each state, the most serious first; each keyset counts once."""
    ordered = sorted(assessments, key=lambda each: _LEVELS.index(each.level))
    states = Counter(
        each.conditions[0].label if each.level is Level.INFORMATION else each.level.value for each in ordered
    )
    parts = ", ".join(f"{number} {state}" for state, number in states.items())
    return f"{count(len(ordered))}: {parts}" if parts else count(0)


def _part(selection: Selection, query: Query) -> str:
    """Which of the keysets a page shows; empty if it shows all."""
    if not query.is_filter and selection.pages == 1:
        return ""
    first = (selection.page - 1) * PAGE
    which = f"{count(len(selection.matches))}{' match the filter' if query.is_filter else ''}"
    if selection.pages == 1:
        return which
    return f"{which}; {first + 1} to {first + len(selection.shown)} are shown, those in trouble first"


def _tenants(assessments: Mapping[Name, KeysetAssessment], selection: Selection) -> list[TenantPart]:
    everything: dict[str, list[KeysetAssessment]] = {}
    for name, assessment in assessments.items():
        everything.setdefault(name[0], []).append(assessment)
    shown: dict[str, list[Name]] = {}
    for name in selection.shown:
        shown.setdefault(name[0], []).append(name)
    found = [
        TenantPart(
            name=tenant,
            level=_worst(each.level for each in everything[tenant]),
            summary=_counts(everything[tenant]),
            others=tuple(name for name in names if not assessments[name].level.is_trouble),
            troubles=tuple(name for name in names if assessments[name].level.is_trouble),
        )
        for tenant, names in shown.items()
    ]
    return sorted(found, key=lambda part: _LEVELS.index(part.level))


def _last_sweep(process: ProcessStatus, now: datetime) -> str:
    if process.is_idle:
        return "a standby replica does not sweep"
    if process.swept is None:
        return "no sweep has finished yet"
    return f"the last sweep finished {remaining(process.swept, now)} ({format_instant(process.swept)})"


def _in_full(condition: Condition) -> str:
    """A condition as sentences: what it means, and what to do."""
    texts = [f"{text[0].upper()}{text[1:]}." for text in (condition.sentence, condition.remedy) if text]
    return " ".join(texts)


def _anchor(name: Name) -> str:
    """A fragment of a URL that is unique for *name*."""
    return "/".join(quote(part, safe="") for part in name)


def _section(runbook: str) -> str:
    """The anchor of a section of the runbook, as Markdown is rendered."""
    return quote(runbook.lower().replace(" ", "-"))
