"""The metrics of the process itself: sweeps, jobs, reloads, the lease."""

from collections.abc import Callable
from datetime import datetime

from rotator.core.errors import FailureKind
from rotator.core.events import ConfigRejected, ConfigReloaded, Event, JobFailed, JobMissed, SweepFinished
from rotator.core.lease import Acquired, LeaseRequestFailed, Renewed
from rotator.core.outcome import Failed
from rotator.edges.instruments import Instruments, SweepOutcome

SWEEP = "sweep"
"""The job whose failures are counted as sweeps."""


class ProcessMetrics:
    """The metrics of events that are about no tenant."""

    def __init__(self, instruments: Instruments, clock: Callable[[], datetime]) -> None:
        self._instruments = instruments
        self._clock = clock

    def on_event(self, event: Event) -> None:
        """Update the metrics for *event*."""
        has = self._instruments
        match event:
            case JobFailed(job=job):
                has.failures.labels(FailureKind.INTERNAL).inc()
                if job == SWEEP:
                    has.sweeps.labels(SweepOutcome.RAISED).inc()
            case JobMissed(job=job) if job == SWEEP:
                has.sweeps.labels(SweepOutcome.MISSED).inc()
            case ConfigReloaded() | ConfigRejected():
                is_accepted = isinstance(event, ConfigReloaded)
                has.reload_successful.set(is_accepted)
                has.reloads.labels("accepted" if is_accepted else "rejected").inc()
            case SweepFinished():
                self._swept(event)
            case _:
                self._election(event)

    def _election(self, event: Event) -> None:
        has = self._instruments
        match event:
            case Acquired():
                has.transitions.inc()
                has.last_renew.set(self._clock().timestamp())
            case Renewed():
                has.last_renew.set(self._clock().timestamp())
            case LeaseRequestFailed():
                has.renew_failures.inc()
            case _:
                pass

    def accepted(self) -> None:
        """Show that the configuration in force was read now."""
        self._instruments.reload_successful.set(1)
        self._instruments.reload_success.set(self._clock().timestamp())

    def rejected(self) -> None:
        """Count a reload that an unexpected exception ended."""
        self._instruments.reload_successful.set(0)
        self._instruments.reloads.labels("rejected").inc()

    def forget_sweeps(self) -> None:
        """Remove the series of the last sweep: this process does not lead any more, so they are out of date."""
        self._instruments.last_sweep.clear()
        self._instruments.last_success.clear()

    def _swept(self, event: SweepFinished) -> None:
        has = self._instruments
        is_failed = event.late > 0 or any(isinstance(outcome, Failed) for outcome in event.outcomes)
        now = self._clock().timestamp()
        has.sweep_seconds.observe(event.seconds)
        has.last_sweep.set(now)
        has.sweeps.labels(SweepOutcome.FAILED if is_failed else SweepOutcome.SUCCEEDED).inc()
        if not is_failed:
            has.last_success.set(now)
