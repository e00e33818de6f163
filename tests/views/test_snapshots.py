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
from views.cases import CONTOSO, NOW, failed, key, looked_at, many, policy, refused

from rotator.core.errors import Failure, FailureKind
from rotator.core.outcome import Held, Outcome, Planned, Rotated
from rotator.core.policy import Mode
from rotator.core.proof_events import Probed
from rotator.core.publication import Evidence, Probe, PublishedKey, observe
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


PUBLISHED, READ, UNREAD = "b2c_1a_signup_signin", "b2c_1a_password_reset", "b2c_1a_profile_edit"
_KEYS = tuple(replace(each, modulus=each.kid) for each in (key(KID, -80, 11), key(NEXT_KID, 10, 101)))
_PROBED = [
    looked_at(*_KEYS, of=policy(SIGNING)),
    looked_at(replace(key("encrypting", -10, 81), use="enc"), of=replace(policy(ENCRYPTION), use="enc")),
    looked_at(key("unproven", -10, 81), of=policy("B2C_1A_Unproven")),
]


def _probed() -> Probed:
    """One probe: a policy publishes the signing keyset, and the JWKS of two others cannot be read."""
    shown = tuple(PublishedKey(kid=each.kid or "", modulus=each.modulus or "") for each in _KEYS)
    message = "the sign-in host answered 503 to jwks: the sign-in host has a problem"
    down = Failure(kind=FailureKind.SERVICE, message=message)
    failures, active = {READ: down, UNREAD: down}, {ENCRYPTION: "encrypting"}
    probe = Probe(now=NOW, listed={PUBLISHED: shown}, failures=failures, active_kids=active)
    keysets = {each.observation.policy.keyset_id: each.observation.keyset for each in _PROBED}
    evidence = observe(Evidence(), probe, {name: each for name, each in keysets.items() if each}, frozenset())
    return Probed(tenant="contoso", tenant_id=CONTOSO, probe=probe, evidence=evidence)


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
    "probed": _PROBED,
    "long": [
        looked_at(key(KID, -10, 81), of=policy("B2C_1A_" + "KeysetOfTheNorthwindProduction" * 4)),
        looked_at(key(KID, -10, 81), of=policy(SIGNING)),
    ],
}
PROBES = {"probed": [_probed()]}
RENDERS: dict[str, Callable[[Sequence[Outcome], int, Sequence[Probed]], str]] = {
    "table": lambda outcomes, width, _: table(outcomes, NOW, width),
    "brief": lambda outcomes, width, probed: brief(outcomes, NOW, width, probed=probed),
    "problems": lambda outcomes, width, probed: status(
        outcomes, NOW, width, colour=False, only_problems=True, probed=probed
    ),
    "status": lambda outcomes, width, probed: status(outcomes, NOW, width, colour=False, probed=probed),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("render", RENDERS)
@pytest.mark.parametrize("case", CASES)
def test_surface_is_as_reviewed(case: str, render: str, width: int) -> None:
    """What is printed is the reviewed text, and no line of it is wider than the terminal."""
    text = RENDERS[render](CASES[case], width, PROBES.get(case, ())) + "\n"
    file = FOLDER / f"{case}-{render}-{width}.txt"
    if os.environ.get("ROTATOR_SNAPSHOTS") == "write":
        file.write_text(text, encoding="utf-8")
    assert [line for line in text.splitlines() if len(line) > width] == []
    assert text == file.read_text(encoding="utf-8")


def test_no_snapshot_is_left_over() -> None:
    """Each file is compared with something."""
    names = {f"{case}-{render}-{width}.txt" for case in CASES for render in RENDERS for width in WIDTHS}
    assert names == {path.name for path in FOLDER.iterdir()}
