"""
Each keyset with its keys, what happens next, and a timeline; plain text that fits 60 columns.

    MlHZw0Qf       ====|===---
    QH3zgW04           |   =========---
    planned            |            ++++++++++:::
    plan               |ww        o        o

`=` active, `-` valid; `+` and `:` the same for planned keys; `|` now; `w`, `l` and `o` the renewal
window, the publication lead and overlaps. Keysets in trouble come last, because the end of the output
stays on the screen. Keysets of a tenant that could not be seen for the same reason share one
block.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from rotator.core.keyset import KeyState
from rotator.core.outcome import Outcome
from rotator.core.proof_events import Probed
from rotator.core.status import Name
from rotator.core.text import format_instant, printable
from rotator.views.assessment import Fact, KeysetAssessment
from rotator.views.columns import shortened, wrapped
from rotator.views.condition import Condition, Level
from rotator.views.phrases import about, full_name
from rotator.views.proof import probe_failures
from rotator.views.standing import assessed, problems, standing, totals
from rotator.views.timeline import Band, Bar, Timeline, draw, ticks
from rotator.views.urgency import in_trouble

LEGEND = (
    "= active   - valid   + : planned (active, valid)   | now",
    "w renewal window  l publication lead  o overlap  x disabled",
)
LABEL = 14  # columns for a label or a shortened kid
TICK = 12  # columns for the text of a tick, with a gap
NARROW = 72  # columns; below that there is no room for seconds
_COLOURS = {
    Level.FINE: "\033[32m",
    Level.INFORMATION: "\033[33m",
    Level.WARNING: "\033[33m",
    Level.CRITICAL: "\033[31m",
}
_GLYPHS = {Band.OVERLAP: "o", Band.WINDOW: "w", Band.LEAD: "l"}


def status(
    outcomes: Sequence[Outcome],
    now: datetime,
    width: int,
    *,
    colour: bool,
    only_problems: bool = False,
    probed: Sequence[Probed] = (),
) -> str:
    """
    A block for each keyset, then the keysets in trouble, then how many keysets have each standing.

    width:         columns of a line; longer names are wrapped
    only_problems: leave out the blocks of keysets without problems
    probed:        the probes of the tenants that have a sign-in side
    """
    evidence = {each.tenant_id: each.evidence for each in probed}
    assessments = {
        each.observation.name: assessed(each, now, evidence.get(each.observation.tenant_id)) for each in outcomes
    }
    shown = problems(outcomes, now) if only_problems else outcomes
    blocks = ["\n".join(block) for block in _blocks(shown, assessments, width, colour=colour)]
    counted = totals(map(standing, assessments.values()))
    legend = LEGEND if any(assessments[outcome.observation.name].keyset for outcome in shown) else ()
    failures = [line for text in probe_failures(probed) for line in wrapped(text, width)]
    end = [*legend, *_trouble(assessments, width), *failures, *wrapped(counted, width)]
    return "\n\n".join([*blocks, "\n".join(end)])


def _blocks(
    outcomes: Sequence[Outcome], assessments: Mapping[Name, KeysetAssessment], width: int, *, colour: bool
) -> Iterator[Iterator[str]]:
    """The block of each keyset; keysets of a tenant that could not be seen for the same reason share one."""

    def in_common(outcome: Outcome) -> object:
        name = outcome.observation.name
        return (name[0], assessments[name].most_serious) if assessments[name].keyset is None else name

    for _, group in groupby(outcomes, in_common):
        names = [outcome.observation.name for outcome in group]
        if len(names) == 1:
            yield _block(names[0], assessments[names[0]], width, colour=colour)
        else:
            yield _unseen(names, assessments[names[0]], width, colour=colour)


def _unseen(names: Sequence[Name], first: KeysetAssessment, width: int, *, colour: bool) -> Iterator[str]:
    """The block of keysets that could not be seen; the reason is only in the part about trouble."""
    label = _coloured(first.label, first.level, colour=colour)
    yield f"{printable(names[0][0])}, {len(names)} keysets  {label}"
    for line in wrapped(", ".join(keyset for _, keyset in names), width - 2):
        yield f"  {line}"


def _block(name: Name, assessment: KeysetAssessment, width: int, *, colour: bool) -> Iterator[str]:
    yield from _head(name, assessment, width, colour=colour)
    yield from (f"  {line}" for fact in assessment.facts() for line in wrapped(_fact(fact), width - 2))
    found = [each for each in assessment.conditions if each.level is not Level.FINE]
    for text in (*(f"{each.label}: {each.sentence}" for each in found), *assessment.notes()):
        yield from (f"  {line}" for line in wrapped(text, width - 2))
    if assessment.keyset is not None:
        yield from (f"  {line}" for line in _keys(assessment, width))
        timeline = draw(assessment.entry.policy, assessment.keyset, assessment.now)
        if timeline.bars:
            yield from (f"  {line}" for line in _chart(timeline, width - 2))


def _head(name: Name, assessment: KeysetAssessment, width: int, *, colour: bool) -> Iterator[str]:
    """The name and its state, on one line if there is room for both."""
    shown, label = printable(full_name(name)), assessment.label
    is_short = len(f"  {assessment.kind}: {label}") <= width
    fits = len(f"{shown}  {assessment.kind}: {label}") <= width
    coloured = _coloured(label, assessment.level, colour=colour)
    if fits:
        yield f"{shown}  {assessment.kind}: {coloured}"
        return
    yield from wrapped(shown, width)
    if is_short:
        yield f"  {assessment.kind}: {coloured}"
    else:
        yield from (f"  {line}" for line in wrapped(f"{assessment.kind}: {label}", width - 2))


def _coloured(label: str, level: Level, *, colour: bool) -> str:
    return f"{_COLOURS[level]}{label}\033[0m" if colour else label


def _fact(fact: Fact) -> str:
    text = f"{format_instant(fact.instant)}  {fact.text}" if fact.instant is not None else fact.text
    return f"{fact.label:{LABEL}} {text}"


def _trouble(assessments: Mapping[Name, KeysetAssessment], width: int) -> Iterator[str]:
    """The keysets in trouble, the most urgent first, each with the time that is left and what to do."""
    groups = in_trouble(assessments)
    if groups:
        yield ""
        yield "In trouble:"
    for names in groups:
        first = assessments[names[0]]
        tenant, of = names[0][0], sum(name[0] == names[0][0] for name in assessments)
        text = ". ".join(map(_in_full, first.most_serious))
        subject = about(tenant, [keyset for _, keyset in names], of=of)
        yield from wrapped(f"{subject} ({first.time_left()}): {text}", width)
    if groups:
        yield ""


def _in_full(condition: Condition) -> str:
    return f"{condition.label}: {condition.sentence}" + (f"; {condition.remedy}" if condition.remedy else "")


def _keys(assessment: KeysetAssessment, width: int) -> Iterator[str]:
    keyset = assessment.keyset
    if keyset is None or not keyset.keys:
        yield "no keys"
        return
    is_narrow = width < NARROW
    form, dates = (_minute, 17) if is_narrow else (format_instant, 20)
    longest = max(LABEL, *(len(printable(key.kid or "-")) for key in keyset.keys))
    room = min(longest, width - 2 - len(f" {'STATE':9} ") - 2 * dates - 1)
    yield f"{'KID':{room}} {'STATE':9} {'ACTIVE FROM':{dates}} EXPIRES"
    for key, state in sorted(keyset.states(assessment.now), key=lambda pair: pair[0].activates):
        nbf, exp = (form(date) if date else "-" for date in (key.nbf, key.exp))
        yield f"{shortened(key.kid or '-', room):{room}} {state.value:9} {nbf:{dates}} {exp}"


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%MZ}"


def _chart(timeline: Timeline, width: int) -> Iterator[str]:
    columns = max(width - LABEL - 1, 20)
    yield _row("", _axis(timeline, columns))
    for bars in timeline.rows():
        label = "planned" if bars[0].state is None else shortened(bars[0].key.kid or "-", LABEL)
        cells = _cells(timeline, columns)
        for bar in bars:
            _draw(cells, timeline, bar)
        yield _row(label, cells)
    cells = _cells(timeline, columns)
    for band, (begin, finish) in timeline.bands():
        _fill(cells, timeline, begin, finish, _GLYPHS[band])
    if any(cell not in " |" for cell in cells):
        yield _row("plan", cells)
    if timeline.left_out:
        yield timeline.left_out_note()


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label:{LABEL}} {''.join(cells)}".rstrip()


def _cells(timeline: Timeline, columns: int) -> list[str]:
    cells = [" "] * columns
    cells[_column(timeline, timeline.now, columns)] = "|"
    return cells


def _axis(timeline: Timeline, columns: int) -> str:
    """The texts of the ticks, each beginning at the column of its tick; texts without room are left out."""
    axis = ""
    for instant, text in ticks(timeline.start, timeline.end, max(columns // TICK, 4)):
        column = _column(timeline, instant, columns)
        if (not axis or len(axis) < column) and column + len(text) <= columns:
            axis = axis.ljust(column) + text
    return axis


def _draw(cells: list[str], timeline: Timeline, bar: Bar) -> None:
    active, valid = ("+", ":") if bar.state is None else ("=", "x" if bar.state is KeyState.DISABLED else "-")
    if bar.key.activates < bar.key.expires:
        _fill(cells, timeline, bar.key.activates, bar.key.expires, valid)
    for begin, finish in bar.active:
        _fill(cells, timeline, begin, finish, active)


def _fill(cells: list[str], timeline: Timeline, begin: datetime, finish: datetime, glyph: str) -> None:
    """Draw at least one glyph even for a short span, but never over the line of now."""
    first = _column(timeline, begin, len(cells))
    last = max(_column(timeline, finish, len(cells)), first + 1)
    for column in range(first, last):
        if cells[column] != "|":
            cells[column] = glyph


def _column(timeline: Timeline, instant: datetime, columns: int) -> int:
    return min(int(timeline.position(instant) * columns), columns - 1)
