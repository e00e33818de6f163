"""
Each keyset with its keys, what happens next, and a timeline; plain text that fits 60 columns.

    MlHZw0Qf       ====|===---
    QH3zgW04           |   =========---
    planned            |            ++++++++++:::
    plan               |ww        o        o

`=` active, `-` valid; `+` and `:` the same of keys that are only planned; `|` now; `w`, `l` and
`o` the renewal window, the publication lead and overlaps. What is in trouble stands at the
end, above the prompt.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from rotator.core.keyset import KeyState
from rotator.core.outcome import Outcome
from rotator.core.text import format_instant, printable
from rotator.core.timeline import Bar, Span, Timeline, draw, rows
from rotator.shell.status_store import Entry, Name
from rotator.views.judgement import Case, judge, troubles, urgency
from rotator.views.signs import Level, Sign
from rotator.views.table import wrapped
from rotator.views.words import came, falls_short, full_name, has_window, remaining

LEGEND = (
    "= active   - valid   + : the same of planned keys   | now",
    "w renewal window  l publication lead  o overlap  x disabled",
)
LABEL = 14  # columns of a kid, cut short
WIDE, NARROW = 100, 72  # columns from which whole kids have room, and below which whole instants have none
_COLOURS = {Level.GOOD: "\033[32m", Level.DUE: "\033[33m", Level.BAD: "\033[31m"}


def status(outcomes: Sequence[Outcome], now: datetime, width: int | None, *, colour: bool) -> str:
    """All of it; *width* None for a pipe, where nothing is wrapped and kids are whole."""
    cases = {outcome.observation.name: _judge(outcome, now) for outcome in outcomes}
    blocks = ["\n".join(_block(outcome, cases[outcome.observation.name], width, colour=colour)) for outcome in outcomes]
    end = [*LEGEND, *_trouble(cases, width), *wrapped(_summary(outcomes, cases), width)]
    return "\n\n".join([*blocks, "\n".join(end)])


def _judge(outcome: Outcome, now: datetime) -> Case:
    observation = outcome.observation if outcome.observation.keyset is not None else None
    entry = Entry(policy=outcome.observation.policy, outcome=outcome, standing=outcome, observation=observation)
    return judge(entry, now, timedelta.max, dry_run=False)


def _block(outcome: Outcome, case: Case, width: int | None, *, colour: bool) -> Iterator[str]:
    policy, room = case.entry.policy, width and width - 2
    yield from _head(outcome, case, width, colour=colour)
    yield from (f"  {line}" for line in _next(case))
    told = {sign.sentence for sign in case.signs}
    texts = [f"{sign.word}: {sign.sentence}" for sign in case.signs if sign.level is not Level.GOOD]
    for text in (*texts, *(text for text in came(outcome) if text not in told)):
        yield from (f"  {line}" for line in wrapped(text, room))
    if case.keyset is not None:
        yield from (f"  {line}" for line in _keys(case, width))
        timeline = draw(policy, case.keyset, case.now)
        if timeline.bars:
            yield from (f"  {line}" for line in _chart(timeline, (width or 80) - 2))


def _head(outcome: Outcome, case: Case, width: int | None, *, colour: bool) -> Iterator[str]:
    """The name and its state, on one line where there is room for both."""
    policy = case.entry.policy
    name, made = printable(full_name(outcome)), f"{policy.kty} {policy.use}, {policy.mode.value}:"
    words = f"{_COLOURS[case.level]}{case.words}\033[0m" if colour else case.words
    if width is None or len(f"{name}  {made} {case.words}") <= width:
        yield f"{name}  {made} {words}"
    else:
        yield from wrapped(name, width)
        yield f"  {made} {words}"


def _told(sign: Sign) -> str:
    return f"{sign.word}: {sign.sentence}" + (f"; {sign.advice}" if sign.advice else "")


def _next(case: Case) -> Iterator[str]:
    if case.decision is None:
        return
    assessment, plan, now = case.decision.assessment, case.decision.assessment.plan, case.now
    end = assessment.covered_until
    lines = [("covered until", case.without_end() if end is None else _when(end, now))]
    if has_window(plan):  # otherwise there is no key that the next one would follow
        lines += [
            ("next key due", _when(plan.renewal_due, now)),
            ("publish by" if plan.publish_by >= now else "late since", _when(plan.publish_by, now)),
            ("takes over" if plan.activation >= now else "was to begin", _when(plan.activation, now)),
        ]
    if assessment.shortfall:
        lines.append(("falls short", falls_short(assessment.shortfall)))
    yield from (f"{name:{LABEL}} {text}" for name, text in lines)


def _when(instant: datetime, now: datetime) -> str:
    return f"{format_instant(instant)}  {remaining(instant, now)}"


def _trouble(cases: Mapping[Name, Case], width: int | None) -> Iterator[str]:
    """What is in trouble, the most urgent first, each with what is left and what to do."""
    groups = troubles(cases)
    if groups:
        yield ""
        yield "In trouble:"
    for names in groups:
        first = cases[names[0]]
        more = f" and {len(names) - 1} more of the same" if len(names) > 1 else ""
        told = ". ".join(_told(sign) for sign in first.gravest)
        yield from wrapped(f"{'/'.join(names[0])}{more} ({first.time_left()}): {told}", width)
    if groups:
        yield ""


def _summary(outcomes: Sequence[Outcome], cases: Mapping[Name, Case]) -> str:
    """How many keysets are in which trouble, and what the others came to."""
    bad = [case for case in cases.values() if case.level is Level.BAD]
    grave = Counter(case.signs[0].word for case in sorted(bad, key=urgency))
    others = Counter(each.name for each in outcomes if cases[each.observation.name].level is not Level.BAD)
    parts = [f"{count} {word}" for word, count in (*grave.items(), *sorted(others.items()))]
    return f"{len(outcomes)} keyset{'s' if len(outcomes) != 1 else ''}: {', '.join(parts)}"


def _keys(case: Case, width: int | None) -> Iterator[str]:
    keyset = case.keyset
    if keyset is None or not keyset.keys:
        yield "no keys"
        return
    is_narrow = width is not None and width < NARROW
    form, dates, room = (_minute, 17, LABEL - 4) if is_narrow else (format_instant, 21, LABEL)
    if width is None or width >= WIDE:
        room = max(LABEL, *(len(printable(key.kid or "-")) for key in keyset.keys))
    yield f"{'KID':{room}} {'STATE':9} {'ACTIVE FROM':{dates}} EXPIRES"
    for key, state in sorted(keyset.states(case.now), key=lambda pair: pair[0].activates):
        nbf, exp = (form(date) if date else "-" for date in (key.nbf, key.exp))
        yield f"{_short(key.kid, room):{room}} {state.value:9} {nbf:{dates}} {exp}"


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%MZ}"


def _chart(timeline: Timeline, width: int) -> Iterator[str]:
    columns = max(width - LABEL - 1, 20)
    yield f"{'':{LABEL}} {_axis(timeline, columns)}"
    for bars in rows(timeline.bars):
        label = "planned" if bars[0].state is None else _short(bars[0].key.kid, LABEL)
        cells = _cells(timeline, columns)
        for bar in bars:
            _draw(cells, timeline, bar)
        yield _row(label, cells)
    cells = _cells(timeline, columns)
    for glyph, (begin, finish) in _windows(timeline):
        _fill(cells, timeline, begin, finish, glyph)
    if any(cell not in " |" for cell in cells):
        yield _row("plan", cells)
    if timeline.left_out:
        yield f"and {timeline.left_out} more"


def _windows(timeline: Timeline) -> Iterator[tuple[str, Span]]:
    plan = timeline.plan
    yield from (("o", span) for span in timeline.overlaps)
    if has_window(plan):
        yield "w", (plan.renewal_due, plan.publish_by)
        yield "l", (plan.publish_by, plan.activation)


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label:{LABEL}} {''.join(cells)}".rstrip()


def _cells(timeline: Timeline, columns: int) -> list[str]:
    cells = [" "] * columns
    cells[_column(timeline, timeline.now, columns)] = "|"
    return cells


def _axis(timeline: Timeline, columns: int) -> str:
    """Dates where they belong, as many as have room; hours where days would all be alike."""
    span = timeline.end - timeline.start
    form = "%Y-%m-%d" if span.days >= 4 else "%d. %H:%M" if span.total_seconds() > 600 else "%H:%M:%S"
    marks = max(columns // 16, 1)
    return "".join(f"{timeline.start + span * n / marks:{form}}".ljust(columns // marks) for n in range(marks)).rstrip()


def _draw(cells: list[str], timeline: Timeline, bar: Bar) -> None:
    active, valid = ("+", ":") if bar.state is None else ("=", "x" if bar.state is KeyState.DISABLED else "-")
    if bar.key.activates < bar.key.expires:
        _fill(cells, timeline, bar.key.activates, bar.key.expires, valid)
    for begin, finish in bar.active:
        _fill(cells, timeline, begin, finish, active)


def _fill(cells: list[str], timeline: Timeline, begin: datetime, finish: datetime, glyph: str) -> None:
    """Draw at least one glyph, however short it is; now stays visible within."""
    first = _column(timeline, begin, len(cells))
    last = max(_column(timeline, finish, len(cells)), first + 1)
    for column in range(first, last):
        if cells[column] != "|":
            cells[column] = glyph


def _column(timeline: Timeline, instant: datetime, columns: int) -> int:
    clipped = min(max(instant, timeline.start), timeline.end)
    return min(int((clipped - timeline.start) / (timeline.end - timeline.start) * columns), columns - 1)


def _short(kid: str | None, room: int) -> str:
    shown = printable(kid or "-")
    return shown if len(shown) <= room else shown[: room - 3] + "..."
