"""
The runaway guard: a limit on the keys that are generated, for the case that something else is wrong.

A decision depends on what the service shows. If the service hides keys, if another program
undoes them, or if rotator has a bug, every decision calls for one more key, and a generated
key cannot be taken back. Therefore two rules hold for every decision:

1. While a successor of the configured shape is pending, and takes over before cover ends,
   no other key is requested.
2. No more than two keys are generated for a keyset in one `rotate_every`, or three if the policy
   has a calendar: it moves activations earlier, so three keys in a row may need little more
   than one `rotate_every`.

Neither rule holds if no key is valid: users cannot sign in, and one key too many is the smaller harm.
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
    True if the runaway guard must refuse one more key.

    covered_until: of the decision that calls for the key; None if cover does not end
    generated:     the kids that were generated for this keyset within the last
                   `rotate_every`, as far as this process knows; a key that somebody disabled
                   before it took over counts as well
    """
    if reason is Reason.NO_VALID_KEY:
        return False
    pending = [key for key in keyset.keys if policy.matches_shape(key) and key.activates > now]
    if any(key.enabled and (covered_until is None or key.activates <= covered_until) for key in pending):
        return True
    undone = (key.kid for key in pending if not key.enabled)
    return len({*generated, *undone}) >= (MAX_KEYS if policy.calendar is None else MAX_KEYS_WITH_CALENDAR)
