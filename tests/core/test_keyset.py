from datetime import UTC, datetime, timedelta

import pytest
from core.builders import DAY, HOUR, SECOND, T0, key, keyset

from rotator.core.keyset import ALWAYS, NEVER, Key, Keyset, KeyState

OVERLAP = 25 * HOUR
START, END = T0, T0 + 10 * DAY
FAR = T0 + 36_500 * DAY


@pytest.mark.parametrize(
    ("now", "valid"),
    [
        pytest.param(START - SECOND, False, id="a second before nbf"),
        pytest.param(START, True, id="at nbf"),
        pytest.param(START + SECOND, True, id="a second after nbf"),
        pytest.param(END - SECOND, True, id="a second before exp"),
        pytest.param(END, False, id="at exp"),
        pytest.param(END + SECOND, False, id="a second after exp"),
    ],
)
def test_is_valid_at_the_edges(now: datetime, *, valid: bool) -> None:
    """A key is valid from its nbf, included, to its exp, excluded."""
    assert valid == key("k", START, END).is_valid(now)


@pytest.mark.parametrize(
    ("nbf", "exp", "now", "valid"),
    [
        pytest.param(START, None, START - SECOND, False, id="only nbf, before it"),
        pytest.param(START, None, START, True, id="only nbf, at it"),
        pytest.param(START, None, FAR, True, id="only nbf, for ever"),
        pytest.param(None, END, T0 - 36_500 * DAY, True, id="only exp, since ever"),
        pytest.param(None, END, END - SECOND, True, id="only exp, before it"),
        pytest.param(None, END, END, False, id="only exp, at it"),
        pytest.param(None, None, T0 - 36_500 * DAY, True, id="undated, since ever"),
        pytest.param(None, None, FAR, True, id="undated, for ever"),
        pytest.param(START, START, START, False, id="exp at nbf"),
        pytest.param(END, START, START, False, id="exp before nbf, at exp"),
        pytest.param(END, START, END, False, id="exp before nbf, at nbf"),
    ],
)
def test_is_valid_missing_or_crossed_dates(
    nbf: datetime | None, exp: datetime | None, now: datetime, *, valid: bool
) -> None:
    """A missing date is not a limit, and a key whose dates cross is never valid."""
    assert valid == key("k", nbf, exp).is_valid(now)


@pytest.mark.parametrize(("nbf", "exp"), [(START, END), (START, None), (None, END), (None, None)])
def test_is_valid_disabled(nbf: datetime | None, exp: datetime | None) -> None:
    """A disabled key is never valid, whatever its dates."""
    assert not key("k", nbf, exp, enabled=False).is_valid(START)


@pytest.mark.parametrize(
    ("made", "dated", "usable"),
    [
        pytest.param(key("k", START, END), True, True, id="both dates"),
        pytest.param(key("k", START, None), True, True, id="only nbf"),
        pytest.param(key("k", None, END), True, True, id="only exp"),
        pytest.param(key("k", None, None), False, False, id="undated"),
        pytest.param(key("k", START, END, enabled=False), True, False, id="disabled"),
        pytest.param(key("k", START, START + SECOND), True, True, id="valid for one second"),
        pytest.param(key("k", START, START), True, False, id="exp at nbf"),
        pytest.param(key("k", END, START), True, False, id="exp before nbf"),
    ],
)
def test_is_usable_needs_a_date_and_time(made: Key, *, dated: bool, usable: bool) -> None:
    """Only a dated, enabled key that is valid at some instant takes part in a rollover."""
    assert (dated, usable) == (made.is_dated, made.is_usable)


def test_activates_and_expires_missing_dates() -> None:
    """Missing dates count as the ends of time, so that every key can be compared with every other."""
    undated = key("k", None, None)
    assert (undated.activates, undated.expires) == (ALWAYS, NEVER)
    assert (key("k", START, END).activates, key("k", START, END).expires) == (START, END)


