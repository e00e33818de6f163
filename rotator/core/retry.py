"""
How long to wait before something that failed is tried again.

Exponential back-off with jitter over the upper half, so that clients that failed together do not
come back together. What the service asks for (Retry-After) goes before our own wait.

Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from rotator.core.errors import Failure, FailureKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """
    A retry policy.

    kinds:           the failures that pass by themselves
    max_attempts:    how often something is tried at most; None: without end
    max_timeouts:    the same for `timeout`, where each attempt has waited for long; None: `max_attempts`
    first, longest:  the own waits, in seconds: doubling from `first` up to `longest`
    max_retry_after: the longest wait that the service may ask for, in seconds; more ends the attempts
    """

    first: float
    longest: float
    kinds: frozenset[FailureKind] = frozenset(FailureKind)
    max_attempts: int | None = None
    max_timeouts: int | None = None
    max_retry_after: float = math.inf

    def delay(self, attempt: int, jitter: float = 0.0) -> float:
        """
        Our own wait after the *attempt*-th failure in a row (1 for the first), in seconds.

        *jitter*, in [0, 1), takes off up to half.

        >>> [Retry(first=1, longest=5).delay(attempt) for attempt in (1, 2, 3, 4, 5)]
        [1.0, 2.0, 4.0, 5.0, 5.0]
        """
        return min(self.longest, self.first * 2.0 ** min(attempt - 1, 30)) * (1 - jitter / 2)

    def pause(self, failure: Failure, attempt: int, jitter: Callable[[], float]) -> float | None:
        """
        Seconds to wait after *failure*, the *attempt*-th in a row; None: it is not tried again.

        jitter: draws from [0, 1)
        """
        if failure.kind not in self.kinds or attempt >= self._max_attempts(failure.kind):
            return None
        own = self.delay(attempt, jitter())
        if failure.retry_after is None:
            return own
        asked = max(failure.retry_after.total_seconds(), 0.0)
        return asked if asked <= self.max_retry_after else None

    def _max_attempts(self, kind: FailureKind) -> float:
        if kind is FailureKind.TIMEOUT and self.max_timeouts is not None:
            return self.max_timeouts
        return math.inf if self.max_attempts is None else self.max_attempts


_FOR_A_PERSON = frozenset(
    {FailureKind.FORBIDDEN, FailureKind.NOT_FOUND, FailureKind.BAD_REQUEST, FailureKind.MISMATCH, FailureKind.INTERNAL}
)
LOOKS = Retry(first=60.0, longest=1800.0, kinds=frozenset(FailureKind) - _FOR_A_PERSON)
"""Looks at a keyset. What a person must fix is looked at with the next sweep."""

MIN_LOOK_PAUSE = timedelta(seconds=10)
"""Keeps a tenant that fails far below the 200 requests a minute that Graph grants."""


def next_look(failure: Failure, streak: int, left: timedelta | None, check_interval: timedelta) -> timedelta | None:
    """
    How long to wait after the *streak*-th failure in a row (1 for the first); None: the next sweep is soon enough.

    However it failed, the keyset is looked at again after an eighth of the time that is left
    until users notice.

    left: until the keyset's cover ends; None where that is not known
    """
    pause = LOOKS.pause(failure, streak, lambda: 0.0)
    wait = check_interval if pause is None else timedelta(seconds=pause)
    if left is not None:
        wait = min(wait, left / 8 if left > timedelta() else timedelta(seconds=LOOKS.first))
    wait = max(wait, MIN_LOOK_PAUSE)
    return wait if wait < check_interval else None
