"""
Gates: checks right before each write, in addition to the decision.

A gate returns None to allow the write, a `Refusal` to hold the keyset, and a `Failure` if a
person must fix something.
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

NOTABLE_SKEW = 60.0  # seconds of clock skew from which on it is logged
MAX_SKEW = 300.0  # seconds of clock skew from which on no key is generated: its dates would be wrong

Gate = Callable[[Planned], Objection | None]


def guarded(gates: Sequence[Gate]) -> Writing:
    """Combine *gates*: the first objection refuses the write."""

    @contextmanager
    def writing(planned: Planned) -> Iterator[Objection | None]:
        yield next((objection for gate in gates if (objection := gate(planned)) is not None), None)

    return writing


def also(gate: Gate, writing: Writing) -> Writing:
    """*writing* with a further *gate*, which is checked first."""

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
    """Whether this replica leads, as writers see it."""

    def begin_write(self, seconds: float) -> bool:
        """True if this replica leads for at least *seconds* more; then it keeps the lease until `end_write`."""
        ...

    def end_write(self) -> None:
        """Report that a write has ended; call it once after each `begin_write` that returned True."""
        ...


def led(writing: Writing, lead: Lead, max_seconds: Callable[[], float]) -> Writing:
    """
    *writing*, allowed to the leader only.

    max_seconds: the maximum duration of a write; it begins only if the lead lasts for longer
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
    """A gate that refuses writes after the program was asked to stop."""
    return lambda _: Refusal.STOPPING if clock.is_stopping else None


def is_wrong(skew: float) -> bool:
    """True if the local clock differs by too many seconds from a service's to generate a key."""
    return abs(skew) > MAX_SKEW


class SkewGate:
    """A gate that compares the local clock with the Date header of the services' answers."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        """*tell* gets a `ClockSkewed` event when a tenant's skew reaches `NOTABLE_SKEW`, and when it is less again."""
        self._tell = tell
        self._skews: dict[TenantId, float] = {}

    def on_event(self, event: Event) -> None:
        """Store the clock skew of each answer."""
        if not isinstance(event, RequestFinished) or event.exchange.skew is None:
            return
        skew = event.exchange.skew
        before = abs(self._skews.get(event.tenant_id, 0.0)) > NOTABLE_SKEW
        self._skews[event.tenant_id] = skew
        if before != (abs(skew) > NOTABLE_SKEW):
            self._tell(ClockSkewed(tenant=event.tenant, seconds=skew))

    def __call__(self, planned: Planned) -> Failure | None:
        """Refuse while the clocks differ by `MAX_SKEW` or more."""
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
    """A gate that counts generated keys, and holds a keyset that calls for too many; the rules are in `core.guard`."""

    def __init__(self) -> None:
        """Start without any known key."""
        self._lock = threading.Lock()  # guards the keys: several threads visit tenants
        self._generated: dict[tuple[TenantId, str], list[tuple[datetime, str]]] = {}
        self._unnamed = count(1)  # gives each key without a kid a name of its own, which is never used again

    def on_event(self, event: Event) -> None:
        """
        Remember a key that was generated, even if the keyset does not show it.

        A request with an unknown result does not count. Otherwise a service that is
        down for days would use up the limit, and the one key that is needed could not be requested.
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
        """Refuse if the runaway guard allows no further key."""
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
