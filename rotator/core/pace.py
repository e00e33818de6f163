"""
How soon a keyset is looked at again after something failed.

Each kind of failure has its own pace: what passes by itself is tried again soon
and then ever more slowly, what a person must mend is looked at with the next
sweep. However it failed, what is left until users notice sets a limit: after an
eighth of it, it is tried again.
"""

from datetime import timedelta

from rotator.core.errors import Failure, FailureKind

FIRST = timedelta(minutes=1)
LONGEST = timedelta(minutes=30)
SHORTEST = timedelta(seconds=10)  # keeps a tenant in trouble far below the 200 requests a minute that Graph grants

_FOR_A_PERSON = frozenset(
    {FailureKind.FORBIDDEN, FailureKind.NOT_FOUND, FailureKind.BAD_REQUEST, FailureKind.MISMATCH, FailureKind.INTERNAL}
)


def next_look(failure: Failure, streak: int, left: timedelta | None, check_interval: timedelta) -> timedelta | None:
    """
    How long to wait after the *streak*-th failure in a row (1 for the first); None: the next sweep is soon enough.

    left: until the keyset's cover ends; None where that is not known
    """
    if failure.kind in _FOR_A_PERSON:
        wait = check_interval
    elif failure.retry_after is not None:
        wait = failure.retry_after
    else:
        wait = min(FIRST * 2 ** min(streak - 1, 10), LONGEST)
    if left is not None:
        wait = min(wait, left / 8 if left > timedelta() else FIRST)
    wait = max(wait, SHORTEST)
    return wait if wait < check_interval else None
