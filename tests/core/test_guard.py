from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotator.core.guard import is_runaway
from rotator.core.keyset import Key, Keyset
from rotator.core.policy import Mode, RotationPolicy
from rotator.core.reasons import Reason

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = RotationPolicy(
    keyset_id="B2C_1A_X",
    use="sig",
    kty="RSA",
    mode=Mode.ROTATE,
    rotate_every=90 * DAY,
    overlap=DAY,
    publication_lead=2 * DAY,
    renewal_window=14 * DAY,
)
COVERED_UNTIL = NOW + 10 * DAY


def ours(kid: str, days: float, **changes: Any) -> Key:
    """A key as the policy asks for, active in *days*."""
    nbf = NOW + days * DAY
    return replace(Key(kid=kid, nbf=nbf, exp=nbf + POLICY.validity, use="sig", kty="RSA"), **changes)


@pytest.mark.parametrize(
    ("keys", "generated", "reason", "expected"),
    [
        pytest.param((), (), Reason.RENEWAL_DUE, False, id="nothing was generated"),
        pytest.param((), ("a",), Reason.RENEWAL_DUE, False, id="one was generated"),
        pytest.param((), ("a", "b"), Reason.RENEWAL_DUE, True, id="two were generated"),
        pytest.param((), ("a", "b", "c"), Reason.NO_VALID_KEY, False, id="nobody can sign in"),
        pytest.param((ours("a", -1),), (), Reason.OVERDUE, False, id="one is active"),
        pytest.param((ours("a", 0),), (), Reason.OVERDUE, False, id="one activates now"),
        pytest.param((ours("a", 10),), (), Reason.OVERDUE, True, id="one takes over as cover ends"),
        pytest.param((ours("a", 10.001),), (), Reason.OVERDUE, False, id="one takes over after cover has ended"),
        pytest.param((ours("a", 5, enabled=False),), (), Reason.OVERDUE, False, id="one was disabled"),
        pytest.param((ours("a", 5, enabled=False),), ("a",), Reason.OVERDUE, False, id="it is ours, and counts once"),
        pytest.param((ours("a", 5, enabled=False),), ("b",), Reason.OVERDUE, True, id="one was disabled, one made"),
        pytest.param((ours("a", 11), ours("b", 12)), ("c",), Reason.OVERDUE, False, id="two behind a gap"),
        pytest.param(
            (ours("a", 5, enabled=False), ours("b", 6, enabled=False)), (), Reason.OVERDUE, True, id="two were disabled"
        ),
        pytest.param((ours("a", 5, exp=NOW + 6 * DAY),), (), Reason.OVERDUE, False, id="a key of another shape"),
        pytest.param((ours("a", 5, use="enc"),), (), Reason.OVERDUE, False, id="a key of another use"),
    ],
)
def test_is_runaway(keys: tuple[Key, ...], generated: tuple[str, ...], reason: Reason, *, expected: bool) -> None:
    """One pending successor, or two keys in one rotation, are enough, unless no key is valid."""
    keyset = Keyset(id="B2C_1A_X", keys=keys)
    found = is_runaway(POLICY, keyset, reason, now=NOW, covered_until=COVERED_UNTIL, generated=generated)
    assert found is expected


@pytest.mark.parametrize(("reason", "expected"), [(Reason.OVERDUE, True), (Reason.NO_VALID_KEY, False)])
def test_is_runaway_where_cover_has_no_end(reason: Reason, *, expected: bool) -> None:
    """Whatever is pending takes over before cover ends, where that has no end."""
    keyset = Keyset(id="B2C_1A_X", keys=(ours("a", 5000),))
    assert expected == is_runaway(POLICY, keyset, reason, now=NOW, covered_until=None, generated=())
