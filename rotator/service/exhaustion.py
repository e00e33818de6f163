"""
The end of the process where a thread cannot even begin.

A thread that begins without memory for its first frame ends before it says that it has begun, and whoever started it
waits for good (`Thread.start`). Python can only report that to `sys.unraisablehook`, in that same thread, where no
function written in Python can be called. So the hook is a function in C, which hands the report to a thread that runs
from the start.
"""

import contextlib
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from rotator.core.events import JobFailed
from rotator.core.outcome import Exit
from rotator.service.health import is_exhausted
from rotator.wiring import Program


def end_where_exhausted(program: Program, end_now: Callable[[int], None]) -> None:
    """
    Hear of errors that nobody can catch from now on: stop where memory or threads have run out, and log others.

    end_now: ends the process at once with an exit code, where there is no memory to stop as usual
    """
    reports: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_hear, args=(reports, program, end_now), name="exhaustion", daemon=True).start()
    sys.unraisablehook = reports.put


def _hear(reports: "SimpleQueue[Any]", program: Program, end_now: Callable[[int], None]) -> None:
    while True:
        report = reports.get()
        event = JobFailed(job="thread", error=report.exc_value or report.exc_type())
        is_end = is_exhausted(event)
        with contextlib.suppress(MemoryError):
            program.tell(event)
        if is_end and not program.clock.is_stopping:
            end_now(Exit.FAILED)
