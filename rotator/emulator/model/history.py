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
Moment = Annotated[
    float,
    Field(allow_inf_nan=True),
    BeforeValidator(lambda raw: BEFORE_ALL_TIME if raw is None else raw),
    PlainSerializer(lambda instant: None if instant == BEFORE_ALL_TIME else instant),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Happened:
    """Something that *by* (an app, a person, the seed) did to a keyset."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    instant: Moment
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
    """Which key was active from *start* to *end*; kid None where none was."""

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
    """
    Apply *event* to *keys*, which keep the order in which they were added.

    Returns: whether there is a keyset afterwards.
    """
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
    spans = [span for span in _valid_spans(events) if span.start < end and start < span.end]
    begins = sorted(spans, key=lambda span: span.start)
    edges = {start, end, *(span.start for span in spans), *(span.end for span in spans)}
    instants = sorted(edge for edge in edges if start <= edge <= end)
    valid: list[_Span] = []
    begun = 0
    reigns: list[Signer] = []
    for begin, until in pairwise(instants):
        valid = [span for span in valid if span.end > begin]
        while begun < len(begins) and begins[begun].start <= begin:
            valid.append(begins[begun])
            begun += 1
        valid.sort(key=lambda span: span.order)
        active = active_key((span.key for span in valid), begin, tie_break)
        _extend(reigns, Signer(active.kid if active else None, begin, until))
    return tuple(reigns)


def gaps(events: Sequence[Event], start: float, end: float) -> tuple[Gap, ...]:
    """The times between *start* and *end* in which no key was valid."""
    return tuple(
        Gap(reign.start, reign.end) for reign in signers(events, start, end, TieBreak.NEWEST) if reign.kid is None
    )


@dataclass(frozen=True, slots=True)
class _Span:
    """A time in which *key*, the order-th that was added, was valid."""

    key: Key
    order: int
    start: float
    end: float


def _valid_spans(events: Sequence[Event]) -> Iterator[_Span]:
    """When each key was there, enabled, and between its dates."""
    keys: Keys = {}
    enabled_since: dict[str, tuple[Key, int, float]] = {}
    orders: dict[str, int] = {}
    for event in sorted(events, key=lambda event: event.instant):
        apply(event, keys)
        touched = _touched(event)
        if touched is None:
            orders.clear()
        for kid in list(enabled_since) if touched is None else touched:
            if kid in enabled_since:
                yield from _between_dates(*enabled_since.pop(kid), event.instant)
        for kid in list(keys) if touched is None else touched:
            key = keys.get(kid)
            if key is None:
                continue
            order = orders.setdefault(kid, len(orders))
            if key.status is not Status.DISABLED:
                enabled_since[kid] = (key, order, event.instant)
    for key, order, since in enabled_since.values():
        yield from _between_dates(key, order, since, math.inf)


def _touched(event: Event) -> tuple[str, ...] | None:
    """The kids that *event* concerns; None: all of them."""
    match event:
        case KeyAdded(key=key):
            return (key.kid,)
        case StatusSet(kid=kid):
            return (kid,)
        case Created() | Replaced() | Deleted():
            return None


def _between_dates(key: Key, order: int, since: float, until: float) -> Iterator[_Span]:
    start = since if key.nbf is None else max(since, key.nbf)
    end = until if key.exp is None else min(until, key.exp)
    if start < end:
        yield _Span(key, order, start, end)


def _extend(reigns: list[Signer], reign: Signer) -> None:
    """Append *reign*, or lengthen the last where the same key goes on."""
    if reigns and reigns[-1].kid == reign.kid:
        reigns[-1] = replace(reigns[-1], end=reign.end)
    else:
        reigns.append(reign)
