"""What others changed between two looks, and what does not count as such a change."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from core.builders import DAY, T0, key, keyset

from rotator.core.drift import Change, ChangeKind, changes
from rotator.core.keyset import Key
from rotator.core.policy import KeySpec

A, B = key("a", T0, T0 + 90 * DAY), key("b", T0 + 80 * DAY, T0 + 170 * DAY)
SPEC = KeySpec(use="sig", kty="RSA", nbf=T0 + 80 * DAY, exp=T0 + 170 * DAY)
NAMELESS = key(None, T0, T0 + DAY)
K = ChangeKind


@pytest.mark.parametrize(
    ("before", "after", "asked", "expected"),
    [
        ((A,), (A,), None, []),
        ((A, B), (B, A), None, []),
        ((A,), (A, B), None, [(K.KEY_ADDED, "b")]),
        ((), (A,), None, [(K.KEY_ADDED, "a")]),
        ((A,), (A, B), SPEC, []),
        ((A, B), (A,), SPEC, []),
        ((A, B), (A,), None, [(K.KEY_GONE, "b")]),
        ((A,), (), None, [(K.KEY_GONE, "a")]),
        ((A,), (replace(A, enabled=False),), None, [(K.KEY_DISABLED, "a")]),
        ((replace(A, enabled=False),), (A,), None, [(K.KEY_ENABLED, "a")]),
        ((replace(B, enabled=False),), (B,), SPEC, []),
        ((B,), (replace(B, enabled=False),), SPEC, [(K.KEY_DISABLED, "b")]),
        ((A,), (replace(A, exp=T0 + 91 * DAY),), None, [(K.DATES_CHANGED, "a")]),
        ((A,), (replace(A, use="enc", kty="oct"),), None, [(K.USE_CHANGED, "a"), (K.KTY_CHANGED, "a")]),
        ((A,), (replace(A, kty="rsa"),), None, []),
        ((A,), (B,), None, [(K.KEYSET_RECREATED, None)]),
        ((NAMELESS,), (NAMELESS,), None, []),
        ((NAMELESS,), (NAMELESS, A), None, [(K.KEY_ADDED, "a")]),
    ],
)
def test_changes(
    before: Sequence[Key],
    after: Sequence[Key],
    asked: KeySpec | None,
    expected: list[tuple[ChangeKind, str | None]],
) -> None:
    """Each kind of change; the key that rotator requested does not count as one."""
    now = T0 + timedelta(hours=1)
    found = list(changes(keyset(*before), keyset(*after), asked, now))
    assert found == [Change(kind=kind, seen=now, kid=kid) for kind, kid in expected]
