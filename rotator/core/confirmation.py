"""
Seeing in the keyset the key that was asked for: the last part of a rotation.

Either the service said that it generated the key, or nobody knows whether it did. Both
are settled by looking, for as long as it may take until every node of the service has
heard of it. A key that the service created disabled is enabled.
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
"""The pauses between two looks for a key."""


def look_for_key(progress: Progress, stage: Asked, look: Look, at: float, timing: Timing) -> Step:
    """
    What *look*, made at *at*, says of the key that was asked for.

    Each further look comes after a pause of `LOOKS`; the last one when `settle` is over, counted
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
        message = f"key {key.kid} was generated, but it is not what was asked for: {', '.join(differences)}"
        failure = Failure(kind=FailureKind.MISMATCH, message=message)
        return tell(progress, Idle(), _failed(stage, failure, key.kid or ""), at, timing)
    if key.enabled:
        return tell(progress, Idle(), _rotated(stage, look, key), at, timing)
    return _enable(progress, stage, key, at, timing)


def _enable(progress: Progress, stage: Asked, key: Key, at: float, timing: Timing) -> Step:
    """Have the key enabled at each look; where time is over, once if it was never tried, and then look once more."""
    trouble = f"key {key.kid} is there, but disabled"
    is_over = stage.until is not None and at >= stage.until
    if key.kid is None or (is_over and stage.was_enabled):
        known = stage.trouble if stage.trouble.startswith(trouble) else trouble  # with why enabling it failed
        return _keep_looking(progress, replace(stage, trouble=known), at, timing)
    stage = replace(stage, trouble=trouble, was_enabled=stage.was_enabled or is_over)
    return Step(progress=replace(progress, stage=stage), action=Enable(key.kid))


def _find(stage: Asked, keyset: Keyset) -> Key | None:
    """The key by its kid or, where nobody named it, one exactly as asked for that was not there before."""
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
    """The failure that it is when no look has shown the key: the doubt or, where there is none, `unconfirmed`."""
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
