"""Writes a report to stdout, also if that is closed or a pipe without a reader."""

import os
import sys
from typing import NoReturn, TextIO

from rotator.core.outcome import Exit


def say(text: str) -> bool:
    """
    Print *text*. A reader that closes the pipe early is not an error.

    A character that the encoding of stdout does not have is printed as an escape.
    If it cannot be written, a message goes to stderr, and the program exits with 1.

    Returns:
        False if the reader has closed the pipe, so that nobody reads what follows.

    """
    out: TextIO | None = sys.stdout  # None if the program was started without one
    if out is None:
        _fail("there is no stdout")
    shown = text.encode(out.encoding or "utf-8", "backslashreplace").decode(out.encoding or "utf-8")
    try:
        print(shown, file=out, flush=True)
    except OSError as error:
        give_up(out, error)
        return False
    return True


def give_up(out: TextIO, error: OSError) -> None:
    """Write nothing more to *out*, to which a write has failed; exit with 1 unless its reader has closed the pipe."""
    # What is left in the buffer is dropped, so that Python does not try to write it at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    if not isinstance(error, BrokenPipeError):
        _fail(error.strerror)


def _fail(reason: str | None) -> NoReturn:
    print(f"rotator: the report cannot be written: {reason}", file=sys.stderr)
    sys.exit(Exit.FAILED)
