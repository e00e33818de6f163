"""
A tenant in memory, and the time it lives in.

The tenant keeps B2C's rules: keys are only ever added, a key is what was asked
for, a keyset has keys of one use and type. Everything that may go wrong can be
switched on: requests that fail before or after their work is done, reads that
are behind for a while after a write, keys created disabled, answers without kid,
persons and other programs that write as well.

Time moves when somebody sleeps, and only then; what is planned for an instant
on the way happens at that instant.
"""

import heapq
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

from rotator.core.errors import Effect, Failure, FailureKind, RequestError
from rotator.core.inventory import Listed
from rotator.core.keyset import Key, Keyset
from rotator.core.policy import KeySpec
from rotator.shell.jobs import InlineExecutor, JobQueue


class SimulatedClock:
    """A clock that stands still unless somebody sleeps. `stop` wakes a sleeper at the instant at which it is called."""

    def __init__(self, start: datetime) -> None:
        """It is *start*, and nobody has asked to stop."""
        self._start = start
        self._elapsed = 0.0
        self._stopping = False
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    def now(self) -> datetime:
        return self._start + timedelta(seconds=int(self._elapsed))

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> bool:
        until = self._elapsed + seconds
        while not self._stopping and self._events and self._events[0][0] <= until:
            when, _, event = heapq.heappop(self._events)
            self._elapsed = max(self._elapsed, when)
            event()
        if not self._stopping:
            self._elapsed = until
        return not self._stopping

    def linger(self, seconds: float) -> None:
        self._elapsed += seconds

    def stop(self) -> None:
        """Ask everybody to stop."""
        self._stopping = True

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Let *event* happen in *seconds*, in the middle of whatever sleeps then."""
        heapq.heappush(self._events, (self._elapsed + seconds, next(self._numbers), event))


class Request(NamedTuple):
    """What a tenant was asked to do."""

    operation: str
    keyset_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How a request fails: with *error*, before its work is done or *after* that."""

    error: BaseException
    after: bool = False


def refusal(kind: FailureKind, effect: Effect = Effect.NONE, **details: Any) -> RequestError:
    """A request that the service refused, or that failed on its way."""
    return RequestError(Failure(kind=kind, message=f"the service says {kind}", **details), effect)


class SimulatedTenant:
    """
    Implements `Keysets`.

    requests: all that was asked for, in turn
    born:     when each kid was generated
    trouble:  says for each operation how it fails, if it does
    lag:      says for each read by how many seconds it is behind
    least:    the least lead that is taken
    altered:  what becomes of a key that is generated
    """

    def __init__(self, clock: SimulatedClock, keysets: Iterable[Keyset]) -> None:
        """*keysets* are there since ever, and nothing goes wrong."""
        self.requests: list[Request] = []
        self.born: dict[str, datetime] = {}
        self.trouble: Callable[[str], Fault | None] = lambda _: None
        self.lag: Callable[[], float] = lambda: 0.0
        self.least = timedelta()
        self.altered: Callable[[Key], Key] = lambda key: key
        self.names_kids = True
        self._clock = clock
        self._versions = {keyset.id: [(float("-inf"), keyset)] for keyset in keysets}
        self._numbers = count(1)

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

    def there(self, keyset_id: str) -> Keyset:
        """A keyset as it really is."""
        return self._versions[keyset_id][-1][1]

    def list_keysets(self, wanted: Collection[str], max_others: int = 0) -> Listed:
        with self._request("list_keysets", ""):
            found = {keyset_id: self._read(keyset_id) for keyset_id in wanted if keyset_id in self._versions}
            others = [keyset_id for keyset_id in self._versions if keyset_id not in found] if max_others else []
            return Listed(
                wanted=found,
                others={keyset_id: self._read(keyset_id) for keyset_id in others[:max_others]},
                left_out=max(len(others) - max_others, 0),
            )

    def fetch(self, keyset_id: str) -> Keyset:
        with self._request("fetch", keyset_id):
            if keyset_id not in self._versions:
                raise refusal(FailureKind.NOT_FOUND, status=404)
            return self._read(keyset_id)

    def prepare(self) -> None:
        """No token is needed."""

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        with self._request("generate", keyset_id):
            self._check(keyset_id, spec)
            kid = f"generated {next(self._numbers)}"
            key = Key(kid=kid, nbf=spec.nbf, exp=spec.exp, use=spec.use, kty=spec.kty)
            self.add(keyset_id, self.altered(key))
            self.born[kid] = self._clock.now()
            return kid if self.names_kids else None

    def enable(self, keyset_id: str, kid: str) -> None:
        with self._request("enable", f"{keyset_id}/{kid}"):
            self.turn(keyset_id, kid, enabled=True)

    def add(self, keyset_id: str, key: Key) -> None:
        """Add *key*, as a person does, or another program."""
        before = self.there(keyset_id)
        self._write(replace(before, keys=(*before.keys, key)))

    def turn(self, keyset_id: str, kid: str, *, enabled: bool) -> None:
        """Enable or disable a key, as a person does."""
        before = self.there(keyset_id)
        keys = (replace(key, enabled=enabled) if key.kid == kid else key for key in before.keys)
        self._write(replace(before, keys=tuple(keys)))

    def _request(self, operation: str, keyset_id: str) -> "_Troubled":
        self.requests.append(Request(operation, keyset_id))
        fault = self.trouble(operation)
        if fault is not None and not fault.after:
            raise fault.error
        return _Troubled(fault)

    def _read(self, keyset_id: str) -> Keyset:
        seen = self._clock.monotonic() - self.lag()
        return next(keyset for when, keyset in reversed(self._versions[keyset_id]) if when <= seen)

    def _write(self, keyset: Keyset) -> None:
        self._versions[keyset.id].append((self._clock.monotonic(), keyset))

    def _check(self, keyset_id: str, spec: KeySpec) -> None:
        kinds = {(key.use, key.kty) for key in self.there(keyset_id).keys}
        fits = kinds <= {(spec.use, spec.kty)} and spec.nbf < spec.exp
        if not fits or spec.nbf < self._clock.now() + self.least:
            raise refusal(FailureKind.BAD_REQUEST, status=400)


class _Troubled:
    """A request that fails after its work was done, if it has to."""

    def __init__(self, fault: Fault | None) -> None:
        self._fault = fault

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self._fault is not None and error is None:
            raise self._fault.error


class Crash(BaseException):
    """The process dies here; nobody can catch that."""


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
