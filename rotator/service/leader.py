"""
The daemon's part in the leader election. Imported only where there is one.

The elector runs in a thread of its own, and tells what happens as events; what follows from
leading, and from not leading, is decided by the daemon's main thread.
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

END_TIMEOUT = 3 * LEASE_REQUEST_TIMEOUT  # seconds that the elector has to end in, once no write is under way


class Candidate:
    """One replica that takes part in the election."""

    def __init__(
        self, program: Program, *, max_write_seconds: Callable[[], float], is_confirming: Callable[[], bool]
    ) -> None:
        """
        Nothing runs yet.

        max_write_seconds: how long a request to Graph may take
        is_confirming:     whether a key was asked for that no look has shown yet

        Raises:
            ConfigError: this process does not run in a cluster.

        """
        from rotator.edges import lease  # noqa: PLC0415 - most processes have no rival

        settings, api = program.settings.leader_election, lease.root()
        if api is None:
            message = f"needs {lease.HOST}, which every container of a cluster has; is this one?"
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
        return f"follows: {leader} leads" if leader else "follows: nobody leads"

    def guarded(self, tenants: tuple[Tenant, ...]) -> tuple[Tenant, ...]:
        """*tenants*, to which only the leader writes."""
        return tuple(
            replace(each, writing=led(each.writing, self._elector.state, self._max_write_seconds)) for each in tenants
        )

    def on_event(self, event: Event) -> None:
        """Have a replica whose clock is wrong let another one try: it may not write."""
        if isinstance(event, RequestFinished) and event.exchange.skew is not None and is_wrong(event.exchange.skew):
            self._elector.state.step_down()

    def on_confirmed(self) -> None:
        """Take note that a tenant has no key left that was asked for and not seen."""
        self._elector.state.on_confirmed()

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Stop leading; the lease is handed over as soon as no write is under way."""
        self._elector.state.stop()

    def join(self) -> None:
        """Wait until it is handed over, after what was under way has ended."""
        self._thread.join(END_TIMEOUT)
        self._leases.close()
