# mypy: disable-error-code="arg-type"
# Texts are given for enums, as users may.
"""Instants, in every spelling."""

import pytest
from emulator.harness import DAY, NOW

from rotator.emulator.validation import InvalidError, parse_instant


@pytest.mark.parametrize(
    ("raw", "offset"),
    [
        ("now", 0),
        ("now+90s", 90),
        ("now-2w", -14 * DAY),
        ("now+1h30m", 5400),
        ("now-1d2h3m4s", -(DAY + 7384)),
        ("2027-01-15T08:00:00Z", 0),
        ("2027-01-15T09:00:00+01:00", 0),
        (NOW + 5, 5),
    ],
)
def test_instant(raw, offset):
    """Instants are numbers, RFC 3339, or relative to now."""
    assert parse_instant(raw, NOW + 0.9) == NOW + offset


@pytest.mark.parametrize(
    "raw",
    ["", "now+", "now+5", "now 5d", "5d", "2027-01-15", "2027-01-15T08:00:00",
     "2027-01-15T08:00:00.5Z", True, 1.5, None, []],
)  # fmt: skip
def test_instant_mistakes(raw):
    """An instant without a zone, or with fractions of a second, is refused."""
    with pytest.raises(InvalidError):
        parse_instant(raw, NOW)