def test_expires_at_the_end_of_the_calendar() -> None:
    """A key whose exp is the last second that there is expires when one without exp does."""
    assert key("k", START, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)).expires == key("k", START, None).expires


def test_kids_of_all_keys() -> None:
    """The kids are those of every key, a missing one included."""
    assert frozenset({"a", None}) == keyset(key("a", START, END), key(None, None, None), key("a", None, END)).kids


FIRST = key("first", START, END)
SECOND_KEY = key("second", END - OVERLAP, END + 9 * DAY)
NET = key("net", None, None)


@pytest.mark.parametrize(
    ("now", "active"),
    [
        pytest.param(START - SECOND, NET, id="before the first activates"),
        pytest.param(START, FIRST, id="the first activates"),
        pytest.param(SECOND_KEY.activates - SECOND, FIRST, id="before the rollover"),
        pytest.param(SECOND_KEY.activates, SECOND_KEY, id="the rollover"),
        pytest.param(END, SECOND_KEY, id="the first expires"),
        pytest.param(SECOND_KEY.expires - SECOND, SECOND_KEY, id="before the second expires"),
        pytest.param(SECOND_KEY.expires, NET, id="the second expires"),
    ],
)
def test_active_over_time(now: datetime, active: Key) -> None:
    """B2C uses the valid dated key that activated last, and the undated one only if there is none."""
    assert active == keyset(SECOND_KEY, NET, FIRST).active(now)


@pytest.mark.parametrize(
    ("keys", "active"),
    [
        pytest.param((), None, id="no key"),
        pytest.param((key("past", START - DAY, START),), None, id="only an expired key"),
        pytest.param((key("future", START + SECOND, END),), None, id="only a key to come"),
        pytest.param((key("off", START, END, enabled=False),), None, id="only a disabled key"),
        pytest.param((key("off", None, None, enabled=False),), None, id="only a disabled undated key"),
        pytest.param((key("crossed", START, START - DAY),), None, id="only crossed dates"),
        pytest.param(
            (FIRST, key("off", START, END + DAY, enabled=False)), FIRST, id="a disabled key is out of the rotation"
        ),
        pytest.param((key("exp", None, END), FIRST), FIRST, id="a key without nbf activated before all others"),
        pytest.param((NET, key("exp", None, END)), key("exp", None, END), id="a key with an exp is no safety net"),
        pytest.param((NET, key("nbf", START, None)), key("nbf", START, None), id="a key with an nbf is no safety net"),
        pytest.param((NET, key("net 2", None, None)), NET, id="of two undated keys the one listed first"),
    ],
)
def test_active_odd_keysets(keys: tuple[Key, ...], active: Key | None) -> None:
    """The active key is valid; without one, sign-in is broken."""
    assert active == keyset(*keys).active(START)


def test_active_falls_back_to_an_older_key() -> None:
    """Where the newest key expires first, B2C goes back to the one before, which is still valid."""
    older, newer = key("older", START, END), key("newer", START + DAY, START + 2 * DAY)
    both = keyset(older, newer)
    assert [older, newer, older] == [both.active(START), both.active(START + DAY), both.active(START + 2 * DAY)]


@pytest.mark.parametrize(
    ("one", "other", "active"),
    [
        pytest.param(key("a", START, END + SECOND), key("b", START, END), "a", id="the longer one"),
        pytest.param(key("a", START, None), key("b", START, END), "a", id="the one without exp"),
        pytest.param(key("a", None, END), key("b", None, END + SECOND), "b", id="both without nbf"),
        pytest.param(key("a", START, END), key("b", START, END), "b", id="equal but for the kid"),
        pytest.param(key(None, START, END), key("b", START, END), "b", id="one without kid"),
    ],
)
def test_active_tie(one: Key, other: Key, active: str) -> None:
    """Of two keys that activate together the one that expires later is active, however they are listed."""
    found = (keyset(one, other).active(START), keyset(other, one).active(START))
    assert (active, active) == tuple(key and key.kid for key in found)


