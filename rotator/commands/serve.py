"""The daemon: sweep after sweep, until SIGTERM or SIGINT."""

import os
from pathlib import Path

from rotator.commands.check import exit_on_config_error
from rotator.edges import logs
from rotator.wiring import wire

MULTIPROCESS = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
"""
Where one of these is set when prometheus_client is imported, it keeps metrics in files that several processes share.

The daemon is one process, and removes the series of keysets that have left, which such files do not allow.
"""


def daemon(path: Path) -> int:
    """Run until a stop is asked for; the exit code."""
    ignored = [name for name in MULTIPROCESS if os.environ.pop(name, None) is not None]
    from rotator.service.daemon import Daemon  # noqa: PLC0415 - imports prometheus_client, which reads the variables

    with exit_on_config_error():
        program = wire(path)
        logs.log_crashes(program.log)
        for name in ignored:
            program.log.warning("variable.ignored", variable=name, hint="metrics are kept in memory; unset it")
        return Daemon(program).run()
