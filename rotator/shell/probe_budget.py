"""How many requests the probes of a process may make, over all its tenants."""

import threading
from collections import deque
from collections.abc import Callable

MAX_REQUESTS, BUDGET_PERIOD = 200, 300.0  # requests per seconds; the sign-in hosts accept 6,000 from one address


class ProbeBudget:
    """The budget. `_lock` guards the instants of the requests."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """*monotonic* returns seconds that never decrease."""
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._requests: deque[float] = deque()

    def spend(self, requests: int) -> float:
        """Take *requests* from the budget; returns the seconds to wait if it has fewer left, else 0."""
        now = self._monotonic()
        with self._lock:
            while self._requests and self._requests[0] <= now - BUDGET_PERIOD:
                self._requests.popleft()
            wanted = min(requests, MAX_REQUESTS)
            if len(self._requests) + wanted <= MAX_REQUESTS:
                self._requests.extend([now] * wanted)
                return 0.0
            first = self._requests[len(self._requests) + wanted - MAX_REQUESTS - 1]
            return max(first + BUDGET_PERIOD - now, 1.0)
