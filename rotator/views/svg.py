"""
A timeline as inline SVG.

Places are percentages, so that it is as wide as there is room without being
stretched; heights are pixels. Colours and patterns are classes of the page that it
stands in. How wide it will be is not known here: a text is taken to need `LABEL` of
the width, as it does on a phone, and where it has no room it is left out.

Drawn from back to front: bands, marks, bars, now, and what is written.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape

from rotator.core.keyset import KeyState
from rotator.core.text import format_instant, printable
from rotator.core.timeline import Bar, Span, Timeline, rows
from rotator.views.axis import ticks
from rotator.views.words import has_window

ROW, BAR, TOP = 18, 12, 16  # pixels: a row, the bar in it, the axis above all
LABEL = 18.0  # percent of the width that eight letters need
GAP = 3  # pixels between a mark and what is written beside it


def render(timeline: Timeline, name: str) -> str:
    """The timeline of the keyset that is called *name*."""
    drawn = list(enumerate(rows(timeline.bars)))
    height = TOP + ROW * len(drawn) + 2
    x = _x(timeline, timeline.now)
    parts = [
        f'<svg role="img" aria-label="Keys of {escape(printable(name))} against time" height="{height}">',
        *_bands(timeline, height),
        *_marks(timeline, height),
        *(_bar(timeline, bar, TOP + ROW * row) for row, bars in drawn for bar in bars),
        f'<line class="now" x1="{x}" x2="{x}" y1="{TOP - 2}" y2="{height}">',
        f"<title>now, {format_instant(timeline.now)}</title></line>",
        *(_label(timeline, bars, TOP + ROW * row) for row, bars in drawn),
        "</svg>",
        f"<p>and {timeline.left_out} older keys</p>" if timeline.left_out else "",
    ]
    return "".join(parts)


def _bands(timeline: Timeline, height: int) -> Iterator[str]:
    plan = timeline.plan
    bands = [("overlap", "overlap", timeline.overlaps)]
    if has_window(plan):
        bands.append(("window", "renewal window", ((plan.renewal_due, plan.publish_by),)))
        bands.append(("lead", "publication lead", ((plan.publish_by, plan.activation),)))
    for kind, text, spans in bands:
        yield _titled(text, (_rect(timeline, span, kind, TOP + 1, height - TOP - 2) for span in spans))


def _marks(timeline: Timeline, height: int) -> Iterator[str]:
    for instant, text in ticks(timeline.start, timeline.end):
        x = _x(timeline, instant)
        yield f'<line class="tick" x1="{x}" x2="{x}" y1="0" y2="{height}"/>'
        if _place(timeline, instant) <= 100 - LABEL:
            yield f'<text class="axis" x="{x}" dx="{GAP}" y="11">{text}</text>'


def _bar(timeline: Timeline, bar: Bar, y: int) -> str:
    active, valid = ("plan", "planvalid") if bar.state is None else ("active", _KINDS.get(bar.state, "valid"))
    spans = [(valid, (bar.key.activates, bar.key.expires)), *((active, span) for span in bar.active)]
    return _titled(_title(bar), (_rect(timeline, span, kind, y, BAR) for kind, span in spans))


def _label(timeline: Timeline, bars: Sequence[Bar], y: int) -> str:
    """What a row is: behind its bar or before it, and on it only where neither has room."""
    key = bars[0].key
    text = "planned" if bars[0].state is None else printable(key.kid or "-")[:8]
    begin, finish = _place(timeline, key.activates), _place(timeline, bars[-1].key.expires)
    if bars[0].state is not None and finish <= 100 - LABEL:
        place = f'x="{finish:.2f}%" dx="{GAP}"'
    elif begin >= LABEL or bars[0].state is None:  # what is planned begins after now, which has room before it
        place = f'x="{begin:.2f}%" dx="-{GAP}" text-anchor="end"'
    else:
        place = f'x="{begin:.2f}%" dx="{GAP}"'
    return f'<text {place} y="{y + 10}">{escape(text)}</text>'


_KINDS = {KeyState.DISABLED: "off"}


def _title(bar: Bar) -> str:
    nbf, exp = (format_instant(date) if date else "without" for date in (bar.key.nbf, bar.key.exp))
    name = "planned" if bar.state is None else f"{printable(bar.key.kid or '-')}: {bar.state.value}"
    return f"{name}, nbf {nbf}, exp {exp}"


def _titled(text: str, shapes: Iterable[str]) -> str:
    """*shapes* with the text that a pointer that rests on any of them brings up."""
    drawn = "".join(shapes)
    return f"<g><title>{escape(text)}</title>{drawn}</g>" if drawn else ""


def _rect(timeline: Timeline, span: Span, kind: str, y: int, height: int) -> str:
    """However short it is, it is seen: its outline, which the page draws, is as wide as it must be for that."""
    begin, finish = (_place(timeline, instant) for instant in span)
    if finish <= begin:
        return ""
    width = max(finish - begin, 0.1)
    return f'<rect class="{kind}" x="{begin:.2f}%" width="{width:.2f}%" y="{y}" height="{height}"/>'


def _x(timeline: Timeline, instant: datetime) -> str:
    return f"{_place(timeline, instant):.2f}%"


def _place(timeline: Timeline, instant: datetime) -> float:
    """Where *instant* is between start (0) and end (100); at the edge where it is outside."""
    clipped = min(max(instant, timeline.start), timeline.end)
    return 100 * ((clipped - timeline.start) / (timeline.end - timeline.start))
