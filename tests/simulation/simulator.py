"""
A tenant in memory that misbehaves, and the time it lives in.

It is the tenant of `rotator.simulation`, and everything that may go wrong can be switched on:
requests that fail before or after their work is done, reads that are behind for a while after
a write, keys created disabled, answers without kid, persons and other programs that write as well.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rotator.core.errors import Effect, Failure, FailureKind, RequestError
from rotator.core.keyset import Key, Keyset
from rotator.core.policy import KeySpec
from rotator.shell.jobs import InlineExecutor, JobQueue
from rotator.simulation.clock import JumpingClock as SimulatedClock
from rotator.simulation.keysets import MemoryKeysets, Request

__all__ = [
    "Crash",
    "Fault",
    "Request",
    "SimulatedClock",
    "SimulatedScheduler",
    "SimulatedTenant",
    "inline_pools",
    "refusal",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How a request fails: with *error*, before its work is done or *after* that."""

    error: BaseException
    after: bool = False


def refusal(kind: FailureKind, effect: Effect = Effect.NONE, **details: Any) -> RequestError:
    """A request that the service refused, or that failed on its way."""
    return RequestError(Failure(kind=kind, message=f"the service says {kind}", **details), effect)


class SimulatedTenant(MemoryKeysets):
    """
    Implements `Keysets`.

    trouble:  says for each operation how it fails, if it does
    lag:      says for each read by how many seconds it is behind
    least:    the least lead that is taken
    altered:  what becomes of a key that is generated
    """

    def __init__(self, clock: SimulatedClock, keysets: Iterable[Keyset]) -> None:
        """*keysets* are there since ever, and nothing goes wrong."""
        there = tuple(keysets)
        super().__init__(clock, there)
        self.trouble: Callable[[str], Fault | None] = lambda _: None
        self.lag: Callable[[], float] = lambda: 0.0
        self.least = timedelta()
        self.altered: Callable[[Key], Key] = lambda key: key
        self.names_kids = True
        self._sim_clock = clock
        self._versions = {keyset.id: [(float("-inf"), keyset)] for keyset in there}

    def fails(self, operation: str, *faults: Fault | BaseException | None) -> None:
        """Let the next requests for *operation* fail as *faults* say, one each; an error is one before the work."""
        waiting = iter(faults)
        others = self.trouble

        def trouble(asked: str) -> Fault | None:
            if asked != operation:
                return others(asked)
            fault = next(waiting, None)
            return Fault(error=fault) if isinstance(fault, BaseException) else fault

        self.trouble = trouble

    def asked(self, operation: str) -> int:
        """How many requests for *operation* there were."""
        return sum(request.operation == operation for request in self.requests)

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        kid = super().generate(keyset_id, spec)
        return kid if self.names_kids else None

    def requested(self, operation: str, keyset_id: str = "") -> AbstractContextManager[None]:
        self.requests.append(Request(operation, keyset_id))
        return _troubled(self.trouble(operation))

    def read(self, keyset_id: str) -> Keyset:
        seen = self._sim_clock.monotonic() - self.lag()
        return next(keyset for when, keyset in reversed(self._versions[keyset_id]) if when <= seen)

    def write(self, keyset: Keyset) -> None:
        super().write(keyset)
        self._versions.setdefault(keyset.id, []).append((self._sim_clock.monotonic(), keyset))

    def make(self, key: Key) -> Key:
        return self.altered(key)

    def check(self, keyset_id: str, spec: KeySpec) -> None:
        kinds = {(key.use, key.kty) for key in self.there(keyset_id).keys}
        fits = kinds <= {(spec.use, spec.kty)} and spec.nbf < spec.exp
        if not fits or spec.nbf < self._sim_clock.now() + self.least:
            raise refusal(FailureKind.BAD_REQUEST, status=400)


@contextmanager
def _troubled(fault: Fault | None) -> Iterator[None]:
    """A request that fails before or after its work, if it has to."""
    if fault is not None and not fault.after:
        raise fault.error
    yield
    if fault is not None:
        raise fault.error


class Crash(BaseException):
    """The process ends here; this cannot be caught."""


class SimulatedScheduler(JobQueue):
    """The jobs of one process, each at its time or when the last is done."""

    def __init__(self, clock: SimulatedClock) -> None:
        """Nothing is waiting."""
        super().__init__(clock)
        self._sim_clock = clock

    def run(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.run_until(self._sim_clock.monotonic() + seconds)


def inline_pools(threads: int, name: str) -> InlineExecutor:
    """Visits that are made at once, in the thread that asks for them."""
    del threads, name
    return InlineExecutor()
