"""
What can go wrong, where, when and how often.

A fault belongs to one of five families; a request suffers at most one of each, in the
order in which they were injected, so two faults of one family come one after the other::

    pause       hang, slow                        wait, then go on
    instead     throttled, status, html, reset... something else than the real answer
    keeping     lost, altered                     the answer is fine, the state is not
    shape       missing_member, forged_member...  the real answer, changed
    transport   drip, truncated, cut_json...      the real answer, sent badly

Faults of the first two families bite before the commit (nothing happens) or after it
(it happened, and the client does not learn of it). havoc.py plays them.
"""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Any

from rotator.emulator.operations import WRITES, Operation

ELSEWHERE = "https://graph.example.invalid/beta/trustFramework/keySets"


class FaultError(ValueError):
    """A fault that makes no sense."""


class Moment(StrEnum):
    """When a fault bites."""

    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"


class Family(StrEnum):
    """What a fault does to a request."""

    PAUSE = "pause"
    INSTEAD = "instead"
    KEEPING = "keeping"
    SHAPE = "shape"
    TRANSPORT = "transport"


class Kind(StrEnum):
    """What goes wrong. Parameters that matter stand behind each."""

    HANG = "hang"  # delay (else until released); nothing is committed if the client leaves
    SLOW = "slow"  # delay; it is committed even if the client leaves

    THROTTLED = "throttled"  # retry_after, retry_after_as_date, code
    STATUS = "status"  # status, code, message, retry_after, retry_after_as_date
    HTML = "html"  # status: a page of some gateway
    EMPTY = "empty"  # status: no body at all
    LIST = "list"  # a JSON list where an object belongs
    BODY = "body"  # status, body, content_type: anything else
    HUGE = "huge"  # size: so many bytes of valid JSON
    GZIP_BOMB = "gzip_bomb"  # size: so many bytes once unpacked
    REDIRECT = "redirect"  # url, status
    RESET = "reset"  # the connection, hard
    CLOSE = "close"  # the connection, without an answer

    LOST = "lost"  # answered as if done, and not done
    ALTERED = "altered"  # shift: a key with other dates than asked

    MISSING_MEMBER = "missing_member"  # member, at the top of the answer
    MISSING_KID = "missing_kid"  # from every key of the answer
    FORGED_MEMBER = "forged_member"  # member, value: in every key of the answer
    FOREIGN_NEXT_LINK = "foreign_next_link"  # url
    NEXT_LINK_LOOP = "next_link_loop"
    INSECURE_NEXT_LINK = "insecure_next_link"  # http://

    DRIP = "drip"  # interval: a byte at a time, headers too
    TRUNCATED = "truncated"  # the connection ends before Content-Length
    CUT_JSON = "cut_json"  # half of the JSON, properly sent
    WRONG_DATE = "wrong_date"  # skew: seconds, in the Date header


