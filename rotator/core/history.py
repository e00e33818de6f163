"""
The history of keysets over a span of time, and where a promise was broken.

Values and pure functions. A simulation creates them; views and the command `simulate` read them.
All instants are aware, in UTC and on whole seconds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.core.keyset import Key, Keyset
from rotator.core.policy import ZERO, Mode, RotationPolicy

SECOND = timedelta(seconds=1)


class Affected(StrEnum):
    """Which requests fail during an outage."""

    READS = "reads"
    WRITES = "writes"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A span in which requests fail, from *begin* (included) to *end* (excluded)."""

    begin: datetime
    end: datetime
    affected: Affected = Affected.ALL

    def fails(self, now: datetime, *, is_write: bool) -> bool:
        """Whether a request that is made at *now* fails."""
        other = Affected.READS if is_write else Affected.WRITES
        return self.begin <= now < self.end and self.affected is not other


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedKey:
    """
    A key, and when it was generated.

    generated:  when it was generated; None if the keyset had it from the start
    cover_left: how long cover would have lasted when it was generated; None if cover had no
        end, or where the keyset had no key before
    """

    key: Key
    generated: datetime | None = None
    cover_left: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """
    One key takes over from another.

    predecessor: the key that was active until then; None if no key was valid
    publish_by:  when it had to be published at the latest; None for an undated key
    lead:        from its generation to its activation; None for a key that the keyset had from the start
    overlap:     how long its predecessor stays valid; None without one, or where that does not expire
    """

    recorded: RecordedKey
    predecessor: Key | None
    publish_by: datetime | None
    lead: timedelta | None
    overlap: timedelta | None

    @property
    def key(self) -> Key:
        """The key that takes over."""
        return self.recorded.key


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysetHistory:
    """The history of one keyset; *keys*: in the order in which they take over."""

    tenant: str
    directory: str
    policy: RotationPolicy
    keys: tuple[RecordedKey, ...]

    @property
    def keyset(self) -> Keyset:
        """The keyset with all keys that it ever had."""
        return Keyset(id=self.policy.keyset_id, keys=tuple(each.key for each in self.keys))

    def handovers(self) -> Iterator[Handover]:
        """Each key, with the key that it takes over from."""
        keyset = self.keyset
        for recorded in self.keys:
            key = recorded.key
            if key.nbf is None:
                yield Handover(recorded=recorded, predecessor=None, publish_by=None, lead=None, overlap=None)
                continue
            predecessor = keyset.active(key.nbf - SECOND)
            yield Handover(
                recorded=recorded,
                predecessor=predecessor,
                publish_by=key.nbf - self.policy.publication_lead,
                lead=None if recorded.generated is None else key.nbf - recorded.generated,
                overlap=None if predecessor is None or predecessor.exp is None else predecessor.exp - key.nbf,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """
    The result of one simulation.

    requests: how many requests the daemon would have made to Graph
    """

    start: datetime
    end: datetime
    keysets: tuple[KeysetHistory, ...]
    requests: int
    outages: tuple[Outage, ...] = ()

    @property
    def generated(self) -> int:
        """How many keys were generated."""
        return sum(each.generated is not None for history in self.keysets for each in history.keys)

    def closest_call(self) -> tuple[timedelta, datetime, KeysetHistory] | None:
        """The least cover left when a key was generated, when that was, and of which keyset; None without any."""
        calls = (
            (each.cover_left, each.generated, history)
            for history in self.keysets
            for each in history.keys
            if each.cover_left is not None and each.generated is not None
        )
        return min(calls, key=lambda call: call[:2], default=None)

    def breaches(self) -> list["Breach"]:
        """The broken promises, in the order of time."""
        found = (breach for history in self.keysets for breach in breaches(history, self.start, self.end))
        return sorted(found, key=lambda breach: (breach.at, breach.tenant, breach.keyset_id))


class Promise(StrEnum):
    """What rotator promises for each keyset. The values are part of the interface."""

    COVER = "cover"
    OVERLAP = "overlap"
    LEAD = "lead"
    WINDOW = "window"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A promise is broken at an instant; *short_by*: by how much, None if that is not a span."""

    at: datetime
    tenant: str
    keyset_id: str
    promise: Promise
    short_by: timedelta | None = None


def breaches(history: KeysetHistory, start: datetime, end: datetime) -> Iterator[Breach]:
    """
    The promises that are broken for a keyset from *start* to *end*.

    Nothing is promised in mode observe, for keys that the keyset had from the start, and for the first key of a
    keyset that was empty.
    """
    policy = history.policy
    if policy.mode is Mode.OBSERVE:
        return

    def breach(at: datetime, promise: Promise, short_by: timedelta | None = None) -> Breach:
        return Breach(at=at, tenant=history.tenant, keyset_id=policy.keyset_id, promise=promise, short_by=short_by)

    for begin, finish in _gaps(history, start, end):
        yield breach(begin, Promise.COVER, finish - begin)
    first = next(iter(history.keys), None)
    for handover in history.handovers():
        nbf = handover.key.nbf
        if nbf is None or handover.lead is None or handover.recorded is first or not start <= nbf < end:
            continue
        if handover.overlap is not None and handover.overlap < policy.overlap:
            yield breach(nbf, Promise.OVERLAP, policy.overlap - max(handover.overlap, ZERO))
        if handover.lead < policy.publication_lead:
            yield breach(nbf - policy.publication_lead, Promise.LEAD, policy.publication_lead - handover.lead)
        if policy.misses_window(nbf):
            yield breach(nbf, Promise.WINDOW)


def _gaps(history: KeysetHistory, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The spans from *start* to *end* without a valid key, except before the first key of an empty keyset."""
    keys = [each.key for each in history.keys if each.key.is_usable or not each.key.is_dated]
    covered = start
    if all(each.generated is not None for each in history.keys):
        covered = min((key.activates for key in keys), default=end)
    for begin, finish in _lives(keys):
        if begin > covered:
            yield covered, min(begin, end)
        covered = max(covered, finish)
        if covered >= end:
            return
    if covered < end:
        yield covered, end


def _lives(keys: Iterable[Key]) -> Iterator[tuple[datetime, datetime]]:
    """From activation to expiry of each enabled key, in the order in which they begin."""
    yield from sorted((key.activates, key.expires) for key in keys if key.enabled)
