"""
How B2C uses the keys of a keyset.

This module changes only if B2C changes. It computes which key B2C uses now, and how long
a keyset provides a valid key if nobody changes it. It does not depend on the configuration.

Source: "Overview of policy keys in Azure Active Directory B2C" (key activation
and rollover); RFC 7517 for `kid`, `use` and `kty`; RFC 7519 for `nbf`, `exp`.

Rules:

1. A key is *valid* from its nbf (included) to its exp (excluded), unless it is
   disabled. A missing nbf or exp means no limit on that side.
2. The *active* key is the valid dated one with the greatest nbf. A key that has
   neither date is a fallback: B2C uses it only if no dated key is valid.
3. The *chain* is the keys that B2C will use one after the other: the active key, then every key that
   takes over early enough to overlap with its predecessor, and expires later.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from rotator.core.certificate import Certificate

ALWAYS = datetime.min.replace(tzinfo=UTC)
"""The activation of a key without nbf."""

NEVER = datetime.max.replace(tzinfo=UTC, microsecond=0)
"""The expiry of a key without exp."""


class KeyState(StrEnum):
    """The state of a key at an instant; each key is in exactly one state."""

    ACTIVE = "active"
    UPCOMING = "upcoming"
    RETAINED = "retained"  # valid, but not the active one: the tokens that it signed still verify
    EXPIRED = "expired"
    DISABLED = "disabled"
    UNDATED = "undated"  # the fallback, while a dated key is active


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """
    One key of a keyset, as read. Key material is never stored.

    `nbf` and `exp` are aware UTC instants on whole seconds, None if the key
    has no such date. `kid`, `use` and `kty` are None if the service left them out.
    `has_certificate`: the key was uploaded with an X.509 certificate (RFC 7517, `x5c`);
    `certificate` is None if there is none, or it cannot be read.
    `modulus`: a digest of the public modulus of an RSA key, to find the key in a JWKS.
    """

    kid: str | None
    nbf: datetime | None
    exp: datetime | None
    enabled: bool = True
    use: str | None = None
    kty: str | None = None
    has_certificate: bool = False
    certificate: Certificate | None = None
    modulus: str | None = None

    @property
    def identity(self) -> object:
        """What tells the key from others of its keyset: its kid, or its dates if the service names no kid."""
        return self.kid or (self.nbf, self.exp)

    @property
    def activates(self) -> datetime:
        """The instant from which B2C may use the key."""
        return ALWAYS if self.nbf is None else self.nbf

    @property
    def expires(self) -> datetime:
        """The instant from which B2C does not use the key any more."""
        return NEVER if self.exp is None else self.exp

    @property
    def is_dated(self) -> bool:
        """Whether the key has an nbf or an exp: only such a key takes part in a rollover."""
        return self.nbf is not None or self.exp is not None

    @property
    def is_usable(self) -> bool:
        """True if the key is dated and enabled, and its exp is later than its nbf."""
        return self.is_dated and self.enabled and self.activates < self.expires

    def is_valid(self, now: datetime) -> bool:
        """Whether B2C may use the key at *now* (rule 1)."""
        return self.enabled and self.activates <= now < self.expires


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyset:
    """A keyset as fetched."""

    id: str
    keys: tuple[Key, ...]

    @property
    def kids(self) -> frozenset[str | None]:
        """The kids of all keys."""
        return frozenset(key.kid for key in self.keys)

    @property
    def certified(self) -> Key | None:
        """The enabled key whose certificate, including its chain, is valid longest; None without a readable one."""
        keys = [key for key in self.keys if key.enabled and key.certificate is not None]
        return max(keys, key=_certificate_end, default=None)

    def active(self, now: datetime) -> Key | None:
        """
        The key that B2C uses at *now* (rule 2); None if no key is valid, so that users cannot sign in.

        Which of two keys with the same nbf B2C takes is not documented; here it
        is the one that expires later.
        """
        valid = [key for key in self.keys if key.is_valid(now)]
        dated = [key for key in valid if key.is_dated]
        if dated:
            return max(dated, key=_rank)
        return valid[0] if valid else None

    def upcoming(self, after: datetime) -> Iterator[Key]:
        """
        The usable keys that activate later than *after*, in the order of their activation.

        Of keys with the same activation, the one that will be active comes first.
        """
        ranked = sorted(sorted(self.keys, key=_rank, reverse=True), key=lambda key: key.activates)
        return (key for key in ranked if key.is_usable and key.activates > after)

    def chain(self, now: datetime, overlap: timedelta) -> tuple[Key, ...]:
        """
        The keys that B2C uses one after the other from *now* (rule 3).

        It begins with the active key or, if that is undated, with the next dated key. Each
        further key activates at least *overlap* before its predecessor expires, and expires
        later. A key after a gap does not belong to it. Empty if no key is valid, or if no
        key is dated.
        """
        active = self.active(now)
        if active is None:
            return ()
        first = active if active.is_dated else next(self.upcoming(now), None)
        if first is None:
            return ()
        links = [first]
        for key in self.upcoming(first.activates):
            last = links[-1]
            if last.activates < key.activates <= last.expires - overlap and key.expires > last.expires:
                links.append(key)
        return tuple(links)

    def states(self, now: datetime) -> Iterator[tuple[Key, KeyState]]:
        """Each key with its state at *now*."""
        active = self.active(now)
        for key in self.keys:
            yield key, _state(key, now, is_active=key is active)


def _rank(key: Key) -> tuple[datetime, datetime, str]:
    return key.activates, key.expires, key.kid or ""


def _certificate_end(key: Key) -> datetime:
    return ALWAYS if key.certificate is None else key.certificate.chain_not_after


def _state(key: Key, now: datetime, *, is_active: bool) -> KeyState:
    if is_active:
        return KeyState.ACTIVE
    if not key.enabled:
        return KeyState.DISABLED
    if not key.is_dated:
        return KeyState.UNDATED
    if now >= key.expires:
        return KeyState.EXPIRED
    return KeyState.RETAINED if now >= key.activates else KeyState.UPCOMING
