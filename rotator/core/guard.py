"""
The guard against runaway: what must never happen, whatever else is wrong.

A decision can only be as right as what it was shown. A service that hides keys,
a second writer, or a bug would make it call for a key again and again, and none
of them could ever be taken back. So, whatever the decision says:

1. while a successor as we make them is pending, and takes over before cover ends,
   no other one is asked for;
2. no more than two keys are generated for a keyset in one `rotate_every`, or three where
   activations are pulled into a calendar: of three in a row, the last takes over hardly more
   than a `rotate_every` after the first.

Neither holds where no key is valid: then one key too many is the smaller harm.
"""

from collections.abc import Collection
from datetime import datetime

from rotator.core.keyset import Keyset
from rotator.core.policy import RotationPolicy
from rotator.core.reasons import Reason

MAX_KEYS, MAX_KEYS_WITH_CALENDAR = 2, 3


def is_runaway(
    policy: RotationPolicy,
    keyset: Keyset,
    reason: Reason,
    *,
    now: datetime,
    covered_until: datetime | None,
    generated: Collection[str | None],
) -> bool:
    """
    Whether one more key would be one too many.

    covered_until: of the decision that calls for it; None where cover has no end
    generated:     the kids that were generated for this keyset within the last
                   `rotate_every`, as far as anybody remembers; what somebody disabled
                   before it took over counts as well
    """
    if reason is Reason.NO_VALID_KEY:
        return False
    pending = [key for key in keyset.keys if policy.matches_shape(key) and key.activates > now]
    if any(key.enabled and (covered_until is None or key.activates <= covered_until) for key in pending):
        return True
    undone = (key.kid for key in pending if not key.enabled)
    return len({*generated, *undone}) >= (MAX_KEYS if policy.calendar is None else MAX_KEYS_WITH_CALENDAR)
