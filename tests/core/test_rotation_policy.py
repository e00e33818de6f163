from datetime import timedelta
from typing import Any

import pytest
from core.builders import DAY, HOUR, SECOND, T0, key, policy

from rotator.core.keyset import Key
from rotator.core.policy import KeySpec, Mode, PolicyError, RotationPolicy

ZERO = timedelta()
UNREADABLE = (
    "kty: oct with mode: rotate would generate a secret that cannot be read, so other parties that "
    "share it would be locked out; use mode: observe, or set accept_unreadable_secret: true"
)


@pytest.mark.parametrize("name", ["rotate_every", "overlap", "publication_lead", "renewal_window"])
@pytest.mark.parametrize("span", [ZERO, -SECOND])
def test_rotation_policy_spans_are_positive(name: str, span: timedelta) -> None:
    """Every span but the minimum lead is longer than nothing, and the message names it."""
    with pytest.raises(PolicyError) as caught:
        policy(**{name: span})
    assert f"{name} must be longer than 0s" == str(caught.value)


@pytest.mark.parametrize(
    "spans",
    [
        pytest.param({"overlap": SECOND}, id="overlap"),
        pytest.param({"publication_lead": SECOND}, id="publication_lead"),
        pytest.param({"renewal_window": SECOND}, id="renewal_window"),
        pytest.param(
            {"rotate_every": 3 * SECOND, "publication_lead": SECOND, "renewal_window": SECOND}, id="rotate_every"
        ),
    ],
)
def test_rotation_policy_shortest_spans(spans: dict[str, timedelta]) -> None:
    """A second is enough for every span."""
    made = policy(**spans)
    assert spans == {name: getattr(made, name) for name in spans}


def test_rotation_policy_minimum_lead_not_negative() -> None:
    """The least lead may be nothing, but no less."""
    assert policy(minimum_lead=ZERO).minimum_lead == ZERO
    with pytest.raises(PolicyError) as caught:
        policy(minimum_lead=-SECOND)
    assert str(caught.value) == "minimum_lead must not be negative"


@pytest.mark.parametrize(
    ("rotate_every", "message"),
    [
        pytest.param(16 * DAY + SECOND, None, id="a second of room"),
        pytest.param(
            16 * DAY,
            "publication_lead (2d) + renewal_window (14d) must be shorter than rotate_every (16d); "
            "they are too long by 1s",
            id="no room",
        ),
        pytest.param(
            16 * DAY - SECOND,
            "publication_lead (2d) + renewal_window (14d) must be shorter than rotate_every (15d23h59m59s); "
            "they are too long by 2s",
            id="a second too many",
        ),
        pytest.param(
            7 * DAY,
            "publication_lead (2d) + renewal_window (14d) must be shorter than rotate_every (7d); "
            "they are too long by 9d1s",
            id="days too many",
        ),
    ],
)
def test_rotation_policy_window_and_lead_fit_into_a_turn(rotate_every: timedelta, message: str | None) -> None:
    """A key is not due before its predecessor has taken over; the message says by how much the spans must give."""
    if message is None:
        assert policy(rotate_every=rotate_every).rotate_every == rotate_every
        return
    with pytest.raises(PolicyError) as caught:
        policy(rotate_every=rotate_every)
    assert message == str(caught.value)


def test_rotation_policy_advice_is_enough() -> None:
    """A policy whose spans are shortened as the message says is valid."""
    assert policy(rotate_every=7 * DAY, renewal_window=5 * DAY - SECOND).renewal_window == 5 * DAY - SECOND


@pytest.mark.parametrize(
    ("minimum_lead", "message"),
    [
        pytest.param(48 * HOUR - SECOND, None, id="shorter"),
        pytest.param(48 * HOUR, None, id="equal"),
        pytest.param(
            48 * HOUR + SECOND,
            "minimum_lead (2d1s) must not be longer than publication_lead (2d); it is too long by 1s",
            id="a second too long",
        ),
    ],
)
def test_rotation_policy_minimum_lead_within_the_lead(minimum_lead: timedelta, message: str | None) -> None:
    """The lead that we want is one that the service takes."""
    if message is None:
        assert policy(minimum_lead=minimum_lead).minimum_lead == minimum_lead
        return
    with pytest.raises(PolicyError) as caught:
        policy(minimum_lead=minimum_lead)
    assert message == str(caught.value)