def test_upcoming_order_and_edges() -> None:
    """Upcoming are the usable keys that activate later than the instant, soonest first."""
    soon, later = key("soon", START + SECOND, END), key("later", START + DAY, None)
    others = (
        key("now", START, END),
        key("off", START + DAY, END, enabled=False),
        key("exp", None, END),
        key("crossed", START + DAY, START + DAY),
        NET,
    )
    assert [soon, later] == list(keyset(later, *others, soon).upcoming(START))


@pytest.mark.parametrize(
    ("activates", "linked"),
    [
        pytest.param(END - OVERLAP - SECOND, True, id="a second to spare"),
        pytest.param(END - OVERLAP, True, id="just in time"),
        pytest.param(END - OVERLAP + SECOND, False, id="a second too late"),
        pytest.param(END, False, id="without overlap"),
        pytest.param(END + SECOND, False, id="behind a gap"),
        pytest.param(START + SECOND, True, id="right after its predecessor"),
    ],
)
def test_chain_link_overlaps(activates: datetime, *, linked: bool) -> None:
    """A link activates at least the overlap before the one before it expires."""
    second = key("second", activates, END + 9 * DAY)
    assert ((FIRST, second) if linked else (FIRST,)) == keyset(FIRST, second).chain(START, OVERLAP)


@pytest.mark.parametrize(
    ("expires", "linked"),
    [
        pytest.param(END - SECOND, False, id="sooner"),
        pytest.param(END, False, id="together"),
        pytest.param(END + SECOND, True, id="later"),
        pytest.param(None, True, id="never"),
    ],
)
def test_chain_link_outlasts(expires: datetime | None, *, linked: bool) -> None:
    """A link expires later than the one before it."""
    second = key("second", START + DAY, expires)
    assert ((FIRST, second) if linked else (FIRST,)) == keyset(FIRST, second).chain(START, OVERLAP)


A = key("a", START, START + 10 * DAY)
B = key("b", START + 8 * DAY, START + 20 * DAY)
C = key("c", START + 18 * DAY, START + 30 * DAY)


@pytest.mark.parametrize(
    ("keys", "chain"),
    [
        pytest.param((), (), id="no key"),
        pytest.param((NET,), (), id="an undated key is no link"),
        pytest.param((NET, A), (A,), id="an undated key beside a dated one"),
        pytest.param((A, B, C), (A, B, C), id="three links"),
        pytest.param((C, A, B), (A, B, C), id="however they are listed"),
        pytest.param((A, C), (A,), id="a key behind a gap"),
        pytest.param((B, C), (), id="nothing valid: the chain has no beginning"),
        pytest.param((NET, C, B), (B, C), id="only undated valid: it begins with the next key to come"),
        pytest.param((NET, key("past", START - DAY, START)), (), id="only undated valid, and nothing to come"),
        pytest.param((key("past", START - DAY, START), A), (A,), id="an expired key"),
        pytest.param(
            (key("old", START - DAY, START + 40 * DAY), A), (A,), id="a retained key is no link, however long"
        ),
        pytest.param((A, key("b", B.nbf, B.exp, enabled=False), C), (A,), id="a disabled key is a gap"),
        pytest.param((A, key("b", B.nbf, B.nbf), C), (A,), id="crossed dates are a gap"),
        pytest.param(
            (A, key("short", START + DAY, START + 2 * DAY), B), (A, B), id="a key that is soon over is skipped"
        ),
        pytest.param((key("a", START, None), B), (key("a", START, None),), id="nothing outlasts a key without exp"),
        pytest.param((key("a", None, A.exp), B), (key("a", None, A.exp), B), id="a key without nbf begins it"),
        pytest.param((A, key("b", B.nbf, None), C), (A, key("b", B.nbf, None)), id="a key without exp ends it"),
    ],
)
def test_chain_of_odd_keysets(keys: tuple[Key, ...], chain: tuple[Key, ...]) -> None:
    """The chain is what B2C will use in turn, without a gap and with the whole overlap."""
    assert chain == keyset(*keys).chain(START, OVERLAP)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("others", "before"),
    [
        pytest.param((NET,), (), id="at its beginning"),
        pytest.param((A,), (A,), id="further on"),
    ],
)
def test_chain_keys_that_activate_together(others: tuple[Key, ...], before: tuple[Key, ...], order: int) -> None:
    """Of two keys that activate together the chain has the one that will be active."""
    shorter, longer = key("shorter", B.nbf, B.exp), key("longer", B.nbf, START + 21 * DAY)
    both = keyset(*others, *(shorter, longer)[::order])
    assert longer == both.active(START + 8 * DAY)
    assert (*before, longer) == both.chain(START, OVERLAP)


