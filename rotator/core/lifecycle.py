"""
The lifecycle of a rotation: the next step after each look at a keyset.

    Idle ──look: rotate──▶ Called ──`settle` later, a look says the same──▶ ask ──▶ Asked
      ▲                      │ look: hold                                             │
      └──────────────────────┴──────── the key is seen, or the time to see it is over ┘

All of these rules are in this module. They are strict because a key cannot be taken back:

1. A key is requested only if two successful looks, at least `settle` apart, both call for it;
   the second is right before the request. By then the keyset shows a key that an earlier
   process requested, and every node of the service has it. The reasons `no_valid_key` and
   `undated` count only if both looks give them. If the second look lacks a key of the first, it
   counts as a first look: the keyset was replaced, or lost keys.
2. A look that fails in between changes nothing: the first look still counts.
3. While a requested key has not been seen yet, no other key is requested.
4. A request that may have been carried out is never sent again. Looks find out what it did;
   if they do not show a key, rule 1 starts again.
5. A request that certainly changed nothing is sent again only after another look.
6. A missing keyset is requested by the same rules; once it is seen, rule 1 starts for its first key.
7. A key that rotator requested is enabled if the service created it disabled. No other key is changed.

Nothing here reads a clock: `at` and every other instant that is a float is in monotonic
seconds. The state is not stored: a new process starts with rule 1.
"""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from rotator.core.confirmation import MIN_ENABLINGS, look_for_key, not_seen
from rotator.core.errors import Effect, Failure, FailureKind, RequestError
from rotator.core.look import Look, failed
from rotator.core.outcome import Failed, Held, Outcome, Planned
from rotator.core.policy import KNOWN_MINIMUM_LEAD
from rotator.core.reasons import Reason, Refusal, confirms
from rotator.core.retry import Retry
from rotator.core.stages import Ask, Asked, Called, Idle, Progress, Step, Timing, tell
from rotator.core.text import format_span

REQUESTS = Retry(
    first=2.0,
    longest=30.0,
    kinds=frozenset({FailureKind.CONFLICT, FailureKind.THROTTLED, FailureKind.NETWORK, FailureKind.TIMEOUT}),
    max_attempts=4,
    max_retry_after=30.0,
)
"""How often one key is requested, and the pauses in between, if each request certainly changed nothing."""

_REFUSED_AS_TOO_SOON = (
    "the service refused a sooner nbf, so this key takes over later than it should; set minimum_lead to "
    f"{format_span(KNOWN_MINIMUM_LEAD)}, and generate a key by hand if it cannot wait"
)


def advance(progress: Progress, look: Look, at: float, timing: Timing) -> Step:
    """The step after *look*, which was made at *at*."""
    if progress.is_creating and look.observation.keyset is not None:
        progress = replace(progress, stage=Idle(), is_failing=False)
    stage = progress.stage
    if isinstance(stage, Asked):
        return look_for_key(progress, stage, look, at, timing)
    match look:
        case Held():
            return tell(progress, Idle(), look, at, timing)
        case Failed():
            return tell(progress, stage, look, at, timing)
        case Planned(reason=reason):
            keys = (
                frozenset(key.identity for key in look.observation.keyset.keys)
                if look.observation.keyset
                else frozenset()
            )
            if isinstance(stage, Idle) or not confirms(stage.reason, reason) or not stage.keys <= keys:
                stage = Called(since=at, reason=reason, keys=keys)
            step = tell(progress, stage, look, at, timing)
            act_at = step.progress.act_at(timing)
            return step if act_at is None or at < act_at else replace(step, action=Ask(look))


def generated(progress: Progress, planned: Planned, kid: str | None, at: float) -> Step:
    """The step after the service said that it generated the key; *kid*: None if it did not name one."""
    remark = None if progress.minimum_lead is None else _REFUSED_AS_TOO_SOON
    return Step(progress=_asked(progress, Asked(planned=planned, kid=kid, doubt=None, remark=remark, next_look=at)))


