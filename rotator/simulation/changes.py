"""When another look at a keyset may have another outcome than the last one."""

from collections.abc import Iterator
from datetime import datetime

from rotator.core.keyset import NEVER, Keyset
from rotator.core.outcome import Held, Observation, Outcome, Rotated
from rotator.core.reasons import Reason, Refusal


def next_change(outcome: Outcome) -> datetime:
    """
    The first instant at which another look may have another outcome than *outcome*.

    It is the instant of the look itself if the next sweep must look again.
    """
    observation = outcome.observation
    match outcome:
        case Held(reason=reason) if not isinstance(reason, Refusal):
            pass
        case Rotated():
            pass
        case _:
            return observation.now
    keyset, assessment = observation.keyset, observation.assessment
    if (
        keyset is None
        or assessment is None
        or any(key.nbf is None and key.is_valid(observation.now) for key in keyset.keys)
    ):
        return observation.now  # with a key without nbf, the decision depends on the time of the look
    renewal_due = assessment.plan.renewal_due
    if outcome.reason is Reason.NOT_DUE and not (assessment.at_risk or assessment.notes):
        return renewal_due  # a takeover within an unbroken chain does not change the plan
    return min(_changes(observation, keyset, renewal_due), default=NEVER)


def _changes(observation: Observation, keyset: Keyset, renewal_due: datetime) -> Iterator[datetime]:
    hold = observation.policy.hold
    instants = [renewal_due, *(date for key in keyset.keys for date in (key.nbf, key.exp) if date is not None)]
    if hold is not None:
        instants.append(hold.ends)
    return (each for each in instants if each > observation.now)
