"""One look at a keyset: the decision on the answer of the service, as an outcome."""

from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.keyset import Keyset
from rotator.core.outcome import Failed, Held, Observation, Planned
from rotator.core.reasons import Reason
from rotator.core.rotation import Hold, Rotate, decide

Look: TypeAlias = Held | Planned | Failed
"""The outcomes of a look that writes nothing."""


def judge(
    observation: Observation,
    found: Keyset | Exception | None,
    minimum_lead: timedelta | None = None,
    *,
    was_seen: bool = False,
) -> Look:
    """
    Decide on *found*: the keyset, None if the tenant has no keyset with that id, or the error that prevented the look.

    observation:        which keyset was looked at, and when
    minimum_lead: the shortest lead that the service accepts, if it has refused that of the policy
    was_seen:     this process has seen the keyset before

    An unexpected exception in the decision is a failure of this keyset alone, so that others still get their keys.
    """
    if found is None:
        return _missing(observation, was_seen=was_seen)
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


def _missing(observation: Observation, *, was_seen: bool) -> Look:
    """
    The tenant lists no keyset of that id: call for one where the policy creates it, and nobody deleted it.

    A keyset that was deleted is not created again: tokens that its keys signed would stay invalid, and
    whether that is meant is for a person to say.
    """
    policy = observation.policy
    advice = "check its id, tenant_id and cloud"
    if policy.create and (observation.has_backup or was_seen):
        why = "its backup (.bak) is there" if observation.has_backup else "it was there before"
        advice = f"it is not created, since {why}: create it by hand if it is to be recreated"
    elif policy.create:
        first = decide(policy, Keyset(id=policy.keyset_id, keys=()), observation.now)
        if isinstance(first, Rotate):
            return Planned(observation=observation, reason=Reason.MISSING, spec=first.spec)
        advice = "it is not created while the configuration has a hold"
    message = f"the tenant has no keyset {policy.keyset_id}; {advice}"
    return Failed(observation=observation, failure=Failure(kind=FailureKind.NOT_FOUND, message=message))


def failed(observation: Observation, error: Exception) -> Failed:
    """The failed outcome for *error*; one that is not a `RequestError` is a bug in rotator."""
    if isinstance(error, RequestError):
        return Failed(observation=observation, failure=error.failure)
    message = f"a bug in rotator ({type(error).__name__}); please report it with the traceback in the log"
    return Failed(observation=observation, failure=Failure(kind=FailureKind.INTERNAL, message=message), bug=error)