def not_generated(
    progress: Progress, planned: Planned, error: Exception, at: float, timing: Timing, jitter: Callable[[], float]
) -> Step:
    """
    The step after the request failed, or could not be sent.

    jitter: draws from [0, 1)
    """
    if not isinstance(error, RequestError):
        blind = replace(planned.observation, keyset=None, assessment=None)
        return tell(progress, Idle(), failed(blind, error), at, timing)
    failure = error.failure
    if error.effect is Effect.UNKNOWN:
        return Step(
            progress=_asked(progress, Asked(planned=planned, kid=None, doubt=failure, remark=None, next_look=at))
        )
    came_of_it = Failed(observation=planned.observation, failure=failure, spec=planned.spec)
    stage = progress.stage if isinstance(progress.stage, Called) else Called(since=at, reason=planned.reason)
    if stage.minimum_lead is None and _was_too_soon(planned, failure):
        again = replace(stage, minimum_lead=KNOWN_MINIMUM_LEAD, not_before=at, refused=came_of_it)
        return Step(progress=replace(progress, stage=again))
    pause = request_pause(failure, stage.attempts + 1, jitter)
    if pause is None:
        return tell(progress, Idle(), came_of_it, at, timing)
    again = replace(stage, attempts=stage.attempts + 1, not_before=at + pause, refused=came_of_it)
    return Step(progress=replace(progress, stage=again))


def refused(progress: Progress, planned: Planned, objection: Refusal | Failure, at: float, timing: Timing) -> Step:
    """The step after a gate refused the request, so that it was not sent; rule 1 starts again."""
    if isinstance(objection, Failure):
        outcome: Outcome = Failed(observation=planned.observation, failure=objection, spec=planned.spec)
    else:
        outcome = Held(observation=planned.observation, reason=objection)
    return tell(progress, Idle(), outcome, at, timing)


def enabled(progress: Progress, error: Exception | None, at: float) -> Progress:
    """The progress after the request to enable the key; *error*: None if that succeeded."""
    stage = progress.stage
    if not isinstance(stage, Asked):
        return progress
    if error is not None:
        message = error.failure.message if isinstance(error, RequestError) else type(error).__name__
        return replace(progress, stage=replace(stage, trouble=f"{stage.trouble}, and enabling it failed ({message})"))
    next_look = at if stage.enablings <= MIN_ENABLINGS else stage.next_look
    return replace(progress, stage=replace(stage, next_look=next_look))


def given_up(progress: Progress, at: float, timing: Timing) -> Step:
    """The step if the process stops before the rotation is finished."""
    match progress.stage:
        case Asked() as stage:
            return tell(progress, Idle(), not_seen(stage, timing), at, timing)
        case Called(refused=Failed() as came_of_it):
            return tell(progress, Idle(), came_of_it, at, timing)
        case _:
            return Step(progress=progress)


def _asked(progress: Progress, stage: Asked) -> Progress:
    return replace(progress, stage=stage, is_failing=False, retry_at=None)


def _was_too_soon(planned: Planned, failure: Failure) -> bool:
    """True if the service may have refused a late key because its nbf is too soon."""
    late = planned.reason in (Reason.NO_VALID_KEY, Reason.OVERDUE)
    soon = planned.spec.nbf < planned.observation.now + KNOWN_MINIMUM_LEAD
    return late and soon and failure.kind is FailureKind.BAD_REQUEST and failure.status == HTTPStatus.BAD_REQUEST


def request_pause(failure: Failure, attempt: int, jitter: Callable[[], float]) -> float | None:
    """Seconds until the next request, after the *attempt*-th that changed nothing; None if there is no next one."""
    if failure.kind is FailureKind.AUTH and failure.status == HTTPStatus.UNAUTHORIZED and attempt == 1:
        return 0.0  # the token was refused and dropped: the next request gets a new one
    return REQUESTS.pause(failure, attempt, jitter)
