"""When within a round each tenant is looked at."""

import hashlib
from datetime import timedelta

from rotator.core.tenant import TenantId

ROUND_END = timedelta(minutes=1)
"""How long before the next round the last tenant of a round is looked at."""


def offset(tenant: TenantId, check_interval: timedelta) -> timedelta:
    """
    How long after the begin of a round *tenant* is looked at, in whole seconds; always the same for the same tenant.

    The offsets of many tenants are spread evenly over `check_interval`, without its last minute. If the interval is
    at most a minute, all are 0.
    """
    span = int(max(check_interval - ROUND_END, timedelta()).total_seconds())
    drawn = int.from_bytes(hashlib.sha256(str(tenant).encode()).digest()[:8], "big")
    return timedelta(seconds=span * drawn >> 64)


def is_spread(check_interval: timedelta) -> bool:
    """True if the tenants of a round are looked at one after the other, and not all at once."""
    return check_interval > ROUND_END
