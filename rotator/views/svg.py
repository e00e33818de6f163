"""
A timeline as inline SVG.

Places are percentages, so that it is as wide as there is room without being
stretched; heights are pixels. Colours are classes of the page that it stands in.
"""

from collections.abc import Iterator
from datetime import datetime
from html import escape

from rotator.core.keyset import KeyState
from rotator.core.text import format_instant, printable
from rotator.core.timeline import Bar, Span, Timeline

ROW, BAR, TOP = 18, 13, 16  # pixels: a key's row, the bar in it, the axis above all
TICKS = 4


def render(timeline: Timeline, name: str) -> str:
    """The timeline of the keyset that is called *name*."""
    height = TOP + ROW * len(timeline.bars) + 2
    x = _x(timeline, timeline.now)
    parts = [
        f'<svg role="img" aria-label="Keys of {escape(printable(name))} against time" height="{height}">',
        *_bands(timeline, height),
        *_axis(timeline, height),
        *(shape for row, bar in enumerate(timeline.bars) for shape in _key(timeline, bar, TOP + ROW * row)),
        f'<line class="now" x1="{x}" x2="{x}" y1="0" y2="{height}">',
        f"<title>now, {format_instant(timeline.now)}</title></line></svg>",
        f"<p>and {timeline.left_out} older keys</p>" if timeline.left_out else "",
    ]
    return "".join(parts)


def _bands(timeline: Timeline, height: int) -> Iterator[str]:
    plan = timeline.plan
    bands = [
        ("window", "renewal window", (plan.renewal_due, plan.publish_by)),
        ("lead", "publication lead", (plan.publish_by, plan.activation)),
        *(("overlap", "overlap", span) for span in timeline.overlaps),
    ]
    for kind, text, span in bands:
        yield _rect(timeline, span, kind, TOP, height - TOP, text)


def _axis(timeline: Timeline, height: int) -> Iterator[str]:
    span = timeline.end - timeline.start
    form = "%b %Y" if span.days > 90 else "%d %b" if span.days >= TICKS else "%H:%M:%S"
    for n in range(TICKS):
        instant = timeline.start + span * n / TICKS
        x = _x(timeline, instant)
        yield f'<line class="tick" x1="{x}" x2="{x}" y1="0" y2="{height}"/>'
        yield f'<text class="axis" x="{x}" dx="3" y="11">{instant:{form}}</text>'


def _key(timeline: Timeline, bar: Bar, y: int) -> Iterator[str]:
    key = bar.key
    text = _title(bar)
    yield _rect(timeline, (key.activates, key.expires), _KINDS.get(bar.state, "valid"), y, BAR, text)
    for span in bar.active:
        yield _rect(timeline, span, "plan" if bar.state is None else "active", y, BAR, text)
    label = "planned" if bar.state is None else printable(key.kid or "-")[:8]
    yield f'<text class="label" x="{_x(timeline, key.activates)}" dx="3" y="{y + 10}">{escape(label)}</text>'


_KINDS = {None: "planvalid", KeyState.DISABLED: "off"}


def _title(bar: Bar) -> str:
    nbf, exp = (format_instant(date) if date else "without" for date in (bar.key.nbf, bar.key.exp))
    state = "planned" if bar.state is None else bar.state.value
    return f"{printable(bar.key.kid or state)}: {state}, nbf {nbf}, exp {exp}"


def _rect(timeline: Timeline, span: Span, kind: str, y: int, height: int, text: str) -> str:
    begin, finish = (_place(timeline, instant) for instant in span)
    if finish <= begin:
        return ""
    # However short, it is seen.
    width = max(finish - begin, 0.2)
    return (
        f'<rect class="{kind}" x="{begin:.2f}%" width="{width:.2f}%" y="{y}" height="{height}">'
        f"<title>{escape(text)}</title></rect>"
    )


def _x(timeline: Timeline, instant: datetime) -> str:
    return f"{_place(timeline, instant):.2f}%"


def _place(timeline: Timeline, instant: datetime) -> float:
    """Where *instant* is between start (0) and end (100); at the edge where it is outside."""
    clipped = min(max(instant, timeline.start), timeline.end)
    return 100 * ((clipped - timeline.start) / (timeline.end - timeline.start))
