"""Writing a report to stdout, whatever stands behind it."""

import os
import sys
from typing import NoReturn, TextIO

from rotator.core.outcome import Exit


def say(text: str) -> None:
    """
    Print *text*; a reader that has seen enough is no fault.

    A character that the encoding of stdout does not have is printed as an escape.
    Where it can't be written, that is said on stderr, and the program ends with 1.
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
    """What is left in the buffer must not be tried again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def _fail(reason: str | None) -> NoReturn:
    print(f"rotator: the report cannot be written: {reason}", file=sys.stderr)
    sys.exit(Exit.FAILED)
