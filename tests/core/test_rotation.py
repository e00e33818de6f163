"""
Whole decisions.

They are told in these instants of a keyset with one key of ours:

    T0 ──────────── DUE ─────────── PUBLISH_BY ───────── TURN ─────────── END
    activates    renewal_due                          activation of     expires
                                                      its successor
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from core.builders import DAY, HOUR, SECOND, T0, extended, key, keyset, made, policy

from rotator.core.assessment import Assessment, Note, NoteKind, Plan, Shortfall
from rotator.core.keyset import Key, Keyset
from rotator.core.policy import KeySpec, Mode, RotationPolicy
from rotator.core.reasons import Reason, confirms
from rotator.core.rotation import Decision, Hold, Rotate, decide

POLICY = policy()
OVERLAP, LEAD, VALIDITY = POLICY.overlap, POLICY.publication_lead, POLICY.validity
LATE = policy(minimum_lead=3 * HOUR)
"""A policy for a service that takes no key which activates sooner than in three hours."""

DUE = T0 + 74 * DAY
PUBLISH_BY = T0 + 88 * DAY
TURN = T0 + 90 * DAY
END = T0 + 91 * DAY + HOUR

OURS = key("ours", T0, END)
TWO_YEARS = key("two years", T0, T0 + 730 * DAY)
NET = key("net", None, None)
PLAN = Plan(renewal_due=DUE, publish_by=PUBLISH_BY, activation=TURN)


def plan(activation: datetime) -> Plan:
    """The plan of the default policy for a key that activates at *activation*."""
    return Plan(renewal_due=activation - 16 * DAY, publish_by=activation - 2 * DAY, activation=activation)


def at_once(now: datetime, nbf: datetime) -> Plan:
    """The plan if there is nothing to wait for."""
    return Plan(renewal_due=now, publish_by=now, activation=nbf)


def spec(nbf: datetime) -> KeySpec:
    """A key of the default policy that activates at *nbf*."""
    return KeySpec(use="sig", kty="RSA", nbf=nbf, exp=nbf + VALIDITY)


def short(now: datetime, nbf: datetime, end: datetime) -> Shortfall:
    """What falls short of the default policy where a key is requested at *now* that follows one which ends at *end*."""
    none = timedelta()
    return Shortfall(
        lead=max(none, LEAD - (nbf - now)),
        overlap=min(max(none, nbf - (end - OVERLAP)), OVERLAP),
        cover=max(none, nbf - end),
    )


def carried_out(decision: Decision, before: Keyset, kid: str = "new") -> Keyset:
    """The keyset after the key that *decision* asks for was made."""
    assert isinstance(decision, Rotate)
    return extended(before, made(decision.spec, kid))


def sweeps(
    rules: RotationPolicy, keys: Keyset, instants: Sequence[datetime]
) -> Iterator[tuple[datetime, Decision, Keyset]]:
    """Decide at each of *instants* and carry it out: when, what, and the keyset after that."""
    for number, now in enumerate(instants):
        decision = decide(rules, keys, now)
        if isinstance(decision, Rotate):
            keys = extended(keys, made(decision.spec, f"new {number}"))
        yield now, decision, keys


def every(step: timedelta, start: datetime, end: datetime) -> list[datetime]:
    """The instants from *start* on, *step* apart, before *end*."""
    return [start + n * step for n in range(-((start - end) // step))]


def asked(rules: RotationPolicy, keys: Keyset, instants: Sequence[datetime]) -> list[datetime]:
    """The activation of each key that sweeps at *instants* ask for."""
    decisions = (decision for _, decision, _ in sweeps(rules, keys, instants))
    return [decision.spec.nbf for decision in decisions if isinstance(decision, Rotate)]


@pytest.mark.parametrize(
    ("now", "reason", "nbf"),
    [
        pytest.param(T0, Reason.NOT_DUE, None, id="the key activates"),
        pytest.param(DUE - SECOND, Reason.NOT_DUE, None, id="a second before the window opens"),
        pytest.param(DUE, Reason.RENEWAL_DUE, TURN, id="the window opens"),
        pytest.param(DUE + SECOND, Reason.RENEWAL_DUE, TURN, id="a second after the window opens"),
        pytest.param(PUBLISH_BY - SECOND, Reason.RENEWAL_DUE, TURN, id="a second before the window closes"),
        pytest.param(PUBLISH_BY, Reason.RENEWAL_DUE, TURN, id="the window closes: the lead is still whole"),
        pytest.param(PUBLISH_BY + SECOND, Reason.OVERDUE, TURN, id="a second late: the lead shrinks"),
        pytest.param(TURN - SECOND, Reason.OVERDUE, TURN, id="a second before the turn ends"),
        pytest.param(TURN, Reason.OVERDUE, TURN, id="the turn ends: no lead"),
        pytest.param(TURN + SECOND, Reason.OVERDUE, END, id="a second later: the overlap is lost, the lead ends cover"),
        pytest.param(END - SECOND, Reason.OVERDUE, END, id="a second before the key expires"),
    ],
)
def test_decide_key_of_ours_over_time(now: datetime, reason: Reason, nbf: datetime | None) -> None:
    """The successor takes over when the turn ends, to the second, until there is no time left for that."""
    is_late = reason is Reason.OVERDUE
    shortfall = short(now, nbf, END) if nbf and is_late else Shortfall()
    assessment = Assessment(active=OURS, covered_until=END, plan=PLAN, at_risk=is_late, shortfall=shortfall)
    expected = (
        Hold(assessment=assessment, reason=reason)
        if nbf is None
        else Rotate(
            assessment=assessment, reason=reason, spec=KeySpec(use="sig", kty="RSA", nbf=nbf, exp=nbf + VALIDITY)
        )
    )
    assert expected == decide(POLICY, keyset(OURS), now)


@pytest.mark.parametrize("now", [END, END + SECOND])
def test_decide_key_of_ours_expired(now: datetime) -> None:
    """From the second in which the last key expires there is nothing to wait for."""
    assessment = Assessment(
        active=None, covered_until=None, plan=at_once(now, now), at_risk=True, shortfall=Shortfall(lead=LEAD)
    )
    assert Rotate(assessment=assessment, reason=Reason.NO_VALID_KEY, spec=spec(now)) == decide(
        POLICY, keyset(OURS), now
    )


WHOLE_OVERLAP = TWO_YEARS.expires - OVERLAP


@pytest.mark.parametrize(
    ("now", "reason", "nbf"),
    [
        pytest.param(DUE - SECOND, Reason.NOT_DUE, None, id="a second before the window opens"),
        pytest.param(DUE, Reason.RENEWAL_DUE, TURN, id="the window opens"),
        pytest.param(PUBLISH_BY, Reason.RENEWAL_DUE, TURN, id="the window closes"),
        pytest.param(PUBLISH_BY + SECOND, Reason.OVERDUE, TURN + SECOND, id="a second late: with the whole lead"),
        pytest.param(TURN, Reason.OVERDUE, TURN + LEAD, id="the turn is over: with the whole lead"),
        pytest.param(
            WHOLE_OVERLAP - LEAD - SECOND,
            Reason.OVERDUE,
            WHOLE_OVERLAP - SECOND,
            id="a second more than lead + overlap",
        ),
        pytest.param(WHOLE_OVERLAP - LEAD, Reason.OVERDUE, WHOLE_OVERLAP, id="exactly lead and overlap are left"),
        pytest.param(
            WHOLE_OVERLAP - LEAD + SECOND, Reason.OVERDUE, WHOLE_OVERLAP, id="a second less: the lead shrinks"
        ),
        pytest.param(WHOLE_OVERLAP - SECOND, Reason.OVERDUE, WHOLE_OVERLAP, id="a second of lead is left"),
        pytest.param(WHOLE_OVERLAP, Reason.OVERDUE, WHOLE_OVERLAP, id="exactly the overlap is left"),
        pytest.param(WHOLE_OVERLAP + SECOND, Reason.OVERDUE, TWO_YEARS.expires, id="a second later: it is lost"),
        pytest.param(TWO_YEARS.expires - SECOND, Reason.OVERDUE, TWO_YEARS.expires, id="a second before it expires"),
    ],
)
def test_decide_two_year_key_over_time(now: datetime, reason: Reason, nbf: datetime | None) -> None:
    """A key that lives longer than its turn is rotated after that; late, the lead goes before the overlap."""
    assessment = Assessment(
        active=TWO_YEARS,
        covered_until=TWO_YEARS.expires,
        plan=PLAN,
        at_risk=reason is Reason.OVERDUE,
        shortfall=short(now, nbf, TWO_YEARS.expires) if nbf else Shortfall(),
    )
    expected = (
        Hold(assessment=assessment, reason=reason)
        if nbf is None
        else Rotate(assessment=assessment, reason=reason, spec=spec(nbf))
    )
    assert expected == decide(POLICY, keyset(TWO_YEARS), now)


@pytest.mark.parametrize(
    ("now", "nbf"),
    [
        pytest.param(TURN - 3 * HOUR - SECOND, TURN, id="a second more than the least lead"),
        pytest.param(TURN - 3 * HOUR, TURN, id="exactly the least lead"),
        pytest.param(TURN - 3 * HOUR + SECOND, END, id="a second less: the overlap is lost whatever is done"),
        pytest.param(TURN, END, id="the turn is over"),
        pytest.param(END - 3 * HOUR - SECOND, END, id="a second of overlap is left"),
        pytest.param(END - 3 * HOUR, END, id="no overlap, and no gap"),
        pytest.param(END - 3 * HOUR + SECOND, END + SECOND, id="a gap of a second"),
        pytest.param(END - SECOND, END - SECOND + 3 * HOUR, id="a second before the key expires"),
    ],
)
def test_decide_minimum_lead_when_late(now: datetime, nbf: datetime) -> None:
    """Late, a key activates no sooner than the service takes it, and no later than cover needs it."""
    assessment = Assessment(active=OURS, covered_until=END, plan=PLAN, at_risk=True, shortfall=short(now, nbf, END))
    assert Rotate(assessment=assessment, reason=Reason.OVERDUE, spec=spec(nbf)) == decide(LATE, keyset(OURS), now)


def test_decide_minimum_lead_without_valid_key() -> None:
    """Without a valid key the new one activates as soon as the service takes it."""
    assessment = Assessment(
        active=None,
        covered_until=None,
        plan=at_once(END, END + 3 * HOUR),
        at_risk=True,
        shortfall=Shortfall(lead=LEAD - 3 * HOUR, cover=3 * HOUR),
    )
    expected = Rotate(assessment=assessment, reason=Reason.NO_VALID_KEY, spec=spec(END + 3 * HOUR))
    assert expected == decide(LATE, keyset(OURS), END)


@pytest.mark.parametrize("now", [DUE, PUBLISH_BY, PUBLISH_BY + SECOND, TURN - SECOND, TURN])
def test_decide_again_with_a_link(now: datetime) -> None:
    """A successor that overlaps ends the matter, even one that was made late: nothing of that can be fixed."""
    successor = key("new", TURN, TURN + VALIDITY)
    keys = keyset(OURS, successor)
    assert keys == carried_out(decide(POLICY, keyset(OURS), now), keyset(OURS))
    active = OURS if now < TURN else successor
    assessment = Assessment(active=active, covered_until=TURN + VALIDITY, plan=plan(TURN + 90 * DAY), at_risk=False)
    assert Hold(assessment=assessment, reason=Reason.NOT_DUE) == decide(POLICY, keys, now)


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        pytest.param(END - HOUR, Reason.OVERDUE, id="at once"),
        pytest.param(END - SECOND, Reason.OVERDUE, id="a second before the gap"),
        pytest.param(END, Reason.NO_VALID_KEY, id="the gap begins"),
        pytest.param(END + 2 * HOUR - SECOND, Reason.NO_VALID_KEY, id="a second before the gap ends"),
        pytest.param(END + 2 * HOUR, Reason.NOT_DUE, id="the gap ends"),
    ],
)
def test_decide_again_with_a_gap_that_nobody_can_close(later: datetime, reason: Reason) -> None:
    """Where the service takes no key in time one is made, no more, and the trouble is reported until that is valid."""
    decision = decide(LATE, keyset(OURS), END - HOUR)
    keys = carried_out(decision, keyset(OURS))
    new = key("new", END + 2 * HOUR, END + 2 * HOUR + VALIDITY)
    assert keyset(OURS, new) == keys
    valid = later >= END + 2 * HOUR
    active = new if valid else OURS if later < END else None
    gap = Shortfall(overlap=OVERLAP, cover=2 * HOUR) if active else Shortfall(cover=new.activates - later)
    assessment = Assessment(
        active=active,
        covered_until=new.expires if valid else END if active else None,
        plan=plan(new.activates + 90 * DAY),
        at_risk=not valid,
        notes=() if valid else (Note(kid="new", kind=NoteKind.BEHIND_GAP),),
        shortfall=Shortfall() if valid else gap,
    )
    assert Hold(assessment=assessment, reason=reason) == decide(LATE, keys, later)


def test_decide_again_with_a_lost_overlap() -> None:
    """A successor without the whole overlap is followed by none, and its lack is reported until it takes over."""
    keys = carried_out(decide(LATE, keyset(OURS), TURN), keyset(OURS))
    nbf = END
    held = [decide(LATE, keys, now) for now in (TURN, nbf - SECOND, nbf)]
    assert [(decision.reason, decision.assessment.at_risk) for decision in held] == [
        (Reason.OVERDUE, True),
        (Reason.OVERDUE, True),
        (Reason.NOT_DUE, False),
    ]
    assert [
        (Note(kid="new", kind=NoteKind.OVERLAP_TOO_SHORT),),
        (Note(kid="new", kind=NoteKind.OVERLAP_TOO_SHORT),),
        (),
    ] == [decision.assessment.notes for decision in held]


@pytest.mark.parametrize("rules", [POLICY, LATE])
@pytest.mark.parametrize(
    "late", [PUBLISH_BY, PUBLISH_BY + SECOND, TURN - HOUR, TURN, TURN + HOUR, END - HOUR, END, END + HOUR]
)
def test_decide_every_hour_after_a_late_start(rules: RotationPolicy, late: datetime) -> None:
    """However late the first sweep comes, it asks for one key, and the next is requested in its own window."""
    (first, *rest) = asked(rules, keyset(OURS), every(HOUR, late, late + 100 * DAY))
    assert [first + 90 * DAY] == rest


def test_decide_two_year_key_again() -> None:
    """A hand-made two-year key is followed by keys that expire before it does, one a turn."""
    keys = carried_out(decide(POLICY, keyset(TWO_YEARS), DUE), keyset(TWO_YEARS))
    successor = key("new", TURN, TURN + VALIDITY)
    assessment = Assessment(
        active=TWO_YEARS, covered_until=TWO_YEARS.expires, plan=plan(TURN + 90 * DAY), at_risk=False
    )
    assert Hold(assessment=assessment, reason=Reason.NOT_DUE) == decide(POLICY, keys, DUE)
    assessment = Assessment(
        active=successor, covered_until=successor.expires, plan=plan(TURN + 90 * DAY), at_risk=False
    )
    assert Hold(assessment=assessment, reason=Reason.NOT_DUE) == decide(POLICY, keys, TURN)


def test_decide_two_year_key_for_years() -> None:
    """While a two-year key is retained, the keys that follow it are a turn apart."""
    expected = [TURN + n * 90 * DAY for n in range(11)]
    assert expected == asked(POLICY, keyset(TWO_YEARS), every(12 * HOUR, T0, T0 + 990 * DAY))


def test_decide_late_successor_of_a_two_year_key() -> None:
    """A successor that has its whole lead, and overlaps, hurts nothing, although it comes after the turn."""
    now = T0 + 200 * DAY
    keys = carried_out(decide(POLICY, keyset(TWO_YEARS), now), keyset(TWO_YEARS))
    assessment = Assessment(
        active=TWO_YEARS, covered_until=TWO_YEARS.expires, plan=plan(now + LEAD + 90 * DAY), at_risk=False
    )
    assert Hold(assessment=assessment, reason=Reason.NOT_DUE) == decide(POLICY, keys, now)


@pytest.mark.parametrize(
    ("now", "active", "nbf"),
    [
        pytest.param(TURN + VALIDITY - SECOND, "ours", TURN + VALIDITY, id="a second before it expires"),
        pytest.param(TURN + VALIDITY, "two years", TURN + VALIDITY + LEAD, id="it expires"),
        pytest.param(TURN + VALIDITY + DAY, "two years", TURN + VALIDITY + DAY + LEAD, id="a day later"),
    ],
)
def test_decide_two_year_key_active_again(now: datetime, active: str, nbf: datetime) -> None:
    """A key that took over and has expired takes no lead from the one that follows the key active again."""
    ours = key("ours", TURN, TURN + VALIDITY)
    decision = decide(POLICY, keyset(TWO_YEARS, ours), now)
    assert (active, Reason.OVERDUE, spec(nbf)) == (
        decision.assessment.active and decision.assessment.active.kid,
        decision.reason,
        getattr(decision, "spec", None),
    )


TEN_DAYS = key("ten days", T0, T0 + 10 * DAY)
SHORT_TURN = T0 + 10 * DAY - OVERLAP


@pytest.mark.parametrize(
    ("now", "reason", "nbf"),
    [
        pytest.param(T0, Reason.RENEWAL_DUE, SHORT_TURN, id="it activates: its window is open already"),
        pytest.param(SHORT_TURN - LEAD, Reason.RENEWAL_DUE, SHORT_TURN, id="the window closes"),
        pytest.param(SHORT_TURN - LEAD + SECOND, Reason.OVERDUE, SHORT_TURN, id="a second late"),
        pytest.param(SHORT_TURN + SECOND, Reason.OVERDUE, TEN_DAYS.expires, id="a second too late for the overlap"),
    ],
)
def test_decide_short_key_over_time(now: datetime, reason: Reason, nbf: datetime) -> None:
    """A hand-made key that expires before its turn would end hands over early enough to overlap."""
    assessment = Assessment(
        active=TEN_DAYS,
        covered_until=TEN_DAYS.expires,
        plan=plan(SHORT_TURN),
        at_risk=reason is Reason.OVERDUE,
        shortfall=short(now, nbf, TEN_DAYS.expires),
    )
    assert Rotate(assessment=assessment, reason=reason, spec=spec(nbf)) == decide(POLICY, keyset(TEN_DAYS), now)


@pytest.mark.parametrize("now", [T0, SHORT_TURN - LEAD + SECOND, SHORT_TURN + SECOND])
def test_decide_short_key_again(now: datetime) -> None:
    """One key follows a short one."""
    assert isinstance(decide(POLICY, carried_out(decide(POLICY, keyset(TEN_DAYS), now), keyset(TEN_DAYS)), now), Hold)


def test_decide_key_shorter_than_the_overlap() -> None:
    """A key whose whole life is shorter than the overlap is followed when it ends, with as much lead as that leaves."""
    brief = key("brief", T0, T0 + 20 * HOUR)
    shortfall = Shortfall(lead=LEAD - 19 * HOUR, overlap=OVERLAP)
    assessment = Assessment(
        active=brief, covered_until=brief.expires, plan=plan(T0 - 5 * HOUR), at_risk=True, shortfall=shortfall
    )
    decision = decide(POLICY, keyset(brief), T0 + HOUR)
    assert Rotate(assessment=assessment, reason=Reason.OVERDUE, spec=spec(brief.expires)) == decision
    assert isinstance(decide(POLICY, carried_out(decision, keyset(brief)), T0 + HOUR), Hold)


@pytest.mark.parametrize(
    ("active", "covered_until", "activation"),
    [
        pytest.param(key("nbf", T0, None), None, TURN, id="only nbf: after its turn"),
        pytest.param(key("exp", None, END), END, TURN, id="only exp: in time for the overlap"),
    ],
)
def test_decide_half_dated_key(active: Key, covered_until: datetime | None, activation: datetime) -> None:
    """A key with one date is followed as that one asks for, and by one key."""
    assessment = Assessment(active=active, covered_until=covered_until, plan=PLAN, at_risk=False)
    assert Hold(assessment=assessment, reason=Reason.NOT_DUE) == decide(POLICY, keyset(active), DUE - SECOND)
    decision = decide(POLICY, keyset(active), DUE)
    assert Rotate(assessment=assessment, reason=Reason.RENEWAL_DUE, spec=spec(activation)) == decision
    after = decide(POLICY, carried_out(decision, keyset(active)), DUE)
    assert (Reason.NOT_DUE, plan(TURN + 90 * DAY)) == (after.reason, after.assessment.plan)


@pytest.mark.parametrize("half", [key("nbf", T0, None), key("exp", None, END)])
def test_decide_half_dated_key_for_years(half: Key) -> None:
    """A key with one date does not lead to more keys than one with both."""
    expected = [TURN + n * 90 * DAY for n in range(8)]
    assert expected == asked(POLICY, keyset(half), every(12 * HOUR, T0, T0 + 720 * DAY))


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param((), id="empty"),
        pytest.param((key("past", T0 - DAY, T0),), id="only an expired key"),
        pytest.param((key("off", T0 - DAY, T0 + DAY, enabled=False),), id="only a disabled key"),
        pytest.param((key("off", None, None, enabled=False),), id="only a disabled undated key"),
        pytest.param((key("crossed", T0, T0 - DAY),), id="only crossed dates"),
    ],
)
def test_decide_nothing_valid(keys: tuple[Key, ...]) -> None:
    """If nothing is valid and nothing is to come, a key is made at once, one only."""
    assessment = Assessment(
        active=None, covered_until=None, plan=at_once(T0, T0), at_risk=True, shortfall=Shortfall(lead=LEAD)
    )
    decision = decide(POLICY, keyset(*keys), T0)
    assert Rotate(assessment=assessment, reason=Reason.NO_VALID_KEY, spec=spec(T0)) == decision
    new = made(spec(T0), "new")
    assessment = Assessment(active=new, covered_until=new.expires, plan=PLAN, at_risk=False)
    again = decide(POLICY, carried_out(decision, keyset(*keys)), T0)
    assert Hold(assessment=assessment, reason=Reason.NOT_DUE) == again


@pytest.mark.parametrize(
    ("nbf", "asked_for"),
    [
        pytest.param(T0 + 3 * HOUR - SECOND, None, id="sooner than ours could"),
        pytest.param(T0 + 3 * HOUR, None, id="as soon as ours could"),
        pytest.param(T0 + 3 * HOUR + SECOND, T0 + 3 * HOUR, id="a second later than ours could"),
    ],
)
def test_decide_nothing_valid_but_a_key_to_come(nbf: datetime, asked_for: datetime | None) -> None:
    """If nothing is valid, a key is made only if it helps sooner than the one to come."""
    to_come = key("to come", nbf, nbf + VALIDITY)
    decision = decide(LATE, keyset(to_come), T0)
    notes = (Note(kid="to come", kind=NoteKind.BEHIND_GAP),)
    if asked_for is None:
        shortfall = Shortfall(cover=nbf - T0)
        assessment = Assessment(
            active=None,
            covered_until=None,
            plan=plan(nbf + 90 * DAY),
            at_risk=True,
            notes=notes,
            shortfall=shortfall,
        )
        assert Hold(assessment=assessment, reason=Reason.NO_VALID_KEY) == decision
    else:
        shortfall = Shortfall(lead=LEAD - 3 * HOUR, cover=3 * HOUR)
        assessment = Assessment(
            active=None,
            covered_until=None,
            plan=at_once(T0, asked_for),
            at_risk=True,
            notes=notes,
            shortfall=shortfall,
        )
        assert Rotate(assessment=assessment, reason=Reason.NO_VALID_KEY, spec=spec(asked_for)) == decision
        assert isinstance(decide(LATE, carried_out(decision, keyset(to_come)), T0), Hold)


def test_decide_nothing_valid_and_a_key_to_come_that_is_soon_over() -> None:
    """A key to come that leaves no time for the overlap is followed when it ends, and then all is done."""
    brief = key("brief", T0 + HOUR, T0 + 4 * HOUR)
    decision = decide(LATE, keyset(brief), T0)
    assert (Reason.NO_VALID_KEY, spec(T0 + 4 * HOUR)) == (decision.reason, getattr(decision, "spec", None))
    after = decide(LATE, carried_out(decision, keyset(brief)), T0)
    assert (after.reason, after.assessment.at_risk) == (Reason.NO_VALID_KEY, True)
    assert isinstance(after, Hold)


def test_decide_only_undated() -> None:
    """An undated key is a net: a dated key is made, with its whole lead, and the net stays."""
    decision = decide(POLICY, keyset(NET), T0)
    assessment = Assessment(active=NET, covered_until=None, plan=at_once(T0, T0 + LEAD), at_risk=False)
    assert Rotate(assessment=assessment, reason=Reason.UNDATED, spec=spec(T0 + LEAD)) == decision
    new = made(spec(T0 + LEAD), "new")
    assessment = Assessment(active=NET, covered_until=new.expires, plan=plan(T0 + LEAD + 90 * DAY), at_risk=False)
    again = decide(POLICY, carried_out(decision, keyset(NET)), T0)
    assert Hold(assessment=assessment, reason=Reason.NOT_DUE) == again


def test_decide_only_undated_and_a_disabled_key() -> None:
    """A disabled key to come does not spare the net a dated key, and is named."""
    off = key("off", T0 + DAY, T0 + 100 * DAY, enabled=False)
    decision = decide(POLICY, keyset(NET, off), T0)
    assessment = Assessment(
        active=NET,
        covered_until=None,
        plan=at_once(T0, T0 + LEAD),
        at_risk=False,
        notes=(Note(kid="off", kind=NoteKind.DISABLED),),
    )
    assert Rotate(assessment=assessment, reason=Reason.UNDATED, spec=spec(T0 + LEAD)) == decision


def test_decide_undated_with_a_dated_key_to_come() -> None:
    """Where the net is active and a dated key is to come, that is what the next key follows."""
    ours = key("ours", T0, END)
    before = T0 - 300 * DAY
    assessment = Assessment(active=NET, covered_until=END, plan=PLAN, at_risk=False)
    assert Hold(assessment=assessment, reason=Reason.NOT_DUE) == decide(POLICY, keyset(NET, ours), before)


@pytest.mark.parametrize("life", [OVERLAP - SECOND, OVERLAP, OVERLAP + SECOND, VALIDITY])
@pytest.mark.parametrize("rules", [POLICY, LATE])
def test_decide_undated_with_a_short_key_to_come(rules: RotationPolicy, life: timedelta) -> None:
    """Whatever the life of the key to come, one carried out decision is enough."""
    to_come = key("to come", T0 + 5 * DAY, T0 + 5 * DAY + life)
    decided = list(sweeps(rules, keyset(NET, to_come), every(HOUR, T0, to_come.activates)))
    assert (0 if life == VALIDITY else 1) == sum(isinstance(decision, Rotate) for _, decision, _ in decided)


def test_decide_undated_beside_a_dated_key() -> None:
    """A net beside a dated key changes nothing."""
    assert decide(POLICY, keyset(OURS), DUE) == decide(POLICY, keyset(NET, OURS), DUE)
    assessment = Assessment(active=NET, covered_until=None, plan=at_once(END, END + LEAD), at_risk=False)
    assert Rotate(assessment=assessment, reason=Reason.UNDATED, spec=spec(END + LEAD)) == decide(
        POLICY, keyset(NET, OURS), END
    )


def test_decide_by_the_newest_link() -> None:
    """The next key follows the last key of the chain, even if a person created that."""
    second = key("second", T0 + 50 * DAY, T0 + 200 * DAY)
    assessment = Assessment(active=OURS, covered_until=second.expires, plan=plan(T0 + 140 * DAY), at_risk=False)
    keys = keyset(OURS, second)
    assert Hold(assessment=assessment, reason=Reason.NOT_DUE) == decide(POLICY, keys, T0 + 49 * DAY)


def named(kid: str, kind: NoteKind) -> tuple[Note, ...]:
    """One note."""
    return (Note(kid=kid, kind=kind),)


@pytest.mark.parametrize(
    ("to_come", "notes"),
    [
        pytest.param(key("k", TURN, None), (), id="just in time"),
        pytest.param(key("k", TURN, END), (), id="just in time, but no longer than the last link"),
        pytest.param(key("k", TURN + SECOND, None), named("k", NoteKind.OVERLAP_TOO_SHORT), id="a second too late"),
        pytest.param(key("k", END, None), named("k", NoteKind.OVERLAP_TOO_SHORT), id="no overlap, and no gap"),
        pytest.param(key("k", END + SECOND, None), named("k", NoteKind.BEHIND_GAP), id="behind a gap of a second"),
        pytest.param(key("k", TURN, None, enabled=False), named("k", NoteKind.DISABLED), id="disabled"),
        pytest.param(key("k", END + DAY, None, enabled=False), named("k", NoteKind.DISABLED), id="disabled, and a gap"),
        pytest.param(key("k", T0 + SECOND, None, enabled=False), named("k", NoteKind.DISABLED), id="disabled, soon"),
        pytest.param(key("k", T0, None, enabled=False), (), id="disabled, no longer to come"),
        pytest.param(key("k", None, None, enabled=False), (), id="a disabled net"),
        pytest.param(key("k", None, END, enabled=False), (), id="disabled without nbf"),
        pytest.param(key("k", T0 + DAY, T0 + 2 * DAY), (), id="soon over"),
        pytest.param(key(None, END + DAY, None), (Note(kid=None, kind=NoteKind.BEHIND_GAP),), id="without kid"),
    ],
)
def test_decide_notes(to_come: Key, notes: tuple[Note, ...]) -> None:
    """A key that will not take over as somebody may expect is named, with what is wrong with it."""
    assert notes == decide(POLICY, keyset(OURS, to_come), T0).assessment.notes


def test_decide_notes_without_the_beginning_of_the_chain() -> None:
    """A key that begins the chain is not a problem, even if its whole life is shorter than the overlap."""
    brief = key("brief", T0 + 5 * DAY, T0 + 5 * DAY + OVERLAP - SECOND)
    assessment = decide(POLICY, keyset(NET, brief), T0).assessment
    assert (brief.expires, ()) == (assessment.covered_until, assessment.notes)


def test_decide_notes_in_the_order_of_the_keyset() -> None:
    """Every such key is named, in the order of the keyset."""
    keys = keyset(key("gap", END + DAY, None), OURS, key("short", END, None), key("off", DUE, None, enabled=False), NET)
    expected = (
        Note(kid="gap", kind=NoteKind.BEHIND_GAP),
        Note(kid="short", kind=NoteKind.OVERLAP_TOO_SHORT),
        Note(kid="off", kind=NoteKind.DISABLED),
    )
    assert expected == decide(POLICY, keys, T0).assessment.notes


@pytest.mark.parametrize(
    ("to_come", "kind", "total"),
    [
        pytest.param(key("k", TURN, TURN + VALIDITY, enabled=False), NoteKind.DISABLED, TURN + VALIDITY, id="disabled"),
        pytest.param(
            key("k", TURN + SECOND, TURN + SECOND + VALIDITY),
            NoteKind.OVERLAP_TOO_SHORT,
            TURN + SECOND + VALIDITY,
            id="overlaps too little",
        ),
        pytest.param(
            key("k", END + DAY, END + DAY + VALIDITY), NoteKind.BEHIND_GAP, END + DAY + VALIDITY, id="behind a gap"
        ),
    ],
)
def test_decide_key_to_come_is_no_cover(to_come: Key, kind: NoteKind, total: datetime) -> None:
    """A key that does not extend the cover is named; one key closes the gap, and counts like keys that people made."""
    keys = keyset(OURS, to_come)
    assessment = Assessment(active=OURS, covered_until=END, plan=PLAN, at_risk=False, notes=named("k", kind))
    assert Hold(assessment=assessment, reason=Reason.NOT_DUE) == decide(POLICY, keys, DUE - SECOND)
    decision = decide(POLICY, keys, DUE)
    assert Rotate(assessment=assessment, reason=Reason.RENEWAL_DUE, spec=spec(TURN)) == decision
    after = decide(POLICY, carried_out(decision, keys), DUE)
    closed = () if to_come.enabled else named("k", kind)
    assert (Reason.NOT_DUE, total, closed) == (after.reason, after.assessment.covered_until, after.assessment.notes)


@pytest.mark.parametrize(
    ("nbf", "rotates"),
    [
        pytest.param(END - SECOND, False, id="sooner than ours could"),
        pytest.param(END, False, id="as soon as ours could"),
        pytest.param(END + SECOND, True, id="a second later than ours could"),
    ],
)
def test_decide_stand_in_when_late(nbf: datetime, *, rotates: bool) -> None:
    """Another key joins an upcoming one that does not extend the cover only if it helps sooner; it is reported."""
    keys = keyset(OURS, key("stand-in", nbf, nbf + VALIDITY))
    decision = decide(LATE, keys, END - 3 * HOUR)
    if rotates:
        assert spec(END) == getattr(decision, "spec", None)
    else:
        assert isinstance(decision, Hold)
        assert (Reason.OVERDUE, plan(nbf + 90 * DAY)) == (decision.reason, decision.assessment.plan)
    assert decision.assessment.at_risk


@pytest.mark.parametrize(
    ("active", "exp", "rotates"),
    [
        pytest.param(OURS, END, True, id="ours: together with it"),
        pytest.param(OURS, END + SECOND, False, id="ours: a second after it"),
        pytest.param(TWO_YEARS, END - SECOND, True, id="two years: a second before a key of ours would"),
        pytest.param(TWO_YEARS, END, True, id="two years: when a key of ours would"),
        pytest.param(TWO_YEARS, END + SECOND, False, id="two years: a second after a key of ours would"),
        pytest.param(key("nbf", T0, None), END, True, id="no exp: when a key of ours would"),
        pytest.param(key("nbf", T0, None), END + SECOND, False, id="no exp: a second after a key of ours would"),
        pytest.param(key("exp", None, END), END, True, id="no nbf: together with it"),
        pytest.param(key("exp", None, END), END + SECOND, False, id="no nbf: a second after it"),
    ],
)
def test_decide_stand_in_outlasts_the_turn(active: Key, exp: datetime, *, rotates: bool) -> None:
    """A key to come counts for the needed one only if it outlasts the turn of the key that it follows."""
    stand_in = key("stand-in", TURN, exp)
    decision = decide(POLICY, keyset(active, stand_in), TURN - 10 * DAY)
    if rotates:
        assert (Reason.RENEWAL_DUE, spec(TURN)) == (decision.reason, getattr(decision, "spec", None))
    else:
        # It is so short that it is due itself: what is asked for follows the stand-in.
        assert plan(TURN + SECOND) == decision.assessment.plan
        assert (Reason.RENEWAL_DUE, spec(TURN + SECOND)) == (decision.reason, getattr(decision, "spec", None))


def test_decide_stand_in_for_a_short_key() -> None:
    """What follows a key that is soon over need not outlast the turn that such a key never has."""
    now = SHORT_TURN + SECOND
    stand_in = key("stand-in", now + 3 * HOUR, TURN)
    decision = decide(LATE, keyset(TEN_DAYS, stand_in), now)
    assessment = Assessment(
        active=TEN_DAYS,
        covered_until=TEN_DAYS.expires,
        plan=plan(TURN - OVERLAP),
        at_risk=True,
        notes=(Note(kid="stand-in", kind=NoteKind.OVERLAP_TOO_SHORT),),
        shortfall=Shortfall(overlap=3 * HOUR + SECOND),
    )
    assert Hold(assessment=assessment, reason=Reason.OVERDUE) == decision


def test_decide_stand_in_that_ends_with_the_turn() -> None:
    """An upcoming key that expires when the key of the turn would have does not replace it, and costs no lead."""
    now = PUBLISH_BY + DAY
    decision = decide(POLICY, keyset(TWO_YEARS, key("no stand-in", now + HOUR, END)), now)
    assert (Reason.OVERDUE, PLAN, spec(now + LEAD)) == (
        decision.reason,
        decision.assessment.plan,
        getattr(decision, "spec", None),
    )


def test_decide_stand_in_just_in_time() -> None:
    """A key to come that has exactly the overlap hurts nothing."""
    stand_in = key("stand-in", WHOLE_OVERLAP, TWO_YEARS.expires)
    decision = decide(POLICY, keyset(TWO_YEARS, stand_in), WHOLE_OVERLAP - LEAD)
    assessment = Assessment(active=TWO_YEARS, covered_until=TWO_YEARS.expires, plan=plan(WHOLE_OVERLAP), at_risk=False)
    assert Rotate(assessment=assessment, reason=Reason.RENEWAL_DUE, spec=spec(WHOLE_OVERLAP)) == decision


def test_decide_longest_of_several_stand_ins() -> None:
    """Of several keys to come the one that expires last is followed."""
    one = key("one", TURN - DAY, TURN + 80 * DAY)
    two = key("two", TURN - 2 * DAY, TURN + 100 * DAY)
    three = key("three", TURN - 3 * DAY, TURN + 90 * DAY)
    decision = decide(POLICY, keyset(TWO_YEARS, one, two, three), DUE)
    assert (Reason.NOT_DUE, plan(TURN + 88 * DAY)) == (decision.reason, decision.assessment.plan)


def test_decide_by_the_last_of_stand_ins_in_a_row() -> None:
    """Keys to come follow each other as they would if we had made them."""
    one = key("one", TURN, TURN + 15 * DAY)
    two = key("two", TURN + 10 * DAY, TURN + 200 * DAY)
    decision = decide(POLICY, keyset(TWO_YEARS, one, two), PUBLISH_BY)
    assert (Reason.NOT_DUE, plan(TURN + 100 * DAY)) == (decision.reason, decision.assessment.plan)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(DUE - SECOND, PLAN, id="not due: its own"),
        pytest.param(DUE, plan(TURN + 89 * DAY), id="due: that of the stand-in"),
    ],
)
def test_decide_plan_of_a_key_with_a_stand_in(now: datetime, expected: Plan) -> None:
    """A key to come takes the place of the needed one once that is due, and not before."""
    decision = decide(POLICY, keyset(TWO_YEARS, key("stand-in", TURN - DAY, TURN + 100 * DAY)), now)
    assert (Reason.NOT_DUE, expected, False) == (decision.reason, decision.assessment.plan, decision.assessment.at_risk)


@pytest.mark.parametrize(
    ("keys", "now", "reason"),
    [
        pytest.param((), END, Reason.NO_VALID_KEY, id="no valid key"),
        pytest.param((OURS,), END - 2 * HOUR, Reason.OVERDUE, id="too late for the overlap"),
    ],
)
def test_decide_trouble_before_stand_ins_in_a_row(keys: tuple[Key, ...], now: datetime, reason: Reason) -> None:
    """That the first key to come is late is reported, however well the next one follows it."""
    one, two = key("one", now + HOUR, now + 10 * DAY), key("two", now + 5 * DAY, now + 200 * DAY)
    decision = decide(LATE, keyset(*keys, one, two), now)
    assert isinstance(decision, Hold)
    assert (reason, plan(now + 95 * DAY), True) == (
        decision.reason,
        decision.assessment.plan,
        decision.assessment.at_risk,
    )


@pytest.mark.parametrize(
    ("keys", "now"),
    [
        pytest.param((OURS,), T0, id="not due"),
        pytest.param((OURS,), DUE, id="due"),
        pytest.param((OURS,), TURN, id="overdue"),
        pytest.param((OURS,), END, id="no valid key"),
        pytest.param((NET,), T0, id="undated"),
        pytest.param((OURS, key("k", END + DAY, None)), T0, id="a key behind a gap"),
    ],
)
def test_decide_observed(keys: tuple[Key, ...], now: datetime) -> None:
    """What is only observed is judged like what is rotated, and always held."""
    rotated = decide(POLICY, keyset(*keys), now)
    asked_for = getattr(rotated, "spec", None)
    expected = Hold(assessment=rotated.assessment, reason=Reason.OBSERVE, would=rotated.reason, spec=asked_for)
    assert expected == decide(policy(mode=Mode.OBSERVE), keyset(*keys), now)


def test_decide_minimum_lead_that_the_service_was_seen_to_want() -> None:
    """A least lead that is handed in goes before the policy's, in either direction."""
    nbfs = [
        getattr(decide(rules, keyset(OURS), TURN, minimum_lead=least), "spec", None)
        for rules in (POLICY, LATE)
        for least in (None, timedelta(), 4 * HOUR)
    ]
    # As soon as the service takes it while that keeps the overlap, and otherwise when cover needs it.
    leads = [timedelta(), timedelta(), OVERLAP, OVERLAP, timedelta(), OVERLAP]
    assert [spec(TURN + lead) for lead in leads] == nbfs
    soonest = decide(POLICY, keyset(OURS), END - HOUR, minimum_lead=4 * HOUR)
    assert spec(END + 3 * HOUR) == getattr(soonest, "spec", None)
    without = decide(POLICY, keyset(), T0, minimum_lead=4 * HOUR)
    assert (Reason.NO_VALID_KEY, spec(T0 + 4 * HOUR)) == (without.reason, getattr(without, "spec", None))


