"""
The assessment of a keyset at an instant: its cover, the plan for the next key, what falls short, and notes on its keys.

Frozen values. `rotation.decide` computes them; outcomes, logs, metrics and views read them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.core.keyset import Key, Keyset
from rotator.core.policy import ZERO, RotationPolicy


class Cover(StrEnum):
    """Whether the cover of a keyset ends. The values are part of the interface."""

    DATED = "dated"  # it ends with the last key of the chain
    ENDLESS = "endless"  # the key that provides it does not expire
    NONE = "none"  # no key is valid


class NoteKind(StrEnum):
    """What is wrong with a key. The values are part of the interface."""

    DISABLED = "disabled"
    OVERLAP_TOO_SHORT = "overlap_too_short"
    BEHIND_GAP = "behind_gap"
    USE_DIFFERS = "use_differs"
    KTY_DIFFERS = "kty_differs"
    WINDOW_MISSED = "window_missed"

    @property
    def is_mismatch(self) -> bool:
        """Whether a key differs from the policy, so that the service would refuse another key as configured."""
        return self in (NoteKind.USE_DIFFERS, NoteKind.KTY_DIFFERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A remark about one key; `kid` is None for the key that will be generated."""

    kid: str | None
    kind: NoteKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    When the next key is due, by when it must be published, and when it takes over.

    pulled_by: how much earlier it takes over than it would without a calendar
    """

    renewal_due: datetime
    publish_by: datetime
    activation: datetime
    pulled_by: timedelta = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """
    By how much lead, overlap and cover fall short, if the next key is generated now.

    lead:    of the key to generate, against `publication_lead`
    overlap: of the worst hand-over to come, against `overlap`
    cover:   how long no key is valid
    """

    lead: timedelta = ZERO
    overlap: timedelta = ZERO
    cover: timedelta = ZERO

    def __bool__(self) -> bool:
        """True if any of the three falls short."""
        return any((self.lead, self.overlap, self.cover))

    def worst(self, other: "Shortfall") -> "Shortfall":
        """The larger value of each of the three."""
        return Shortfall(
            lead=max(self.lead, other.lead),
            overlap=max(self.overlap, other.overlap),
            cover=max(self.cover, other.cover),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """
    The assessment of a keyset at the instant of the decision.

    covered_until: the expiry of the last link of the chain; None unless cover is `dated`
    at_risk:       lead, overlap or cover falls short, or will do so unless a person acts
    shortfall:     by how much, if the next key is generated now
    """

    active: Key | None
    covered_until: datetime | None
    plan: Plan
    at_risk: bool
    notes: tuple[Note, ...] = ()
    shortfall: Shortfall = Shortfall()

    @property
    def cover(self) -> Cover:
        """Whether cover ends."""
        if self.covered_until is not None:
            return Cover.DATED
        return Cover.NONE if self.active is None else Cover.ENDLESS

    def cover_left(self, now: datetime) -> timedelta | None:
        """How long cover lasts from *now*; 0 or less if it has ended, None if it does not end."""
        if self.covered_until is not None:
            return self.covered_until - now
        return ZERO if self.active is None else None


def notes_on(policy: RotationPolicy, keyset: Keyset, chain: tuple[Key, ...], now: datetime) -> Iterator[Note]:
    """The upcoming keys that will not take over as expected, and the keys that differ from *policy*."""
    end = chain[-1].expires if chain else now
    links = frozenset(chain)
    for key in keyset.keys:
        if key.activates > now:
            kind = None if key in links else _ineffective(policy, key, end)
            if kind is not None:
                yield Note(kid=key.kid, kind=kind)
            elif now >= key.activates - policy.ahead and policy.misses_window(key.activates):
                yield Note(kid=key.kid, kind=NoteKind.WINDOW_MISSED)
        if key.enabled and now < key.expires:
            if key.use is not None and key.use != policy.use:
                yield Note(kid=key.kid, kind=NoteKind.USE_DIFFERS)
            if key.kty is not None and key.kty.lower() != policy.kty.lower():
                yield Note(kid=key.kid, kind=NoteKind.KTY_DIFFERS)


def _ineffective(policy: RotationPolicy, key: Key, end: datetime) -> NoteKind | None:
    """Why an upcoming key that is no link of the chain does not extend the cover, which ends at *end*."""
    if not key.enabled:
        return NoteKind.DISABLED
    if key.activates > end:
        return NoteKind.BEHIND_GAP
    return NoteKind.OVERLAP_TOO_SHORT if key.activates > end - policy.overlap else None
