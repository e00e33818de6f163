"""
The requests to the emulator without their secrets, and how far each got.

::

    arrived ──▶ committed (writes that did something) ──▶ answered (status known)

A test that kills a client while its request hangs waits here for a stage. Records are
frozen; a request that gets further replaces its record.
"""

import json
import threading
import traceback
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlencode

from rotator.emulator.http.answers import objects_in
from rotator.emulator.http.routes import Operation

_MAX_REQUESTS = 100_000
_MAX_BODY = 64 * 1024
MASK = "***"
_SECRET_MEMBERS = {"client_secret", "client_assertion", "k", "key", "password", "d", "p", "q", "dp", "dq", "qi"}


class Stage(StrEnum):
    """How far a request got."""

    ARRIVED = "arrived"
    COMMITTED = "committed"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request. *time* is emulated; *tenant* is a domain; *body* has its secrets masked."""

    number: int = 0
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
    status: int | None = None  # as long as there is no answer, or for good where the connection ended without one


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
        """Tracebacks of the emulator's own bugs."""
        with self._changed:
            return tuple(self._errors)

    def arrived(self, seen: Seen) -> int:
        """Record a request. Returns: its number."""
        with self._changed:
            number, self._next = self._next, self._next + 1
            self._seen[number] = replace(seen, number=number)
            self._counts[seen.operation] += 1
            if len(self._seen) > _MAX_REQUESTS:
                self._seen.popitem(last=False)
            self._changed.notify_all()
        return number

    def committed(self, number: int) -> None:
        self._update(number, stage=Stage.COMMITTED, committed=True)

    def answered(self, number: int, status: int | None) -> None:
        """Record the answer; *status* None: there was none."""
        self._update(number, stage=Stage.ANSWERED, status=status)

    def failed(self, error: BaseException) -> None:
        with self._changed:
            self._errors.append("".join(traceback.format_exception(error)))

    def clear(self) -> None:
        """Forget the requests, not the errors."""
        with self._changed:
            self._seen.clear()
            self._counts.clear()

    def clear_errors(self) -> None:
        with self._changed:
            self._errors.clear()

    def wait(self, reached: Callable[[tuple[Seen, ...]], bool], timeout: float) -> bool:
        """Whether *reached* came true within *timeout* seconds (real ones)."""
        with self._changed:
            return self._changed.wait_for(lambda: reached(tuple(self._seen.values())), timeout)

    def _update(self, number: int, **changes: Any) -> None:  # noqa: ANN401 - members of Seen
        with self._changed:
            seen = self._seen.get(number)
            if seen is not None:
                self._seen[number] = replace(seen, **changes)
            self._changed.notify_all()


def _has_reached(seen: Seen, stage: Stage) -> bool:
    """Whether a request got at least as far as *stage*; only writes that happened commit."""
    reached = {Stage.ARRIVED: True, Stage.COMMITTED: seen.committed, Stage.ANSWERED: seen.stage is Stage.ANSWERED}
    return reached[stage]


def matching(
    requests: tuple[Seen, ...],
    operation: Operation | None,
    stage: Stage = Stage.ARRIVED,
    domain: str | None = None,
    keyset: str | None = None,
) -> tuple[Seen, ...]:
    """The requests of an operation, a tenant and a keyset that got at least as far as *stage*; None: of any."""
    return tuple(
        seen
        for seen in requests
        if operation in (None, seen.operation)
        and domain in (None, seen.tenant)
        and keyset in (None, seen.keyset)
        and _has_reached(seen, stage)
    )


def redacted(operation: Operation, body: bytes) -> str | None:
    """*body* as text, its secrets replaced; None if there is none."""
    if not body:
        return None
    text = body[:_MAX_BODY].decode("utf-8", "replace")
    if operation in (Operation.TOKEN, Operation.POLICY_TOKEN):
        form = parse_qsl(text, keep_blank_values=True)
        return urlencode([(name, MASK if name in _SECRET_MEMBERS else value) for name, value in form])
    try:
        data = json.loads(text)
        for each in objects_in(data):
            each.update(dict.fromkeys(each.keys() & _SECRET_MEMBERS, MASK))
        return json.dumps(data)
    except (ValueError, RecursionError):
        return MASK  # not JSON: it is refused anyway, and what in it is secret is unknown
