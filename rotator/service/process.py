"""The process of the daemon: signals, web server, and a stop that takes a bounded time."""

import gc
from collections.abc import Callable

from rotator import __version__
from rotator.core.events import Event
from rotator.core.outcome import Exit
from rotator.service.daemon import Daemon
from rotator.service.health import is_exhausted
from rotator.service.inbox import ReloadAsked, StopAsked, heed_signals
from rotator.service.pages import listen
from rotator.service.reload import facts
from rotator.service.stop import StopGuard
from rotator.wiring import Program


class Process:
    """The process, from start to stop."""

    def __init__(self, program: Program, daemon: Daemon, *, end_now: Callable[[int], None]) -> None:
        """
        No thread is started.

        end_now: ends the process at once with an exit code, where a stop takes too long

        Raises:
            ConfigError: the port cannot be bound.

        """
        self._program = program
        self._daemon = daemon
        self._end_now = end_now
        self._exit = Exit.OK
        self._server = listen(program, daemon.pages())
        self._guard = StopGuard(
            is_visiting=daemon.is_visiting,
            max_request_seconds=daemon.max_write_seconds,
            on_overdue=self._on_overdue,
        )
        program.stream.add(self._on_event)

    def run(self) -> int:
        """Serve and sweep until a stop is requested, finish visits in progress, and return the exit code."""
        program, daemon = self._program, self._daemon
        self._guard.start()
        heed_signals(self._stop, lambda: daemon.inbox.put_once(ReloadAsked()))
        self._server.start()
        listening = {"host": program.settings.http.host, "port": self._server.port}
        program.log.info("rotator.started", version=__version__, **facts(program, daemon.settings), **listening)
        daemon.start()
        gc.freeze()  # objects until now are permanent; collecting them would delay every thread, and so /healthz
        while not program.clock.is_stopping:
            daemon.handle(daemon.inbox.get())
        program.log.info("rotator.stopping")
        daemon.end()
        self._server.stop()
        self._guard.on_ended()
        program.log.info("rotator.stopped")
        return self._exit

    def _stop(self) -> None:
        """Make `run` end; may be called from any thread."""
        self._program.clock.stop()
        self._guard.on_stop()
        self._daemon.inbox.put(StopAsked())

    def _on_event(self, event: Event) -> None:
        if is_exhausted(event):
            self._exit = Exit.FAILED
            self._stop()

    def _on_overdue(self) -> None:
        self._program.log.error("rotator.stopped", overdue=True)
        self._end_now(Exit.FAILED)
