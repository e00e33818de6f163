"""Decisions where a key cannot be generated, or cannot be as good as configured: at the second."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from core.builders import DAY, HOUR, POLICY, SECOND, T0, extended, key, keyset, made, policy

from rotator.core.assessment import Cover, Note, NoteKind, Plan, Shortfall
from rotator.core.keyset import Key
from rotator.core.policy import Mode, RotationPolicy
from rotator.core.reasons import Reason
from rotator.core.rotation import Decision, Hold, Rotate, decide

LEAD, OVERLAP, VALIDITY = POLICY.publication_lead, POLICY.overlap, POLICY.validity
DUE, PUBLISH_BY, TURN, END = T0 + 74 * DAY, T0 + 88 * DAY, T0 + 90 * DAY, T0 + 91 * DAY + HOUR
OURS = key("ours", T0, END)
OBSERVED = policy(mode=Mode.OBSERVE)


def asked(decision: Decision) -> datetime | None:
    """When the key that a decision asks for activates; None if it asks for none."""
    return decision.spec.nbf if isinstance(decision, Rotate) else None


def risk(decision: Decision) -> tuple[Reason, bool]:
    """Why, and whether the keyset is at risk."""
    return decision.reason, decision.assessment.at_risk


YEAR = replace(key("certificate", T0, T0 + 365 * DAY), has_certificate=True)
CERTIFICATE_DUE = YEAR.expires - OVERLAP - LEAD - POLICY.renewal_window


@pytest.mark.parametrize(
    ("now", "at_risk"),
    [
        pytest.param(T0, False, id="it begins"),
        pytest.param(TURN + DAY, False, id="a turn is over: a certificate has none"),
        pytest.param(CERTIFICATE_DUE - SECOND, False, id="a second before the window opens"),
        pytest.param(CERTIFICATE_DUE, True, id="the window opens"),
        pytest.param(YEAR.expires - OVERLAP - LEAD, True, id="the window closes"),
        pytest.param(YEAR.expires - SECOND, True, id="a second before it expires"),
        pytest.param(YEAR.expires, True, id="it expires"),
        pytest.param(YEAR.expires + DAY, True, id="a day later"),
    ],
)
def test_decide_certificate_over_time(now: datetime, *, at_risk: bool) -> None:
    """A keyset whose newest key carries a certificate is held, and at risk from the window on until it is replaced."""
    decision = decide(POLICY, keyset(key("older", T0 - 90 * DAY, T0 + DAY), YEAR), now)
    assert isinstance(decision, Hold)
    assert (Reason.CERTIFICATE, at_risk) == risk(decision)
    observed = decide(OBSERVED, keyset(YEAR), now)
    assert isinstance(observed, Hold)
    assert (Reason.OBSERVE, at_risk) == risk(observed)
    assert (observed.would, observed.spec) == (Reason.CERTIFICATE, None)


def test_decide_certificate_without_nbf() -> None:
    """The plan for the next certificate depends only on the expiry, even if that is far away."""
    decision = decide(POLICY, keyset(replace(YEAR, nbf=None)), T0)
    activation = YEAR.expires - OVERLAP
    expected = Plan(renewal_due=CERTIFICATE_DUE, publish_by=activation - LEAD, activation=activation)
    assert expected == decision.assessment.plan


def test_decide_certificate_that_another_does_not_outlast() -> None:
    """A certificate to come that ends before the one in use does not take its place."""
    brief = replace(key("brief", YEAR.expires - 10 * DAY, YEAR.expires - 5 * DAY), has_certificate=True)
    decision = decide(POLICY, keyset(YEAR, brief), CERTIFICATE_DUE)
    assert risk(decision) == (Reason.CERTIFICATE, True)
    assert decision.assessment.plan.activation == YEAR.expires - OVERLAP


def test_decide_certificate_that_has_its_next() -> None:
    """The next certificate ends the matter, although it comes after what would be a turn."""
    following = replace(key("next", YEAR.expires - 30 * DAY, YEAR.expires + 335 * DAY), has_certificate=True)
    decision = decide(POLICY, keyset(YEAR, following), CERTIFICATE_DUE)
    assert risk(decision) == (Reason.CERTIFICATE, False)
    assert following.expires == decision.assessment.covered_until


@pytest.mark.parametrize(
    ("keys", "is_held"),
    [
        pytest.param((OURS, replace(YEAR, nbf=T0 + SECOND)), True, id="a second newer than a generated key"),
        pytest.param((OURS, replace(YEAR, nbf=T0, exp=END)), True, id="with the dates of a generated key"),
        pytest.param((OURS, replace(YEAR, nbf=T0 - SECOND)), False, id="a second older"),
        pytest.param((replace(YEAR, nbf=None, exp=None),), True, id="undated"),
        pytest.param((replace(YEAR, nbf=None),), True, id="without nbf: its age does not matter"),
        pytest.param((replace(YEAR, exp=T0 + DAY),), True, id="expired"),
        pytest.param((replace(YEAR, enabled=False),), True, id="disabled, and nothing else"),
        pytest.param((OURS, replace(YEAR, nbf=DUE, enabled=False)), False, id="disabled, beside a generated key"),
    ],
)
def test_decide_certificate_that_is_the_newest_key(keys: tuple[Key, ...], *, is_held: bool) -> None:
    """Only the newest key counts; disabled keys count if no other is there."""
    decision = decide(POLICY, keyset(*keys), PUBLISH_BY)
    assert is_held == (decision.reason is Reason.CERTIFICATE) == isinstance(decision, Hold)


@pytest.mark.parametrize(
    ("left", "reason", "nbf"),
    [
        pytest.param(730 * DAY, Reason.UNDATED, LEAD, id="two years"),
        pytest.param(VALIDITY + SECOND, Reason.UNDATED, LEAD, id="a second more than a key of ours has"),
        pytest.param(VALIDITY, Reason.NOT_DUE, None, id="as much as a key of ours has"),
        pytest.param(VALIDITY - SECOND, Reason.NOT_DUE, None, id="a second less"),
        pytest.param(OVERLAP + LEAD + 14 * DAY + SECOND, Reason.NOT_DUE, None, id="a second before its window"),
        pytest.param(OVERLAP + LEAD + 14 * DAY, Reason.RENEWAL_DUE, LEAD + 14 * DAY, id="its window opens"),
    ],
)
def test_decide_key_without_nbf(left: timedelta, reason: Reason, nbf: timedelta | None) -> None:
    """A key whose age is unknown counts as over while it has more left than a key of ours ever has."""
    half = key("half", None, T0 + left)
    decision = decide(POLICY, keyset(half), T0)
    assert (reason, False) == risk(decision)
    assert (None if nbf is None else T0 + nbf) == asked(decision)
    assert half.expires == decision.assessment.covered_until
    assert not decision.assessment.shortfall


def test_decide_key_without_nbf_gets_one_successor() -> None:
    """While the first key is still to take over no second one is requested, and then it is followed as any other."""
    half = key("half", None, T0 + 730 * DAY)
    first = decide(POLICY, keyset(half), T0)
    assert isinstance(first, Rotate)
    assert Plan(renewal_due=T0, publish_by=T0, activation=T0 + LEAD) == first.assessment.plan
    after = extended(keyset(half), made(first.spec, "new"))
    hours = [decide(POLICY, after, T0 + n * HOUR) for n in range(int(LEAD / HOUR) + 1)]
    assert {(Reason.NOT_DUE, False)} == {risk(decision) for decision in hours}
    turn = T0 + LEAD + 90 * DAY
    assert {turn} == {decision.assessment.plan.activation for decision in hours}
    assert turn == asked(decide(POLICY, after, turn - 16 * DAY))


LONG = policy(overlap=61 * DAY)
LONG_WITH_LEAST = policy(overlap=61 * DAY, minimum_lead=3 * HOUR)
GIVEN = key("given", T0 - 30 * DAY, T0 + 59 * DAY)
"""A key that had its whole overlap before `overlap` was raised: two days of 61 are lost."""
MET = GIVEN.expires - LONG.overlap


@pytest.mark.parametrize(
    ("rules", "now", "nbf", "shortfall"),
    [
        pytest.param(LONG, T0, T0 + LEAD, Shortfall(overlap=4 * DAY), id="raised above what is left"),
        pytest.param(LONG, MET, MET, Shortfall(lead=LEAD), id="the last second for the whole overlap"),
        pytest.param(LONG, MET + SECOND, MET + SECOND + LEAD, Shortfall(overlap=LEAD + SECOND), id="a second later"),
        pytest.param(
            LONG_WITH_LEAST,
            MET - 3 * HOUR,
            MET,
            Shortfall(lead=LEAD - 3 * HOUR),
            id="the last second with a least lead",
        ),
        pytest.param(
            LONG_WITH_LEAST,
            MET - 3 * HOUR + SECOND,
            MET - 3 * HOUR + SECOND + LEAD,
            Shortfall(overlap=LEAD - 3 * HOUR + SECOND),
            id="a second later with a least lead",
        ),
        pytest.param(
            LONG,
            GIVEN.expires - LEAD,
            GIVEN.expires,
            Shortfall(overlap=61 * DAY),
            id="the last second for the whole lead",
        ),
        pytest.param(
            LONG,
            GIVEN.expires - LEAD + SECOND,
            GIVEN.expires,
            Shortfall(lead=SECOND, overlap=61 * DAY),
            id="a second later: the lead shrinks for cover",
        ),
        pytest.param(
            LONG_WITH_LEAST,
            GIVEN.expires - HOUR,
            GIVEN.expires + 2 * HOUR,
            Shortfall(lead=LEAD - 3 * HOUR, overlap=61 * DAY, cover=2 * HOUR),
            id="not even cover can be kept",
        ),
    ],
)
def test_decide_overlap_that_cannot_be_kept(
    rules: RotationPolicy, now: datetime, nbf: datetime, shortfall: Shortfall
) -> None:
    """Where the overlap cannot be kept whatever is done, the lead is: it shrinks for cover alone. The plan says so."""
    decision = decide(rules, keyset(GIVEN), now)
    assert risk(decision) == (Reason.OVERDUE, True)
    assert (nbf, shortfall) == (asked(decision), decision.assessment.shortfall)
    assert isinstance(decision, Rotate)
    again = decide(rules, extended(keyset(GIVEN), made(decision.spec, "new")), now)
    assert isinstance(again, Hold)
    assert replace(shortfall, lead=timedelta()) == again.assessment.shortfall


def test_decide_encryption_key_of_less_than_the_overlap() -> None:
    """A key of 13 days under an overlap of 15 is followed with the whole lead."""
    rules = policy(use="enc", overlap=15 * DAY)
    brief = replace(key("brief", T0, T0 + 13 * DAY), use="enc")
    decision = decide(rules, keyset(brief), T0)
    assert (T0 + LEAD, Shortfall(overlap=4 * DAY)) == (asked(decision), decision.assessment.shortfall)


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        pytest.param({"use": "enc"}, [NoteKind.USE_DIFFERS], id="use"),
        pytest.param({"kty": "oct"}, [NoteKind.KTY_DIFFERS], id="kty"),
        pytest.param({"use": "enc", "kty": "oct"}, [NoteKind.USE_DIFFERS, NoteKind.KTY_DIFFERS], id="both"),
        pytest.param({"kty": "rsa"}, [], id="kty in another case"),
        pytest.param({"use": None, "kty": None}, [], id="neither is told"),
        pytest.param({"use": "enc", "enabled": False}, [], id="disabled"),
        pytest.param({"use": "enc", "nbf": None, "exp": DUE}, [], id="expired"),
        pytest.param({"use": "enc", "nbf": None, "exp": DUE + SECOND}, [NoteKind.USE_DIFFERS], id="nearly expired"),
        pytest.param({"use": "enc", "nbf": END}, [NoteKind.USE_DIFFERS], id="to come, with a note of its own"),
    ],
)
def test_decide_key_that_differs_from_the_policy(found: dict[str, object], kinds: list[NoteKind]) -> None:
    """A key with another use or type is noted, and keeps any key from being requested."""
    other = replace(key("other", T0 - DAY, T0 + 80 * DAY), **found)  # type: ignore[arg-type]
    decision = decide(POLICY, keyset(OURS, other), DUE)
    assert [Note(kid="other", kind=kind) for kind in kinds] == [
        note for note in decision.assessment.notes if note.kind.is_mismatch
    ]
    assert (Reason.RENEWAL_DUE, bool(kinds)) == risk(decision)
    assert bool(kinds) == isinstance(decision, Hold)


@pytest.mark.parametrize(
    ("keys", "now", "reason", "at_risk"),
    [
        pytest.param((OURS,), DUE - SECOND, Reason.NOT_DUE, False, id="not due"),
        pytest.param((OURS,), DUE, Reason.RENEWAL_DUE, True, id="due"),
        pytest.param((OURS,), TURN, Reason.OVERDUE, True, id="overdue"),
        pytest.param((key("net", None, None),), T0, Reason.UNDATED, False, id="undated"),
        pytest.param((OURS, key("later", END + DAY, None)), END, Reason.NO_VALID_KEY, True, id="no valid key"),
    ],
)
def test_decide_signing_keyset_that_is_configured_for_encryption(
    keys: tuple[Key, ...], now: datetime, reason: Reason, *, at_risk: bool
) -> None:
    """What would be refused is not requested, for the reason that it would have; from the window on it is at risk."""
    decision = decide(policy(use="enc"), keyset(*keys), now)
    assert isinstance(decision, Hold)
    assert (reason, at_risk) == risk(decision)
    observed = decide(policy(use="enc", mode=Mode.OBSERVE), keyset(*keys), now)
    assert isinstance(observed, Hold)
    assert (Reason.OBSERVE, reason, None) == (observed.reason, observed.would, observed.spec)


@pytest.mark.parametrize(
    ("keys", "cover", "left"),
    [
        pytest.param((OURS,), Cover.DATED, END - T0, id="dated"),
        pytest.param((key("net", None, None),), Cover.ENDLESS, None, id="undated"),
        pytest.param((key("no exp", T0, None),), Cover.ENDLESS, None, id="without exp"),
        pytest.param((key("net", None, None, enabled=False),), Cover.NONE, timedelta(), id="undated, and disabled"),
        pytest.param((), Cover.NONE, timedelta(), id="empty"),
    ],
)
def test_decide_cover(keys: tuple[Key, ...], cover: Cover, left: timedelta | None) -> None:
    """Cover has an end, has none, or is not there."""
    assessment = decide(POLICY, keyset(*keys), T0).assessment
    assert (cover, left) == (assessment.cover, assessment.cover_left(T0))
    assert (None if left is None or cover is Cover.NONE else T0 + left) == assessment.covered_until
