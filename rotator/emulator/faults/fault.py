"""
Faults: what goes wrong, for which requests, when and how often.

A fault belongs to one of five families; at most one of each applies to a request, in the
order in which they were injected, so two faults of one family come one after the other::

    pause       hang, slow                        wait, then go on
    instead     throttled, status, html, reset... something else than the real answer
    keeping     lost, altered                     the answer is fine, the state is not
    shape       missing_member, forged_member...  the real answer, changed
    transport   drip, truncated, cut_json...      the real answer, sent badly

Faults of the first two families take effect before the commit (nothing is written) or
after it (it is written, and the client does not learn of it). fault_effects.py has the
effects.
"""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Annotated, Any

import pydantic
from pydantic import Field

from rotator.emulator.http.routes import WRITES, Operation
from rotator.emulator.validation import LAX, STRICT, Count, InvalidError, Span, raises

ELSEWHERE = "https://graph.example.invalid/beta/trustFramework/keySets"


class FaultError(InvalidError):
    """A fault that is not valid."""


class Moment(StrEnum):
    """When a fault takes effect."""

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
    """The kinds of fault; the comment behind each names its parameters."""

    HANG = "hang"  # delay (else until released); nothing is committed if the client leaves
    SLOW = "slow"  # delay; it is committed even if the client leaves
    THROTTLED = "throttled"  # retry_after, retry_after_as_date, code
    STATUS = "status"  # status, code, message, retry_after, retry_after_as_date
    HTML = "html"  # status: a page of some gateway
    EMPTY = "empty"  # status: no body at all
    LIST = "list"  # a JSON list instead of an object
    BODY = "body"  # status, body, content_type: anything else
    HUGE = "huge"  # size: so many bytes of valid JSON
    GZIP_BOMB = "gzip_bomb"  # size: so many bytes once unpacked
    REDIRECT = "redirect"  # url, status
    RESET = "reset"  # the connection, hard
    CLOSE = "close"  # the connection, without an answer
    LOST = "lost"  # answered with success, but not carried out
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


_KINDS = {
    Family.PAUSE: "hang slow",
    Family.KEEPING: "lost altered",
    Family.SHAPE: "missing_member missing_kid forged_member foreign_next_link next_link_loop insecure_next_link",
    Family.TRANSPORT: "drip truncated cut_json wrong_date",
}
_FAMILIES = {Kind(kind): family for family, kinds in _KINDS.items() for kind in kinds.split()}


@raises(FaultError)
@pydantic.dataclasses.dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Fault:
    """Something that goes wrong. Which kind takes which parameters is said at `Kind`; spans are seconds."""

    what: Annotated[Kind, LAX]
    where: Annotated[Operation, LAX] | None = None  # None: every operation but the control endpoints
    when: Annotated[Moment, LAX] = Moment.BEFORE_COMMIT  # for kinds that pause or answer something else
    tenant: str | None = None  # only there: a GUID or a domain
    keyset: str | None = None  # only there
    times: Annotated[int, Field(ge=1)] | None = None  # to so many requests it applies; None: until removed
    skip: Count = 0  # after so many requests that pass
    # Parameters.
    status: int | None = None
    code: str | None = None
    message: str = "Something went wrong."
    retry_after: int | None = None
    retry_after_as_date: bool = False
    delay: Span | None = None
    interval: Span = 0.01
    size: Count = 100 * 1024 * 1024
    url: str = ELSEWHERE
    body: str = ""
    content_type: str = "application/json"
    member: str = "value"
    value: Any = None
    shift: int = 3600
    skew: float = 3600

    def __post_init__(self) -> None:
        if self.what is Kind.SLOW and self.delay is None:
            raise FaultError("delay: is missing; a slow answer needs one")
        if self.what is Kind.ALTERED and self.where is not Operation.GENERATE_KEY:
            raise FaultError("where: only generate_key can be answered with other dates")
        if self.what is Kind.LOST and self.where not in WRITES:
            raise FaultError("where: only a write can be lost")

    @property
    def family(self) -> Family:
        """What it does to a request."""
        return _FAMILIES.get(self.what, Family.INSTEAD)

    def concerns(self, operation: Operation, tenant_names: Collection[str], keyset: str | None) -> bool:
        """Whether it is about such a request, of a tenant with these names in lower case."""
        return (
            self.where in (None, operation)
            and (self.tenant is None or self.tenant.lower() in tenant_names)
            and self.keyset in (None, keyset)
        )


@dataclass(eq=False, slots=True)
class Injected:
    """A fault that is active; the handle that `inject` returns."""

    number: int
    fault: Fault
    _remove: Callable[["Injected"], None] = field(repr=False)
    hits: int = 0
    passed: int = 0
    released: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def spent(self) -> bool:
        """True if it has applied `times` times."""
        return self.fault.times is not None and self.hits >= self.fault.times

    def release(self) -> None:
        """Let every request that hangs because of this fault continue, now and later."""
        self.released.set()

    def remove(self) -> None:
        """End it; requests that hang because of it continue."""
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
        """Apply *fault* from now on, until it is spent or removed."""
        with self._lock:
            injected = Injected(next(self._numbers), fault, self._remove)
            self._faults.append(injected)
        return injected

    def clear(self) -> None:
        """Remove every fault; requests that hang continue."""
        for injected in self.active:
            injected.remove()

    def hit(self, operation: Operation, tenant_names: Collection[str], keyset: str | None) -> dict[Family, Injected]:
        """The faults that apply to such a request, at most one of each family; they count it."""
        hit: dict[Family, Injected] = {}
        with self._lock:
            for injected in self._faults:
                fault = injected.fault
                if injected.spent or fault.family in hit or not fault.concerns(operation, tenant_names, keyset):
                    continue
                if injected.passed < fault.skip:
                    injected.passed += 1
                    continue
                injected.hits += 1
                hit[fault.family] = injected
        return hit

    def _remove(self, injected: Injected) -> None:
        with self._lock:
            if injected in self._faults:
                self._faults.remove(injected)