_FAMILIES: dict[Kind, Family] = {
    **dict.fromkeys((Kind.HANG, Kind.SLOW), Family.PAUSE),
    **dict.fromkeys((Kind.LOST, Kind.ALTERED), Family.KEEPING),
    **dict.fromkeys(
        (
            Kind.MISSING_MEMBER,
            Kind.MISSING_KID,
            Kind.FORGED_MEMBER,
            Kind.FOREIGN_NEXT_LINK,
            Kind.NEXT_LINK_LOOP,
            Kind.INSECURE_NEXT_LINK,
        ),
        Family.SHAPE,
    ),
    **dict.fromkeys((Kind.DRIP, Kind.TRUNCATED, Kind.CUT_JSON, Kind.WRONG_DATE), Family.TRANSPORT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    Something that goes wrong.

    what, where
        The kind, and the operation; where None: every one (but the control endpoints).
    when
        Before or after the commit, for kinds that pause or answer something else.
    tenant, keyset
        Only there; a tenant is a GUID or a domain.
    times, skip
        It bites *times* requests (None: until removed), after letting *skip* pass.

    The rest are parameters; which kind takes which stands at `Kind`. Spans are seconds.
    """

    what: Kind
    where: Operation | None = None
    when: Moment = Moment.BEFORE_COMMIT
    tenant: str | None = None
    keyset: str | None = None
    times: int | None = None
    skip: int = 0

    status: int | None = None
    code: str | None = None
    message: str = "Something went wrong."
    retry_after: int | None = None
    retry_after_as_date: bool = False
    delay: float | None = None
    interval: float = 0.01
    size: int = 100 * 1024 * 1024
    url: str = ELSEWHERE
    body: str = ""
    content_type: str = "application/json"
    member: str = "value"
    value: Any = None
    shift: int = 3600
    skew: float = 3600

    def __post_init__(self) -> None:
        # A test may write these as texts.
        object.__setattr__(self, "what", Kind(self.what))
        object.__setattr__(self, "when", Moment(self.when))
        if self.where is not None:
            object.__setattr__(self, "where", Operation(self.where))
        if self.times is not None and self.times < 1:
            msg = f"times: {self.times}, and a fault bites at least once"
            raise FaultError(msg)
        if self.skip < 0 or self.size < 0 or self.interval < 0 or (self.delay or 0) < 0:
            msg = "skip, size, interval and delay are not negative"
            raise FaultError(msg)
        if self.what is Kind.SLOW and self.delay is None:
            msg = "delay: how slow is slow?"
            raise FaultError(msg)
        if self.what is Kind.ALTERED and self.where is not Operation.GENERATE_KEY:
            msg = "where: only generate_key can be answered with other dates"
            raise FaultError(msg)
        if self.what is Kind.LOST and self.where not in WRITES:
            msg = "where: only a write can be lost"
            raise FaultError(msg)

    @property
    def family(self) -> Family:
        """What it does to a request."""
        return _FAMILIES.get(self.what, Family.INSTEAD)


@dataclass(eq=False, slots=True)
class Injected:
    """A fault at work; the handle that `inject` returns."""

    number: int
    fault: Fault
    _remove: Callable[["Injected"], None] = field(repr=False)
    hits: int = 0
    passed: int = 0
    released: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def spent(self) -> bool:
        """Whether it has bitten as often as it was to."""
        return self.fault.times is not None and self.hits >= self.fault.times

    def release(self) -> None:
        """Let every request go on that hangs on this fault, now and later."""
        self.released.set()

    def remove(self) -> None:
        """It bites no more, and what hangs on it goes on."""
        self._remove(self)
        self.released.set()


class FaultTable:
    """The faults of an emulator."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._faults: list[Injected] = []

    @property
    def active(self) -> tuple[Injected, ...]:
        """In the order in which they were injected, spent ones too."""
        with self._lock:
            return tuple(self._faults)

    def inject(self, fault: Fault) -> Injected:
        """Let something go wrong from now on."""
        with self._lock:
            injected = Injected(next(self._numbers), fault, self._remove)
            self._faults.append(injected)
        return injected

    def clear(self) -> None:
        """Remove every fault, and let go what hangs."""
        for injected in self.active:
            injected.remove()

    def strike(self, operation: Operation, tenant_names: Collection[str], keyset: str | None) -> dict[Family, Injected]:
        """Which faults bite this request, at most one of each family; they count it."""
        bites: dict[Family, Injected] = {}
        with self._lock:
            for injected in self._faults:
                fault = injected.fault
                if injected.spent or fault.family in bites:
                    continue
                if not _concerns(fault, operation, tenant_names, keyset):
                    continue
                if injected.passed < fault.skip:
                    injected.passed += 1
                    continue
                injected.hits += 1
                bites[fault.family] = injected
        return bites

    def _remove(self, injected: Injected) -> None:
        with self._lock:
            if injected in self._faults:
                self._faults.remove(injected)


def _concerns(fault: Fault, operation: Operation, tenant_names: Collection[str], keyset: str | None) -> bool:
    if fault.where is not None and fault.where is not operation:
        return False
    if fault.tenant is not None and fault.tenant.lower() not in tenant_names:
        return False
    return fault.keyset is None or fault.keyset == keyset
