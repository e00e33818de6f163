"""
What is right, told without the program's own rules: whole seconds, and every instant looked at.

The program reasons about a chain of keys. Here nothing is chained: for each instant
to come it is asked which key B2C will use then, if nobody touches the keyset, and
whether that is as it should be:

    HOLE     no key is valid
    UNDATED  only an undated key is, or one without nbf that has more left than a key of
             the program's ever has, and no dated one is to come
    TAIL     the active key expires within `overlap`: what it signs now outlives it
    AGED     the active key has been active for longer than `rotate_every`

Two things look like flaws and are none, since the rules say so:

- A key nested in another one (it takes over later and expires sooner) has a tail
  that nobody foresees before it takes over.
- An active key may be AGED where a key is to come that overlaps with it and
  outlasts its turn: whoever made that key wants it so.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import inf
from typing import Any

from rotator.core.keyset import Keyset
from rotator.core.policy import RotationPolicy
from rotator.emulator.model.keys import Key
from rotator.emulator.model.switches import Status


class Kind(StrEnum):
    """What may be wrong with how a keyset serves at an instant."""

    HOLE = "hole"
    UNDATED = "undated"
    TAIL = "tail"
    AGED = "aged"


@dataclass(frozen=True, kw_only=True)
class Life:
    """A key without its material: epoch seconds, minus infinity and infinity if it has no date."""

    kid: str | None
    nbf: float
    exp: float
    is_enabled: bool

    @property
    def is_dated(self) -> bool:
        return self.nbf > -inf or self.exp < inf

    def is_valid(self, instant: float) -> bool:
        return self.is_enabled and self.nbf <= instant < self.exp


Lives = tuple[Life, ...]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is wanted of a keyset, in seconds."""

    rotate_every: float
    overlap: float
    lead: float
    window: float
    minimum_lead: float

    @property
    def validity(self) -> float:
        return self.rotate_every + self.overlap

    def turn_of(self, life: Life) -> float:
        """When a key should hand over."""
        overlapping = life.exp - self.overlap
        return overlapping if life.nbf == -inf else min(life.nbf + self.rotate_every, overlapping)


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """What is wrong from an instant on, and with which key in use."""

    kind: Kind
    instant: float
    key: Life | None


def wish(policy: RotationPolicy) -> Wish:
    """The numbers of a rotation policy."""
    return Wish(
        rotate_every=policy.rotate_every.total_seconds(),
        overlap=policy.overlap.total_seconds(),
        lead=policy.publication_lead.total_seconds(),
        window=policy.renewal_window.total_seconds(),
        minimum_lead=policy.minimum_lead.total_seconds(),
    )


def lives_of_service(keys: Iterable[Key]) -> Lives:
    """The keys as the service has them."""
    return tuple(_life(key.kid, key.nbf, key.exp, is_enabled=key.status is not Status.DISABLED) for key in keys)


def lives_of_program(keyset: Keyset) -> Lives:
    """The keys as the program read them."""
    return tuple(
        _life(
            key.kid,
            None if key.nbf is None else key.nbf.timestamp(),
            None if key.exp is None else key.exp.timestamp(),
            is_enabled=key.enabled,
        )
        for key in keyset.keys
    )


def lives_of_answer(body: Any) -> Lives:
    """The keys in an answer of Graph's."""
    body = body.get("value") if isinstance(body.get("value"), dict) else body
    return tuple(
        _life(key.get("kid"), key.get("nbf"), key.get("exp"), is_enabled=key.get("status") != "disabled")
        for key in body.get("keys") or ()
    )


def active(lives: Lives, instant: float) -> Life | None:
    """The key that is used at *instant*: the valid dated one that activated last, else an undated one."""
    valid = [life for life in lives if life.is_valid(instant)]
    dated = [life for life in valid if life.is_dated]
    if dated:
        return max(dated, key=lambda life: (life.nbf, life.exp))
    return valid[0] if valid else None


def flaws(lives: Lives, wanted: Wish, now: float, start: float, end: float, *, excused: bool = True) -> Iterator[Flaw]:
    """
    What will be wrong between *start* and *end*, as foreseen at *now*, in order.

    Without *excused*, what only looks like a flaw is one.
    """
    edges = {start, end}
    for life in lives:
        edges |= {life.nbf, life.exp, life.exp - wanted.overlap, life.nbf + wanted.rotate_every}
        edges.add(life.exp - wanted.validity)
    for left, right in pairwise(sorted(edge for edge in edges if start <= edge <= end)):
        instant = (left + right) / 2
        key = active(lives, instant)
        kind = _wrong(lives, wanted, now, instant, key, excused=excused)
        if kind is not None:
            yield Flaw(kind=kind, instant=left, key=key)


def _wrong(lives: Lives, wanted: Wish, now: float, instant: float, key: Life | None, *, excused: bool) -> Kind | None:
    if key is None:
        return Kind.HOLE
    if not key.is_dated:
        return None if _is_to_come(lives, now) else Kind.UNDATED
    if key.nbf == -inf and key.exp - instant > wanted.validity and not (excused and _is_to_come(lives, now)):
        return Kind.UNDATED
    if instant > key.exp - wanted.overlap and not (excused and _is_unforeseen(lives, now, key)):
        return Kind.TAIL
    if (
        key.nbf > -inf
        and instant > key.nbf + wanted.rotate_every
        and not (excused and _is_outlasted(lives, wanted, now, instant, key))
    ):
        return Kind.AGED
    return None


def _is_to_come(lives: Lives, now: float) -> bool:
    """Whether a dated key is to take over."""
    return any(life.is_enabled and life.is_dated and now < life.nbf < life.exp for life in lives)


def _is_unforeseen(lives: Lives, now: float, key: Life) -> bool:
    """Whether *key* has yet to take over from one that outlasts it."""
    return key.nbf > now and any(
        other.is_enabled and other.is_dated and other.nbf < key.nbf < other.exp and other.exp >= key.exp
        for other in lives
    )


def _is_outlasted(lives: Lives, wanted: Wish, now: float, instant: float, key: Life) -> bool:
    """Whether a key is to come that will take over from *key* in good time, and outlast its turn."""
    turn_end = min(key.exp, key.nbf + wanted.validity)
    return any(
        other.is_enabled
        and instant < other.nbf <= key.exp - wanted.overlap
        and (other.exp > key.exp or (other.exp > turn_end and other.nbf <= now + wanted.lead))
        for other in lives
    )


def _life(kid: str | None, nbf: float | None, exp: float | None, *, is_enabled: bool) -> Life:
    return Life(
        kid=kid,
        nbf=-inf if nbf is None else float(nbf),
        exp=inf if exp is None else float(exp),
        is_enabled=is_enabled,
    )
