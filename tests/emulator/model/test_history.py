"""Gaps and signers, from the whole history of a keyset."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.emulator.model.history import (
    BEFORE_ALL_TIME,
    Created,
    Deleted,
    Gap,
    KeyAdded,
    Replaced,
    Signer,
    StatusSet,
    as_of,
    gaps,
    signers,
)
from rotator.emulator.model.keys import Key, active_key
from rotator.emulator.model.switches import Status, TieBreak

CREATED = Created(instant=BEFORE_ALL_TIME, by="seed")


def key(kid, nbf=None, exp=None, **more):
    return Key(kid=kid, use="sig", kty="RSA", nbf=nbf, exp=exp, **more)


def added(instant, *keys):
    return [KeyAdded(instant=instant, by="seed", key=each) for each in keys]


def status(instant, kid, value):
    return StatusSet(instant=instant, by="person", kid=kid, status=value)


TIMELINES = {
    "no key": ([], [Signer(None, 0, 100)]),
    "one key": (added(0, key("a", 10, 50)), [Signer(None, 0, 10), Signer("a", 10, 50),
                                             Signer(None, 50, 100)]),
    "hand-over": (added(0, key("a", 0, 60), key("b", 40, 100)),
                  [Signer("a", 0, 40), Signer("b", 40, 100)]),
    "one second too late": (added(0, key("a", 0, 40), key("b", 41, 100)),
                            [Signer("a", 0, 40), Signer(None, 40, 41), Signer("b", 41, 100)]),
    "to the second": (added(0, key("a", 0, 40), key("b", 40, 100)),
                      [Signer("a", 0, 40), Signer("b", 40, 100)]),
    "undated net": (added(0, key("net"), key("a", 20, 40)),
                    [Signer("net", 0, 20), Signer("a", 20, 40), Signer("net", 40, 100)]),
    "born late": (added(30, key("a", 0, 50)),
                  [Signer(None, 0, 30), Signer("a", 30, 50), Signer(None, 50, 100)]),
    "disabled a while": (
        [*added(0, key("a", 0, 100)), status(20, "a", Status.DISABLED),
         status(30, "a", Status.ENABLED)],
        [Signer("a", 0, 20), Signer(None, 20, 30), Signer("a", 30, 100)]),
    "null is enabled": (added(0, key("a", 0, 100, status=None)), [Signer("a", 0, 100)]),
    "replaced": (
        [*added(0, key("a", 0, 100)), Replaced(instant=50, by="x", keys=(key("b", 60, 100),))],
        [Signer("a", 0, 50), Signer(None, 50, 60), Signer("b", 60, 100)]),
    "deleted": ([*added(0, key("a", 0, 100)), Deleted(instant=50, by="x")],
                [Signer("a", 0, 50), Signer(None, 50, 100)]),
    "back to the older": (added(0, key("a", 0, 100), key("b", 20, 40)),
                          [Signer("a", 0, 20), Signer("b", 20, 40), Signer("a", 40, 100)]),
}  # fmt: skip


@pytest.mark.parametrize(("events", "expected"), TIMELINES.values(), ids=TIMELINES.keys())
def test_timeline(events, expected):
    """Who signed when, and when nobody did."""
    events = [CREATED, *events]
    assert signers(events, 0, 100, TieBreak.NEWEST) == tuple(expected)
    holes = tuple(Gap(each.start, each.end) for each in expected if each.kid is None)
    assert gaps(events, 0, 100) == holes


def test_signers_nothing():
    """An empty span has no signers."""
    assert signers([CREATED], 5, 5, TieBreak.NEWEST) == ()


@pytest.mark.parametrize(("tie_break", "kid"), [(TieBreak.OLDEST, "a"), (TieBreak.NEWEST, "b")])
def test_signers_tie(tie_break, kid):
    """Ties are resolved as the tenant resolves them, also after a key was disabled and enabled again."""
    events = [CREATED, *added(0, key("a", 0), key("b", 0)),
              status(1, "a", Status.DISABLED), status(2, "a", Status.ENABLED)]  # fmt: skip
    assert signers(events, 2, 9, tie_break) == (Signer(kid, 2, 9),)


def test_signers_tie_disabled_first():
    """A key that starts disabled keeps its place among those that tie."""
    events = [CREATED, *added(0, key("a", status=Status.DISABLED), key("b")),
              status(1, "a", Status.ENABLED)]  # fmt: skip
    assert signers(events, 2, 9, TieBreak.NEWEST) == (Signer("b", 2, 9),)


def test_signers_replaced_order():
    """After a PUT, the order is the PUT's."""
    events = [*added(0, key("a")), Replaced(instant=0, by="x", keys=(key("b"), key("a")))]
    assert signers(events, 0, 9, TieBreak.NEWEST) == (Signer("a", 0, 9),)


instants = st.integers(0, 20)
keys = st.builds(
    key,
    st.sampled_from("abcdef"),
    st.none() | instants,
    st.none() | instants,
    status=st.sampled_from([None, *Status]),
)
happenings = st.one_of(
    st.builds(KeyAdded, instant=instants, by=st.just("x"), key=keys),
    st.builds(
        StatusSet,
        instant=instants,
        by=st.just("x"),
        kid=st.sampled_from("abcdef"),
        status=st.sampled_from(list(Status)),
    ),
    st.builds(Created, instant=instants, by=st.just("x")),
    st.builds(Deleted, instant=instants, by=st.just("x")),
    st.builds(
        Replaced,
        instant=instants,
        by=st.just("x"),
        keys=st.lists(keys, max_size=2, unique_by=lambda each: each.kid).map(tuple),
    ),
)


@given(st.lists(happenings, max_size=8), st.sampled_from(list(TieBreak)))
def test_signers_agree_with_every_instant(events, tie_break):
    """Asked for the whole, the history says what it says for each instant alone."""
    events = sorted(events, key=lambda event: event.instant)
    told: dict[int, str | None] = {}
    for reign in signers(events, 0, 21, tie_break):
        told.update(dict.fromkeys(range(int(reign.start), int(reign.end)), reign.kid))
    for instant in range(21):
        active = active_key(as_of(events, instant) or (), instant, tie_break)
        assert told[instant] == (active.kid if active else None)


@given(st.lists(happenings, max_size=8))
def test_gaps_and_signers_cover(events):
    """Signers follow each other without holes or overlaps."""
    reigns = signers(events, 0, 21, TieBreak.NEWEST)
    assert (reigns[0].start, reigns[-1].end) == (0, 21)
    for one, next_one in itertools.pairwise(reigns):
        assert one.end == next_one.start
        assert one.kid != next_one.kid


def test_many_keys_are_quick():
    """Thousands of rotations are computed quickly."""
    many = [each for n in range(5000) for each in added(n, key(str(n), n, n + 3))]
    assert gaps([CREATED, *many], 0, 5002) == ()
