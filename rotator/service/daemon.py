"""What only a daemon has: a scheduler, metrics, and pages; wired to the runtime and to each other."""

import gc
import json
import random
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from rotator import __version__
from rotator.core.errors import ConfigError, Fault
from rotator.core.outcome import Exit, Failed, Held, Planned, Rotated
from rotator.core.policy import RotationPolicy
from rotator.core.text import format_span
from rotator.edges.metrics import STALE, Metrics, Registry, SweepOutcome
from rotator.edges.scheduler import Mishap, Scheduler
from rotator.edges.settings import Settings
from rotator.edges.web import Page, Server
from rotator.shell.loop import Loop, Rhythm, Swept
from rotator.shell.reconcile import Tenant
from rotator.shell.status_store import Board
from rotator.views.document import document
from rotator.views.page import page
from rotator.views.program import About
from rotator.views.style import POLICY
from rotator.wiring import Runtime

if TYPE_CHECKING:
    from rotator.service.leader import Candidacy

LONGEST_SILENCE = 30.0  # seconds without a beat of the scheduler before it counts as dead
SWEEP, WATCH = "sweep", "watch"
WATCH_INTERVAL = timedelta(seconds=5)
AT_START = ("log", "http", "concurrency", "leader_election")  # settings that a reload does not change


