"""How long a keyset serves of which nothing is wanted, and of which kind its keys are."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest
from core.builders import DAY, SECOND, T0, key, keyset

from rotator.core.assessment import Cover
from rotator.core.inventory import Validity, kind, validity
from rotator.core.keyset import Key

OLD = key("old", T0 - 80 * DAY, T0 + 10 * DAY)


@pytest.mark.parametrize(
    ("keys", "cover", "end"),
    [
        ((), Cover.NONE, None),
        ((key("gone", T0 - 80 * DAY, T0),), Cover.NONE, None),
        ((key("off", None, None, enabled=False),), Cover.NONE, None),
        ((key("next", T0 + DAY, T0 + 9 * DAY),), Cover.NONE, None),
        ((OLD,), Cover.DATED, OLD.exp),
        ((OLD, key("next", T0 + 10 * DAY, T0 + 90 * DAY)), Cover.DATED, T0 + 90 * DAY),
        ((OLD, key("gap", T0 + 10 * DAY + SECOND, T0 + 90 * DAY)), Cover.DATED, OLD.exp),
        ((OLD, key("endless", T0 + DAY, None)), Cover.ENDLESS, None),
        ((key("net", None, None),), Cover.ENDLESS, None),
        ((key("net", None, None), key("next", T0 + DAY, T0 + 9 * DAY)), Cover.ENDLESS, None),
    ],
)
def test_validity(keys: Sequence[Key], cover: Cover, end: datetime | None) -> None:
    """Until the end of the chain, however short the hand-overs are; a safety net has no end."""
    assert validity(keyset(*keys), T0) == Validity(cover=cover, end=end)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("RSA", "sig"), ("rsa", "sig")], ("RSA", "sig")),
        ([("OCT", "enc")], ("oct", "enc")),
        ([("rsa", None)], ("RSA", None)),
        ([(None, None), ("RSA", "enc")], ("RSA", "enc")),
        ([("RSA", "sig"), ("oct", "enc")], (None, None)),
        ([("EC", "sig")], (None, "sig")),
        ([("RSA", "other")], ("RSA", None)),
        ([], (None, None)),
    ],
)
def test_kind(pairs: Sequence[tuple[str | None, str | None]], expected: tuple[str | None, str | None]) -> None:
    """The spelling is that of a configuration, whatever the service writes."""
    keys = [replace(OLD, kid=str(number), kty=kty, use=use) for number, (kty, use) in enumerate(pairs)]
    assert kind(keyset(*keys)) == expected