@pytest.mark.parametrize("moment", [DUE, PUBLISH_BY, TURN - 4 * HOUR])
def test_decide_minimum_lead_in_time(moment: datetime) -> None:
    """While there is time enough, the least lead changes nothing."""
    assert decide(POLICY, keyset(OURS), moment) == decide(POLICY, keyset(OURS), moment, minimum_lead=4 * HOUR)


def test_decide_asks_for_what_the_policy_says() -> None:
    """Use, type and validity of the key are those of the policy."""
    rules = policy(use="enc", kty="oct", accept_unreadable_secret=True, rotate_every=30 * DAY, overlap=15 * DAY)
    decision = decide(rules, keyset(), T0)
    assert isinstance(decision, Rotate)
    assert KeySpec(use="enc", kty="oct", nbf=T0, exp=T0 + 45 * DAY) == decision.spec


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"rotate_every": 30 * DAY}, [0, 90, 180, 232, 262, 292, 322, 352, 382, 412], id="much shorter"),
        pytest.param({"rotate_every": 89 * DAY}, [0, 90, 180, 269, 358], id="a little shorter"),
        pytest.param({"rotate_every": 91 * DAY}, [0, 90, 180, 270, 361], id="a little longer"),
        pytest.param({"rotate_every": 180 * DAY}, [0, 90, 180, 270], id="much longer"),
        pytest.param({"renewal_window": 80 * DAY}, [0, 90, 180, 270, 360, 450], id="a longer window"),
        pytest.param({"publication_lead": 20 * DAY}, [0, 90, 180, 270, 360], id="a longer lead"),
        pytest.param({"overlap": HOUR}, [0, 90, 180, 270, 360], id="a shorter overlap"),
    ],
)
def test_decide_policy_changed(changes: dict[str, Any], expected: list[int]) -> None:
    """After a change of the policy the keys that are there count on, and each is followed by one."""
    keys, change, end = keyset(), T0 + 230 * DAY, T0 + 400 * DAY
    activations = []
    for now in every(6 * HOUR, T0, end):
        decision = decide(POLICY if now < change else policy(**changes), keys, now)
        if isinstance(decision, Rotate):
            activations.append(decision.spec.nbf)
            keys = extended(keys, made(decision.spec, f"new {len(activations)}"))
    assert [T0 + days * DAY for days in expected] == activations


