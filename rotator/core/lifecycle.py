"""
The lifecycle of a rotation: what each look at a keyset leads to.

    Idle ──look: rotate──▶ Called ──`settle` later, a look says the same──▶ ask ──▶ Asked
      ▲                      │ look: hold                                             │
      └──────────────────────┴──────── the key is seen, or the time to see it is over ┘

This is the only place that knows these rules. Since a key cannot be taken back:

1. A key is asked for only when two successful looks, at least `settle` apart, both call
   for it, the second right before the request. What a process wrote before it died, and
   what a node of the service has not heard of yet, shows by then. That no key is valid,
   or that none is dated, must be the word of both looks.
2. A look that fails between them changes nothing: the first look stands.
3. While a key is asked for and not seen yet, no other one is asked for.
4. A request that may have been carried out is never sent again. What it did is found out
   by looking; if that shows nothing, rule 1 begins anew.
5. A request that certainly did nothing is sent again only after another look.
6. A key that the service created disabled is enabled, since it is ours; no other key is touched.

Nothing here reads a clock: `at` and every other instant that is a float is in monotonic
seconds. What is remembered is lost with the process, which then begins with rule 1.
"""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from rotator.core.confirmation import look_for_key, not_seen
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
"""How often one key is asked for, and how long apart, as long as each request certainly did nothing."""

_REFUSED_AS_TOO_SOON = (
    "the service refused a sooner nbf, so this key takes over later than it should; set minimum_lead to "
    f"{format_span(KNOWN_MINIMUM_LEAD)}, and generate a key by hand if it cannot wait"
)


def advance(progress: Progress, look: Look, at: float, timing: Timing) -> Step:
    """What *look*, which was made at *at*, leads to."""
    stage = progress.stage
    if isinstance(stage, Asked):
        return look_for_key(progress, stage, look, at, timing)
    match look:
        case Held():
            return tell(progress, Idle(), look, at, timing)
        case Failed():
            return tell(progress, stage, look, at, timing)
        case Planned(reason=reason):
            if isinstance(stage, Idle) or not confirms(stage.reason, reason):
                stage = Called(since=at, reason=reason)
            step = tell(progress, stage, look, at, timing)
            act_at = step.progress.act_at(timing)
            return step if act_at is None or at < act_at else replace(step, action=Ask(look))


def generated(progress: Progress, planned: Planned, kid: str | None, at: float) -> Step:
    """The service says that it generated the key; *kid*: None where it does not name it."""
    remark = None if progress.minimum_lead is None else _REFUSED_AS_TOO_SOON
    return Step(progress=_asked(progress, Asked(planned=planned, kid=kid, doubt=None, remark=remark, next_look=at)))


def not_generated(
    progress: Progress, planned: Planned, error: Exception, at: float, timing: Timing, jitter: Callable[[], float]
) -> Step:
    """
    The request failed, or could not be sent.

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
    """A gate had something against the request, so it was not sent; the two looks begin anew."""
    if isinstance(objection, Failure):
        outcome: Outcome = Failed(observation=planned.observation, failure=objection, spec=planned.spec)
    else:
        outcome = Held(observation=planned.observation, reason=objection)
    return tell(progress, Idle(), outcome, at, timing)


def enabled(progress: Progress, error: Exception | None, at: float) -> Progress:
    """The request to enable the key came to an end; *error*: None where it was carried out."""
    stage = progress.stage
    if not isinstance(stage, Asked):
        return progress
    if error is not None:
        message = error.failure.message if isinstance(error, RequestError) else type(error).__name__
        return replace(progress, stage=replace(stage, trouble=f"{stage.trouble}, and enabling it failed ({message})"))
    next_look = stage.next_look if stage.was_enabled else at
    return replace(progress, stage=replace(stage, was_enabled=True, next_look=next_look))


def given_up(progress: Progress, at: float, timing: Timing) -> Step:
    """End what is under way as it is now, since there is no time left."""
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
    """Whether a request that was late anyway may have been refused because its nbf was too soon."""
    late = planned.reason in (Reason.NO_VALID_KEY, Reason.OVERDUE)
    soon = planned.spec.nbf < planned.observation.now + KNOWN_MINIMUM_LEAD
    return late and soon and failure.kind is FailureKind.BAD_REQUEST and failure.status == HTTPStatus.BAD_REQUEST


def request_pause(failure: Failure, attempt: int, jitter: Callable[[], float]) -> float | None:
    """Seconds until the next request, after the *attempt*-th that did nothing; None where there is no next one."""
    if failure.kind is FailureKind.AUTH and failure.status == HTTPStatus.UNAUTHORIZED and attempt == 1:
        return 0.0  # the token was refused, and dropped: the next one is fresh
    return REQUESTS.pause(failure, attempt, jitter)
