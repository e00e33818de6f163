"""The status of a keyset, and how an outcome changes it."""

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
    The status of one keyset.

    policy:            as configured now
    outcome:           of the last look; None before the first look
    effective_outcome: the last outcome, but a failed or guarded one is kept until a look that
                       could have rotated the keyset gives another one
    observation:       the last one that showed the keyset; None if there was none
    failures:          how many looks or rotations in a row failed
    failing_since:     when the first of these was; None if there is none
    asked:             the last key that was called for; None if there was none
    changes:           what others changed in the keyset since the first look of this process, the latest last
    evidence:          of the probes of its tenant; None if there was no probe
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

    @classmethod
    def after(cls, outcome: Outcome, evidence: Evidence | None = None) -> "KeysetStatus":
        """The status right after a first look with *outcome*, with the *evidence* of a probe of its tenant."""
        return cls(
            policy=outcome.observation.policy,
            outcome=outcome,
            effective_outcome=outcome,
            observation=outcome.observation if outcome.observation.keyset is not None else None,
            evidence=evidence,
        )

    def proof(self, now: datetime) -> KeysetProof | None:
        """The result of the probes at *now*; None if the keyset is not probed, or was not seen yet."""
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

    def updated(
        self, outcome: Outcome, *, is_preliminary: bool, failures: int, drift: tuple[Change, ...]
    ) -> "KeysetStatus":
        """
        The status after *outcome*.

        drift:          what `changed_by` says of it
        is_preliminary: the second look, which may write, is still to come; the effective outcome stays
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
            changes=(*self.changes, *drift)[-MAX_CHANGES:],
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
    """The result of the probes for each keyset; keysets of tenants that are not probed are absent."""
    return {name: proof for name, entry in entries.items() if (proof := entry.proof(now)) is not None}


def outcomes(entries: Mapping[Name, KeysetStatus]) -> list[Outcome]:
    """The last outcome of each keyset that had a look."""
    return [entry.outcome for entry in entries.values() if entry.outcome is not None]
