"""
The documented limits: so many requests a minute per app and tenant, and per tenant.

Refused requests count as well ("all requests accrue", https://learn.microsoft.com/graph/throttling),
so a client that hammers stays locked out. Since what matters is whether the *limit*-th
request before this one lies inside the window, only that many instants are kept.
"""

import math
import threading
from collections import deque

from rotator.emulator.http.answers import RefusedError
from rotator.emulator.model.switches import Switches
from rotator.emulator.model.tenants import Tenant


class Throttle:
    """Sliding windows on the emulated clock, for one emulator."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, str], deque[float]] = {}

    def count(self, tenant: Tenant, client_id: str, now: float) -> None:
        """Count one request. Raises: RefusedError, 429, if it is one too many."""
        switches = tenant.switches
        with self._lock:
            waits = (
                self._wait((tenant.id, client_id), switches.throttle_per_app, switches, now),
                self._wait((tenant.id, ""), switches.throttle_per_tenant, switches, now),
            )
        wait = max(waits)
        if wait > 0:
            retry_after = (("Retry-After", str(math.ceil(wait))),)
            headers = retry_after if switches.throttle_retry_after else ()
            raise RefusedError(429, "TooManyRequests", "Too many requests.", headers)

    def _wait(self, who: tuple[str, str], limit: int, switches: Switches, now: float) -> float:
        """Count a request of *who*; seconds until the next may come, 0 where this one may."""
        if limit <= 0:
            return 0
        window = self._windows.get(who)
        # After a change of the limit, or if the clock was moved back, counting starts again.
        if window is None or window.maxlen != limit or (window and window[-1] > now):
            window = self._windows[who] = deque(maxlen=limit)
        over = len(window) == limit and window[0] > now - switches.throttle_window
        window.append(now)
        return window[0] + switches.throttle_window - now if over else 0
