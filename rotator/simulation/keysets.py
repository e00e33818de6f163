"""
The keysets of a tenant in memory.

They follow the rules of B2C: keys can only be added, a generated key is exactly the requested one, and
all keys of a keyset have the same use and type.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple

from rotator.core.errors import Effect, Failure, FailureKind, RequestError
from rotator.core.inventory import Listed
from rotator.core.keyset import Key, Keyset
from rotator.core.policy import KeySpec
from rotator.shell.clock import Clock


class Request(NamedTuple):
    """A request to a tenant."""

    operation: str
    keyset_id: str = ""


class MemoryKeysets:
    """
    Implements `Keysets`.

    requests:    all requests, in their order
    born:        when each kid was generated
    unavailable: returns True if a request for an operation fails now
    """

    def __init__(
        self,
        clock: Clock,
        keysets: Iterable[Keyset],
        unavailable: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """*keysets* exist from the start."""
        self.requests: list[Request] = []
        self.born: dict[str, datetime] = {}
        self._clock = clock
        self._unavailable = unavailable
        self._current = {keyset.id: keyset for keyset in keysets}
        self._numbers = count(1)

    def there(self, keyset_id: str) -> Keyset:
        """A keyset as it is, also if reads show something else."""
        return self._current[keyset_id]

    def list_keysets(self, wanted: Collection[str], max_others: int = 0) -> Listed:
        with self.requested("list_keysets"):
            found = {keyset_id: self.read(keyset_id) for keyset_id in wanted if keyset_id in self._current}
            others = [keyset_id for keyset_id in self._current if keyset_id not in found] if max_others else []
            return Listed(
                wanted=found,
                others={keyset_id: self.read(keyset_id) for keyset_id in others[:max_others]},
                left_out=max(len(others) - max_others, 0),
            )

    def fetch(self, keyset_id: str) -> Keyset:
        with self.requested("fetch", keyset_id):
            if keyset_id not in self._current:
                raise refusal(FailureKind.NOT_FOUND, status=404)
            return self.read(keyset_id)

    def prepare(self) -> None:
        """Do nothing: no token is needed."""

    def create(self, keyset_id: str) -> None:
        with self.requested("create", keyset_id):
            if keyset_id in self._current:
                raise refusal(FailureKind.CONFLICT, status=409)
            self.write(Keyset(id=keyset_id, keys=()))

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        with self.requested("generate", keyset_id):
            self.check(keyset_id, spec)
            kid = f"generated {next(self._numbers)}"
            self.add(keyset_id, self.make(Key(kid=kid, nbf=spec.nbf, exp=spec.exp, use=spec.use, kty=spec.kty)))
            self.born[kid] = self._clock.now()
            return kid

    def enable(self, keyset_id: str, kid: str) -> None:
        with self.requested("enable", f"{keyset_id}/{kid}"):
            self.turn(keyset_id, kid, enabled=True)

    def add(self, keyset_id: str, key: Key) -> None:
        """Add *key*, as a person or another program would."""
        before = self.there(keyset_id)
        self.write(replace(before, keys=(*before.keys, key)))

    def turn(self, keyset_id: str, kid: str, *, enabled: bool) -> None:
        """Enable or disable a key, as a person would."""
        before = self.there(keyset_id)
        keys = (replace(key, enabled=enabled) if key.kid == kid else key for key in before.keys)
        self.write(replace(before, keys=tuple(keys)))

    # --- overridden by tenants that misbehave

    def requested(self, operation: str, keyset_id: str = "") -> AbstractContextManager[None]:
        """A context manager around the work of a request; it raises if the request fails."""
        self.requests.append(Request(operation, keyset_id))
        return self._answered(operation)

    @contextmanager
    def _answered(self, operation: str) -> Iterator[None]:
        if self._unavailable(operation):
            raise refusal(FailureKind.NETWORK)
        yield

    def read(self, keyset_id: str) -> Keyset:
        """A keyset as a read shows it."""
        return self.there(keyset_id)

    def write(self, keyset: Keyset) -> None:
        """Store *keyset*."""
        self._current[keyset.id] = keyset

    def make(self, key: Key) -> Key:
        """The key that is stored if *key* is requested."""
        return key

    def check(self, keyset_id: str, spec: KeySpec) -> None:
        """Raise `RequestError` for a key that the service would refuse."""
        kinds = {(key.use, key.kty) for key in self.there(keyset_id).keys if key.use and key.kty}
        if not kinds <= {(spec.use, spec.kty)} or spec.nbf >= spec.exp or spec.nbf < self._clock.now():
            raise refusal(FailureKind.BAD_REQUEST, status=400)


KEPT = timedelta(days=31)
"""How long reads show an expired key: longer than `settle`, since a key that is gone at the second look begins anew."""


class LivingKeysets(MemoryKeysets):
    """The same, but reads omit keys that expired long ago: they change no decision, and there are more each year."""

    def read(self, keyset_id: str) -> Keyset:
        """A keyset without the keys that expired more than `KEPT` ago."""
        keyset, since = self.there(keyset_id), self._clock.now() - KEPT
        living = tuple(key for key in keyset.keys if key.expires > since)
        return keyset if len(living) == len(keyset.keys) else replace(keyset, keys=living)


def refusal(kind: FailureKind, effect: Effect = Effect.NONE, *, status: int | None = None) -> RequestError:
    """The error of a request that the service refused, or that got no answer."""
    return RequestError(Failure(kind=kind, message=f"the simulated service says {kind}", status=status), effect)
