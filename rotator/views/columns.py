"""
Columns of text that fit a terminal.

The first of these layouts that fits is used:

    KEYSET    OUTCOME  COVERED UNTIL      the header on one line
    KEYSET    OUTCOME  COVERED            the header on two lines; a first cell
                       UNTIL              that is too long has a line of its own
    KEYSET                                each first cell on a line of its own
      OUTCOME  COVERED
               UNTIL
    B2C_1A_X                              no header, and cells with their labels
      outcome held, covered until in 9d
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rotator.core.text import printable

MIN_WIDTH = 40  # columns; a narrower terminal wraps the lines itself
MIN_FIRST = 20  # columns for the first cells, so that most of them fit
INDENT = GAP = "  "

Cells = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """
    A header and rows in columns.

    first:  columns for the first cells; 0 if each has its own line
    widths: columns for the other cells; empty if they have labels instead
    width:  columns of the terminal
    """

    labels: Cells
    header: Sequence[Cells]
    first: int
    widths: Sequence[int]
    width: int

    def head(self) -> Iterator[str]:
        """The lines of the header."""
        if self.widths:
            if not self.first:
                yield INDENT + self.labels[0]
            yield from (self._line(cells) for cells in self.header)

    def row(self, cells: Cells) -> Iterator[str]:
        """The lines of a row."""
        if len(cells[0]) > self.first:
            yield INDENT + shortened(cells[0], max(self.width, MIN_WIDTH) - len(INDENT))
            cells = ("", *cells[1:])
        if self.widths:
            yield self._line(cells)
            return
        labelled = zip(self.labels[1:], cells[1:], strict=True)
        text = ", ".join(f"{label.lower()} {cell}" for label, cell in labelled if cell != "-")
        yield from (2 * INDENT + line for line in wrapped(text, self.width - 2 * len(INDENT)))

    def _line(self, cells: Cells) -> str:
        others = GAP.join(map(str.ljust, cells[1:], self.widths))
        first = cells[0].ljust(self.first) + GAP if self.first else INDENT
        return f"{INDENT}{first}{others}".rstrip()


def columns(header: Cells, rows: Sequence[Cells], width: int) -> Columns:
    """The first layout in which *rows* fit *width* columns; the last one wraps its lines."""
    on_two_lines = tuple(zip(*map(_halves, header), strict=True))
    longest = max(len(cells[0]) for cells in (header, *rows))
    wide, narrow = (
        [max(map(len, column)) for column in list(zip(*head, *rows, strict=True))[1:]]
        for head in ((header,), on_two_lines)
    )
    room, least = (width - len(INDENT) - sum(widths) - len(GAP) * len(widths) for widths in (wide, narrow))
    if longest <= room:
        return Columns(labels=header, header=(header,), first=longest, widths=wide, width=width)
    if min(longest, MIN_FIRST) <= least:
        return Columns(labels=header, header=on_two_lines, first=min(longest, least), widths=narrow, width=width)
    fits = least >= 0  # the deeper indentation takes the same room as the missing column and gap
    return Columns(labels=header, header=on_two_lines, first=0, widths=narrow if fits else (), width=width)


def _halves(text: str) -> tuple[str, str]:
    """The first word and the rest; a single word is put on the second line, next to the rows."""
    first, _, rest = text.partition(" ")
    return (first, rest) if rest else ("", first)


def shortened(text: str, room: int) -> str:
    """*text*, with its middle replaced by dots if it is longer than *room*."""
    text = printable(text)
    if len(text) <= room:
        return text
    end = (room - 3) // 2
    return f"{text[: room - 3 - end]}...{text[len(text) - end :]}"


def wrapped(text: str, width: int) -> list[str]:
    """*text* as lines of at most *width* columns."""
    return textwrap.wrap(printable(text), max(width, MIN_WIDTH), subsequent_indent=INDENT, break_on_hyphens=False)
