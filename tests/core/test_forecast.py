from datetime import timedelta

import pytest
from core.builders import DAY, KEYSET_ID, SECOND, T0, key, keyset, policy

from rotator.core.forecast import MAX_ROTATIONS, active_spans, forecast
from rotator.core.keyset import Keyset
from rotator.core.policy import Mode

POLICY = policy(overlap=DAY)
CURRENT = key("a", T0 - 10 * DAY, T0 + 81 * DAY)


def test_forecast_is_what_rotation_every_so_often_comes_to() -> None:
    """Each planned key takes over when the one before it has been active for rotate_every, for a year ahead."""
    planned = list(forecast(POLICY, keyset(CURRENT), T0, T0 + 365 * DAY))
    assert [each.nbf for each in planned] == [T0 + days * DAY for days in (80, 170, 260, 350)]
    assert {each.expires - each.activates for each in planned} == {91 * DAY}


def test_forecast_of_what_is_only_observed_is_empty() -> None:
    """If nothing may be written, nothing is planned."""
    found = keyset(key("a", T0 - 80 * DAY, T0 + 11 * DAY))
    assert list(forecast(policy(mode=Mode.OBSERVE), found, T0, T0 + 365 * DAY)) == []


def test_forecast_of_months_reaches_a_year() -> None:
    """What rotates every month is planned for all of the year ahead."""
    monthly = policy(overlap=DAY, rotate_every=30 * DAY, renewal_window=7 * DAY)
    found = keyset(key("a", T0 - 5 * DAY, T0 + 26 * DAY))
    planned = [each.nbf for each in forecast(monthly, found, T0, T0 + 365 * DAY) if each.activates < T0 + 365 * DAY]
    assert planned == [T0 + days * DAY for days in range(25, 365, 30)]


def test_forecast_ends_however_short_lives_are() -> None:
    """Keys that are valid for seconds do not make a year of planned keys."""
    short = policy(rotate_every=8 * SECOND, overlap=4 * SECOND, publication_lead=2 * SECOND, renewal_window=3 * SECOND)
    assert len(list(forecast(short, keyset(), T0, T0 + 365 * DAY))) == MAX_ROTATIONS


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(keyset(), [], id="no keys"),
        pytest.param(keyset(CURRENT), [("a", 0, 20)], id="one key"),
        pytest.param(
            keyset(key("a", T0, T0 + 9 * DAY), key("b", T0 + 8 * DAY, T0 + 15 * DAY)),
            [("a", 0, 8), ("b", 8, 9), ("b", 9, 15)],
            id="the later one takes over while the other is valid",
        ),
        pytest.param(
            keyset(key("a", T0, T0 + 5 * DAY), key("b", T0 + 7 * DAY, None)),
            [("a", 0, 5), ("b", 7, 20)],
            id="a gap",
        ),
        pytest.param(
            keyset(key("net", None, None), key("a", T0 + 2 * DAY, T0 + 5 * DAY)),
            [("net", 0, 2), ("a", 2, 5), ("net", 5, 20)],
            id="the undated key wherever no dated one is valid",
        ),
        pytest.param(keyset(key("a", T0, T0 + 5 * DAY, enabled=False)), [], id="disabled"),
    ],
)
def test_active_spans(found: Keyset, expected: list[tuple[str, int, int]]) -> None:
    """The active key of each span between two changes, without the spans that have none."""
    spans = active_spans(found, T0, T0 + 20 * DAY)
    assert [(each.kid, begin, finish) for each, (begin, finish) in spans] == [
        (kid, T0 + begin * DAY, T0 + finish * DAY) for kid, begin, finish in expected
    ]


def test_active_spans_say_what_the_keyset_says_at_each_instant() -> None:
    """At any instant the span's key is the one that B2C uses."""
    chain = [key(f"k{n}", T0 + n * 7 * DAY, T0 + (n * 7 + 9) * DAY) for n in range(5)]
    found = Keyset(id=KEYSET_ID, keys=(*chain, key("net", None, None)))
    spans = active_spans(found, T0 - 3 * DAY, T0 + 60 * DAY)
    for hours in range(-3 * 24, 60 * 24, 5):
        now = T0 + timedelta(hours=hours)
        (active,) = [each for each, (begin, finish) in spans if begin <= now < finish]
        assert active is found.active(now)
