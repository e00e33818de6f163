"""
What the emulator was asked, and how far each request got.

::

    arrived ──▶ committed (writes that did something) ──▶ answered (status known)

A test that kills a client while its request hangs waits here for the stage it wants.
Records are frozen; a request that gets further replaces its record.
"""

import threading
import traceback
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from rotator.emulator.operations import Operation

_KEPT = 100_000


class Stage(StrEnum):
    """How far a request got."""

    ARRIVED = "arrived"
    COMMITTED = "committed"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """
    One request. *time* is emulated; *tenant* is a domain.

    *status* is None until there is an answer, and stays so where the connection was
    reset or closed instead. *body*, of a POST, PUT or PATCH, has its secrets masked.
    """

    number: int
    time: float
    method: str
    path: str
    operation: Operation
    tenant: str | None = None
    keyset: str | None = None
    client_request_id: str | None = None
    body: str | None = field(default=None, repr=False)
    stage: Stage = Stage.ARRIVED
    committed: bool = False
    status: int | None = None


class Journal:
    """Every request of an emulator, the latest hundred thousand in full."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._seen: OrderedDict[int, Seen] = OrderedDict()
        self._next = 1
        self._errors: list[str] = []
        self._counts: Counter[Operation] = Counter()

    @property
    def requests(self) -> tuple[Seen, ...]:
        """In order of arrival."""
        with self._changed:
            return tuple(self._seen.values())

    @property
    def counts(self) -> dict[Operation, int]:
        """How many requests of each operation arrived, ever."""
        with self._changed:
            return dict(self._counts)

    @property
    def errors(self) -> tuple[str, ...]:
        """Tracebacks of the emulator's own bugs; none, we hope."""
        with self._changed:
            return tuple(self._errors)

    def arrived(self, make: Callable[[int], Seen]) -> int:
        """A request is here; *make* gets its number."""
        with self._changed:
            number, self._next = self._next, self._next + 1
            seen = make(number)
            self._seen[number] = seen
            self._counts[seen.operation] += 1
            if len(self._seen) > _KEPT:
                self._seen.popitem(last=False)
            self._changed.notify_all()
        return number

    def committed(self, number: int) -> None:
        """What it asked for has happened."""
        self._replace(number, stage=Stage.COMMITTED, committed=True)

    def answered(self, number: int, status: int | None) -> None:
        """It is over; *status* None: without an answer."""
        self._replace(number, stage=Stage.ANSWERED, status=status)

    def failed(self, error: BaseException) -> None:
        """A bug of ours."""
        with self._changed:
            self._errors.append("".join(traceback.format_exception(error)))

    def clear(self) -> None:
        """Forget the requests, not the errors."""
        with self._changed:
            self._seen.clear()
            self._counts.clear()

    def forgive(self) -> None:
        """Forget the errors."""
        with self._changed:
            self._errors.clear()

    def wait(self, reached: Callable[[tuple[Seen, ...]], bool], timeout: float) -> bool:
        """Whether *reached* came true within *timeout* seconds (real ones)."""
        with self._changed:
            return self._changed.wait_for(lambda: reached(tuple(self._seen.values())), timeout)

    def _replace(
        self,
        number: int,
        *,
        stage: Stage,
        committed: bool | None = None,
        status: int | None = None,
    ) -> None:
        with self._changed:
            seen = self._seen.get(number)
            if seen is not None:
                self._seen[number] = replace(
                    seen,
                    stage=stage,
                    committed=seen.committed if committed is None else committed,
                    status=status,
                )
            self._changed.notify_all()


def has_reached(seen: Seen, stage: Stage) -> bool:
    """Whether a request got at least as far as *stage*; only writes that happened commit."""
    match Stage(stage):
        case Stage.ARRIVED:
            return True
        case Stage.COMMITTED:
            return seen.committed
        case Stage.ANSWERED:
            return seen.stage is Stage.ANSWERED


def matching(
    requests: tuple[Seen, ...],
    operation: Operation | None,
    stage: Stage,
    domain: str | None,
    keyset: str | None,
) -> tuple[Seen, ...]:
    """The requests of an operation, a tenant and a keyset that got at least as far as *stage*."""
    return tuple(
        seen
        for seen in requests
        if (operation is None or seen.operation == operation)
        and (domain is None or seen.tenant == domain)
        and (keyset is None or seen.keyset == keyset)
        and has_reached(seen, stage)
    )
