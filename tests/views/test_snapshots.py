"""
The table, the brief status and the status, word for word, at three widths: read the files beside this one.

A change of these files is a change of what people see. To write them anew:

    ROTATOR_SNAPSHOTS=write python -m pytest tests/views/test_snapshots.py
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from core.builders import certified
from views.cases import NOW, failed, key, looked_at, many, policy, refused

from rotator.core.outcome import Held, Outcome, Planned, Rotated
from rotator.core.policy import Mode
from rotator.core.reasons import Refusal
from rotator.views.status import status
from rotator.views.table import brief, table

FOLDER = Path(__file__).with_name("snapshots")
WIDTHS = (60, 80, 140)
SIGNING, ENCRYPTION = "B2C_1A_TokenSigningKeyContainer", "B2C_1A_TokenEncryptionKeyContainer"
KID, NEXT_KID = "MlHZw0QfNTq7y8s1oB4uJr6kXvGcPdE2LmWzRtYaHiU", "QH3zgW04vKxT5bS9nLrE1fUoJpCyD7mAqIhZ2wGtXeY"


def _seen(name: str, *, mode: Mode = Mode.ROTATE) -> Outcome:
    return looked_at(key(KID, -80, 11), of=policy(name, mode))


def _rotated() -> Outcome:
    planned = looked_at(key(KID, -80, 11), of=policy(SIGNING))
    assert isinstance(planned, Planned)
    after = looked_at(key(KID, -80, 11), key(NEXT_KID, 10, 101), of=policy(SIGNING)).observation
    return Rotated(
        before=planned.observation, observation=after, reason=planned.reason, spec=planned.spec, kid=NEXT_KID
    )


CASES: dict[str, Sequence[Outcome]] = {
    "fine": [
        looked_at(key(KID, -10, 81), of=policy(SIGNING)),
        looked_at(key(KID, -80, 11), key(NEXT_KID, 10, 101), of=policy(ENCRYPTION)),
    ],
    "observe": [
        _seen(SIGNING, mode=Mode.OBSERVE),
        looked_at(key("net", None, None), of=policy(ENCRYPTION, Mode.OBSERVE)),
        looked_at(key(KID, -10, 81), of=policy("B2C_1A_Fine", Mode.OBSERVE)),
    ],
    "lockout": [
        looked_at(key(KID, -100, -9), of=policy(SIGNING)),
        refused(looked_at(key(KID, -90.5, 0.5), of=policy(ENCRYPTION)), "grant the app what it needs"),
        looked_at(certified(key(KID, -350, 15), chain=NOW + timedelta(days=9)), of=policy("B2C_1A_Certificate")),
        looked_at(replace(key(KID, -80, 11), use="enc"), of=policy("B2C_1A_Mismatch")),
        looked_at(key(KID, -10, 40), of=replace(policy("B2C_1A_Short"), overlap=timedelta(days=61))),
    ],
    "once": [
        _rotated(),
        Held(observation=_seen(ENCRYPTION).observation, reason=Refusal.STOPPING),
        Held(observation=failed("", policy("B2C_1A_NotReached")).observation, reason=Refusal.STOPPING),
    ],
    "sixty": [entry.outcome for entry in many(60).values() if entry.outcome is not None],
    "long": [
        looked_at(key(KID, -10, 81), of=policy("B2C_1A_" + "KeysetOfTheNorthwindProduction" * 4)),
        looked_at(key(KID, -10, 81), of=policy(SIGNING)),
    ],
}
RENDERS: dict[str, Callable[[Sequence[Outcome], int], str]] = {
    "table": lambda outcomes, width: table(outcomes, NOW, width),
    "brief": lambda outcomes, width: brief(outcomes, NOW, width),
    "problems": lambda outcomes, width: status(outcomes, NOW, width, colour=False, only_problems=True),
    "status": lambda outcomes, width: status(outcomes, NOW, width, colour=False),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("render", RENDERS)
@pytest.mark.parametrize("case", CASES)
def test_surface_is_as_reviewed(case: str, render: str, width: int) -> None:
    """What is printed is the reviewed text, and no line of it is wider than the terminal."""
    text = RENDERS[render](CASES[case], width) + "\n"
    file = FOLDER / f"{case}-{render}-{width}.txt"
    if os.environ.get("ROTATOR_SNAPSHOTS") == "write":
        file.write_text(text, encoding="utf-8")
    assert [line for line in text.splitlines() if len(line) > width] == []
    assert text == file.read_text(encoding="utf-8")


def test_no_snapshot_is_left_over() -> None:
    """Each file is compared with something."""
    names = {f"{case}-{render}-{width}.txt" for case in CASES for render in RENDERS for width in WIDTHS}
    assert names == {path.name for path in FOLDER.iterdir()}
