"""
Keysets, and what may not be done with them.

Rules that hold whoever writes (Graph or a person):

1. Keys are only ever added; nothing but PUT and DELETE of a whole keyset takes one away.
2. A keyset has one kty and one use.
3. Every change is an event with its instant (history.py), so that reads can be stale
   and the past can be asked for.
"""

from dataclasses import dataclass

from rotator.emulator.history import Event, apply, as_of
from rotator.emulator.keys import Key
from rotator.emulator.material import POOL, base64url, fresh_kid
from rotator.emulator.seed import KeySeed


class ModelError(Exception):
    """A write or read that the state does not allow."""


class KeysetMissingError(ModelError):
    """There is no such keyset."""


class KeysetExistsError(ModelError):
    """There already is such a keyset."""


class KeyMissingError(ModelError):
    """There is no such kid in the keyset."""


class MixedTypesError(ModelError):
    """A keyset has one kty."""


class MixedUsesError(ModelError):
    """A keyset has one use."""


class ConcurrentWriteError(ModelError):
    """Somebody else is writing to this keyset right now."""


class Keyset:
    """One keyset: its events, and what they come to."""

    def __init__(self, keyset_id: str, number: int, events: list[Event]) -> None:
        self.id = keyset_id
        self.number = number  # order of creation, which is the order of lists
        self.events = events
        self.busy = False
        self._by_kid: dict[str, Key] = {}
        self.exists = False  # so it is after a DELETE, too: the history stays
        for event in events:
            self.exists = apply(event, self._by_kid)
        self.keys = tuple(self._by_kid.values())  # in the order in which they were added

    def key(self, kid: str) -> Key:
        """One key. Raises: KeyMissingError."""
        try:
            return self._by_kid[kid]
        except KeyError:
            raise KeyMissingError(kid) from None

    def keys_at(self, instant: float) -> tuple[Key, ...] | None:
        """The keys as they were; None where there was no keyset."""
        return as_of(tuple(self.events), instant)

    def append(self, event: Event) -> None:
        """Let it happen."""
        self.events.append(event)
        self.exists = apply(event, self._by_kid)
        self.keys = tuple(self._by_kid.values())


@dataclass(frozen=True, slots=True)
class View:
    """A keyset as one read sees it."""

    number: int
    id: str
    keys: tuple[Key, ...]


def view_of(keyset: Keyset, at: float | None) -> View | None:
    """The keyset at an instant, None being the very latest; no view where there is none."""
    if at is None:
        return View(keyset.number, keyset.id, keyset.keys) if keyset.exists else None
    keys = keyset.keys_at(at)
    return None if keys is None else View(keyset.number, keyset.id, keys)


def new_key(seed: KeySeed) -> Key:
    """A key as described, with fresh material and, unless given, a fresh kid."""
    rsa = POOL.take() if seed.kty == "RSA" else None
    kid = seed.kid or fresh_kid()
    return Key(
        kid=kid,
        use=seed.use,
        kty=seed.kty,
        nbf=seed.nbf,
        exp=seed.exp,
        status=seed.status,
        rsa=rsa,
        secret=None if rsa else base64url(fresh_kid().encode()),
    )


def refuse_mixture(keys: tuple[Key, ...]) -> None:
    """Rule 2. Raises: MixedTypesError, MixedUsesError."""
    if len({key.kty for key in keys}) > 1:
        raise MixedTypesError
    if len({key.use for key in keys}) > 1:
        raise MixedUsesError
