"""
A recording of a terminal as an animated SVG.

Each command runs in a pseudo-terminal, and pyte, a terminal emulator, turns what it prints into screens. An SVG shows
the screens one after the other by CSS alone, without a script. Where motion is not wanted, it shows the last one.
"""

import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fcntl import ioctl
from html import escape
from itertools import groupby

import pyte

MAX_PAUSE = 1.5
"""Seconds that a pause of a program lasts in the recording, however long it really was."""

_WIDTH, _HEIGHT, _MARGIN = 8.0, 18, 14  # of a character and around the screen, in pixels
_TYPED, _READ, _LAST = 0.12, 5.0, 4.0  # seconds: a few characters, what a command printed, in addition at the end
_BOLD = ' font-weight="bold"'
_PAPER, _TEXT = "#0d1117", "#d0d7de"
_COLOURS = {
    "black": "#6e7681",
    "red": "#ff7b72",
    "green": "#7ee787",
    "brown": "#e3b341",  # pyte's name for yellow
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#76e3ea",
    "white": "#f0f6fc",
}


@dataclass(frozen=True, slots=True)
class Run:
    """Characters side by side that look the same, from a column on."""

    column: int
    text: str
    colour: str
    bold: bool


Row = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a screen shows, and for how many seconds."""

    rows: tuple[Row, ...]
    seconds: float


@dataclass
class Recording:
    """What a terminal of *columns* by *lines* has shown so far."""

    columns: int
    lines: int
    environment: Mapping[str, str]
    frames: list[Frame] = field(default_factory=list)

    def run(self, *words: str, program: str) -> None:
        """Type a command on an empty screen, and run *program* with its arguments. Raises: CalledProcessError."""
        screen = pyte.Screen(self.columns, self.lines)
        stream = pyte.ByteStream(screen)
        typed = " ".join(words)
        stream.feed(b"$ ")
        for at in range(0, len(typed), 3):
            stream.feed(typed[at : at + 3].encode())
            self._keep(screen, _TYPED)
        stream.feed(b"\r\n")
        for output, pause in _outputs([program, *words[1:]], self.environment, self.columns, self.lines):
            self._keep(screen, min(pause, MAX_PAUSE))
            stream.feed(output)
        self._keep(screen, _READ)

    def _keep(self, screen: pyte.Screen, seconds: float) -> None:
        rows = tuple(tuple(_runs(screen.buffer[line], self.columns)) for line in range(self.lines))
        self.frames.append(Frame(rows, seconds))


def _outputs(
    command: Sequence[str], environment: Mapping[str, str], columns: int, lines: int
) -> Iterator[tuple[bytes, float]]:
    """What a command prints on a terminal, and the seconds that went by before each piece."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        before = time.monotonic()
        while True:
            select.select([ours], [], [])
            try:
                output = os.read(ours, 1 << 16)
            except OSError:  # Linux: nobody has the other end any more
                break
            if not output:
                break
            yield output, time.monotonic() - before
            before = time.monotonic()
    os.close(ours)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def _runs(cells: Mapping[int, pyte.screens.Char], columns: int) -> Iterator[Run]:
    marked = [(column, cells[column]) for column in range(columns)]
    for (colour, bold), group in groupby(marked, key=lambda each: (each[1].fg, each[1].bold)):
        found = list(group)
        text = "".join(cell.data for _, cell in found)
        if text.strip():
            start = found[0][0] + len(text) - len(text.lstrip())
            yield Run(start, text.strip(), _colour(colour), bold)


def _colour(name: str) -> str:
    if name == "default":
        return _TEXT
    return _COLOURS.get(name.removeprefix("bright"), f"#{name}" if len(name) == 6 else _TEXT)


def svg(recording: Recording, title: str) -> str:
    """The recording as a picture. A row that several frames show is in it once."""
    used = max(
        (at + 1 for frame in recording.frames for at, row in enumerate(frame.rows) if row), default=recording.lines
    )
    width, height = recording.columns * _WIDTH + 2 * _MARGIN, used * _HEIGHT + 2 * _MARGIN
    names: dict[Row, str] = {}
    for frame in recording.frames:
        for row in frame.rows:
            if row:
                names.setdefault(row, f"r{len(names)}")
    style, screens = _screens(recording.frames, names)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>\n"
        f"text{{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}}\n"
        f"{style}</style>\n<defs>\n"
        + "".join(f'<g id="{name}">{_drawn(row)}</g>\n' for row, name in names.items())
        + f'</defs>\n<rect width="{width:g}" height="{height:g}" rx="8" fill="{_PAPER}"/>\n{screens}</svg>\n'
    )


def _drawn(row: Row) -> str:
    return "".join(
        f'<text x="{_MARGIN + run.column * _WIDTH:g}" textLength="{len(run.text) * _WIDTH:g}" fill="{run.colour}"'
        f"{_BOLD if run.bold else ''}>{escape(run.text, quote=False)}</text>"
        for run in row
    )


def _screens(frames: Sequence[Frame], names: Mapping[Row, str]) -> tuple[str, str]:
    """The style that shows each screen in its time, and the screens."""
    total = sum(frame.seconds for frame in frames) + _LAST
    style, screens, start = "", "", 0.0
    for number, frame in enumerate(frames):
        last = frame is frames[-1]
        end = start + frame.seconds / total * 100
        until = "" if last else f"{end:.2f}%,"
        shown = f"0%,{until}100%{{visibility:hidden}}{start:.2f}%{{visibility:visible}}"
        if last:  # and until the recording begins again
            shown = f"0%{{visibility:hidden}}{start:.2f}%,100%{{visibility:visible}}"
        if number == 0:
            shown = f"0%{{visibility:visible}}{end:.2f}%,100%{{visibility:hidden}}"
        style += f"@keyframes k{number}{{{shown}}}\n"
        hidden = "" if last else ' visibility="hidden"'
        uses = "".join(
            f'<use href="#{names[row]}" y="{_MARGIN + at * _HEIGHT + 13}"/>' for at, row in enumerate(frame.rows) if row
        )
        screens += f'<g{hidden} style="animation:k{number} {total:.1f}s step-end infinite">{uses}</g>\n'
        start = end
    style += "@media (prefers-reduced-motion){g{animation:none!important}}\n"
    return style, screens