@pytest.mark.parametrize("kty", ["oct", "OCT"])
def test_rotation_policy_unreadable_secret(kty: str) -> None:
    """A secret that cannot be read is generated only with accept_unreadable_secret."""
    with pytest.raises(PolicyError) as caught:
        policy(kty=kty)
    assert str(caught.value) == UNREADABLE


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"kty": "oct", "mode": Mode.OBSERVE}, id="only observed"),
        pytest.param({"kty": "oct", "accept_unreadable_secret": True}, id="accepted"),
        pytest.param({"kty": "RSA"}, id="not a secret"),
    ],
)
def test_rotation_policy_harmless_kty(changes: dict[str, Any]) -> None:
    """If no secret is generated, or that is wanted, there is nothing to refuse."""
    assert isinstance(policy(**changes), RotationPolicy)


def test_validity_is_a_turn_and_the_overlap() -> None:
    """A key that we ask for is valid for its turn, and then for the overlap."""
    assert policy().validity == 90 * DAY + 25 * HOUR


@pytest.mark.parametrize(
    ("found", "shaped"),
    [
        pytest.param(key("k", T0, T0 + 91 * DAY + HOUR), True, id="as we ask for"),
        pytest.param(key("k", T0, T0 + 91 * DAY + HOUR, enabled=False), True, id="disabled"),
        pytest.param(key("k", T0, T0 + 91 * DAY + HOUR - SECOND), False, id="a second shorter"),
        pytest.param(key("k", T0, T0 + 91 * DAY + HOUR + SECOND), False, id="a second longer"),
        pytest.param(key("k", T0, None), False, id="only nbf"),
        pytest.param(key("k", None, T0), False, id="only exp"),
        pytest.param(key("k", None, None), False, id="undated"),
        pytest.param(Key(kid="k", nbf=T0, exp=T0 + 91 * DAY + HOUR, use="enc"), False, id="of another use"),
    ],
)
def test_shaped_like_a_key_of_ours(found: Key, *, shaped: bool) -> None:
    """A key is shaped like ours if it has our use and exactly our validity."""
    assert shaped == policy().matches_shape(found)


SPEC = KeySpec(use="sig", kty="RSA", nbf=T0, exp=T0 + DAY)


@pytest.mark.parametrize(
    ("found", "differences"),
    [
        pytest.param(key("k", T0, T0 + DAY), (), id="as asked for"),
        pytest.param(Key(kid="k", nbf=T0, exp=T0 + DAY, use="sig", kty="rsa"), (), id="letters of another case"),
        pytest.param(key("k", T0, T0 + DAY, enabled=False), (), id="being disabled is no difference"),
        pytest.param(
            key("k", T0 + SECOND, T0 + DAY), ("nbf is 2030-01-01T00:00:01Z, not 2030-01-01T00:00:00Z",), id="nbf"
        ),
        pytest.param(key("k", T0, None), ("exp is None, not 2030-01-02T00:00:00Z",), id="exp"),
        pytest.param(
            Key(kid="k", nbf=T0, exp=T0 + DAY), ("use is None, not sig", "kty is None, not rsa"), id="nothing known"
        ),
        pytest.param(Key(kid="k", nbf=T0, exp=T0 + DAY, use="SIG", kty="RSA"), ("use is SIG, not sig",), id="use"),
        pytest.param(Key(kid="k", nbf=T0, exp=T0 + DAY, use="sig", kty="oct"), ("kty is oct, not rsa",), id="kty"),
    ],
)
def test_differences_from_the_key_asked_for(found: Key, differences: tuple[str, ...]) -> None:
    """What differs is reported member by member, in the words of the interface."""
    assert differences == SPEC.differences(found)


def test_differences_asked_in_small_letters() -> None:
    """The key type is one and the same in any case of letters, on either side."""
    assert KeySpec(use="sig", kty="rsa", nbf=T0, exp=T0 + DAY).differences(key("k", T0, T0 + DAY)) == ()