class Daemon:
    """One run, from start to stop."""

    def __init__(self, runtime: Runtime) -> None:
        """Wire everything; nothing runs yet."""
        self._runtime = runtime
        self._settings = self._begun_with = runtime.settings
        self._reloading = threading.Lock()
        self._swept_at: datetime | None = None
        self._began = runtime.clock.now()  # to look at keysets
        self._showing = threading.Lock()
        self._pacing = threading.Lock()
        self._tenants = runtime.tenants
        self._works = not self._settings.leader_election.is_on
        self._board = Board(_policies(self._tenants) if self._works else ())
        self._metrics = Metrics(Registry(), self._board, runtime.clock.now)
        self._metrics.configure(self._settings.check_interval, dry_run=self._settings.dry_run)
        runtime.listeners.outcome.append(self._metrics.outcome)
        runtime.listeners.exchange.append(self._metrics.exchange)
        runtime.listeners.retried.append(self._metrics.retried)
        runtime.listeners.credential.append(self._metrics.credential)
        runtime.listeners.token.append(lambda granted: self._metrics.token(granted=granted))
        self._scheduler = Scheduler(self._settings.concurrency + 2, mishap=self._mishap)
        self._candidacy = None if self._works else self._stand()
        self._loop = Loop(
            self._guarded(runtime.tenants),
            _rhythm(self._settings),
            clock=runtime.clock,
            scheduler=self._scheduler,
            board=self._board,
            observe=runtime.listeners.see,
            swept=self._swept,
            raised=lambda error: self._mishap(SWEEP, Mishap.RAISED, error),
            chance=random.random,
        )
        if self._candidacy is not None:
            self._loop.rest()

    def run(self) -> int:
        """Serve, and sweep until somebody asks to stop; what is under way then is finished."""
        settings, log, clock = self._settings, self._runtime.log, self._runtime.clock
        server = self._server()
        server.start()
        log.info(
            "rotator.started",
            version=__version__,
            config=str(self._runtime.path),
            tenants=len(self._runtime.tenants),
            keysets=sum(len(tenant.policies) for tenant in self._runtime.tenants),
            check_interval=format_span(settings.check_interval),
            dry_run=settings.dry_run,
            host=settings.http.host,
            port=server.port,
        )
        self._sweep_now()
        self._scheduler.every(WATCH, WATCH_INTERVAL, self._watch)
        self._scheduler.start()
        if self._candidacy is not None:
            self._candidacy.start()
        gc.freeze()  # what is there by now stays; a collection that goes over it would hold up every thread, health too
        clock.wait()
        if self._candidacy is not None:
            self._candidacy.stop()
        self._scheduler.stop()
        self._loop.close()
        if self._candidacy is not None:
            self._candidacy.join()
        server.stop()
        log.info("rotator.stopped")
        return Exit.OK

    def reload(self) -> None:
        """Read the configuration again: a good one takes over as a whole, a bad one changes nothing."""
        with self._reloading:
            log = self._runtime.log
            try:
                settings = self._runtime.sources.load()
                self._refuse_long_requests(settings)
                self._take_over(settings, self._runtime.assembly.tenants(settings))
            except ConfigError as error:
                self._metrics.reloaded(accepted=False)
                log.error("config.rejected", config=error.source, faults=[str(fault) for fault in error.faults])
            except Exception as error:
                self._metrics.reloaded(accepted=False)
                log.error("job.raised", job="reload", exc_info=error)

    def _refuse_long_requests(self, settings: Settings) -> None:
        longest = self._begun_with.leader_election.longest_write
        if self._candidacy is not None and settings.request_timeout > longest:
            message = (
                f"must not be longer than {format_span(longest)} until the next start: the election goes on with the "
                "periods that it began with, and a leader would never be sure to lead until a request has ended"
            )
            raise ConfigError(str(self._runtime.path), (Fault(path="request_timeout", message=message),))

    def _take_over(self, settings: Settings, tenants: tuple[Tenant, ...]) -> None:
        places = {tenant.name: tenant.place for tenant in self._tenants}
        moved = {tenant.name for tenant in tenants if places.get(tenant.name) != tenant.place}
        self._settings = settings
        with self._showing:
            self._tenants = tenants
            self._board.configure(_policies(tenants) if self._works else (), anew=moved)
        self._metrics.configure(settings.check_interval, dry_run=settings.dry_run)
        self._loop.configure(self._guarded(tenants), _rhythm(settings))
        self._metrics.reloaded(accepted=True)
        self._runtime.log.info(
            "config.reloaded",
            config=str(self._runtime.path),
            tenants=len(tenants),
            keysets=sum(len(tenant.policies) for tenant in tenants),
            check_interval=format_span(settings.check_interval),
            dry_run=settings.dry_run,
            restart_needed=[name for name in AT_START if getattr(self._begun_with, name) != getattr(settings, name)],
        )
        self._sweep_now()

    def _sweep_now(self) -> None:
        """Sweep at once, and then as often as is configured; whoever comes last has the last configuration."""
        with self._pacing:
            self._scheduler.every(SWEEP, self._settings.check_interval, self._loop.sweep)

    def _stand(self) -> "Candidacy":
        """Stand for election."""
        from rotator.service.leader import Candidacy  # noqa: PLC0415 - most processes have no rival

        candidacy = Candidacy(
            self._runtime,
            self._metrics,
            begin=self._begin,
            end=self._end,
            longest=self._longest,
        )
        self._runtime.listeners.outcome.append(candidacy.note)
        self._runtime.listeners.exchange.append(candidacy.note_clock)
        return candidacy

    def _longest(self) -> float:
        """Seconds that a request may take, as configured now."""
        return self._settings.request_timeout.total_seconds()

    def _guarded(self, tenants: tuple[Tenant, ...]) -> tuple[Tenant, ...]:
        return tenants if self._candidacy is None else self._candidacy.guarded(tenants)

    def _begin(self) -> None:
        """Begin to lead: sweep at once."""
        self._swept_at, self._began = None, self._runtime.clock.now()
        with self._showing:
            self._works = True
            self._board.configure(_policies(self._tenants))
        self._metrics.follow_board()
        self._loop.wake()
        self._sweep_now()

    def _end(self) -> None:
        """Lead no more: look at nothing, and leave nothing behind that looks like news."""
        self._loop.rest()
        with self._showing:
            self._works = False
            self._board.configure(())

    def _watch(self) -> None:
        if self._runtime.sources.have_changed():
            self.reload()

    def _server(self) -> Server:
        http = self._settings.http
        routes = {
            "/metrics": self._metrics_page,
            "/healthz": self._health_page,
            "/readyz": self._ready_page,
            "/status.json": self._status_json,
            "/": self._status_page,
        }
        try:
            return Server(http.host, http.port, routes, self._page_bug)
        except OSError as error:
            message = f"cannot listen on {http.host}, port {http.port}: {error.strerror or error}"
            raise ConfigError(str(self._runtime.path), (Fault(path="http", message=message),)) from error

    def _swept(self, swept: Swept) -> None:
        with self._showing:
            if not self._works:  # the lead was lost while it ended: what it would show is cleared already
                return
            self._swept_at = self._runtime.clock.now()
            self._metrics.swept(swept.seconds, swept.outcomes, late=swept.late)
        counts = {
            kind.name.value: sum(isinstance(outcome, kind) for outcome in swept.outcomes)
            for kind in (Held, Planned, Rotated, Failed)
        }
        self._runtime.log.info(
            "sweep.finished",
            seconds=round(swept.seconds, 3),
            keysets=len(swept.outcomes),
            **counts,
            **({"late": swept.late} if swept.late else {}),
        )

    def _mishap(self, key: str, mishap: Mishap, error: BaseException | None) -> None:
        is_sweep = key == SWEEP
        if mishap is Mishap.RAISED:
            self._runtime.log.error("job.raised", job=key, exc_info=error)
        elif is_sweep:  # of another job the one that runs will do what there is to do
            self._runtime.log.warning("job.missed", job=key, advice="it still runs; is check_interval too short?")
        if is_sweep:
            self._metrics.mishap(SweepOutcome.RAISED if mishap is Mishap.RAISED else SweepOutcome.MISSED)

    def _page_bug(self, error: Exception) -> None:
        self._runtime.log.error("page.raised", exc_info=error)

    def _metrics_page(self, accept: str) -> Page:
        return Page(*self._metrics.render(accept))

    def _health_page(self, _: str) -> Page:
        silence = self._scheduler.silence()
        if silence > LONGEST_SILENCE:
            text = f"the scheduler has not shown that it lives for {silence:.0f}s\n"
            return Page(text.encode(), status=HTTPStatus.SERVICE_UNAVAILABLE)
        return Page(b"ok\n")

    def _ready_page(self, _: str) -> Page:
        if self._swept_at is not None or (self._candidacy is not None and self._candidacy.has_followed):
            return Page(b"ok\n")
        return Page(b"the first sweep has not finished\n", status=HTTPStatus.SERVICE_UNAVAILABLE)

    def _status_json(self, _: str) -> Page:
        now, dry_run = self._runtime.clock.now(), self._settings.dry_run
        found = document(self._board.outcomes(), now, dry_run=dry_run)
        if self._candidacy is not None:
            found |= {"leads": self._candidacy.is_leading, "leader": self._candidacy.leader()}
        return self._struck(json.dumps(found, indent=2), "application/json")

    def _status_page(self, _: str) -> Page:
        text = page(self._board.entries(), self._runtime.clock.now(), self._about())
        return self._struck(text, "text/html; charset=utf-8", security=POLICY)

    def _about(self) -> About:
        settings, silence, candidacy = self._settings, self._scheduler.silence(), self._candidacy
        return About(
            version=__version__,
            refresh=max(5, min(60, int(settings.check_interval.total_seconds()))),
            stale=settings.check_interval * STALE,
            began=self._began,
            swept=self._swept_at,
            silence=timedelta(seconds=silence) if silence > LONGEST_SILENCE else None,
            dry_run=settings.dry_run,
            is_idle=not self._works,
            leader=candidacy.leader() if candidacy is not None else None,
            election=candidacy.line() if candidacy is not None else None,
        )

    def _struck(self, text: str, content_type: str, security: str = "default-src 'none'") -> Page:
        return Page(self._runtime.secrets.strike(text).encode(), content_type, security=security)


def _policies(tenants: Sequence[Tenant]) -> list[tuple[str, RotationPolicy]]:
    return [(tenant.name, policy) for tenant in tenants for policy in tenant.policies]


def _rhythm(settings: Settings) -> Rhythm:
    return Rhythm(
        check_interval=settings.check_interval,
        settle=settings.settle,
        concurrency=settings.concurrency,
        dry_run=settings.dry_run,
    )
