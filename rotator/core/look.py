"""What one look at a keyset says: the answer of the service, judged by the decision."""

from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.keyset import Keyset
from rotator.core.outcome import Failed, Held, Planned, Sight
from rotator.core.rotation import Hold, Rotate, decide

Look: TypeAlias = Held | Planned | Failed
"""What a look leads to as long as nothing is written."""


def judge(sight: Sight, found: Keyset | Exception | None, minimum_lead: timedelta | None = None) -> Look:
    """
    Decide on what was *found*: the keyset, None where the tenant has none of that id, or why it could not be read.

    sight:        which keyset was looked at, and when
    minimum_lead: the least lead that the service takes, where it was seen to want more than the policy says

    A bug in the decision is this keyset's failure, so that it does not cost the others their keys.
    """
    if found is None:
        message = f"the tenant has no keyset {sight.policy.keyset_id}; check its id, tenant_id and cloud"
        return Failed(sight=sight, failure=Failure(kind=FailureKind.NOT_FOUND, message=message))
    if isinstance(found, Exception):
        return failed(sight, found)
    try:
        decision = decide(sight.policy, found, sight.now, minimum_lead=minimum_lead)
    except Exception as error:  # noqa: BLE001 - see above
        return failed(sight, error)
    seen = replace(sight, keyset=found, outlook=decision.outlook)
    match decision:
        case Hold(reason=reason):
            return Held(sight=seen, reason=reason)
        case Rotate(reason=reason, spec=spec):
            return Planned(sight=seen, reason=reason, spec=spec)


def failed(sight: Sight, error: Exception) -> Failed:
    """The failure that *error* is for a keyset; whatever is not a `RequestError` is a bug of ours."""
    if isinstance(error, RequestError):
        return Failed(sight=sight, failure=error.failure)
    message = f"a bug of this program ({type(error).__name__}); please report it with the traceback in the log"
    return Failed(sight=sight, failure=Failure(kind=FailureKind.INTERNAL, message=message), bug=error)
