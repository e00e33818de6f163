"""The pages that the daemon serves over HTTP: metrics, health, readiness, the status page, JSON and calendar."""

import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Protocol

from rotator import __version__
from rotator.core.errors import ConfigError, ConfigProblem
from rotator.core.events import Event, InventoryTaken, JobFailed, Looked
from rotator.core.proof_events import Probed
from rotator.core.shard import WHOLE, Shard
from rotator.core.status import outcomes, proofs
from rotator.edges.config_file import CONFIG_VARIABLE
from rotator.edges.metrics import STALE, Metrics
from rotator.edges.redactor import Redactor
from rotator.edges.settings import PREFIX, Settings
from rotator.edges.web import Page, Request, Server
from rotator.service.health import LookProgress, is_exhausted
from rotator.service.process_store import ProcessStore, place
from rotator.service.rendered import Rendered
from rotator.shell.status_store import StatusStore
from rotator.views.ics import CONTENT_TYPE, render_ics
from rotator.views.ics_events import events_of_statuses
from rotator.views.inventory import inventory_json, sections
from rotator.views.page import page
from rotator.views.process import ProcessStatus
from rotator.views.report_json import document
from rotator.views.selection import parse_query
from rotator.views.style import POLICY
from rotator.wiring import Program

CHART_CONFIG = "/etc/rotator/rotator.yaml"  # the chart mounts the configuration here
STATUS_JSON = "/status.json"
CALENDAR = "/calendar.ics"
MAX_SILENCE = 30.0  # seconds without a heartbeat of the scheduler before it counts as dead


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """
    The state of the daemon as the pages show it. Replaced as a whole by the main thread.

    began:     since when keysets are looked at
    swept:     when the last sweep ended; None before the first, and while another replica leads
    is_active: this process looks at keysets
    """

    settings: Settings
    began: datetime
    swept: datetime | None = None
    is_active: bool = True


class Leadership(Protocol):
    """The state of the election, as pages and metrics read it."""

    @property
    def is_leading(self) -> bool:
        """Whether this replica leads at this moment."""
        ...

    @property
    def has_followed(self) -> bool:
        """True if this replica has followed at least once: then it is ready without a sweep."""
        ...

    def leader(self) -> str | None:
        """The identity of the leader; None if there is none, as far as this replica knows."""
        ...

    def line(self) -> str:
        """One line for people about who leads."""
        ...


