"""The command `run`: the daemon, until SIGTERM or SIGINT. On a terminal it first prints a banner."""

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from rotator import __version__
from rotator.commands import terminal
from rotator.commands.check import exit_on_error
from rotator.core.events import Event, Looked
from rotator.core.outcome import Exit, Rotated
from rotator.core.policy import Mode
from rotator.core.text import format_span
from rotator.edges import logs
from rotator.edges.deadline import raise_descriptor_limit
from rotator.edges.log_writer import LogWriter
from rotator.edges.settings import Settings
from rotator.views.phrases import count
from rotator.wiring import wire

LAST_LINES_TIMEOUT = 1.0  # seconds to write the waiting log lines if the process must end at once
LOOPBACK = "127.0.0.1"
_ANY = ("0.0.0.0", "::", "")  # noqa: S104 - compared with

MULTIPROCESS = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
"""
If one of these is set when prometheus_client is imported, it keeps metrics in files that several processes share.

The daemon is one process, and it removes the series of keysets that are not configured any more, which files prevent.
"""


def daemon(path: Path) -> int:
    """Run until a request to stop; returns the exit code."""
    raise_descriptor_limit()
    ignored = [name for name in MULTIPROCESS if os.environ.pop(name, None) is not None]
    from rotator.service.daemon import Daemon  # noqa: PLC0415 - imports prometheus_client, which reads the variables
    from rotator.service.exhaustion import end_where_exhausted  # noqa: PLC0415 - as above
    from rotator.service.process import Process  # noqa: PLC0415 - as above

    lines = LogWriter(sys.stderr)

    end_now = partial(_end_now, lines)
    made, is_terminal = _Made(), terminal.is_stderr()
    try:
        with exit_on_error():
            program = wire(path, stream=lines, revise=on_loopback if is_terminal else unchanged)
            logs.log_crashes(program.log)
            for name in ignored:
                program.log.warning("variable.ignored", variable=name, hint="metrics are kept in memory; unset it")
            program.stream.add(made.on_event)
            service = Daemon(program)
            service.metrics.set_dropped_lines(lambda: lines.dropped)
            process = Process(program, service, end_now=end_now)
            end_where_exhausted(program, end_now)
        if is_terminal:
            _print_banner(path, program.settings)
        try:
            code = process.run()
        except Exception as error:
            # Threads that still run would keep the process alive.
            program.log.critical("rotator.crashed", thread="MainThread", exc_info=error)
            end_now(Exit.FAILED)
            raise
    finally:
        lines.drain()
    if is_terminal:
        print(f"stopped; {made.text()}", file=sys.stderr)
    return code


def _end_now(lines: LogWriter, code: int) -> None:
    try:
        lines.drain(LAST_LINES_TIMEOUT)
    finally:
        os._exit(code)


def _print_banner(path: Path, settings: Settings) -> None:
    print("\n".join(banner(path, settings)), end="\n\n", file=sys.stderr)


class _Made:
    """Counts the keys that were generated."""

    def __init__(self) -> None:
        self._keys = 0

    def on_event(self, event: Event) -> None:
        self._keys += isinstance(event, Looked) and isinstance(event.outcome, Rotated)

    def text(self) -> str:
        return f"{count(self._keys, 'key')} generated" if self._keys else "nothing was written"


def unchanged(settings: Settings) -> Settings:
    """*settings* as they are."""
    return settings


def on_loopback(settings: Settings) -> Settings:
    """
    *settings* with `http.host` on loopback if it is not set: during a trial only this machine needs the page.

    In a pod with a terminal the default is kept, because Kubernetes probes from outside of the container.
    """
    if "host" in settings.http.model_fields_set or os.environ.get("KUBERNETES_SERVICE_HOST"):
        return settings
    return settings.model_copy(update={"http": settings.http.model_copy(update={"host": LOOPBACK})})


def banner(path: Path, settings: Settings) -> Iterator[str]:
    """The lines of the banner: what runs, its configuration, whether it writes, its page, and how to stop it."""
    keysets = [policy for tenant in settings.tenants for policy in settings.policies(tenant)]
    observed = sum(policy.mode is Mode.OBSERVE for policy in keysets)
    yield f"rotator {__version__} runs as a daemon until it is stopped."
    yield (
        f"  looks at       {count(len(keysets))} of {count(len(settings.tenants), 'tenant')}, "
        f"every {format_span(settings.check_interval)}"
    )
    yield f"  configuration  {path}"
    yield f"  writes         {_may_write(settings, len(keysets), observed)}"
    yield f"  page           {_page(settings)}"
    yield "  stop           Ctrl-C; it finishes writes in progress first"
    yield "  see also       rotator --dry-run prints the plan once; rotator --help lists the commands"


def _may_write(settings: Settings, keysets: int, observed: int) -> str:
    if settings.dry_run:
        return "nothing: dry_run is true"
    if observed == keysets:
        return "nothing: every keyset is in mode observe"
    said = "generates keys that are due, after a second look"
    if observed:
        said += f"; {observed} of {count(keysets)} in mode observe"
    return said + ("; only while it holds the lease" if settings.leader_election.is_on else "")


def _page(settings: Settings) -> str:
    host, port = settings.http.host, settings.http.port
    if port == 0:
        return "on any free port: see rotator.started below"
    shown = LOOPBACK if host in _ANY else host
    address = f"[{shown}]" if ":" in shown else shown
    from_outside = "" if host == shown else "  (listens on every interface)"
    return f"http://{address}:{port}/{from_outside}"