def test_chain_moves_on_with_time() -> None:
    """The chain begins with the key that is active at the instant."""
    three = keyset(A, B, C)
    instants = (START, START + 8 * DAY, START + 18 * DAY, START + 30 * DAY)
    assert [three.chain(instant, OVERLAP) for instant in instants] == [(A, B, C), (B, C), (C,), ()]


def test_chain_without_overlap_wanted() -> None:
    """An overlap of nothing still asks for a key by the time cover ends."""
    touching, apart = key("b", END, END + DAY), key("b", END + SECOND, END + DAY)
    none = timedelta()
    assert ((FIRST, touching), (FIRST,)) == (
        keyset(FIRST, touching).chain(START, none),
        keyset(FIRST, apart).chain(START, none),
    )


@pytest.mark.parametrize(
    ("now", "states"),
    [
        pytest.param(A.activates - SECOND, "upcoming upcoming active", id="before the first activates"),
        pytest.param(A.activates, "active upcoming undated", id="the first activates"),
        pytest.param(B.activates - SECOND, "active upcoming undated", id="before the rollover"),
        pytest.param(B.activates, "retained active undated", id="the rollover"),
        pytest.param(A.expires - SECOND, "retained active undated", id="before the first expires"),
        pytest.param(A.expires, "expired active undated", id="the first expires"),
        pytest.param(B.expires - SECOND, "expired active undated", id="before the second expires"),
        pytest.param(B.expires, "expired expired active", id="the second expires"),
    ],
)
def test_states_over_time(now: datetime, states: str) -> None:
    """A key is upcoming, active, retained and expired in turn, and the net is active while nothing else is."""
    keys = (A, B, NET)
    expected = list(zip(keys, map(KeyState, states.split()), strict=True))
    assert expected == list(keyset(*keys).states(now))


@pytest.mark.parametrize(
    ("odd", "state"),
    [
        pytest.param(key("off", START, END, enabled=False), KeyState.DISABLED, id="disabled"),
        pytest.param(key("off", START - DAY, START, enabled=False), KeyState.DISABLED, id="disabled and expired"),
        pytest.param(key("off", END, None, enabled=False), KeyState.DISABLED, id="disabled and to come"),
        pytest.param(key("off", None, None, enabled=False), KeyState.DISABLED, id="disabled and undated"),
        pytest.param(key("crossed", START + DAY, START), KeyState.EXPIRED, id="crossed dates, expired"),
        pytest.param(key("crossed", END, END), KeyState.UPCOMING, id="crossed dates, to come"),
        pytest.param(key("exp", None, END), KeyState.RETAINED, id="no nbf"),
    ],
)
def test_states_of_odd_keys(odd: Key, state: KeyState) -> None:
    """Each key is in exactly one state."""
    assert [(odd, state), (A, KeyState.ACTIVE)] == list(keyset(odd, A).states(START))


def test_states_of_equal_keys() -> None:
    """One key alone is active, even if another is its equal in everything."""
    twins = keyset(key(None, START, END), key(None, START, END))
    assert [state for _, state in twins.states(START)] == [KeyState.ACTIVE, KeyState.RETAINED]


def test_states_of_no_keys() -> None:
    """An empty keyset has nothing to tell."""
    assert list(Keyset(id="B2C_1A_Empty", keys=()).states(START)) == []
