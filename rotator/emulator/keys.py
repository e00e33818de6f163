"""
A key of a keyset, and which of several B2C uses.

The rules, after Microsoft's policy-keys overview:

1. A key is valid while it is not disabled and ``nbf <= now < exp``; what is missing
   does not bind.
2. The active key is the valid one whose nbf passed last.
3. A key without nbf comes after all others: the safety net.

Instants here are epoch seconds, as on the wire.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from rotator.emulator.material import RsaMaterial
from rotator.emulator.switches import Status, TieBreak


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as the service keeps it; what is secret never shows in its repr."""

    kid: str
    use: str
    kty: str
    nbf: int | None = None
    exp: int | None = None
    status: Status | None = Status.ENABLED
    x5c: tuple[str, ...] = ()
    x5t: str | None = None
    rsa: RsaMaterial | None = field(default=None, repr=False, compare=False)
    secret: str | None = field(default=None, repr=False, compare=False)

    def is_valid(self, now: float) -> bool:
        """Rule 1."""
        return (
            self.status is not Status.DISABLED
            and (self.nbf is None or self.nbf <= now)
            and (self.exp is None or now < self.exp)
        )


def active_key(keys: Iterable[Key], now: float, tie_break: TieBreak) -> Key | None:
    """
    The key that B2C uses at *now*, of *keys* in the order in which they were added.

    None where no key is valid, which is when sign-in itself breaks.
    """
    active: Key | None = None
    for key in keys:
        if key.is_valid(now) and (active is None or _supersedes(key, active, tie_break)):
            active = key
    return active


def _supersedes(later: Key, earlier: Key, tie_break: TieBreak) -> bool:
    if later.nbf == earlier.nbf:
        return tie_break is TieBreak.NEWEST
    if later.nbf is None or earlier.nbf is None:
        return earlier.nbf is None
    return later.nbf > earlier.nbf