class Pages:
    """Renders the pages from frozen values. Pages that are slow to render are cached for a short time."""

    def __init__(
        self,
        shown: Callable[[], Shown],
        *,
        store: StatusStore,
        process: ProcessStore,
        metrics: Metrics,
        now: Callable[[], datetime],
        seconds_since_heartbeat: Callable[[], float],
        redactor: Redactor,
        leadership: Leadership | None,
        progress: LookProgress,
        shard: Shard = WHOLE,
    ) -> None:
        """*seconds_since_heartbeat* returns the age of the scheduler's last heartbeat."""
        self._shown = shown
        self._store = store
        self._process = process
        self._metrics = metrics
        self._now = now
        self._seconds_since_heartbeat = seconds_since_heartbeat
        self._redactor = redactor
        self._leadership = leadership
        self._progress, self._shard = progress, shard
        self._looks = 0  # only compared for equality, so a lost increment between two threads does not matter
        self._rendering = threading.Lock()  # one page at a time, because looks need the processor too
        self._page = Rendered(lambda: self._status_page(""), self._version, self._rendering)
        self._json = Rendered(self._status_json, self._version, self._rendering)
        self._calendar = Rendered(self._ics, self._version, self._rendering)
        self._exposing = threading.Lock()  # not the same lock, because a scrape must not wait for a page

    def on_event(self, event: Event) -> None:
        """Count the events that change the pages."""
        if isinstance(event, Looked | Probed | InventoryTaken):
            self._looks += 1

    def routes(self) -> Mapping[str, Callable[[Request], Page]]:
        """The handler of each path."""
        calendar = {CALENDAR: lambda _: self._calendar.get()} if self._shown().settings.http.calendar else {}
        return calendar | {
            "/metrics": self._exposition,
            "/healthz": lambda _: self._health(),
            "/readyz": lambda _: self._ready(),
            STATUS_JSON: lambda _: self._json.get(),
            "/": self._whole_or_selected,
        }

    def _version(self) -> object:
        """A value that changes when the pages do, except for the time that they show."""
        leader = None if self._leadership is None else self._leadership.line()
        return self._shown(), self._looks, leader, self._process.refused

    def _whole_or_selected(self, request: Request) -> Page:
        """The page. It is cached, unless a query selects part of it: then it is rendered for each request."""
        if not request.query:
            return self._page.get()
        with self._rendering:
            return self._status_page(request.query)

    def _exposition(self, request: Request) -> Page:
        with self._exposing:
            return Page(*self._metrics.render(request.accept))

    def _health(self) -> Page:
        silence = self._seconds_since_heartbeat()
        if silence > MAX_SILENCE:
            text = f"no heartbeat from the scheduler for {silence:.0f} s\n"
            return Page(text.encode(), status=HTTPStatus.SERVICE_UNAVAILABLE)
        shown = self._shown()
        overdue = self._progress.overdue(shown.settings.check_interval, shown.settings.request_timeout)
        if overdue is not None and shown.is_active:
            text = f"looks are due, and none has made progress for {overdue.total_seconds():.0f} s\n"
            return Page(text.encode(), status=HTTPStatus.SERVICE_UNAVAILABLE)
        return Page(b"ok\n")

    def _ready(self) -> Page:
        has_followed = self._leadership is not None and self._leadership.has_followed
        if self._shown().swept is not None or has_followed:
            return Page(b"ok\n")
        return Page(b"the first sweep has not finished\n", status=HTTPStatus.SERVICE_UNAVAILABLE)

    def _status_json(self) -> Page:
        statuses, now = self._store.statuses(), self._now()
        found = document(outcomes(statuses), now, dry_run=self._shown().settings.dry_run, proofs=proofs(statuses, now))
        inventories = self._store.inventories()
        if inventories:
            found["inventory"] = inventory_json(inventories, now)
        if self._shard.total > 1:
            found["shard"] = {"index": self._shard.index, "total": self._shard.total}
        if self._leadership is not None:
            found |= {"leads": self._leadership.is_leading, "leader": self._leadership.leader()}
        return self._redacted(json.dumps(found, indent=2), "application/json")

    def _ics(self) -> Page:
        statuses = ((name[0], status) for name, status in self._store.statuses().items())
        now = self._now()
        return self._redacted(render_ics(events_of_statuses(statuses, now), now), CONTENT_TYPE)

    def _status_page(self, query: str) -> Page:
        now, about = self._now(), self._about(self._shown())
        text = page(self._store.statuses(), now, about, parse_query(query), sections(self._store.inventories(), now))
        return self._redacted(text, "text/html; charset=utf-8", security=POLICY)

    def _about(self, shown: Shown) -> ProcessStatus:
        silence, leadership = self._seconds_since_heartbeat(), self._leadership
        check_interval = shown.settings.check_interval
        tenants = [tenant.name for tenant in shown.settings.tenants] if shown.is_active else []
        return ProcessStatus(
            version=__version__,
            refresh=max(5, min(60, int(check_interval.total_seconds()))),
            stale=check_interval * STALE,
            began=shown.began,
            swept=shown.swept,
            check_interval=check_interval,
            settle=shown.settings.settle,
            silence=timedelta(seconds=silence) if silence > MAX_SILENCE else None,
            dry_run=shown.settings.dry_run,
            is_idle=not shown.is_active,
            leader=leadership.leader() if leadership is not None else None,
            election=leadership.line() if leadership is not None else None,
            election_variables=election_variables(os.environ),
            place=place(),
            config=str(self._process.config),
            shard=self._shard,
            refused=self._process.refused,
            expiries=self._process.expiries(tenants),
            skews=self._process.skews(tenants),
            runbook_url=shown.settings.http.runbook_url,
            shard_url=shown.settings.http.shard_url,
        )

    def _redacted(self, text: str, content_type: str, security: str = "default-src 'none'") -> Page:
        return Page(self._redactor.redact(text).encode(), content_type, security=security)


def election_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """
    The variables of a pod of the chart that override its election, sorted.

    The chart sets none of them, so somebody has added them to the Deployment. Outside of the chart they
    are a normal way to configure the election: then the result is empty.
    """
    if environ.get(CONFIG_VARIABLE) != CHART_CONFIG:
        return ()
    return tuple(sorted(name for name in environ if name.upper().startswith(f"{PREFIX}LEADER_ELECTION")))


def listen(program: Program, pages: Pages) -> Server:
    """
    The server of *pages*. It listens on its port, but does not answer yet.

    Raises:
        ConfigError: the port cannot be bound.

    """
    http = program.settings.http

    def on_bug(error: Exception) -> None:
        program.log.error("page.raised", exc_info=error)
        if is_exhausted(event := JobFailed(job="page", error=error)):
            program.tell(event)

    try:
        return Server(http.host, http.port, pages.routes(), on_bug, private={STATUS_JSON})
    except OSError as error:
        message = f"cannot listen on {http.host}, port {http.port}: {error.strerror or error}"
        raise ConfigError(str(program.path), (ConfigProblem(path="http", message=message),)) from error
