"""
Retry policies: how long to wait before a failed request is tried again.

Exponential back-off with jitter over the upper half, so that clients that failed together do not
retry together. If the service names a wait (Retry-After), that is used instead.

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

    kinds:           the kinds of failure that are retried
    max_attempts:    the maximum number of attempts; None: no limit
    max_timeouts:    the same for failures of kind `timeout`, since each attempt takes long; None: `max_attempts`
    first, longest:  the waits in seconds: they double from `first` up to `longest`
    max_retry_after: the longest Retry-After that is accepted, in seconds; a longer one ends the attempts
    """

    first: float
    longest: float
    kinds: frozenset[FailureKind] = frozenset(FailureKind)
    max_attempts: int | None = None
    max_timeouts: int | None = None
    max_retry_after: float = math.inf

    def delay(self, attempt: int, jitter: float = 0.0) -> float:
        """
        The wait after the *attempt*-th failure in a row (1 for the first), in seconds.

        *jitter*, in [0, 1), shortens it by up to half.

        >>> [Retry(first=1, longest=5).delay(attempt) for attempt in (1, 2, 3, 4, 5)]
        [1.0, 2.0, 4.0, 5.0, 5.0]
        """
        return min(self.longest, self.first * 2.0 ** min(attempt - 1, 30)) * (1 - jitter / 2)

    def pause(self, failure: Failure, attempt: int, jitter: Callable[[], float]) -> float | None:
        """
        Seconds to wait after *failure*, the *attempt*-th in a row; None if there is no further attempt.

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
"""The retries of looks. A keyset whose failure a person must fix is only looked at with the next sweep."""

MIN_LOOK_PAUSE = timedelta(seconds=10)
"""The minimum pause between two looks. It keeps a failing tenant far below Graph's limit of 200 requests a minute."""


def next_look(failure: Failure, streak: int, left: timedelta | None, check_interval: timedelta) -> timedelta | None:
    """
    How long to wait after the *streak*-th failure in a row (1 for the first); None if the next sweep is soon enough.

    For every kind of failure, the wait is at most one eighth of the remaining cover.

    left: until the keyset's cover ends; None if that is not known
    """
    pause = LOOKS.pause(failure, streak, lambda: 0.0)
    wait = check_interval if pause is None else timedelta(seconds=pause)
    if left is not None:
        wait = min(wait, left / 8 if left > timedelta() else timedelta(seconds=LOOKS.first))
    wait = max(wait, MIN_LOOK_PAUSE)
    return wait if wait < check_interval else None
