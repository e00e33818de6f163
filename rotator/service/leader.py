"""
A daemon's part in the election: what follows from leading, and from not leading.

Imported only where there is an election. The elector says what happens; here it
becomes log lines, metrics, and sweeps that begin and end.
"""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from rotator.core.errors import ConfigError, Fault
from rotator.core.exchange import Exchange
from rotator.core.lease import Acquired, End, Lost, News, Over, Periods, Renewed, Trouble
from rotator.core.outcome import Outcome
from rotator.edges import lease
from rotator.edges.metrics import Metrics
from rotator.shell.election import PATIENCE, Elector
from rotator.shell.gates import LeaderGate, first_refusal, is_wrong
from rotator.shell.reconcile import Tenant
from rotator.wiring import Runtime

LONGEST_END = 3 * PATIENCE  # seconds that the thread has to end in, once no write is under way


class Candidacy:
    """One replica that wants to lead."""

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        *,
        begin: Callable[[], None],
        end: Callable[[], None],
        longest: Callable[[], float],
    ) -> None:
        """
        Nothing runs yet.

        begin, end: are told when this replica leads, and when it does no more; must not wait
        longest:    seconds that a request to Graph may take at most

        Raises:
            ConfigError: there is no cluster.

        """
        settings, api = runtime.settings.leader_election, lease.root()
        if api is None:
            message = f"needs {lease.HOST}, which every container of a cluster has; is this one?"
            raise ConfigError(str(runtime.path), (Fault(path="leader_election.enabled", message=message),))
        self._log = runtime.log
        self._metrics = metrics
        self._begin = begin
        self._end = end
        self._leases = lease.KubernetesLeases(
            api,
            settings.service_account_directory,
            name=settings.lease_name,
            namespace=settings.namespace,
            monotonic=runtime.clock.monotonic,
        )
        self._elector = Elector(
            self._leases,
            Periods(
                lease_duration=settings.lease_duration.total_seconds(),
                renew_deadline=settings.renew_deadline.total_seconds(),
                retry_period=settings.retry_period.total_seconds(),
            ),
            identity=lease.new_identity(),
            clock=runtime.clock,
            chance=random.random,
            tell=self._hear,
            bug=lambda error: self._log.error("job.raised", job="lease", exc_info=error),
        )
        self._gate = LeaderGate(self._elector, longest)
        self._thread = threading.Thread(target=self._elector.run, name="lease", daemon=True)
        metrics.led_by(lambda: self._elector.is_leading)

    @property
    def is_leading(self) -> bool:
        """Whether this replica leads, at this very moment."""
        return self._elector.is_leading

    @property
    def has_followed(self) -> bool:
        """Whether it has found out at least once that it does not lead: it is ready to, and needs no sweep for that."""
        return self._elector.has_followed

    def leader(self) -> str | None:
        """The identity of who leads; None where nobody does, as far as this replica knows."""
        return self._elector.leader()

    def line(self) -> str:
        """Who leads, for people."""
        if self.is_leading:
            return f"leads as {self._elector.identity}"
        leader = self.leader()
        return f"follows: {leader} leads" if leader else "follows: nobody leads"

    def guarded(self, tenants: Sequence[Tenant]) -> tuple[Tenant, ...]:
        """*tenants*, to which only the leader writes."""
        return tuple(replace(tenant, may_write=first_refusal((tenant.may_write, self._gate))) for tenant in tenants)

    def note(self, outcome: Outcome) -> None:
        """Take note of an outcome, after everybody else."""
        self._gate.note(outcome)

    def note_clock(self, tenant: str, exchange: Exchange) -> None:
        """Take note of an answer: whose clock is wrong may not write, and lets another replica try."""
        del tenant
        if exchange.skew is not None and is_wrong(exchange.skew):
            self._elector.step_aside()

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Lead no more; the lease is handed over as soon as no write is under way."""
        self._elector.stop()

    def join(self) -> None:
        """Wait until it is handed over, after what was under way has ended."""
        self._thread.join(LONGEST_END)
        self._leases.close()

    def _hear(self, news: News) -> None:
        match news:
            case Acquired(before=before):
                self._log.info("lease.acquired", identity=self._elector.identity, before=before or None)
                self._metrics.lead()
                self._metrics.renewed()
                self._begin()
            case Renewed():
                self._metrics.renewed()
            case Lost(end=end):
                emit = self._log.info if end is End.STOPPING else self._log.warning
                emit("lease.lost", identity=self._elector.identity, reason=end)
                self._end()
            case Over(released=released):
                self._metrics.follow()
                if released:
                    self._log.info("lease.released", identity=self._elector.identity)
            case Trouble(failure=failure, again=again):
                self._metrics.renew_failed()
                if not again:
                    self._log.warning("lease.failed", kind=failure.kind, message=failure.message, status=failure.status)
