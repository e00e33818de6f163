"""The daemon: sweep after sweep, until SIGTERM or SIGINT."""

from pathlib import Path

from rotator.commands.check import exit_on_config_error
from rotator.edges import logs
from rotator.service.daemon import Daemon
from rotator.wiring import wire


def daemon(path: Path) -> int:
    """Run until a stop is asked for; the exit code."""
    with exit_on_config_error():
        program = wire(path)
        logs.log_crashes(program.log)
        return Daemon(program).run()
