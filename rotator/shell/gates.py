"""
Reasons not to write that lie outside of the decision. Each is asked right before a key is.

A gate answers None where it has nothing against it, a `Refusal` where the keyset is
to be held, and a `Failure` where something is wrong that somebody must mend.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count
from typing import Protocol

from rotator.core.errors import Failure, FailureKind
from rotator.core.exchange import Exchange
from rotator.core.guard import is_runaway
from rotator.core.outcome import Failed, Outcome, Planned, Rotated
from rotator.core.reasons import Refusal
from rotator.shell.clock import Clock

NOTABLE_SKEW = 60.0  # seconds, from which on it is told
LARGEST_SKEW = 300.0  # seconds, from which on no key is generated: every date in it would be wrong

Gate = Callable[[Planned], Refusal | Failure | None]


def first_refusal(gates: Sequence[Gate]) -> Gate:
    """Ask one gate after the other."""

    def ask(planned: Planned) -> Refusal | Failure | None:
        return next((refusal for gate in gates if (refusal := gate(planned)) is not None), None)

    return ask


def not_stopping(clock: Clock) -> Gate:
    """Nothing new begins once the program was asked to stop."""
    return lambda _: Refusal.STOPPING if clock.is_stopping else None


def is_wrong(skew: float) -> bool:
    """Whether a clock that differs by so many seconds from a service's is too wrong for a key to be generated."""
    return abs(skew) > LARGEST_SKEW


class SkewGate:
    """Compares the local clock with those of the services, by what their answers say."""

    def __init__(self, told: Callable[[str, float], None]) -> None:
        """*told* hears of a tenant's skew, in seconds, when it becomes notable, and when it is none any more."""
        self._told = told
        self._skews: dict[str, float] = {}

    def note(self, tenant: str, exchange: Exchange) -> None:
        """Take note of an answer."""
        if exchange.skew is None:
            return
        before = abs(self._skews.get(tenant, 0.0)) > NOTABLE_SKEW
        self._skews[tenant] = exchange.skew
        if before != (abs(exchange.skew) > NOTABLE_SKEW):
            self._told(tenant, exchange.skew)

    def __call__(self, planned: Planned) -> Failure | None:
        """Refuse while the clocks differ too much."""
        skew = self._skews.get(planned.observation.tenant, 0.0)
        if not is_wrong(skew):
            return None
        direction = "ahead of" if skew > 0 else "behind"
        message = (
            f"the local clock is {abs(skew):.0f}s {direction} the service's, so every date would be wrong; "
            "no key is generated until it is mended (NTP)"
        )
        return Failure(kind=FailureKind.CLOCK_SKEW, message=message)


class RunawayGate:
    """Remembers what was generated, and holds a keyset that wants too much."""

    def __init__(self) -> None:
        """Nothing was generated yet, as far as this process knows."""
        self._lock = threading.Lock()
        self._generated: dict[tuple[str, str], list[tuple[datetime, str]]] = {}
        self._unnamed = count(1)  # no two keys that nobody named are the same, whatever was forgotten since

    def note(self, outcome: Outcome) -> None:
        """
        Take note of a key that was generated, whether the keyset shows it or not.

        A request of which nobody knows what it did does not count: a service that is
        down for days would else leave no room for the one key that it owes.
        """
        match outcome:
            case Rotated(kid=kid) | Failed(generated=str(kid)):
                with self._lock:
                    born = self._generated.setdefault(outcome.observation.name, [])
                    born.append((outcome.observation.now, kid or f"unnamed {next(self._unnamed)}"))
            case _:
                pass

    def __call__(self, planned: Planned) -> Refusal | None:
        """Hold where one more key would be one too many."""
        observation, policy = planned.observation, planned.observation.policy
        if observation.keyset is None or observation.assessment is None:
            return None
        with self._lock:
            born = self._generated.get(observation.name, [])
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


class Lead(Protocol):
    """The lead over other replicas; `begin_write` and `end_write` are called by the thread that writes."""

    def begin_write(self, seconds: float) -> bool:
        """Whether this replica leads, and goes on to for *seconds*; if so, the lead is kept until `end_write`."""
        ...

    def end_write(self) -> None:
        """Nothing that was begun is under way any more."""
        ...


class LeaderGate:
    """
    Only the leader writes. Asked last: where it has nothing against it, the write counts as begun.

    It counts as ended once its outcome is told, since looking for the key and enabling
    it belong to it.
    """

    def __init__(self, lead: Lead, longest: Callable[[], float]) -> None:
        """*longest*: seconds that a request may take at most."""
        self._lead = lead
        self._longest = longest

    def note(self, outcome: Outcome) -> None:
        """Take note that what this thread was about has come to an end; to be told after everybody else."""
        del outcome
        self._lead.end_write()

    def __call__(self, planned: Planned) -> Refusal | None:
        """Hold where another replica leads, or could before the request has ended."""
        del planned
        return None if self._lead.begin_write(self._longest()) else Refusal.NOT_LEADER
