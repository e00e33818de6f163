"""The offsets of tenants within a round."""

from collections import Counter
from datetime import timedelta

import pytest
from core.builders import HOUR, tenant_id

from rotator.core.spread import ROUND_END, is_spread, offset


def test_offsets_are_even() -> None:
    """Each sixth of an hour has about a sixth of 6,000 tenants, and no second has a burst."""
    offsets = [offset(tenant_id(f"tenant{n}"), HOUR) for n in range(6000)]
    assert all(timedelta() <= each < HOUR - ROUND_END for each in offsets)
    sixths = Counter(each // ((HOUR - ROUND_END) / 6) for each in offsets)
    assert set(sixths) == set(range(6))
    assert all(900 < number < 1100 for number in sixths.values())
    assert max(Counter(offsets).values()) <= 10


def test_offset_stays() -> None:
    """A tenant has the same offset in every process."""
    assert offset(tenant_id("contoso"), HOUR) == offset(tenant_id("contoso"), HOUR)
    assert offset(tenant_id("contoso"), HOUR) != offset(tenant_id("fabrikam"), HOUR)


@pytest.mark.parametrize("seconds", [1, 5, 60])
def test_short_interval_is_not_spread(seconds: int) -> None:
    """Rounds that are so short have no room to be spread in."""
    assert not is_spread(timedelta(seconds=seconds))
    assert offset(tenant_id("contoso"), timedelta(seconds=seconds)) == timedelta()