@pytest.mark.parametrize("moment", [74, 75, 80, 88, 89, 90, 100])
@pytest.mark.parametrize("rotate_every", [17 * DAY, 60 * DAY, 89 * DAY, 91 * DAY, 365 * DAY])
def test_decide_policy_changed_around_the_rollover(moment: int, rotate_every: timedelta) -> None:
    """Right after a rotation under another policy nothing is requested twice."""
    keys = keyset(OURS)
    counts = []
    for now in every(HOUR, DUE, T0 + 110 * DAY):
        rules = POLICY if now < T0 + moment * DAY else policy(rotate_every=rotate_every)
        decision = decide(rules, keys, now)
        if isinstance(decision, Rotate):
            counts.append(decision.spec.nbf)
            keys = extended(keys, made(decision.spec, f"new {len(counts)}"))
    assert sorted(set(counts)) == counts
    assert len(counts) <= 1 + 36 * DAY // rotate_every + 1


GRAVE = (Reason.NO_VALID_KEY, Reason.UNDATED)


@pytest.mark.parametrize("second", list(Reason))
@pytest.mark.parametrize("first", [Reason.RENEWAL_DUE, Reason.OVERDUE, *GRAVE])
def test_confirms_by_two_looks(first: Reason, second: Reason) -> None:
    """Both looks must say that no key is valid, that none is dated, or that the keyset is missing."""
    assert (second not in (*GRAVE, Reason.MISSING) or first is second) == confirms(first, second)
    assert confirms(Reason.MISSING, second) == (second is Reason.MISSING)
