"""
The daemon's control loop.

The main thread owns the state: it takes one request after the other from the inbox. It alone reloads
the configuration, replaces the loop's snapshot, and replaces what the pages show. Other threads put
requests into the inbox and never wait for the main thread:

    signals    SIGTERM, SIGINT, SIGHUP
    scheduler  it is time to check the files of the configuration; a sweep has ended
    elector    this replica leads, does not lead any more, has released the lease
"""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from rotator.core.errors import ConfigError
from rotator.core.events import ConfigRejected, ConfigReloaded, Event, JobFailed, SweepFinished
from rotator.core.lease import Acquired, Lost, Released
from rotator.edges.metrics import Metrics, Registry
from rotator.edges.process_metrics import SWEEP
from rotator.edges.scheduler import Scheduler
from rotator.edges.settings import Settings
from rotator.service.health import LookProgress
from rotator.service.inbox import FilesDue, Inbox, ReloadAsked, Request, StopAsked
from rotator.service.job_problems import report
from rotator.service.pages import Pages, Shown
from rotator.service.probes import prober
from rotator.service.process_store import ProcessStore
from rotator.service.reload import Origin, facts, reread, restart_needed
from rotator.shell.jobs import Recurring
from rotator.shell.loop import Loop, Pools, thread_pool
from rotator.shell.status_store import StatusStore
from rotator.shell.tenant import Tenant
from rotator.wiring import Program, timing

if TYPE_CHECKING:
    from rotator.service.leader import Candidate

WATCH, WATCH_INTERVAL = "watch", timedelta(seconds=5)
SCHEDULER_THREADS = 4  # a sweep, a second one that waits for it, the watch, and one that hands visits to pools


