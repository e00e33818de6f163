from datetime import timedelta

import pytest
from core.builders import DAY, HOUR

from rotator.core.assessment import NoteKind, Shortfall


def test_shortfall_worst_takes_the_larger_of_each() -> None:
    """Of two hand-overs each is told by its worse one, in either order."""
    one = Shortfall(lead=DAY, overlap=HOUR, cover=DAY)
    other = Shortfall(lead=HOUR, overlap=DAY, cover=HOUR)
    assert one.worst(other) == other.worst(one) == Shortfall(lead=DAY, overlap=DAY, cover=DAY)


@pytest.mark.parametrize("name", ["lead", "overlap", "cover"])
def test_shortfall_is_there_where_one_of_them_is(name: str) -> None:
    """Anything that falls short counts; nothing else does."""
    assert Shortfall(**{name: timedelta(seconds=1)})
    assert not Shortfall()


def test_note_kind_of_a_mismatch() -> None:
    """Only another use or type keeps the service from taking another key."""
    assert [kind for kind in NoteKind if kind.is_mismatch] == [NoteKind.USE_DIFFERS, NoteKind.KTY_DIFFERS]
