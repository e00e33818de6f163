"""
Everything that happened to a keyset, and what follows from it.

A keyset is the list of its events, never overwritten: what a stale read shows, when
there was no valid key, and which key signed when all follow from that list.

::

    key A   |----------------------------|
    key B                 nbf |-------------------|
    signers |  A              |  B                |  None ...
    gaps                                          |-------- ...

Instants are epoch seconds; an event of the seed happened before all time.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer

from rotator.emulator.model.keys import Key, active_key
from rotator.emulator.model.switches import Status, TieBreak
from rotator.emulator.validation import STRICT

BEFORE_ALL_TIME = -math.inf

# In JSON, what happened before all time has no instant.
EventInstant = Annotated[
    float,
    Field(allow_inf_nan=True),
    BeforeValidator(lambda raw: BEFORE_ALL_TIME if raw is None else raw),
    PlainSerializer(lambda instant: None if instant == BEFORE_ALL_TIME else instant),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Happened:
    """Something that *by* (an app, a person, the seed) did to a keyset."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    instant: EventInstant
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Created(_Happened):
    """The keyset was created, with no key."""

    what: Literal["created"] = "created"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAdded(_Happened):
    """A key was added."""

    what: Literal["key_added"] = "key_added"
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSet(_Happened):
    """A key was enabled or disabled."""

    what: Literal["status_set"] = "status_set"
    kid: str
    status: Status | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced(_Happened):
    """A PUT removed every key and put these in their place."""

    what: Literal["replaced"] = "replaced"
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted(_Happened):
    """The keyset was deleted, with its keys."""

    what: Literal["deleted"] = "deleted"


Event = Annotated[Created | KeyAdded | StatusSet | Replaced | Deleted, Field(discriminator="what")]
Keys = dict[str, Key]


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without a valid key, in which nobody could sign in."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Signer:
    """Which key was active from *start* to *end*; kid None if none was."""

    kid: str | None
    start: float
    end: float


def keys_in(event: Event) -> tuple[Key, ...]:
    """The keys that *event* added."""
    match event:
        case KeyAdded(key=key):
            return (key,)
        case Replaced(keys=keys):
            return keys
        case _:
            return ()


def apply(event: Event, keys: Keys) -> bool:
    """Apply *event* to *keys*, in the order in which they were added. Returns: whether the keyset exists afterwards."""
    match event:
        case Created() | Deleted():
            keys.clear()
        case Replaced(keys=replacing):
            keys.clear()
            keys.update((key.kid, key) for key in replacing)
        case KeyAdded(key=key):
            keys[key.kid] = key
        case StatusSet(kid=kid, status=status) if kid in keys:
            keys[kid] = replace(keys[kid], status=status)
        case StatusSet():
            pass
    return not isinstance(event, Deleted)


def as_of(events: Iterable[Event], instant: float) -> tuple[Key, ...] | None:
    """What was in the keyset at *instant*; None: there was no keyset."""
    keys: Keys = {}
    exists = False
    for event in events:
        if event.instant <= instant:
            exists = apply(event, keys)
    return tuple(keys.values()) if exists else None


def signers(events: Sequence[Event], start: float, end: float, tie_break: TieBreak) -> tuple[Signer, ...]:
    """Which key was active when, from *start* to *end*, without holes or overlaps."""
    pending = deque(sorted(events, key=lambda event: event.instant))
    keys: Keys = {}
    order: dict[str, int] = {}
    found: list[Signer] = []
    for begin, until in pairwise(sorted({start, end, *(edge for edge in _edges(events) if start < edge < end)})):
        while pending and pending[0].instant <= begin:
            event = pending.popleft()
            apply(event, keys)
            if not isinstance(event, KeyAdded | StatusSet):
                order.clear()
            for kid in keys:
                order.setdefault(kid, len(order))
        keys = {kid: key for kid, key in keys.items() if key.exp is None or begin < key.exp}  # expired for good
        active = active_key((keys[kid] for kid in sorted(keys, key=order.__getitem__)), begin, tie_break)
        signer = Signer(active.kid if active else None, begin, until)
        if found and found[-1].kid == signer.kid:
            found[-1] = replace(found[-1], end=until)
        else:
            found.append(signer)
    return tuple(found)


def gaps(events: Sequence[Event], start: float, end: float) -> tuple[Gap, ...]:
    """The times between *start* and *end* in which no key was valid."""
    return tuple(Gap(each.start, each.end) for each in signers(events, start, end, TieBreak.NEWEST) if each.kid is None)


def _edges(events: Iterable[Event]) -> Iterator[float]:
    """Every instant at which another key may become active."""
    for event in events:
        yield event.instant
        for key in keys_in(event):
            yield from (instant for instant in (key.nbf, key.exp) if instant is not None)
