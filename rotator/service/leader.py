"""
The daemon's part in the leader election. Imported only if leader election is on.

The elector has its own thread and emits events. The daemon's main thread starts and stops looks
according to these events.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import replace

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.core.events import Event, JobFailed, RequestFinished
from rotator.core.lease import LeaseTimings
from rotator.shell.election import Elector
from rotator.shell.gates import is_wrong, led
from rotator.shell.lease_record import LEASE_REQUEST_TIMEOUT
from rotator.shell.tenant import Tenant
from rotator.wiring import Program

END_TIMEOUT = 3 * LEASE_REQUEST_TIMEOUT  # seconds in which the elector must end after the last write


class Candidate:
    """The replica of this process, as a candidate in the election."""

    def __init__(
        self, program: Program, *, max_write_seconds: Callable[[], float], is_confirming: Callable[[], bool]
    ) -> None:
        """
        No thread is started.

        max_write_seconds: returns the maximum duration of a write request to Graph
        is_confirming:     returns True while a requested key has not been seen

        Raises:
            ConfigError: this process does not run in a cluster.

        """
        from rotator.edges import lease  # noqa: PLC0415 - only imported if leader election is on

        settings, api = program.settings.leader_election, lease.root()
        if api is None:
            message = f"needs the variable {lease.HOST}, which every pod has; run it in a pod, or set it to off"
            raise ConfigError(str(program.path), (ConfigProblem(path="leader_election.enabled", message=message),))
        self._max_write_seconds = max_write_seconds
        self._leases = lease.KubernetesLeases(
            api,
            settings.service_account_directory,
            name=program.settings.lease_name,
            namespace=settings.namespace,
            clock=program.clock,
        )
        self._elector = Elector(
            self._leases,
            LeaseTimings(
                lease_duration=settings.lease_duration.total_seconds(),
                renew_deadline=settings.renew_deadline.total_seconds(),
                retry_period=settings.retry_period.total_seconds(),
            ),
            identity=lease.new_identity(),
            clock=program.clock,
            jitter=random.random,
            tell=program.tell,
            on_bug=lambda error: program.tell(JobFailed(job="lease", error=error)),
            is_confirming=is_confirming,
        )
        self._thread = threading.Thread(target=self._elector.run, name="lease", daemon=True)

    @property
    def is_leading(self) -> bool:
        return self._elector.state.is_leading

    @property
    def has_followed(self) -> bool:
        return self._elector.state.has_followed

    def leader(self) -> str | None:
        return self._elector.state.leader()

    def line(self) -> str:
        if self.is_leading:
            return f"leads as {self._elector.identity}"
        leader = self.leader()
        return f"follows: {leader} leads" if leader else "follows: no replica leads"

    def guarded(self, tenants: tuple[Tenant, ...]) -> tuple[Tenant, ...]:
        """*tenants* with a further gate: only the leader writes."""
        return tuple(
            replace(each, writing=led(each.writing, self._elector.state, self._max_write_seconds)) for each in tenants
        )

    def on_event(self, event: Event) -> None:
        """Step down if the local clock is wrong: this replica must not write, but another one may."""
        if isinstance(event, RequestFinished) and event.exchange.skew is not None and is_wrong(event.exchange.skew):
            self._elector.state.step_down()

    def on_confirmed(self) -> None:
        """Tell the elector that every requested key of a tenant was seen or given up."""
        self._elector.state.on_confirmed()

    def start(self) -> None:
        """Start the elector's thread as a follower."""
        self._thread.start()

    def stop(self) -> None:
        """Stop leading; the lease is released as soon as no write is in progress."""
        self._elector.state.stop()

    def join(self) -> None:
        """Wait until the elector has ended, which is after the last write."""
        self._thread.join(END_TIMEOUT)
        self._leases.close()
