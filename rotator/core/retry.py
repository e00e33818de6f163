"""
How long to wait before trying again.

Exponential back-off with full jitter over the upper half, so that clients that
failed together do not come back together (AWS Architecture Blog, "Exponential
Backoff And Jitter"). Chance is handed in, so the maths can be repeated.
"""

from collections.abc import Iterator
from datetime import timedelta


def backoff(attempt: int, *, first: float, longest: float, chance: float) -> float:
    """
    Seconds to wait after the *attempt*-th failure in a row (0 for the first).

    Doubles from *first* up to *longest*; *chance*, in [0, 1), takes off up to half.
    """
    span = min(longest, first * 2.0 ** min(attempt, 30))
    return span * (1 - chance / 2)


def ladder(*, first: float, longest: float) -> Iterator[float]:
    """
    The pauses between one look and the next, without end: doubling from *first* up to *longest*.

    >>> from itertools import islice
    >>> list(islice(ladder(first=1, longest=5), 5))
    [1, 2, 4, 5, 5]
    """
    pause = first
    while True:
        yield pause
        pause = min(pause * 2, longest)


def bounded(wait: timedelta | None, fallback: float, *, longest: float) -> float | None:
    """Seconds to wait where the service may have asked for *wait*; None where that is too long to stay for."""
    seconds = fallback if wait is None else max(wait.total_seconds(), 0.0)
    return seconds if seconds <= longest else None
