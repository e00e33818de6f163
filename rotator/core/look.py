"""One look at a keyset: the decision on the answer of the service, as an outcome."""

from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.keyset import Keyset
from rotator.core.outcome import Failed, Held, Observation, Planned
from rotator.core.rotation import Hold, Rotate, decide

Look: TypeAlias = Held | Planned | Failed
"""The outcomes of a look that writes nothing."""


def judge(observation: Observation, found: Keyset | Exception | None, minimum_lead: timedelta | None = None) -> Look:
    """
    Decide on *found*: the keyset, None if the tenant has no keyset with that id, or the error that prevented the look.

    observation:        which keyset was looked at, and when
    minimum_lead: the shortest lead that the service accepts, if it has refused that of the policy

    An unexpected exception in the decision is a failure of this keyset alone, so that others still get their keys.
    """
    if found is None:
        message = f"the tenant has no keyset {observation.policy.keyset_id}; check its id, tenant_id and cloud"
        return Failed(observation=observation, failure=Failure(kind=FailureKind.NOT_FOUND, message=message))
    if isinstance(found, Exception):
        return failed(observation, found)
    try:
        decision = decide(observation.policy, found, observation.now, minimum_lead=minimum_lead)
    except Exception as error:  # noqa: BLE001 - see above
        return failed(observation, error)
    seen = replace(observation, keyset=found, assessment=decision.assessment)
    match decision:
        case Hold(reason=reason, would=would, spec=spec):
            return Held(observation=seen, reason=reason, would=would, spec=spec)
        case Rotate(reason=reason, spec=spec):
            return Planned(observation=seen, reason=reason, spec=spec)


def failed(observation: Observation, error: Exception) -> Failed:
    """The failed outcome for *error*; one that is not a `RequestError` is a bug in rotator."""
    if isinstance(error, RequestError):
        return Failed(observation=observation, failure=error.failure)
    message = f"a bug in rotator ({type(error).__name__}); please report it with the traceback in the log"
    return Failed(observation=observation, failure=Failure(kind=FailureKind.INTERNAL, message=message), bug=error)
