"""Renders a simulation as one SVG: a timeline for each keyset, with outages and freezes shaded."""

from collections.abc import Iterator
from datetime import UTC, datetime, time
from xml.sax.saxutils import escape

from rotator.core.history import KeysetHistory, Simulated
from rotator.core.text import format_instant, printable
from rotator.views.ics_events import freezes
from rotator.views.timeline import ticks

WIDTH, NAME, ROW, BAR, TOP = 1200, 300, 26, 9, 34  # pixels: picture, names, a keyset, a bar of it, the axis
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.axis{fill:#666}.tick{stroke:#ddd}.there{fill:#8a8a8a}"
    ".made{fill:#2f6db5}.other{fill:#63a0dd}.outage{fill:#c0392b;fill-opacity:.25}.freeze{fill:#f2c94c;fill-opacity:.4}"
)

_LEGEND = "grey: existing key; blue: generated key; yellow: freeze; red: outage"


def simulation_svg(simulated: Simulated) -> str:
    """The picture, as an SVG document."""
    height = TOP + ROW * len(simulated.keysets) + 24
    shapes = [
        *_ticks(simulated, height),
        *(shape for row, history in enumerate(simulated.keysets) for shape in _keyset(simulated, history, row)),
        *_outages(simulated, height),
        f'<text class="axis" x="4" y="{height - 6}">{_LEGEND}</text>',
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        f"<title>Simulation from {format_instant(simulated.start)} to {format_instant(simulated.end)}</title>"
        f'<style>{_STYLE}</style><rect width="{WIDTH}" height="{height}" fill="#fff"/>{"".join(shapes)}</svg>'
    )


def _ticks(simulated: Simulated, height: int) -> Iterator[str]:
    for instant, text in ticks(simulated.start, simulated.end):
        x = _x(simulated, instant)
        yield f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="12" y2="{height - 20}"/>'
        yield f'<text class="axis" x="{x + 3:.1f}" y="22">{_text(text)}</text>'


def _keyset(simulated: Simulated, history: KeysetHistory, row: int) -> Iterator[str]:
    y = TOP + ROW * row
    yield f'<text x="4" y="{y + 14}">{_text(f"{history.tenant}/{history.policy.keyset_id}")}</text>'
    yield from _freezes(simulated, history, y)
    for number, each in enumerate(history.keys):
        kind = "there" if each.generated is None else ("made", "other")[number % 2]
        nbf, exp = (format_instant(date) if date else "none" for date in (each.key.nbf, each.key.exp))
        title = f"nbf {nbf}, exp {exp}" + (f", generated {format_instant(each.generated)}" if each.generated else "")
        yield _rect(simulated, (each.key.activates, each.key.expires), kind, y + number % 2 * (BAR + 1), BAR, title)


def _freezes(simulated: Simulated, history: KeysetHistory, y: int) -> Iterator[str]:
    calendar = history.policy.calendar
    if calendar is None:
        return
    for first, last, reason in freezes(calendar, simulated.start, simulated.end):
        begin, end = (
            datetime.combine(day, clock, calendar.zone).astimezone(UTC)
            for day, clock in ((first, time()), (last, time(23, 59, 59)))
        )
        yield _rect(simulated, (begin, end), "freeze", y - 2, ROW, f"freeze {first} to {last}: {reason}")


def _outages(simulated: Simulated, height: int) -> Iterator[str]:
    for each in simulated.outages:
        title = f"outage of {each.affected.value}, {format_instant(each.begin)} to {format_instant(each.end)}"
        yield _rect(simulated, (each.begin, each.end), "outage", TOP - 4, height - TOP - 18, title)


def _rect(simulated: Simulated, span: tuple[datetime, datetime], kind: str, y: int, height: int, title: str) -> str:
    begin, end = (_x(simulated, instant) for instant in span)
    if end <= begin:
        return ""
    width = max(end - begin, 1.0)
    shape = f'<rect class="{kind}" x="{begin:.1f}" width="{width:.1f}" y="{y}" height="{height}">'
    return f"{shape}<title>{_text(title)}</title></rect>"


def _x(simulated: Simulated, instant: datetime) -> float:
    share = (min(max(instant, simulated.start), simulated.end) - simulated.start) / (simulated.end - simulated.start)
    return NAME + share * (WIDTH - NAME - 4)


def _text(text: str) -> str:
    return escape(printable(text))
