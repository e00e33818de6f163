from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from views.cases import DAY, HOUR, NOW, hourly, key, monthly, policy

from rotator.core.forecast import MAX_ROTATIONS
from rotator.core.keyset import Key, Keyset, KeyState
from rotator.core.policy import Mode, RotationPolicy
from rotator.views.timeline import MAX_BARS, MAX_TICKS, Band, draw, ticks

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("begin", "span", "expected"),
    [
        pytest.param(-60 * DAY, 425 * DAY, ["Jan 2030", "Apr 2030", "Jul 2030", "Oct 2030"], id="a year"),
        pytest.param(-4 * DAY, 40 * DAY, ["31 Dec", "14 Jan", "28 Jan"], id="weeks"),
        pytest.param(-HOUR, 4 * DAY, ["01 Jan", "02 Jan", "03 Jan", "04 Jan"], id="days"),
        pytest.param(-4 * HOUR, 28 * HOUR, ["01. 00:00", "01. 06:00", "01. 12:00", "01. 18:00"], id="a day and more"),
        pytest.param(-HOUR, 6 * HOUR, ["00:00", "02:00", "04:00"], id="hours"),
        pytest.param(-7 * SECOND, 40 * SECOND, ["00:00:00", "00:00:10", "00:00:20", "00:00:30"], id="seconds"),
    ],
)
def test_marks_stand_where_something_begins(begin: timedelta, span: timedelta, expected: list[str]) -> None:
    """What is written at a mark is true: there begins a month, a day, an hour."""
    assert [text for _, text in ticks(NOW + begin, NOW + begin + span)] == expected


@pytest.mark.parametrize("seconds", [10**power * factor for power in range(1, 8) for factor in (1, 3, 7)])
def test_marks_are_few(seconds: int) -> None:
    """However long or short the span is, its marks have room side by side, and there is at least one."""
    start, span = NOW - 12_345 * SECOND, seconds * SECOND
    found = list(ticks(start, start + span))
    assert 1 <= len(found) <= MAX_TICKS + 1
    assert all(start <= instant < start + span for instant, _ in found)


def test_ticks_of_a_wide_terminal_are_more() -> None:
    """If there is room for more ticks they are closer together."""
    texts = [text for _, text in ticks(NOW - 60 * DAY, NOW + 365 * DAY, 15)]
    assert texts[:3] == ["Dec 2029", "Jan 2030", "Feb 2030"]
    assert len(texts) == 13


def test_draw_plans_a_year_of_months() -> None:
    """What rotates every month is planned for all of the year ahead."""
    keyset = Keyset(id="B2C_1A_X", keys=(key("a", -5, 26),))
    planned = [bar.key for bar in draw(monthly("B2C_1A_X"), keyset, NOW).bars if bar.state is None]
    assert [each.nbf for each in planned] == [NOW + days * DAY for days in range(25, 365, 30)]


def test_rows_keep_what_is_planned_together() -> None:
    """Each key has its own row; planned keys alternate between two rows, and no two on one row touch."""
    timeline = draw(policy(), Keyset(id="B2C_1A_X", keys=(key("a", -100, -9), key("b", -10, 81))), NOW)
    first, second, *planned = timeline.rows()
    assert [first, second] == [[timeline.bars[0]], [timeline.bars[1]]]
    assert [len(row) for row in planned] == [2, 2]
    assert all(before.key.expires <= after.key.activates for row in planned for before, after in pairwise(row))


def test_draw_ends_however_short_lives_are() -> None:
    """Keys that are valid for seconds do not make a year of planned keys."""
    short = replace(
        policy(),
        rotate_every=8 * SECOND,
        overlap=4 * SECOND,
        publication_lead=2 * SECOND,
        renewal_window=3 * SECOND,
    )
    timeline = draw(short, Keyset(id="B2C_1A_X", keys=()), NOW)
    assert timeline.end == NOW + 24 * 8 * SECOND
    assert len(timeline.bars) == MAX_ROTATIONS


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


def test_bands_are_the_overlaps_and_the_window_and_lead_of_the_next_key() -> None:
    """The bands come in the order in which they are drawn, so that the plan is never hidden by an overlap."""
    observed = replace(policy(), mode=Mode.OBSERVE)
    keyset = Keyset(id="B2C_1A_X", keys=(key("a", -80, 11), key("b", 10, 101)))
    assert list(draw(observed, keyset, NOW).bands()) == [
        (Band.OVERLAP, (NOW + 10 * DAY, NOW + 11 * DAY)),
        (Band.WINDOW, (NOW + 84 * DAY, NOW + 98 * DAY)),
        (Band.LEAD, (NOW + 98 * DAY, NOW + 100 * DAY)),
    ]


def test_bands_of_a_keyset_without_a_key_to_follow() -> None:
    """If the next key follows no other key, all instants of its plan are now, and there is no window to show."""
    assert list(draw(replace(policy(), mode=Mode.OBSERVE), Keyset(id="B2C_1A_X", keys=()), NOW).bands()) == []


@pytest.mark.parametrize(
    ("keys", "gaps"),
    [
        pytest.param((key("a", -10, 81),), [(81, 365)], id="it ends"),
        pytest.param((key("a", -10, 81), key("b", 80, 400)), [], id="covered"),
        pytest.param((key("a", -10, 81), key("b", 90, 100)), [(81, 90), (100, 365)], id="a gap, and the end"),
        pytest.param((key("a", -50, -9),), [(-9, 365)], id="it has ended"),
        pytest.param((key("a", -50, -9), key("b", 5, 400)), [(-9, 5)], id="until the next begins"),
        pytest.param((key("a", -50, -20), key("b", -10, 400)), [], id="over"),
        pytest.param((key("b", 5, 400),), [(0, 5)], id="the first is to come"),
        pytest.param((), [(0, 365)], id="none"),
        pytest.param((key("a", None, None),), [], id="no end"),
    ],
)
def test_gaps_last_from_the_end_of_the_cover(keys: tuple[Key, ...], gaps: list[tuple[int, int]]) -> None:
    """A gap begins where the cover ends, however long ago, and lasts until a key takes over."""
    timeline = draw(policy(), Keyset(id="B2C_1A_X", keys=keys), NOW, is_written=False)
    assert list(timeline.gaps) == [(NOW + begin * DAY, NOW + end * DAY) for begin, end in gaps]
    assert [bar for bar in timeline.bars if bar.state is None] == []


@pytest.mark.parametrize("of", [policy(), monthly("B2C_1A_X"), hourly("B2C_1A_X")])
def test_draw_has_no_gap_where_keys_are_generated(of: RotationPolicy) -> None:
    """What is planned is whole, to the edge of what is shown."""
    assert draw(of, Keyset(id="B2C_1A_X", keys=(key("a", -0.01, 0.04),)), NOW).gaps == ()


def test_draw_has_room_for_so_many_and_says_how_many_it_left_out() -> None:
    """A keyset with thousands of keys is drawn with the newest of them, quickly."""
    keys = tuple(key(f"k{n}", -1 - n / 1000, 90) for n in range(5000))
    timeline = draw(policy(), Keyset(id="B2C_1A_X", keys=keys), NOW)
    assert timeline.left_out == 5000 - MAX_BARS
    assert timeline.bars[MAX_BARS - 1].key.kid == "k0"
