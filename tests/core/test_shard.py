"""Which shard has which tenant."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.core.shard import Shard, owner

DIRECTORIES = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789.-", min_size=1, max_size=40)


@given(DIRECTORIES, st.integers(1, 40))
def test_exactly_one_shard_has_a_tenant(directory: str, total: int) -> None:
    """No tenant is left out, and none is in two shards."""
    assert sum(Shard(index=index, total=total).has(directory) for index in range(total)) == 1


@given(DIRECTORIES, st.integers(1, 40))
def test_only_the_shard_that_comes_gains(directory: str, total: int) -> None:
    """With one shard more a tenant stays where it is, or moves to the new one; and the same the other way round."""
    before, after = owner(directory, total), owner(directory, total + 1)
    assert after in (before, total)


@given(DIRECTORIES, st.integers(1, 40))
def test_case_does_not_matter(directory: str, total: int) -> None:
    """A domain has one shard, however it is written."""
    assert owner(directory.upper(), total) == owner(directory, total)


@pytest.mark.parametrize("total", [2, 4, 5, 16])
def test_shares_are_even(total: int) -> None:
    """Each shard has about as many tenants as any other, and a new one takes about its share."""
    names = [f"tenant{n}.onmicrosoft.com" for n in range(8000)]
    shares = Counter(owner(name, total) for name in names)
    mean = len(names) / total
    assert all(abs(shares[index] - mean) < 0.2 * mean for index in range(total))
    moved = sum(owner(name, total) != owner(name, total + 1) for name in names)
    assert moved < 1.2 * len(names) / (total + 1)


def test_owners_stay() -> None:
    """Another version of the program must have the same owners: two writers otherwise."""
    assert [owner(f"tenant{n}.onmicrosoft.com", 4) for n in range(10)] == OWNERS


OWNERS = [2, 2, 3, 0, 2, 1, 1, 1, 1, 0]
