"""What the command of an emergency tells of each step, and how it ends."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from rotator.core.emergency import Order, Refuse, Sight


class Ending(IntEnum):
    """How the command ended. The values are its exit codes, and part of the interface."""

    DONE = 0
    NOTHING_CHANGED = 1
    REFUSED = 3
    NOT_DISABLED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    One step, as it begins.

    step:         `look`, `generate`, `enable`, `wait_for_...`, `disable`, `done`, `refused`, `failed`, `stopped`
    elapsed:      since the command began
    safe_to_stop: whether Ctrl-C now leaves nothing that is half done
    ending:       at the last step only
    """

    at: datetime
    step: str
    elapsed: timedelta
    safe_to_stop: bool = True
    kid: str | None = None
    message: str | None = None
    ending: Ending | None = None


def ending_of(order: Order, last: Sight | None, *, asked: bool, refusal: Refuse | None = None) -> Ending:
    """
    How a command ended that could not do everything.

    last:    what was seen last; None if nothing was
    asked:   whether this process asked for a key
    refusal: why the order cannot be carried out, if that is the reason
    """
    if not asked and refusal is not None:
        return Ending.REFUSED if refusal.loses_cover else Ending.NOTHING_CHANGED
    active = None if last is None else last.keyset.active(last.now)
    is_replaced = active is not None and active.kid not in order.replaced
    if not (asked or is_replaced):
        return Ending.NOTHING_CHANGED
    left = last is None or any(key.enabled and key.kid in order.replaced for key in last.keyset.keys)
    return Ending.NOT_DISABLED if left else Ending.DONE
