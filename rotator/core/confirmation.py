"""
Confirmation: looking in the keyset for the key that was requested; the last part of a rotation.

Either the service answered that it generated the key, or the answer was lost. In both cases
the keyset is read again until it shows the key, or until every node of the service must have
it. A key that the service created disabled is enabled.
"""

from dataclasses import replace

from rotator.core.errors import Failure, FailureKind
from rotator.core.keyset import Key, Keyset
from rotator.core.look import Look
from rotator.core.outcome import Failed, Rotated
from rotator.core.reasons import Reason
from rotator.core.retry import Retry
from rotator.core.stages import Asked, Enable, Idle, Progress, Step, Timing, tell

LOOKS = Retry(first=1.0, longest=30.0)
"""The pauses between two looks for a key, in seconds."""

MIN_ENABLINGS = 2
"""How often enabling a key is tried at least, however slow the service is: one answer may be lost or wrong."""


def look_for_key(progress: Progress, stage: Asked, look: Look, at: float, timing: Timing) -> Step:
    """
    What follows for the requested key from *look*, made at *at* (monotonic seconds).

    Further looks follow after the pauses of `LOOKS`; the last one when `settle` is over, counted
    from the first.
    """
    until = at + timing.settle.total_seconds() if stage.until is None else stage.until
    looks = stage.looks + 1
    pause = min(LOOKS.delay(looks), max(until - at, 0.0))
    stage = replace(stage, until=until, looks=looks, next_look=at + pause)
    keyset = look.observation.keyset
    if keyset is None:
        is_failing = isinstance(look, Failed)
        trouble = f"it could not be looked at ({look.failure.message})" if isinstance(look, Failed) else stage.trouble
        return _keep_looking(replace(progress, is_failing=is_failing), replace(stage, trouble=trouble), at, timing)
    progress = replace(progress, is_failing=False)
    key = _find(stage, keyset)
    if key is None:
        return _keep_looking(progress, stage, at, timing)
    differences = stage.planned.spec.differences(key)
    if differences:
        message = f"key {key.kid} was generated, but differs from the request: {', '.join(differences)}"
        failure = Failure(kind=FailureKind.MISMATCH, message=message)
        return tell(progress, Idle(), _failed(stage, failure, key.kid or ""), at, timing)
    if key.enabled:
        return tell(progress, Idle(), _rotated(stage, look, key), at, timing)
    return _enable(progress, stage, key, at, timing)


def _enable(progress: Progress, stage: Asked, key: Key, at: float, timing: Timing) -> Step:
    """Enable the key after each look that shows it disabled; after the last look until that was tried twice."""
    trouble = f"key {key.kid} is there, but disabled"
    is_over = stage.until is not None and at >= stage.until
    if key.kid is None or (is_over and stage.enablings >= MIN_ENABLINGS):
        known = stage.trouble if stage.trouble.startswith(trouble) else trouble  # with why enabling it failed
        return _keep_looking(progress, replace(stage, trouble=known), at, timing)
    stage = replace(stage, trouble=trouble, enablings=stage.enablings + 1)
    return Step(progress=replace(progress, stage=stage), action=Enable(key.kid))


def _find(stage: Asked, keyset: Keyset) -> Key | None:
    """The key with the kid that the service named or, if it named none, a new key exactly as requested."""
    if stage.kid is not None:
        return next((key for key in keyset.keys if key.kid == stage.kid), None)
    asked = stage.planned
    before = asked.observation.keyset.kids if asked.observation.keyset else frozenset()
    fresh = (key for key in keyset.keys if key.kid not in before)
    return next((key for key in fresh if not asked.spec.differences(key)), None)


def _keep_looking(progress: Progress, stage: Asked, at: float, timing: Timing) -> Step:
    if stage.until is not None and at >= stage.until:
        return tell(progress, Idle(), not_seen(stage, timing), at, timing)
    return Step(progress=replace(progress, stage=stage))


def not_seen(stage: Asked, timing: Timing) -> Failed:
    """The failure if no look has shown the key: the one that left the result open or, without that, `unconfirmed`."""
    settle = f"{timing.settle.total_seconds():g}s"
    if stage.doubt is not None:
        return _failed(stage, stage.doubt.explained(f"looked for the key for {settle}: {stage.trouble}"))
    if stage.planned.reason is Reason.MISSING:
        message = f"Graph said that it created the keyset, but within {settle} the tenant does not show it"
        return _failed(stage, Failure(kind=FailureKind.UNCONFIRMED, message=message))
    message = f"Graph said that it generated the key, but within {settle} {stage.trouble}"
    return _failed(stage, Failure(kind=FailureKind.UNCONFIRMED, message=message), stage.kid or "")


def _failed(stage: Asked, failure: Failure, generated: str | None = None) -> Failed:
    return Failed(observation=stage.planned.observation, failure=failure, spec=stage.planned.spec, generated=generated)


def _rotated(stage: Asked, look: Look, key: Key) -> Rotated:
    asked = stage.planned
    remark = f"adopted: {stage.doubt.message}, but the key is there" if stage.doubt is not None else stage.remark
    return Rotated(
        before=asked.observation,
        observation=look.observation,
        reason=asked.reason,
        spec=asked.spec,
        kid=key.kid,
        remark=remark,
    )
