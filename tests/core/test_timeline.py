from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from views.cases import DAY, NOW, key, monthly, policy

from rotator.core.keyset import Keyset, KeyState
from rotator.core.policy import Mode
from rotator.core.timeline import MOST_BARS, MOST_PLANNED, draw, forecast, rows


def test_forecast_is_what_rotation_every_so_often_comes_to() -> None:
    """Each planned key takes over when the one before it has been active for rotate_every, for a year ahead."""
    keyset = Keyset(id="B2C_1A_X", keys=(key("a", -10, 81),))
    planned = list(forecast(policy(), keyset, NOW, NOW + 365 * DAY))
    assert [each.nbf for each in planned] == [NOW + days * DAY for days in (80, 170, 260, 350)]
    assert {each.expires - each.activates for each in planned} == {91 * DAY}


def test_forecast_of_what_is_only_observed_is_empty() -> None:
    """Where nothing may be written, nothing is planned."""
    keyset = Keyset(id="B2C_1A_X", keys=(key("a", -80, 11),))
    assert list(forecast(policy(mode=Mode.OBSERVE), keyset, NOW, NOW + 365 * DAY)) == []


def test_forecast_of_months_reaches_a_year() -> None:
    """What rotates every month is planned for all of the year ahead."""
    keyset = Keyset(id="B2C_1A_X", keys=(key("a", -5, 26),))
    planned = [bar.key for bar in draw(monthly("B2C_1A_X"), keyset, NOW).bars if bar.state is None]
    assert [each.nbf for each in planned] == [NOW + days * DAY for days in range(25, 365, 30)]


def test_rows_keep_what_is_planned_together() -> None:
    """Each key has a row of its own; what is planned takes turns on two, and no two on one row touch."""
    timeline = draw(policy(), Keyset(id="B2C_1A_X", keys=(key("a", -100, -9), key("b", -10, 81))), NOW)
    first, second, *planned = rows(timeline.bars)
    assert [first, second] == [[timeline.bars[0]], [timeline.bars[1]]]
    assert [len(row) for row in planned] == [2, 2]
    assert all(before.key.expires <= after.key.activates for row in planned for before, after in pairwise(row))


def test_forecast_ends_however_short_lives_are() -> None:
    """Lives of seconds do not make a year of planned keys."""
    seconds = timedelta(seconds=1)
    short = replace(
        policy(),
        rotate_every=8 * seconds,
        overlap=4 * seconds,
        publication_lead=2 * seconds,
        renewal_window=3 * seconds,
    )
    timeline = draw(short, Keyset(id="B2C_1A_X", keys=()), NOW)
    assert timeline.end == NOW + 24 * 8 * seconds
    assert len(timeline.bars) == MOST_PLANNED


def test_draw_shows_one_active_key_at_any_instant_without_a_gap() -> None:
    """The active stretches of all bars follow each other from the first key on."""
    timeline = draw(policy(), Keyset(id="B2C_1A_X", keys=(key("a", -100, -9), key("b", -10, 81))), NOW)
    spans = sorted(span for bar in timeline.bars for span in bar.active)
    assert spans[0][0] == timeline.start
    assert spans[-1][1] == timeline.end
    assert [finish for _, finish in spans[:-1]] == [begin for begin, _ in spans[1:]]
    assert all(begin < finish for begin, finish in spans)


def test_draw_falls_back_to_the_undated_key() -> None:
    """The safety net is active until the first dated key takes over."""
    timeline = draw(policy(), Keyset(id="B2C_1A_X", keys=(key("net", None, None),)), NOW)
    net = timeline.bars[0]
    assert (net.state, net.active) == (KeyState.ACTIVE, ((timeline.start, NOW + 2 * DAY),))


def test_draw_marks_overlaps_where_the_one_before_is_still_valid() -> None:
    """An overlap lasts from activation to the expiry of the predecessor."""
    timeline = draw(policy(), Keyset(id="B2C_1A_X", keys=(key("a", -10, 81),)), NOW)
    assert timeline.overlaps[0] == (NOW + 80 * DAY, NOW + 81 * DAY)
    assert all(before[1] <= after[0] for before, after in pairwise(timeline.overlaps))


def test_draw_has_room_for_so_many_and_says_how_many_it_left_out() -> None:
    """A keyset with thousands of keys is drawn with the newest of them, quickly."""
    keys = tuple(key(f"k{n}", -1 - n / 1000, 90) for n in range(5000))
    timeline = draw(policy(), Keyset(id="B2C_1A_X", keys=keys), NOW)
    assert timeline.left_out == 5000 - MOST_BARS
    assert timeline.bars[MOST_BARS - 1].key.kid == "k0"
