"""
When the next key takes over: the end of the current key's turn (`rotate_every`), moved into the calendar.

The planned activation is moved to the last open instant at or before the turn. It is moved
earlier and not later, since the expiry of the predecessor is fixed and a later activation would
shorten the overlap. If that instant is too close, not all of these can be kept; the first in this
list is the most important: cover, overlap, lead, window.
"""

from datetime import datetime, timedelta
from functools import lru_cache

from rotator.core.assessment import Plan
from rotator.core.calendar import LAST_ASKED, SECOND, Calendar
from rotator.core.keyset import Key
from rotator.core.policy import ZERO, RotationPolicy


def plan_after(policy: RotationPolicy, head: Key, turn: datetime, now: datetime) -> Plan:
    """
    The plan for the key that follows dated *head*, whose turn ends at *turn*.

    The plan does not depend on *now* while the planned activation still leaves the full lead.
    """
    calendar = policy.calendar
    if calendar is None or turn > LAST_ASKED:
        return _plan(policy, turn, due=turn - policy.ahead)
    earlier = pulled(calendar, turn, max(head.activates + SECOND, turn - policy.rotate_every))
    planned = earlier or opened(policy, turn, overlapping_until(policy, head))
    plan = _plan(policy, planned, due=planned - policy.ahead, pulled_by=max(ZERO, turn - planned))
    if now <= plan.publish_by or earlier is None or earlier == turn:
        return plan
    if now > turn - policy.publication_lead:
        return _plan(policy, turn, due=plan.renewal_due)
    again = opened(policy, max(turn, now + policy.publication_lead), overlapping_until(policy, head), otherwise=turn)
    return _plan(policy, again, due=plan.renewal_due)


@lru_cache(maxsize=4096)
def pulled(calendar: Calendar, turn: datetime, since: datetime) -> datetime | None:
    """
    The last open instant from *since* to *turn*; None if there is none.

    The result is cached: it is the same at every look, and a search through months of closed days is slow.
    """
    return calendar.last_open_at_or_before(turn, since) if since <= turn else None


def opened(
    policy: RotationPolicy, earliest: datetime, latest: datetime, *, otherwise: datetime | None = None
) -> datetime:
    """
    The first open instant from *earliest* to *latest*.

    If there is none, the calendar is ignored: returns *otherwise* or, if that is None, *earliest*.
    """
    given_way = earliest if otherwise is None else otherwise
    if policy.calendar is None or not earliest <= latest or earliest > LAST_ASKED:
        return given_way
    until = min(latest, earliest + policy.rotate_every)
    return policy.calendar.next_open_at_or_after(earliest, until) or given_way


def overlapping_until(policy: RotationPolicy, head: Key) -> datetime:
    """The latest activation of a successor of *head* that leaves the configured overlap."""
    return head.expires - policy.overlap


def _plan(policy: RotationPolicy, activation: datetime, *, due: datetime, pulled_by: timedelta = ZERO) -> Plan:
    return Plan(
        renewal_due=due, publish_by=activation - policy.publication_lead, activation=activation, pulled_by=pulled_by
    )
