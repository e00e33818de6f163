"""Writes a report to stdout, also if that is closed or a pipe without a reader."""

import os
import sys
from typing import NoReturn, TextIO

from rotator.core.outcome import Exit


def say(text: str) -> None:
    """
    Print *text*. A reader that closes the pipe early is not an error.

    A character that the encoding of stdout does not have is printed as an escape.
    If it cannot be written, a message goes to stderr, and the program exits with 1.
    """
    out: TextIO | None = sys.stdout  # None if the program was started without one
    if out is None:
        _fail("there is no stdout")
    shown = text.encode(out.encoding or "utf-8", "backslashreplace").decode(out.encoding or "utf-8")
    try:
        print(shown, file=out, flush=True)
    except BrokenPipeError:
        _drop(out)
    except OSError as error:
        _drop(out)
        _fail(error.strerror)


def _drop(out: TextIO) -> None:
    """Drop the rest of the buffer, so that Python does not try to write it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def _fail(reason: str | None) -> NoReturn:
    print(f"rotator: the report cannot be written: {reason}", file=sys.stderr)
    sys.exit(Exit.FAILED)
