"""When a key is valid, and which of several is active."""

import pytest

from rotator.emulator.model.keys import Key, active_key
from rotator.emulator.model.switches import Status, TieBreak


def key(kid="k", nbf=None, exp=None, status=Status.ENABLED):
    return Key(kid=kid, use="sig", kty="RSA", nbf=nbf, exp=exp, status=status)


@pytest.mark.parametrize(
    ("now", "valid"),
    [
        pytest.param(9, False, id="a second before nbf"),
        pytest.param(10, True, id="at nbf"),
        pytest.param(19, True, id="a second before exp"),
        pytest.param(19.9, True, id="just before exp"),
        pytest.param(20, False, id="at exp"),
        pytest.param(21, False, id="after exp"),
    ],
)
def test_is_valid_edges(now, valid):
    """A key is valid from nbf on, and no longer at exp."""
    assert key(nbf=10, exp=20).is_valid(now) is valid


@pytest.mark.parametrize(("status", "valid"), [(None, True), (Status.ENABLED, True), (Status.DISABLED, False)])
def test_is_valid_status(status, valid):
    """Only a disabled key is out of use: no status is as good as enabled."""
    assert key(status=status).is_valid(0) is valid


@pytest.mark.parametrize(
    ("keys", "kid"),
    [
        pytest.param([], None, id="none"),
        pytest.param([key("a", nbf=11)], None, id="none yet"),
        pytest.param([key("a", nbf=1), key("b", nbf=5)], "b", id="the later nbf"),
        pytest.param([key("b", nbf=5), key("a", nbf=1)], "b", id="whatever the order"),
        pytest.param([key("a", nbf=1), key("b", nbf=11)], "a", id="not a future one"),
        pytest.param([key("a", nbf=1), key("b", nbf=5, exp=10)], "a", id="not an expired one"),
        pytest.param([key("a", nbf=1), key("b", nbf=5, status=Status.DISABLED)], "a", id="not a disabled one"),
        pytest.param([key("a", nbf=1), key("net")], "a", id="a dated key before an undated"),
        pytest.param([key("net"), key("a", nbf=1)], "a", id="so in either order"),
        pytest.param([key("net"), key("a", nbf=11)], "net", id="the undated as a net"),
        pytest.param([key("a", exp=11), key("b", nbf=1)], "b", id="without nbf is undated, exp or not"),
    ],
)
@pytest.mark.parametrize("tie_break", list(TieBreak))
def test_active_key(keys, kid, tie_break):
    """The active key is the valid one whose nbf passed last; one without nbf comes after all others."""
    active = active_key(keys, 10, tie_break)
    assert (active.kid if active else None) == kid
