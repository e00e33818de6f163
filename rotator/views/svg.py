"""
A timeline as inline SVG.

Horizontal places are percentages, so that the drawing uses the available width without being
stretched; heights are pixels. Colours and patterns are CSS classes of the page. The width in
pixels is not known here: a text is assumed to need `LABEL` percent of it, as on a phone, and is
left out if there is no room.

Order of drawing, from back to front: gaps, bands, ticks, bars with the markers of publications, now, texts.

Markup has its own type here, `_Shape`: a text becomes part of it only through `_text`, which
escapes it. Attributes are only numbers and constants, which their formats and types ensure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Literal, NewType, TypeAlias

from markupsafe import Markup, escape

from rotator.core.forecast import Span
from rotator.core.keyset import KeyState
from rotator.core.text import format_instant, printable
from rotator.views.scale import Scale, scale
from rotator.views.timeline import Band, Bar, Timeline

ROW, BAR, TOP = 18, 12, 16  # pixels: a row, the bar in it, the axis above all
LABEL = 18.0  # percent of the width that eight letters need
DOT = 4  # pixels: the radius of the marker of a publication
GAP = 3  # pixels between a tick and its text
KID = 8  # characters of a kid that are shown

Kind: TypeAlias = Literal["active", "valid", "off", "plan", "planvalid", "overlap", "window", "lead", "gap"]
"""A CSS class of the page."""

_Shape = NewType("_Shape", str)  # unlike `Markup` it has no cost at run time; a page has tens of thousands
_BANDS: dict[Band, Kind] = {Band.OVERLAP: "overlap", Band.WINDOW: "window", Band.LEAD: "lead"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The content of an `svg` element that is *height* pixels high."""

    height: int
    content: Markup


def render(timeline: Timeline) -> Drawing:
    """The drawing of *timeline*."""
    axis = scale(timeline)
    rows = [(TOP + ROW * number, bars) for number, bars in enumerate(timeline.rows())]
    height = TOP + ROW * len(rows) + 2
    shapes = [
        *_gaps(timeline, axis, height),
        *_bands(timeline, axis, height),
        *_ticks(axis, height),
        *(_bar(axis, bar, y) for y, bars in rows for bar in bars),
        _now(axis, height),
        *(_label(axis, bars, y) for y, bars in rows),
    ]
    return Drawing(height=height, content=Markup("".join(shapes)))  # noqa: S704 - every text in it is escaped


def _gaps(timeline: Timeline, axis: Scale, height: int) -> Iterator[_Shape]:
    for span in timeline.gaps:
        until = "" if span[1] >= timeline.end else f" until {format_instant(span[1])}"
        text = f"no valid key from {format_instant(span[0])}{until}"
        yield _titled(text, _rect(axis, span, "gap", TOP + 1, height - TOP - 2))


def _bands(timeline: Timeline, axis: Scale, height: int) -> Iterator[_Shape]:
    for band, spans in groupby(timeline.bands(), key=itemgetter(0)):
        shapes = [_rect(axis, span, _BANDS[band], TOP + 1, height - TOP - 2) for _, span in spans]
        yield _titled(band.value, *shapes)


def _ticks(axis: Scale, height: int) -> Iterator[_Shape]:
    if not axis.is_even:
        near = axis.place(axis.near)
        yield _Shape(f'<line class="near" x1="{near:.2f}%" x2="{near:.2f}%" y1="0" y2="{height:d}"/>')
    for tick in axis.ticks(LABEL):
        yield _Shape(f'<line class="tick" x1="{tick.place:.2f}%" x2="{tick.place:.2f}%" y1="0" y2="{height:d}"/>')
        if tick.label is None:
            continue
        where = f'dx="{GAP:d}"' if tick.label >= tick.place else f'dx="-{GAP:d}" text-anchor="end"'
        yield _Shape(f'<text class="axis" x="{tick.place:.2f}%" {where} y="11">{_text(tick.text)}</text>')


def _bar(axis: Scale, bar: Bar, y: int) -> _Shape:
    active: Kind = "active"
    valid: Kind = "valid"
    if bar.state is None:
        name, active, valid = "planned", "plan", "planvalid"
    else:
        name = f"{bar.key.kid or '-'}: {bar.state.value}"
        valid = "off" if bar.state is KeyState.DISABLED else "valid"
    nbf, exp = (format_instant(date) if date else "none" for date in (bar.key.nbf, bar.key.exp))
    shapes = [_rect(axis, (bar.key.activates, bar.key.expires), valid, y, BAR)]
    shapes += [_rect(axis, span, active, y, BAR) for span in bar.active]
    drawn = _titled(f"{name}, nbf {nbf}, exp {exp}", *shapes)
    return drawn if bar.published is None else _Shape(drawn + _published(axis, bar.published, y))


def _published(axis: Scale, instant: datetime, y: int) -> _Shape:
    """The marker of the instant at which a key was first seen published; nothing if that is not on the axis."""
    if not axis.start <= instant <= axis.end:
        return _Shape("")
    marker = _Shape(f'<circle class="published" cx="{axis.place(instant):.2f}%" cy="{y + BAR // 2:d}" r="{DOT:d}"/>')
    return _titled(f"first seen published, {format_instant(instant)}", marker)


def _now(axis: Scale, height: int) -> _Shape:
    x = axis.place(axis.now)
    line = _Shape(f'<line class="now" x1="{x:.2f}%" x2="{x:.2f}%" y1="{TOP - 2:d}" y2="{height:d}"/>')
    return _titled(f"now, {format_instant(axis.now)}", line)


def _label(axis: Scale, bars: Sequence[Bar], y: int) -> _Shape:
    """The label of a row: after its bar or before it, and on the bar only if there is no room."""
    key, is_planned = bars[0].key, bars[0].state is None
    text = _text("planned" if is_planned else printable(key.kid or "-")[:KID])
    begin, finish = axis.place(key.activates), axis.place(bars[-1].key.expires)
    if not is_planned and finish <= 100 - LABEL:
        return _Shape(f'<text x="{finish:.2f}%" dx="{GAP:d}" y="{y + 10:d}">{text}</text>')
    if is_planned or begin >= LABEL:  # a planned key begins after now, and there is room before it
        return _Shape(f'<text x="{begin:.2f}%" dx="-{GAP:d}" text-anchor="end" y="{y + 10:d}">{text}</text>')
    return _Shape(f'<text x="{begin:.2f}%" dx="{GAP:d}" y="{y + 10:d}">{text}</text>')


def _titled(text: str, *shapes: _Shape) -> _Shape:
    """*shapes* with a tooltip; nothing if there are none."""
    drawn = "".join(shapes)
    return _Shape(f"<g><title>{_text(text)}</title>{drawn}</g>" if drawn else "")


def _rect(axis: Scale, span: Span, kind: Kind, y: int, height: int) -> _Shape:
    """A rectangle. The style of the page gives it an outline, so that even a short one is visible."""
    begin, finish = (axis.place(instant) for instant in span)
    if finish <= begin:
        return _Shape("")
    width = max(finish - begin, 0.1)
    return _Shape(f'<rect class="{kind}" x="{begin:.2f}%" width="{width:.2f}%" y="{y:d}" height="{height:d}"/>')


def _text(text: str) -> _Shape:
    """*text*, escaped for markup."""
    return _Shape(escape(printable(text)))
