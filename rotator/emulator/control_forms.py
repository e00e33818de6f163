"""What the control endpoints read: queries and bodies, validated."""

from typing import Any

import pydantic

from rotator.emulator.faults.fault import Fault, FaultError
from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Stage
from rotator.emulator.model.seed import KeySeed, SeedError
from rotator.emulator.model.switches import Status
from rotator.emulator.validation import STRICT, Count, Instant, InvalidError, JsonForm


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=STRICT)
class RequestsQuery:
    """Which requests, how far they got, how many of them, and how many seconds to wait for them."""

    operation: Operation | None = None
    stage: Stage = Stage.ARRIVED
    count: Count = 1
    timeout: float = 10


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=STRICT)
class ClockBody:
    """The clock's offset in seconds, or what it shows; one of the two."""

    offset: float | None = None
    now: Instant | None = None

    def __post_init__(self) -> None:
        if (self.offset is None) == (self.now is None):
            raise InvalidError('write {"offset": seconds} or {"now": instant}')


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=STRICT)
class StatusBody:
    """The status of a key."""

    status: Status


FAULT: JsonForm[Fault] = JsonForm(Fault, FaultError)
KEY_SEED: JsonForm[KeySeed] = JsonForm(KeySeed, SeedError)
CHANGES: JsonForm[dict[str, Any]] = JsonForm(dict[str, Any])
QUERY: JsonForm[RequestsQuery] = JsonForm(RequestsQuery)
CLOCK: JsonForm[ClockBody] = JsonForm(ClockBody)
STATUS: JsonForm[StatusBody] = JsonForm(StatusBody)