class Daemon:
    """The daemon, from start to stop."""

    def __init__(self, program: Program, *, scheduler: Recurring | None = None, pools: Pools = thread_pool) -> None:
        """
        Wire everything; no thread is started.

        scheduler, pools: run the jobs and the visits; by default in threads

        Raises:
            ConfigError: leader election is on, but the process does not run in a cluster.

        """
        self._program = program
        self._tenants = program.tenants(program.settings)
        self._origin = Origin.of(program, program.settings)
        self.inbox = Inbox()
        is_elected = program.settings.leader_election.is_on
        self._shown = Shown(settings=program.settings, began=program.clock.now(), is_active=not is_elected)
        self._process = ProcessStore(program.clock.now, program.path)
        self._store = StatusStore(program.tell, () if is_elected else self._tenants)
        self.metrics = Metrics(Registry(), self._store, program.clock.now, program.settings.shard.shard)
        self._configure_metrics(program.settings)
        self._candidate = self._stand() if is_elected else None
        self._scheduler = scheduler or Scheduler(SCHEDULER_THREADS, on_problem=partial(report, program.tell))
        self._progress = LookProgress()
        self._prober = prober(program, self._scheduler, self._store, pools)
        consumers = (self._store, self._process, self.metrics, self._prober, self._progress)
        for consumer in (*(each.on_event for each in consumers), self._on_event):
            program.stream.add(consumer)
        self._loop = Loop(
            self._guarded(self._tenants),
            timing(program.settings),
            concurrency=program.settings.concurrency,
            clock=program.clock,
            scheduler=self._scheduler,
            tell=program.tell,
            jitter=program.jitter,
            on_swept=self.inbox.put,
            on_confirmed=self._candidate.on_confirmed if self._candidate is not None else lambda: None,
            pools=pools,
        )
        if self._candidate is not None:
            self._loop.pause()
        self._prober.configure(() if is_elected else self._tenants, program.settings.check_interval)

    @property
    def settings(self) -> Settings:
        """The configuration in force."""
        return self._shown.settings

    def pages(self) -> Pages:
        """The pages that the web server serves."""
        program = self._program
        pages = Pages(
            lambda: self._shown,
            store=self._store,
            process=self._process,
            metrics=self.metrics,
            now=program.clock.now,
            seconds_since_heartbeat=self._scheduler.seconds_since_heartbeat,
            redactor=program.redactor,
            leadership=self._candidate,
            progress=self._progress,
            shard=program.settings.shard.shard,
        )
        program.stream.add(pages.on_event)
        return pages

    def is_visiting(self) -> bool:
        """True while a visit to any tenant is in progress."""
        return self._loop.is_visiting()

    def start(self) -> None:
        """Start to sweep, or to follow, and to watch the files of the configuration."""
        self.sweep_now()
        self._scheduler.every(WATCH, WATCH_INTERVAL, lambda: self.inbox.put_once(FilesDue()))
        self._scheduler.start()
        if self._candidate is not None:
            self._candidate.start()

    def end(self) -> None:
        """Start nothing more, and finish visits, writes and probes in progress."""
        if self._candidate is not None:
            self._candidate.stop()
        self._scheduler.stop()
        self._loop.close()
        self._prober.close()
        if self._candidate is not None:
            self._candidate.on_confirmed()
            self._candidate.join()

    def handle(self, request: Request) -> None:
        """Carry out *request*; an unexpected exception is reported and does not end the daemon."""
        try:
            self._handle(request)
        except Exception as error:  # noqa: BLE001 - the main thread must handle the requests that follow
            self._program.tell(JobFailed(job=type(request).__name__, error=error))

    def sweep_now(self) -> None:
        """Sweep at once, and then in rounds, one in each `check_interval`."""
        self._scheduler.every(SWEEP, self.settings.check_interval, self._loop.rounds())

    def _handle(self, request: Request) -> None:
        match request:
            case ReloadAsked():
                self._reload()
            case FilesDue():
                if self._program.sources.have_changed():
                    self._reload()
            case SweepFinished():
                self._on_swept(request)
            case Acquired():
                self._lead()
            case Lost():
                self._stop_leading()
            case Released():
                # Nothing is left behind that looks like news.
                self.metrics.follow_store()
                self.metrics.process.forget_sweeps()
            case StopAsked():
                pass

    def _reload(self) -> None:
        """Read the configuration again: if it is valid it replaces the old one as a whole, else nothing changes."""
        try:
            settings = reread(self._program, is_elected=self._candidate is not None)
            origin = Origin.of(self._program, settings)
            tenants = self._tenants if origin == self._origin else self._program.tenants(settings)
        except ConfigError as error:
            self._program.tell(ConfigRejected(error=error))
        except Exception as error:  # noqa: BLE001 - a bug in the reader must not end the daemon
            self.metrics.process.rejected()
            self._program.tell(JobFailed(job="reload", error=error))
        else:
            self._origin = origin
            self._take_over(settings, tenants)

    def _take_over(self, settings: Settings, tenants: tuple[Tenant, ...]) -> None:
        """Put *settings* in force; if nothing has changed, the tenants and their tokens are kept."""
        is_new = tenants is not self._tenants
        self._shown = replace(self._shown, settings=settings)
        if is_new:
            self._tenants = tenants
            self._watch(tenants if self._shown.is_active else ())
            self._loop.configure(self._guarded(tenants), timing(settings))
        self._configure_metrics(settings)
        data = facts(self._program, settings) | {"restart_needed": restart_needed(self._program, settings)}
        self._program.tell(ConfigReloaded(data=data | ({} if is_new else {"unchanged": True})))
        if is_new:
            self._progress.begin()
            self.sweep_now()

    def _configure_metrics(self, settings: Settings) -> None:
        self.metrics.configure(settings.check_interval, dry_run=settings.dry_run, keysets=settings.metrics.keysets)

    def _stand(self) -> "Candidate":
        from rotator.service.leader import Candidate  # noqa: PLC0415 - only imported if leader election is on

        candidate = Candidate(
            self._program,
            max_write_seconds=self.max_write_seconds,
            is_confirming=lambda: self._loop.is_confirming(),  # noqa: PLW0108 - the loop is created later
        )
        self.metrics.set_leader_probe(lambda: candidate.is_leading)
        self._program.stream.add(candidate.on_event)
        return candidate

    def max_write_seconds(self) -> float:
        """The maximum duration of a write request to Graph with the current configuration, in seconds."""
        return self.settings.request_timeout.total_seconds()

    def _guarded(self, tenants: tuple[Tenant, ...]) -> tuple[Tenant, ...]:
        return tenants if self._candidate is None else self._candidate.guarded(tenants)

    def _lead(self) -> None:
        """Start to lead: sweep at once."""
        self._shown = replace(self._shown, swept=None, began=self._program.clock.now(), is_active=True)
        self._watch(self._tenants)
        self.metrics.follow_store()
        self._progress.begin()
        self._loop.resume()
        self.sweep_now()

    def _stop_leading(self) -> None:
        """Stop to look at keysets, and clear their statuses."""
        self._loop.pause()
        self._shown = replace(self._shown, is_active=False)
        self._watch(())

    def _watch(self, tenants: tuple[Tenant, ...]) -> None:
        """Store the status of the keysets of *tenants*, and probe their sign-in sides."""
        self._store.configure(tenants)
        self._prober.configure(tenants, self.settings.check_interval)

    def _on_event(self, event: Event) -> None:
        """Put events of the election into the inbox; called in the elector's thread."""
        if isinstance(event, Acquired | Lost | Released):
            self.inbox.put(event)

    def _on_swept(self, event: SweepFinished) -> None:
        if self._shown.is_active:  # otherwise the lead was lost meanwhile, and the pages are cleared already
            self._shown = replace(self._shown, swept=self._program.clock.now())
            self._program.tell(event)
