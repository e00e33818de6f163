"""The terminal: its width, and a status line."""

import shutil
import sys
import threading
from typing import TextIO

from rotator.core.text import printable

DEFAULT_WIDTH = 80  # columns, also in a pipe
_CLEAR = "\r\033[K"


def width() -> int:
    """The width of a report in columns: $COLUMNS, else that of the terminal, else `DEFAULT_WIDTH`."""
    return shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns


def is_stdout() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def is_stderr() -> bool:
    """Whether stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


class StatusLine:
    """
    The last line of a terminal, which is updated in place; log lines are written above it.

    Thread-safe. If *stream* is not a terminal, there is no status line.
    """

    def __init__(self, stream: TextIO) -> None:
        """Start with an empty line."""
        self._stream = stream
        self._is_terminal = stream is not None and stream.isatty()
        self._lock = threading.Lock()
        self._text = ""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._is_terminal

    def write(self, text: str) -> int:
        """Print *text* above the line."""
        with self._lock:
            written = self._stream.write(_CLEAR + text if self._text else text)
            if self._text and text.endswith("\n"):
                self._stream.write(self._text)
            return written

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def show(self, text: str) -> None:
        """Replace the line by *text*, cut to the width of the terminal; "" removes it."""
        if not self._is_terminal:
            return
        with self._lock:
            text = printable(text)[: width() - 1]
            if text != self._text:
                self._text = text
                self._stream.write(_CLEAR + text)
                self._stream.flush()
