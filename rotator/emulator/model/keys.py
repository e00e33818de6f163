"""
A key of a keyset, and which of several B2C uses.

The rules, after Microsoft's policy-keys overview:

1. A key is valid while it is not disabled and ``nbf <= now < exp``; what is missing
   does not limit it.
2. The active key is the valid one whose nbf passed last.
3. A key without nbf comes after all others: the safety net.

Instants are epoch seconds, as on the wire.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ConfigDict

from rotator.emulator.model.key_material import POOL, RsaInTable, base64url, fresh_kid
from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import Status, TieBreak
from rotator.emulator.validation import STRICT

# What only the state file may show of a key.
SECRET_MEMBERS = {"rsa", "secret"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as the service keeps it; what is secret never shows in its repr."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kid: str
    use: str
    kty: str
    nbf: int | None = None
    exp: int | None = None
    status: Status | None = Status.ENABLED
    x5c: tuple[str, ...] = ()
    x5t: str | None = None
    rsa: RsaInTable | None = field(default=None, repr=False, compare=False)
    secret: str | None = field(default=None, repr=False, compare=False)

    def is_valid(self, now: float) -> bool:
        """Rule 1."""
        return (
            self.status is not Status.DISABLED
            and (self.nbf is None or self.nbf <= now)
            and (self.exp is None or now < self.exp)
        )


def generated_key(*, use: str, kty: str, nbf: int | None, exp: int | None, status: Status | None, kid: str = "") -> Key:
    """A key with fresh material and, unless given, a fresh kid."""
    material = POOL.take() if kty == "RSA" else None
    return Key(
        kid=kid or fresh_kid(),
        use=use,
        kty=kty,
        nbf=nbf,
        exp=exp,
        status=status,
        rsa=material,
        secret=None if material else base64url(fresh_kid().encode()),
    )


def new_key(seed: KeySeed) -> Key:
    """A key as described, with fresh material and, unless given, a fresh kid."""
    return generated_key(use=seed.use, kty=seed.kty, nbf=seed.nbf, exp=seed.exp, status=seed.status, kid=seed.kid or "")


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
