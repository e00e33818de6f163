"""
Each keyset with its keys, what happens next, and a timeline; plain text that fits 60 columns.

    MlHZw0Qf       ====|===---
    QH3zgW04           |   =========---
    planned            |            ++++++++++:::
    plan               |ww        o        o

`=` active, `-` valid; `+` and `:` the same of keys that are only planned; `|` now; `w`, `l` and
`o` the renewal window, the publication lead and overlaps. What is in trouble comes last, since
the end is what stays on the screen.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from rotator.core.keyset import KeyState
from rotator.core.outcome import Outcome
from rotator.core.status import KeysetStatus, Name
from rotator.core.text import format_instant, printable
from rotator.views.assessment import Fact, KeysetAssessment, assess, in_trouble, urgency
from rotator.views.conditions import Condition, Level
from rotator.views.phrases import by_outcome, full_name, summary
from rotator.views.table import wrapped
from rotator.views.timeline import Band, Bar, Timeline, draw, ticks

LEGEND = (
    "= active   - valid   + : planned (active, valid)   | now",
    "w renewal window  l publication lead  o overlap  x disabled",
)
LABEL = 14  # columns of a kid, cut short
TICK = 12  # columns for the text of a tick and a gap
WIDE, NARROW = 100, 72  # columns from which whole kids have room, and below which whole instants have none
_COLOURS = {
    Level.FINE: "\033[32m",
    Level.INFORMATION: "\033[33m",
    Level.WARNING: "\033[33m",
    Level.CRITICAL: "\033[31m",
}
_GLYPHS = {Band.OVERLAP: "o", Band.WINDOW: "w", Band.LEAD: "l"}


def status(outcomes: Sequence[Outcome], now: datetime, width: int | None, *, colour: bool) -> str:
    """
    A block for each keyset, what is in trouble, and a summary.

    width: the columns of the terminal; None for a pipe, where nothing is wrapped and kids are whole
    """
    assessments = {outcome.observation.name: _assess(outcome, now) for outcome in outcomes}
    blocks = ["\n".join(_block(name, each, width, colour=colour)) for name, each in assessments.items()]
    end = [*LEGEND, *_trouble(assessments, width), *wrapped(_summary(outcomes, assessments), width)]
    return "\n\n".join([*blocks, "\n".join(end)])


def _assess(outcome: Outcome, now: datetime) -> KeysetAssessment:
    observation = outcome.observation if outcome.observation.keyset is not None else None
    entry = KeysetStatus(
        policy=outcome.observation.policy, outcome=outcome, effective_outcome=outcome, observation=observation
    )
    return assess(entry, now, timedelta.max, dry_run=False)


def _block(name: Name, assessment: KeysetAssessment, width: int | None, *, colour: bool) -> Iterator[str]:
    yield from _head(name, assessment, width, colour=colour)
    yield from (f"  {_fact(fact)}" for fact in assessment.facts())
    found = [each for each in assessment.conditions if each.level is not Level.FINE]
    for text in (*(f"{each.label}: {each.sentence}" for each in found), *assessment.notes()):
        yield from (f"  {line}" for line in wrapped(text, width and width - 2))
    if assessment.keyset is not None:
        yield from (f"  {line}" for line in _keys(assessment, width))
        timeline = draw(assessment.entry.policy, assessment.keyset, assessment.now)
        if timeline.bars:
            yield from (f"  {line}" for line in _chart(timeline, (width or 80) - 2))


def _head(name: Name, assessment: KeysetAssessment, width: int | None, *, colour: bool) -> Iterator[str]:
    """The name and its state, on one line where there is room for both."""
    shown, label = printable(full_name(name)), assessment.label
    fits = width is None or len(f"{shown}  {assessment.kind}: {label}") <= width
    if colour:
        label = f"{_COLOURS[assessment.level]}{label}\033[0m"
    if fits:
        yield f"{shown}  {assessment.kind}: {label}"
    else:
        yield from wrapped(shown, width)
        yield f"  {assessment.kind}: {label}"


def _fact(fact: Fact) -> str:
    text = f"{format_instant(fact.instant)}  {fact.text}" if fact.instant is not None else fact.text
    return f"{fact.label:{LABEL}} {text}"


def _trouble(assessments: Mapping[Name, KeysetAssessment], width: int | None) -> Iterator[str]:
    """What is in trouble, the most urgent first, each with what is left and what to do."""
    groups = in_trouble(assessments)
    if groups:
        yield ""
        yield "In trouble:"
    for names in groups:
        first = assessments[names[0]]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        text = ". ".join(map(_in_full, first.most_serious))
        yield from wrapped(f"{full_name(names[0])}{more} ({first.time_left()}): {text}", width)
    if groups:
        yield ""


def _in_full(condition: Condition) -> str:
    return f"{condition.label}: {condition.sentence}" + (f"; {condition.remedy}" if condition.remedy else "")


def _summary(outcomes: Sequence[Outcome], assessments: Mapping[Name, KeysetAssessment]) -> str:
    """How many keysets are in which trouble, and the outcomes of the others."""
    bad = [each for each in assessments.values() if each.level.is_trouble]
    others = [outcome for outcome in outcomes if not assessments[outcome.observation.name].level.is_trouble]
    troubles = [each.conditions[0].label for each in sorted(bad, key=urgency)]
    return summary([*troubles, *by_outcome(others)])


def _keys(assessment: KeysetAssessment, width: int | None) -> Iterator[str]:
    keyset = assessment.keyset
    if keyset is None or not keyset.keys:
        yield "no keys"
        return
    is_narrow = width is not None and width < NARROW
    form, dates, room = (_minute, 17, LABEL - 4) if is_narrow else (format_instant, 21, LABEL)
    if width is None or width >= WIDE:
        room = max(LABEL, *(len(printable(key.kid or "-")) for key in keyset.keys))
    yield f"{'KID':{room}} {'STATE':9} {'ACTIVE FROM':{dates}} EXPIRES"
    for key, state in sorted(keyset.states(assessment.now), key=lambda pair: pair[0].activates):
        nbf, exp = (form(date) if date else "-" for date in (key.nbf, key.exp))
        yield f"{_short(key.kid, room):{room}} {state.value:9} {nbf:{dates}} {exp}"


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%MZ}"


def _chart(timeline: Timeline, width: int) -> Iterator[str]:
    columns = max(width - LABEL - 1, 20)
    yield _row("", _axis(timeline, columns))
    for bars in timeline.rows():
        label = "planned" if bars[0].state is None else _short(bars[0].key.kid, LABEL)
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
    """The texts of the ticks, each from the column of its tick on; those that have no room are left out."""
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
    """Draw at least one glyph, however short the span is, but never over the line of now."""
    first = _column(timeline, begin, len(cells))
    last = max(_column(timeline, finish, len(cells)), first + 1)
    for column in range(first, last):
        if cells[column] != "|":
            cells[column] = glyph


def _column(timeline: Timeline, instant: datetime, columns: int) -> int:
    return min(int(timeline.position(instant) * columns), columns - 1)


def _short(kid: str | None, room: int) -> str:
    shown = printable(kid or "-")
    return shown if len(shown) <= room else shown[: room - 3] + "..."
