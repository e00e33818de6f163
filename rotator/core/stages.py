"""
Where a rotation stands, as values: what is remembered of a keyset between two looks.

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

    settle:      the time between the two looks of rule 1; also bounds how long a key is looked for
    is_one_shot: each keyset is looked at once, and what fails is not looked at again
    """

    check_interval: timedelta
    settle: timedelta
    dry_run: bool
    is_one_shot: bool = False


@dataclass(frozen=True, slots=True)
class Idle:
    """No key is called for, as far as this process knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """
    A look called for a key.

    since:        when that look was
    reason:       why it called for one
    not_before:   when the next request may be sent, after one that did nothing
    refused:      what came of the last request that did nothing; None before there was one
    attempts:     how many requests did nothing
    minimum_lead: the lead to ask for, once the service has refused a shorter one
    """

    since: float
    reason: Reason
    not_before: float = 0.0
    refused: Failed | None = None
    attempts: int = 0
    minimum_lead: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    A key was asked for, or a keyset where it was missing, and no look has shown it yet.

    planned:     the plan that was carried out
    kid:         the key's, where the service named it
    doubt:       why nobody knows what the request did; None where the service said that it generated the key
    next_look:   when to look for it again
    until:       when to give up; None before the first look
    looks:       how many looks there were
    was_enabled: the key was enabled by us
    trouble:     what the last look has shown instead of the key
    """

    planned: Planned
    kid: str | None
    doubt: Failure | None
    remark: str | None
    next_look: float
    until: float | None = None
    looks: int = 0
    was_enabled: bool = False
    trouble: str = "the keyset does not show it"


Stage: TypeAlias = Idle | Called | Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """
    All that is remembered of one keyset between two looks.

    failures:      how many looks or rotations in a row have failed
    is_failing:    the last look failed, so the next one must succeed before anything else happens
    retry_at:      when to look again after a failure; None: the next sweep is soon enough
    was_seen:      this process saw the keyset
    cover_ends:    when the last valid key expires, as last seen; None where that was never seen, or never
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
        """The lead to decide with, where the service was seen to want more than the policy says."""
        return self.stage.minimum_lead if isinstance(self.stage, Called) else None

    @property
    def is_creating(self) -> bool:
        """Whether the keyset itself was asked for, and not seen yet."""
        return isinstance(self.stage, Asked) and self.stage.planned.reason is Reason.MISSING

    def act_at(self, timing: Timing) -> float | None:
        """When this keyset wants a look that leads to a request, or that looks for a key; None where it does not."""
        match self.stage:
            case Called(since=since, not_before=not_before) if not (self.is_failing or timing.dry_run):
                return max(since + timing.settle.total_seconds(), not_before)
            case Asked(next_look=next_look):
                return next_look
            case _:
                return None


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for the key of this plan, or for the keyset where that is missing."""

    planned: Planned


@dataclass(frozen=True, slots=True)
class Enable:
    """Enable the key with this kid, which was asked for by us."""

    kid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    What a look, or the answer to a request, leads to.

    outcome: what to tell; None where there is no news
    action:  what to do now, before anything is told; None where nothing is to be done
    """

    progress: Progress
    outcome: Outcome | None = None
    action: Ask | Enable | None = None


def tell(progress: Progress, stage: Stage, outcome: Outcome, at: float, timing: Timing) -> Step:
    """Tell *outcome*, which leads to *stage*; where it is a failure, say when to look again."""
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
    """True if the look that may write is still to come: *outcome* neither begins nor ends a row of failures."""
    return isinstance(outcome, Planned) and not timing.dry_run
