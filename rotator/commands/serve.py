"""The daemon: sweep after sweep, until SIGTERM or SIGINT."""

from pathlib import Path

from rotator.commands.check import faults_told
from rotator.commands.signals import heed_signals
from rotator.service.daemon import Daemon
from rotator.wiring import wire


def daemon(path: Path) -> int:
    """Run until somebody asks to stop."""
    with faults_told():
        runtime = wire(path, table=False)
        running = Daemon(runtime)
        heed_signals(runtime, running.reload)
        return running.run()
