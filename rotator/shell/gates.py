"""
Reasons not to write that lie outside of the decision. Each is asked right before a key is.

A gate answers None where it has nothing against the write, a `Refusal` where the keyset
is to be held, and a `Failure` where something is wrong that somebody must fix.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from typing import Protocol

from rotator.core.errors import Failure, FailureKind
from rotator.core.events import ClockSkewed, Event, Looked, RequestFinished
from rotator.core.guard import is_runaway
from rotator.core.outcome import Failed, Outcome, Planned, Rotated
from rotator.core.reasons import Refusal
from rotator.core.tenant import TenantId
from rotator.shell.clock import Clock
from rotator.shell.tenant import Objection, Writing

NOTABLE_SKEW = 60.0  # seconds, from which on it is logged
MAX_SKEW = 300.0  # seconds, from which on no key is generated: every date in it would be wrong

Gate = Callable[[Planned], Objection | None]


def guarded(gates: Sequence[Gate]) -> Writing:
    """Writes to which no gate objects; the gates are asked in turn."""

    @contextmanager
    def writing(planned: Planned) -> Iterator[Objection | None]:
        yield next((objection for gate in gates if (objection := gate(planned)) is not None), None)

    return writing


def also(gate: Gate, writing: Writing) -> Writing:
    """*writing*, where *gate* has no objection either."""

    @contextmanager
    def writing_where_it_passes(planned: Planned) -> Iterator[Objection | None]:
        objection = gate(planned)
        if objection is not None:
            yield objection
        else:
            with writing(planned) as other:
                yield other

    return writing_where_it_passes


class Lead(Protocol):
    """The lead over other replicas."""

    def begin_write(self, seconds: float) -> bool:
        """Whether this replica leads, and goes on to for *seconds*; if so, it keeps the lease until `end_write`."""
        ...

    def end_write(self) -> None:
        """Say that a write that was begun has ended."""
        ...


def led(writing: Writing, lead: Lead, max_seconds: Callable[[], float]) -> Writing:
    """
    *writing*, for the leader alone.

    max_seconds: how long a request may take; a write begins only if the lead lasts longer than that
    """

    @contextmanager
    def writing_as_leader(planned: Planned) -> Iterator[Objection | None]:
        with writing(planned) as objection:
            if objection is not None:
                yield objection
            elif not lead.begin_write(max_seconds()):
                yield Refusal.NOT_LEADER
            else:
                try:
                    yield None
                finally:
                    lead.end_write()

    return writing_as_leader


def not_stopping(clock: Clock) -> Gate:
    """Nothing new begins once the program was asked to stop."""
    return lambda _: Refusal.STOPPING if clock.is_stopping else None


def is_wrong(skew: float) -> bool:
    """Whether a clock that differs by so many seconds from a service's is too wrong for a key to be generated."""
    return abs(skew) > MAX_SKEW


class SkewGate:
    """Compares the local clock with those of the services, by the Date header of their answers."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        """*tell* gets a `ClockSkewed` when a tenant's skew becomes notable, and when it ceases to be."""
        self._tell = tell
        self._skews: dict[TenantId, float] = {}

    def on_event(self, event: Event) -> None:
        """Take note of each answer."""
        if not isinstance(event, RequestFinished) or event.exchange.skew is None:
            return
        skew = event.exchange.skew
        before = abs(self._skews.get(event.tenant_id, 0.0)) > NOTABLE_SKEW
        self._skews[event.tenant_id] = skew
        if before != (abs(skew) > NOTABLE_SKEW):
            self._tell(ClockSkewed(tenant=event.tenant, seconds=skew))

    def __call__(self, planned: Planned) -> Failure | None:
        """Refuse while the clocks differ too much."""
        skew = self._skews.get(planned.observation.tenant_id, 0.0)
        if not is_wrong(skew):
            return None
        direction = "ahead of" if skew > 0 else "behind"
        message = (
            f"the local clock is {abs(skew):.0f}s {direction} the service's, so every date would be wrong; "
            "no key is generated until the clock is fixed (check NTP)"
        )
        return Failure(kind=FailureKind.CLOCK_SKEW, message=message)


class RunawayGate:
    """Remembers which keys were generated, and holds a keyset that wants too many."""

    def __init__(self) -> None:
        """No key was generated yet, as far as this process knows."""
        self._lock = threading.Lock()  # of the keys: tenants are visited by several threads
        self._generated: dict[tuple[TenantId, str], list[tuple[datetime, str]]] = {}
        self._unnamed = count(1)  # no two keys without a kid are the same, whatever was forgotten since

    def on_event(self, event: Event) -> None:
        """
        Take note of a key that was generated, whether the keyset shows it or not.

        A request of which nobody knows what it did does not count: a service that is
        down for days would otherwise leave no room for the one key that it owes.
        """
        if isinstance(event, Looked):
            self._note(event.outcome)

    def _note(self, outcome: Outcome) -> None:
        match outcome:
            case Rotated(kid=kid) | Failed(generated=str(kid)):
                with self._lock:
                    born = self._generated.setdefault(outcome.observation.identity, [])
                    born.append((outcome.observation.now, kid or f"unnamed {next(self._unnamed)}"))
            case _:
                pass

    def __call__(self, planned: Planned) -> Refusal | None:
        """Hold where one more key would be one too many."""
        observation, policy = planned.observation, planned.observation.policy
        if observation.keyset is None or observation.assessment is None:
            return None
        with self._lock:
            born = self._generated.get(observation.identity, [])
            born[:] = [(when, kid) for when, kid in born if when > observation.now - policy.rotate_every]
            generated = [kid for _, kid in born]
        runaway = is_runaway(
            policy,
            observation.keyset,
            planned.reason,
            now=observation.now,
            covered_until=observation.assessment.covered_until,
            generated=generated,
        )
        return Refusal.RUNAWAY_GUARD if runaway else None
