"""What one look at a keyset says: the answer of the service, judged by the decision."""

from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.keyset import Keyset
from rotator.core.outcome import Failed, Held, Observation, Planned
from rotator.core.reasons import Reason
from rotator.core.rotation import Hold, Rotate, decide

Look: TypeAlias = Held | Planned | Failed
"""What a look leads to as long as nothing is written."""


def judge(
    observation: Observation,
    found: Keyset | Exception | None,
    minimum_lead: timedelta | None = None,
    *,
    was_seen: bool = False,
) -> Look:
    """
    Decide on what was *found*: the keyset, None where the tenant has none of that id, or why it could not be read.

    observation:        which keyset was looked at, and when
    minimum_lead: the least lead that the service takes, where it was seen to want more than the policy says
    was_seen:     this process saw the keyset before

    A bug in the decision is this keyset's failure, so that it does not cost the others their keys.
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
    """The failure that *error* is for a keyset; whatever is not a `RequestError` is a bug of ours."""
    if isinstance(error, RequestError):
        return Failed(observation=observation, failure=error.failure)
    message = f"a bug of this program ({type(error).__name__}); please report it with the traceback in the log"
    return Failed(observation=observation, failure=Failure(kind=FailureKind.INTERNAL, message=message), bug=error)
