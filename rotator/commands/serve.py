"""The daemon: sweep after sweep, until SIGTERM or SIGINT."""

import os
import sys
from pathlib import Path
from typing import TextIO, cast

from rotator.commands.check import exit_on_config_error
from rotator.core.outcome import Exit
from rotator.edges import logs
from rotator.edges.deadline import raise_descriptor_limit
from rotator.edges.log_writer import LogWriter
from rotator.service.daemon import Daemon
from rotator.service.process import Process
from rotator.wiring import wire

LAST_LINES_TIMEOUT = 1.0  # seconds for the log where the process must end at once


def daemon(path: Path) -> int:
    """Run until a stop is asked for; the exit code."""
    raise_descriptor_limit()
    lines = LogWriter(sys.stderr)

    def end_now(code: int) -> None:
        lines.drain(LAST_LINES_TIMEOUT)
        os._exit(code)

    try:
        with exit_on_config_error():
            program = wire(path, stream=cast("TextIO", lines))
            logs.log_crashes(program.log)
            service = Daemon(program)
            service.metrics.set_dropped_lines(lambda: lines.dropped)
            process = Process(program, service, end_now=end_now)
        try:
            return process.run()
        except Exception as error:
            # Threads that still run would keep the process alive.
            program.log.critical("rotator.crashed", thread="MainThread", exc_info=error)
            end_now(Exit.FAILED)
            raise
    finally:
        lines.drain()
