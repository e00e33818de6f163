"""Why a keyset was held or rotated: what the decision says, and what the gates say before a write."""

from enum import StrEnum


class Reason(StrEnum):
    """Why the decision holds or rotates. The values are part of the interface."""

    NOT_DUE = "not_due"
    RENEWAL_DUE = "renewal_due"
    OVERDUE = "overdue"
    NO_VALID_KEY = "no_valid_key"
    UNDATED = "undated"
    OBSERVE = "observe"


class Refusal(StrEnum):
    """Why a key that the decision calls for is not asked for now. The values are part of the interface."""

    STOPPING = "stopping"
    NOT_LEADER = "not_leader"
    RECONFIGURED = "reconfigured"
    RUNAWAY_GUARD = "runaway_guard"


def confirms(first: Reason, second: Reason) -> bool:
    """
    Whether two looks call for the same thing.

    That a keyset has suddenly no valid key, or no dated one, takes two looks of its
    own: the key for that takes over at once, and one answer that lacks something is enough
    to see it so.
    """
    return first is second or second not in (Reason.NO_VALID_KEY, Reason.UNDATED)
