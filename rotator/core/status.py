"""What is known of a keyset, and how an outcome changes it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.core.drift import MAX_CHANGES, Change, ChangeKind, changes
from rotator.core.errors import FailureKind
from rotator.core.outcome import Failed, Held, Observation, Outcome
from rotator.core.policy import KeySpec, RotationPolicy
from rotator.core.proof import KeysetProof, prove
from rotator.core.publication import Evidence
from rotator.core.reasons import Reason, Refusal

Name = tuple[str, str]
"""The names of a tenant and of a keyset, as configured."""


class KeysetSeries(StrEnum):
    """Which keysets have series. The values are part of the interface."""

    ALL = "all"
    DUE = "due"  # those that need attention
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysetStatus:
    """
    All that is known of one keyset.

    policy:            as configured now
    outcome:           of the last look; None before the first
    effective_outcome: the outcome; a failed or guarded one stays in force until a look that
                       could have rotated the keyset disproves it
    observation:             the last one that showed the keyset, however long ago; None before that
    failures:          how many looks or rotations in a row have failed
    failing_since:     when the first of these was; None where there is none
    asked:             the key that was called for last; None where none was
    changes:           what others changed in the keyset since this process looks at it, the latest last
    evidence:          what the probes of its tenant have shown; None where there was none
    """

    policy: RotationPolicy
    outcome: Outcome | None = None
    effective_outcome: Outcome | None = None
    observation: Observation | None = None
    failures: int = 0
    failing_since: datetime | None = None
    asked: KeySpec | None = None
    changes: tuple[Change, ...] = ()
    evidence: Evidence | None = None

    def proof(self, now: datetime) -> KeysetProof | None:
        """What probes say of the keyset at *now*; None where it is not probed, or was not seen yet."""
        if self.evidence is None or self.observation is None or self.observation.keyset is None:
            return None
        keyset = self.observation.keyset
        return prove(self.policy, keyset, self.evidence, now, seen=self.observation.now)

    def needs_attention(self, now: datetime, stale: timedelta) -> bool:
        """
        Whether the keyset is within its renewal window, on hold, in trouble, or not known well enough to say.

        stale: how old an observation may be
        """
        seen, outcome = self.observation, self.effective_outcome
        if seen is None or seen.assessment is None or now - seen.now > stale or self.failures:
            return True
        found, proof = seen.assessment, self.proof(now)
        return (
            not (isinstance(outcome, Held) and outcome.reason in (Reason.NOT_DUE, Reason.OBSERVE))
            or found.plan.renewal_due <= now
            or found.at_risk
            or bool(found.notes)
            or (proof is not None and bool(proof.findings))
        )

    def updated(self, outcome: Outcome, *, is_preliminary: bool, failures: int) -> "KeysetStatus":
        """
        The status after *outcome*.

        is_preliminary: the look that may write is still to come, so it disproves nothing
        """
        stays = is_preliminary and _is_trouble(self.effective_outcome)
        return replace(
            self,
            outcome=outcome,
            effective_outcome=self.effective_outcome if stays else outcome,
            observation=outcome.observation if outcome.observation.keyset is not None else self.observation,
            failures=failures,
            failing_since=(self.failing_since or outcome.observation.now) if failures else None,
            asked=_asked(outcome) or self.asked,
            changes=(*self.changes, *self.changed_by(outcome))[-MAX_CHANGES:],
        )

    def changed_by(self, outcome: Outcome) -> tuple[Change, ...]:
        """What others changed between the last look that showed the keyset and *outcome*; nothing at the first look."""
        before, seen = self.observation, outcome.observation
        if before is None or before.keyset is None:
            return ()
        if seen.keyset is not None:
            return tuple(changes(before.keyset, seen.keyset, _asked(outcome) or self.asked, seen.now))
        if _is_deleted(outcome) and not _is_deleted(self.outcome):
            return (Change(kind=ChangeKind.KEYSET_DELETED, seen=seen.now),)
        return ()


def _asked(outcome: Outcome) -> KeySpec | None:
    return None if isinstance(outcome, Held) else outcome.spec


def _is_deleted(outcome: Outcome | None) -> bool:
    is_missing = isinstance(outcome, Failed) and outcome.failure.kind is FailureKind.NOT_FOUND
    return outcome is not None and is_missing and outcome.observation.has_backup


def _is_trouble(outcome: Outcome | None) -> bool:
    match outcome:
        case Failed() | Held(reason=Refusal.RUNAWAY_GUARD):
            return True
        case _:
            return False


def proofs(entries: Mapping[Name, KeysetStatus], now: datetime) -> dict[Name, KeysetProof]:
    """What probes say of each keyset; one of a tenant that is not probed is absent."""
    return {name: proof for name, entry in entries.items() if (proof := entry.proof(now)) is not None}
