"""
The stage of a rotation, as frozen values: what is remembered of a keyset between two looks.

Every instant that is a float is in monotonic seconds. The rules are in `lifecycle`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from rotator.core.assessment import Assessment
from rotator.core.errors import Failure
from rotator.core.outcome import Failed, Outcome, Planned
from rotator.core.policy import RotationPolicy
from rotator.core.reasons import Reason
from rotator.core.retry import next_look


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """
    How often keysets are looked at, and whether anything may be written.

    settle:      the time between the two looks of rule 1; also how long a requested key is looked for
    is_one_shot: each keyset is looked at once, and not again after a failure
    """

    check_interval: timedelta
    settle: timedelta
    dry_run: bool
    is_one_shot: bool = False


@dataclass(frozen=True, slots=True)
class Idle:
    """As far as this process knows, no key is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """
    A look called for a key.

    since:        when that look was
    reason:       the reason of its decision
    not_before:   when the next request may be sent, after one that changed nothing
    refused:      the outcome of the last request that changed nothing; None before there was one
    attempts:     how many requests changed nothing
    minimum_lead: the lead to ask for, after the service has refused a shorter one
    keys:         the identities of the keys that this look showed
    """

    since: float
    reason: Reason
    keys: frozenset[object] = frozenset()
    not_before: float = 0.0
    refused: Failed | None = None
    attempts: int = 0
    minimum_lead: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    A key was requested, or a keyset that is missing, and no look has shown it yet.

    planned:     the outcome that led to the request
    kid:         of the key; None if the service did not name it
    doubt:       why the result of the request is unknown; None if the service said that it generated the key
    next_look:   when to look for it again
    until:       when to give up; None before the first look
    looks:       how many looks there were
    enablings:   how many times rotator tried to enable the key
    trouble:     what the last look showed instead of the key
    """

    planned: Planned
    kid: str | None
    doubt: Failure | None
    remark: str | None
    next_look: float
    until: float | None = None
    looks: int = 0
    enablings: int = 0
    trouble: str = "the keyset does not show it"


Stage: TypeAlias = Idle | Called | Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """
    Everything that is remembered of one keyset between two looks.

    failures:      how many looks or rotations in a row have failed
    is_failing:    the last look failed, so the next one must succeed before anything else happens
    retry_at:      when to look again after a failure; None: the next sweep is soon enough
    was_seen:      this process has seen the keyset
    cover_ends:    when cover ends, as last seen; None if it does not end, or was never seen
    """

    policy: RotationPolicy
    stage: Stage = Idle()
    failures: int = 0
    is_failing: bool = False
    retry_at: float | None = None
    cover_ends: datetime | None = None
    was_seen: bool = False

    @property
    def minimum_lead(self) -> timedelta | None:
        """The lead to decide with, after the service has refused that of the policy; else None."""
        return self.stage.minimum_lead if isinstance(self.stage, Called) else None

    @property
    def is_creating(self) -> bool:
        """Whether the keyset itself was asked for, and not seen yet."""
        return isinstance(self.stage, Asked) and self.stage.planned.reason is Reason.MISSING

    def act_at(self, timing: Timing) -> float | None:
        """When the next look before a request, or for a requested key, is due (monotonic seconds); None if none is."""
        match self.stage:
            case Called(since=since, not_before=not_before) if not (self.is_failing or timing.dry_run):
                return max(since + timing.settle.total_seconds(), not_before)
            case Asked(next_look=next_look):
                return next_look
            case _:
                return None


@dataclass(frozen=True, slots=True)
class Ask:
    """Request the key of *planned*, or the keyset if that is missing."""

    planned: Planned


@dataclass(frozen=True, slots=True)
class Enable:
    """Enable the key with this kid, which rotator requested."""

    kid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    The result of a look, or of the answer to a request.

    outcome: the outcome to report; None if there is nothing new
    action:  what to do now, before the outcome is reported; None if nothing
    """

    progress: Progress
    outcome: Outcome | None = None
    action: Ask | Enable | None = None


def tell(progress: Progress, stage: Stage, outcome: Outcome, at: float, timing: Timing) -> Step:
    """The step to *stage* with *outcome*; after a failure it also says when to look again."""
    is_failed = isinstance(outcome, Failed)
    failures = progress.failures + 1 if is_failed else progress.failures if is_preliminary(outcome, timing) else 0
    seen = outcome.observation.assessment
    cover_ends = progress.cover_ends if seen is None else _cover_ends(seen, outcome.observation.now)
    retry_at = None
    if isinstance(outcome, Failed) and not timing.is_one_shot:
        left = None if cover_ends is None else cover_ends - outcome.observation.now
        pause = next_look(outcome.failure, failures, left, timing.check_interval)
        retry_at = None if pause is None else at + pause.total_seconds()
    return Step(
        progress=replace(
            progress,
            stage=stage,
            failures=failures,
            is_failing=is_failed,
            retry_at=retry_at,
            cover_ends=cover_ends,
        ),
        outcome=outcome,
    )


def _cover_ends(assessment: Assessment, now: datetime) -> datetime | None:
    left = assessment.cover_left(now)
    return None if left is None else now + left


def is_preliminary(outcome: Outcome, timing: Timing) -> bool:
    """True if the second look, which may write, is still to come: then the number of failures does not change."""
    return isinstance(outcome, Planned) and not timing.dry_run
