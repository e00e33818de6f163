"""
Each keyset with its keys, what happens next, and a timeline; plain text that fits 80 columns.

    MlHZw0Qf       ====|===---
    QH3zgW04           |   =========---
    planned            |            ++++++++++:::

`=` active, `-` valid; `+` and `:` the same of a key that is only planned; `|` now.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rotator.core.keyset import NEVER
from rotator.core.outcome import Outcome, Sight
from rotator.core.rotation import Outlook
from rotator.core.text import format_instant, printable
from rotator.core.timeline import Bar, Timeline, draw
from rotator.views.table import wrapped
from rotator.views.words import Level, details, full_name, remaining, summary, verdict

LEGEND = "= active   - valid   + : the same of a planned key   | now"
LABEL = 14  # columns of a kid, cut short
WIDE = 100  # columns in which whole kids have room
_COLOURS = {Level.GOOD: "\033[32m", Level.DUE: "\033[33m", Level.BAD: "\033[31m"}


def status(outcomes: Sequence[Outcome], now: datetime, width: int | None, *, colour: bool) -> str:
    """All of it; *width* None for a pipe, where nothing is wrapped and kids are whole."""
    blocks = ["\n".join(_block(outcome, now, width, colour=colour)) for outcome in outcomes]
    return "\n\n".join([*blocks, LEGEND, summary(outcomes)])


def _block(outcome: Outcome, now: datetime, width: int | None, *, colour: bool) -> Iterator[str]:
    policy, sight = outcome.sight.policy, outcome.sight
    found = verdict(outcome)
    word = f"{_COLOURS[found.level]}{found.word}\033[0m" if colour else found.word
    yield f"{full_name(outcome)}  {policy.kty} {policy.use}, {policy.mode.value}: {word}"
    if sight.outlook is not None:
        yield from (f"  {line}" for line in _next(sight.outlook, now))
    for text in details(outcome):
        yield from (f"  {line}" for line in wrapped(text, width and width - 2))
    if sight.keyset is not None:
        yield from (f"  {line}" for line in _keys(sight, width))
        timeline = draw(policy, sight.keyset, now)
        if timeline.bars:
            yield from (f"  {line}" for line in _chart(timeline, (width or 80) - 2))


def _next(outlook: Outlook, now: datetime) -> Iterator[str]:
    lines = (
        ("covered until", outlook.covered_until),
        ("next key due", outlook.plan.renewal_due),
        ("publish by", outlook.plan.publish_by),
        ("takes over" if outlook.plan.activation >= now else "late since", outlook.plan.activation),
    )
    for name, instant in lines:
        shown = "no end" if instant == NEVER else f"{format_instant(instant)}  {remaining(instant, now)}"
        yield f"{name:{LABEL}} {shown}"


def _keys(sight: Sight, width: int | None) -> Iterator[str]:
    keyset = sight.keyset
    if keyset is None or not keyset.keys:
        yield "no keys"
        return
    room = LABEL if width and width < WIDE else max(LABEL, *(len(printable(key.kid or "-")) for key in keyset.keys))
    yield f"{'KID':{room}} {'STATE':9} {'ACTIVE FROM':21} EXPIRES"
    for key, state in sorted(keyset.states(sight.now), key=lambda pair: pair[0].activates):
        nbf, exp = (format_instant(date) if date else "-" for date in (key.nbf, key.exp))
        yield f"{_short(key.kid, room):{room}} {state.value:9} {nbf:21} {exp}"


def _chart(timeline: Timeline, width: int) -> Iterator[str]:
    columns = max(width - LABEL - 1, 20)
    yield f"{'':{LABEL}} {_axis(timeline, columns)}"
    for bar in timeline.bars:
        label = "planned" if bar.state is None else _short(bar.key.kid, LABEL)
        yield f"{label:{LABEL}} {_bar(timeline, bar, columns)}".rstrip()
    if timeline.left_out:
        yield f"and {timeline.left_out} more"


def _axis(timeline: Timeline, columns: int) -> str:
    """Dates where they belong, as many as have room; hours where days would all be alike."""
    span = timeline.end - timeline.start
    form = "%Y-%m-%d" if span.days >= 4 else "%d. %H:%M" if span.total_seconds() > 600 else "%H:%M:%S"
    marks = max(columns // 16, 2)
    return "".join(f"{timeline.start + span * n / marks:{form}}".ljust(columns // marks) for n in range(marks)).rstrip()


def _bar(timeline: Timeline, bar: Bar, columns: int) -> str:
    active, valid = ("+", ":") if bar.state is None else ("=", "-")
    cells = [" "] * columns
    cells[_column(timeline, timeline.now, columns)] = "|"
    if bar.key.is_usable or not bar.key.is_dated:
        _fill(cells, timeline, bar.key.activates, bar.key.expires, valid)
    for begin, finish in bar.active:
        _fill(cells, timeline, begin, finish, active)
    return "".join(cells)


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
