from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from views.cases import DAY, HOUR, NOW, hourly, key, policy

from rotator.core.keyset import Key, Keyset
from rotator.core.policy import RotationPolicy
from rotator.views.scale import NEAR, PAST, Scale, scale
from rotator.views.svg import LABEL
from rotator.views.timeline import draw

CASES = [
    pytest.param(policy(), (key("a", -10, 81),), id="months"),
    pytest.param(policy(), (key("a", -80, 11),), id="days"),
    pytest.param(policy(), (key("a", -90.5, 0.5),), id="half a day"),
    pytest.param(policy(), (key("a", -90.5, 0.001),), id="a minute"),
    pytest.param(policy(), (key("a", None, None),), id="no end"),
    pytest.param(policy(), (), id="no key"),
    pytest.param(hourly("B2C_1A_X"), (key("a", -0.01, 0.04),), id="an hour"),
]


def scaled(of: RotationPolicy, keys: tuple[Key, ...]) -> Scale:
    return scale(draw(of, Keyset(id="B2C_1A_X", keys=keys), NOW))


@pytest.mark.parametrize(("of", "keys"), CASES)
def test_place_keeps_the_order(of: RotationPolicy, keys: tuple[Key, ...]) -> None:
    """What is later is further right, from edge to edge; what is outside is at the edge."""
    found = scaled(of, keys)
    instants = [found.start + (found.end - found.start) * n / 500 for n in range(501)]
    places = [found.place(instant) for instant in instants]
    assert all(before < after for before, after in pairwise(places))
    assert (places[0], places[-1], found.place(NOW)) == (0, 100, PAST)
    assert (found.place(found.start - DAY), found.place(found.end + DAY)) == (0, 100)


@pytest.mark.parametrize(
    ("days", "least"),
    [(0.5, 10), (0.1, 1), (3, 15), (11, 8)],
)
def test_place_of_what_comes_next_is_apart_from_now(days: float, least: float) -> None:
    """A key that ends in twelve hours ends visibly after now, although a year is shown."""
    found = scaled(policy(), (key("a", -80, days),))
    assert found.place(NOW + days * DAY) - PAST >= least
    assert found.place(found.near) == NEAR


@pytest.mark.parametrize(("of", "keys"), CASES)
def test_ticks_have_texts_that_do_not_meet(of: RotationPolicy, keys: tuple[Key, ...]) -> None:
    """The last tick has a text in any case, and no text is written over another one or over the edge."""
    ticks = scaled(of, keys).ticks(LABEL)
    assert ticks[-1].label is not None
    labels = sorted(tick.label for tick in ticks if tick.label is not None)
    assert all(0 <= label <= 100 - LABEL for label in labels)
    assert all(after - before >= LABEL for before, after in pairwise(labels))


def test_scale_is_even_where_nothing_is_near() -> None:
    """If nothing changes for months, a month is as wide everywhere."""
    found = scaled(policy(), (key("a", None, None),))
    assert not found.is_even, "a key is due at once"
    found = scaled(replace(policy(), rotate_every=200 * DAY), (key("a", -1, 400),))
    assert found.is_even
    widths = [found.place(NOW + days * DAY) - found.place(NOW + (days - 1) * DAY) for days in range(1, 365)]
    assert max(widths) - min(widths) < 1e-6


def test_near_part_holds_what_comes_next() -> None:
    """It ends after twice the time until something changes."""
    assert scaled(policy(), (key("a", -90.5, 0.5),)).near == NOW + DAY
    assert timedelta() < scaled(policy(), (key("a", -90.5, 0.001),)).near - NOW <= 22 * HOUR
