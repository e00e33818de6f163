"""Which keysets are in trouble, and which of them are shown first."""

from collections.abc import Mapping
from datetime import timedelta

from rotator.core.status import Name
from rotator.views.assessment import KeysetAssessment
from rotator.views.condition import Condition, Level

_LEVELS = tuple(Level)


def urgency(assessment: KeysetAssessment) -> tuple[int, bool, timedelta]:
    """A sort key: by level, then keysets without a valid key, then by the remaining cover; unknown cover is last."""
    left = assessment.cover_left
    level = _LEVELS.index(assessment.level)
    return level, not assessment.has_no_valid_key, timedelta.max if left is None else left


def in_trouble(assessments: Mapping[Name, KeysetAssessment]) -> list[list[Name]]:
    """
    The keysets in trouble, the most urgent first.

    Keysets of one tenant that have the same most serious conditions are one group.
    """
    groups: dict[tuple[str, tuple[Condition, ...]], list[Name]] = {}
    bad = [name for name, assessment in assessments.items() if assessment.level.is_trouble]
    for name in sorted(bad, key=lambda name: urgency(assessments[name])):
        groups.setdefault((name[0], assessments[name].most_serious), []).append(name)
    return list(groups.values())
