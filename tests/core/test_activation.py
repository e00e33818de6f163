"""When the next key takes over with a calendar: what is kept first, and what holds whatever people did."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from core.builders import DAY, HOUR, KEYSET_ID, SECOND, T0, extended, key, keyset, made, policy
from core.calendars import at, calendar, calendars, window
from core.strategies import keysets, policies
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.core.assessment import Note, NoteKind
from rotator.core.calendar import Calendar, OnceFreeze, YearlyFreeze
from rotator.core.calendar_proof import longest_closed, smallest_rotate_every
from rotator.core.forecast import forecast
from rotator.core.hold import PolicyHold
from rotator.core.keyset import Key, Keyset
from rotator.core.policy import KeySpec, Mode, RotationPolicy
from rotator.core.reasons import Reason
from rotator.core.rotation import Decision, Hold, Rotate, decide

OFFICE = calendar(window("tue wed thu", "09:00-16:00"), freezes=(YearlyFreeze(first=(12, 1), last=(12, 31)),))
RULES = policy(calendar=OFFICE)
BEGAN = at("2026-09-20T10:00:00")
TURN = BEGAN + RULES.rotate_every  # 19 December, in the freeze
PULLED = at("2026-11-26T14:59:59")  # Thursday before the freeze, the last second
REOPENS = at("2027-01-05T08:00:00")  # Tuesday after the freeze
OURS = key("ours", BEGAN, BEGAN + RULES.validity)
MISSED = Note(kid=None, kind=NoteKind.WINDOW_MISSED)
LEAD, OVERLAP, WINDOW = RULES.publication_lead, RULES.overlap, RULES.renewal_window


def spec_of(decision: Decision) -> KeySpec | None:
    """The key that is requested, or would be."""
    return decision.spec


def told(found: Keyset, now: datetime, rules: RotationPolicy = RULES) -> tuple[Reason, datetime | None, bool, bool]:
    """Reason, the nbf that is requested, whether the window is missed, and whether the keyset is at risk."""
    decision = decide(rules, found, now)
    spec = spec_of(decision)
    is_missed = MISSED in decision.assessment.notes
    return decision.reason, None if spec is None else spec.nbf, is_missed, decision.assessment.at_risk


def until(expires: datetime) -> Keyset:
    """A keyset whose key began when ours did, and expires later."""
    return keyset(key("theirs", BEGAN, expires))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        # The second step first: the pulled instant cannot be reached, and the next opening keeps the overlap.
        pytest.param(PULLED - LEAD + SECOND, (Reason.RENEWAL_DUE, REOPENS, False, False), id="just missed"),
        pytest.param(TURN - LEAD, (Reason.RENEWAL_DUE, REOPENS, False, False), id="the last second of the turn"),
        pytest.param(TURN - LEAD + SECOND, (Reason.OVERDUE, REOPENS, False, True), id="late"),
        pytest.param(REOPENS - LEAD, (Reason.OVERDUE, REOPENS, False, True), id="late, and just in time"),
        pytest.param(
            REOPENS - LEAD + SECOND, (Reason.OVERDUE, REOPENS + SECOND, False, True), id="late, while it is open"
        ),
        pytest.param(
            at("2027-01-07T15:00:00") - LEAD,
            (Reason.OVERDUE, at("2027-01-12T08:00:00"), False, True),
            id="late, when it closes",
        ),
    ],
)
def test_next_opening_that_keeps_the_overlap(now: datetime, expected: object) -> None:
    """A key that is valid for years leaves time for the next opening, with the whole lead."""
    assert told(until(BEGAN + 730 * DAY), now) == expected


@pytest.mark.parametrize(
    ("expires", "nbf"),
    [(REOPENS + OVERLAP, REOPENS), (REOPENS + OVERLAP - SECOND, TURN)],
    ids=["the overlap is kept to the second", "a second too little"],
)
def test_overlap_goes_before_window(expires: datetime, nbf: datetime) -> None:
    """The next opening is taken only where the overlap is whole; else the window gives way, and that is noted."""
    assert told(until(expires), PULLED - LEAD + SECOND) == (Reason.RENEWAL_DUE, nbf, nbf == TURN, False)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(PULLED - LEAD - WINDOW - SECOND, (Reason.NOT_DUE, None, False, False), id="not due"),
        pytest.param(PULLED - LEAD - WINDOW, (Reason.RENEWAL_DUE, PULLED, False, False), id="due"),
        pytest.param(PULLED - LEAD, (Reason.RENEWAL_DUE, PULLED, False, False), id="the last second"),
        pytest.param(PULLED - LEAD + SECOND, (Reason.RENEWAL_DUE, TURN, True, False), id="the window gives way"),
        pytest.param(TURN - LEAD, (Reason.RENEWAL_DUE, TURN, True, False), id="with the whole lead"),
        pytest.param(TURN - LEAD + SECOND, (Reason.OVERDUE, TURN, True, True), id="lead gives way before overlap"),
        pytest.param(TURN, (Reason.OVERDUE, TURN, True, True), id="no lead is left"),
        pytest.param(TURN + SECOND, (Reason.OVERDUE, TURN + OVERLAP, True, True), id="overlap gives way before cover"),
        pytest.param(
            OURS.expires, (Reason.NO_VALID_KEY, OURS.expires, False, True), id="no valid key: windows are ignored"
        ),
    ],
)
def test_window_gives_way_first(now: datetime, expected: object) -> None:
    """Cover, overlap, lead, window: what is kept, at the second before and after each step."""
    assert told(keyset(OURS), now) == expected


def test_plan_moves_with_the_activation() -> None:
    """Everything is pulled by as much; without a calendar, or if it is open, by nothing."""
    plan = decide(RULES, keyset(OURS), BEGAN + DAY).assessment.plan
    assert (plan.activation, plan.publish_by, plan.renewal_due) == (PULLED, PULLED - LEAD, PULLED - LEAD - WINDOW)
    assert plan.pulled_by == TURN - PULLED
    for calendar_or_none in (None, calendar()):
        plain = decide(replace(RULES, calendar=calendar_or_none), keyset(OURS), BEGAN + DAY).assessment.plan
        assert (plain.activation, plain.pulled_by) == (TURN, timedelta())


def test_undated_waits_for_the_next_opening() -> None:
    """A key that does not expire leaves all the time there is."""
    net = keyset(key("net", None, None))
    assert told(net, at("2026-12-10T12:00:00")) == (Reason.UNDATED, REOPENS, False, False)


def test_changed_calendar_moves_no_key() -> None:
    """A key that is there stays where it is, is the only one, and is noted where it misses the new windows."""
    successor = Key(kid="made", nbf=TURN, exp=TURN + RULES.validity, use="sig", kty="RSA")
    for first in (OURS, key("theirs", BEGAN, BEGAN + 730 * DAY)):
        assert isinstance(decide(RULES, keyset(first, successor), PULLED - LEAD), Hold)
        early = decide(RULES, keyset(first, successor), TURN - LEAD - WINDOW - SECOND)
        noted = decide(RULES, keyset(first, successor), TURN - LEAD - WINDOW)
        assert [type(early), type(noted)] == [Hold, Hold]
        assert early.assessment.notes == ()
        assert noted.assessment.notes == (Note(kid="made", kind=NoteKind.WINDOW_MISSED),)
        assert not noted.assessment.at_risk


def test_short_key_is_not_followed_before_it_began() -> None:
    """If no window is open during the life of a key, the window gives way, and the plan says so in time."""
    brief = keyset(key("brief", at("2026-12-02T00:00:00"), at("2026-12-30T00:00:00")))
    turn = at("2026-12-30T00:00:00") - OVERLAP
    assert told(brief, turn - LEAD - WINDOW - SECOND) == (Reason.NOT_DUE, None, False, False)
    assert told(brief, turn - LEAD - WINDOW) == (Reason.RENEWAL_DUE, turn, True, False)


# --- holds

HELD = policy(hold=PolicyHold(until=date(2030, 3, 20)))
LIFTED = at("2030-03-21T00:00:00")
SUCCEEDED = keyset(key("ours", T0, T0 + HELD.validity))  # its turn ends on 1 April 2030


@pytest.mark.parametrize("found", [SUCCEEDED, keyset(), keyset(key("net", None, None))], ids=["dated", "none", "net"])
def test_hold_generates_nothing_until_its_day_is_over(found: Keyset) -> None:
    """To the last second of its day (UTC) a hold says what would be done; then it is done."""
    plain = policy()
    for now in (LIFTED - 3 * DAY, LIFTED - SECOND):
        would = decide(plain, found, now)
        assert isinstance(would, Rotate)
        held = decide(HELD, found, now)
        assert held == Hold(assessment=would.assessment, reason=Reason.ON_HOLD, would=would.reason, spec=would.spec)
    assert decide(HELD, found, LIFTED) == decide(plain, found, LIFTED)


def test_hold_in_mode_observe_is_observed() -> None:
    """Mode observe stays the reason: it does not end with the hold."""
    observed = decide(replace(HELD, mode=Mode.OBSERVE), SUCCEEDED, LIFTED - SECOND)
    assert (observed.reason, spec_of(observed) is not None) == (Reason.OBSERVE, True)


def test_forecast_goes_on_after_a_hold() -> None:
    """A key that is held back is generated when the hold ends."""
    held = PolicyHold(until=(T0 + 95 * DAY).date())
    assert held.ends > T0 + HELD.validity
    (first, *_) = forecast(replace(HELD, hold=held), SUCCEEDED, T0, T0 + 200 * DAY)
    assert first.nbf == held.ends


# --- whatever people did

UNIT = 6 * HOUR
POOL = tuple(
    (each, longest_closed(each, T0))
    for each in (
        OFFICE,
        calendar(window("mon tue wed thu fri", "09:00-12:30"), zone="Europe/London"),
        calendar(window("tue", "04:00-07:00"), zone="America/Chicago"),
        calendar(window("sat", "22:00-02:00"), zone="Australia/Lord_Howe"),
        calendar(window(hours="03:00-09:00", dates=(1, 3)), window("sun"), zone="Asia/Kolkata"),
        calendar(freezes=(OnceFreeze(first=date(2030, 1, 3), last=date(2030, 1, 9)),), zone="Pacific/Chatham"),
    )
)


def longer(rules: RotationPolicy, found: Keyset) -> tuple[RotationPolicy, Keyset]:
    """The policy and the keyset with a quarter of a day for each second."""

    def scaled(instant: datetime | None) -> datetime | None:
        return None if instant is None else T0 + (instant - T0) // SECOND * UNIT

    keys = tuple(replace(each, nbf=scaled(each.nbf), exp=scaled(each.exp)) for each in found.keys)
    names = ("rotate_every", "overlap", "publication_lead", "renewal_window", "minimum_lead")
    spans = {name: getattr(rules, name) // SECOND * UNIT for name in names}
    return replace(rules, **spans), Keyset(id=KEYSET_ID, keys=keys)


@st.composite
def proven(draw: st.DrawFn) -> RotationPolicy:
    """A policy with a calendar that passes the proof."""
    rules, _ = longer(draw(policies()), keyset())
    which, longest = draw(st.sampled_from(POOL))
    assert longest is not None
    rules = replace(rules, calendar=which)
    return replace(rules, rotate_every=max(rules.rotate_every, smallest_rotate_every(rules, longest)))


def carried_out(decision: Decision, found: Keyset, kid: str) -> Keyset:
    """The keyset once the decision was carried out."""
    return extended(found, made(decision.spec, kid)) if isinstance(decision, Rotate) else found


@settings(deadline=None)
@given(calendars(), policies(), keysets())
def test_calendar_costs_neither_cover_nor_overlap_nor_lead(which: Calendar, short: RotationPolicy, few: Keyset) -> None:
    """Whatever the calendar: nothing falls short by more than it would without it, and no key is noted as open."""
    plain, found = longer(short, few)
    rules = replace(plain, calendar=which)
    without, decision = decide(plain, found, T0), decide(rules, found, T0)
    told, least = decision.assessment.shortfall, without.assessment.shortfall
    assert told.cover <= least.cover
    assert told.overlap <= least.overlap
    assert told.lead <= least.lead
    assert decision.assessment.at_risk <= without.assessment.at_risk
    if isinstance(decision, Rotate):
        is_missed = MISSED in decision.assessment.notes
        assert is_missed == (decision.reason is not Reason.NO_VALID_KEY and not which.is_open(decision.spec.nbf))
        assert decision.spec.nbf >= T0 + rules.minimum_lead
    if without.reason is Reason.NO_VALID_KEY:
        assert spec_of(decision) == spec_of(without)


@settings(deadline=None)
@given(proven(), keysets())
def test_proven_calendar_asks_once_and_always_for_the_same(rules: RotationPolicy, few: Keyset) -> None:
    """A decision that is carried out is followed by hold, and through the next window by one and the same key."""
    _, found = longer(policy(), few)
    after = carried_out(decide(rules, found, T0), found, "ours")
    again = decide(rules, after, T0)
    assert isinstance(again, Hold)
    latest = max((each.nbf for each in after.keys if each.kid == "ours" and each.nbf), default=None)
    if latest is None or again.assessment.covered_until != latest + rules.validity:
        return
    if any(each.kid != "ours" and each.nbf is not None and each.nbf > latest for each in after.keys):
        return  # a key of others takes over meanwhile, and while it is active there is another plan
    plan = again.assessment.plan
    assert rules.calendar is not None
    assert rules.calendar.is_open(plan.activation)
    assert plan.renewal_due > latest
    instants = [plan.renewal_due + n * (rules.renewal_window / 4) // SECOND * SECOND for n in range(4)]
    decided = [decide(rules, after, now) for now in (*instants, plan.publish_by)]
    assert {(Reason.RENEWAL_DUE, plan.activation)} == {(each.reason, each.spec and each.spec.nbf) for each in decided}
    assert [note for each in decided for note in each.assessment.notes if note == MISSED] == []


@settings(deadline=None)
@given(proven(), keysets(), st.integers(1, 4))
def test_proven_calendar_leaves_no_gap(rules: RotationPolicy, few: Keyset, steps: int) -> None:
    """Looks no further apart than the window leave a valid key at each of them, once there was time to act."""
    _, there = longer(policy(), few)
    step = min(rules.renewal_window, steps * UNIT)
    gaps, added = [], 0
    for n in range(60):
        now = T0 + n * step
        decision = decide(rules, there, now)
        there = carried_out(decision, there, f"ours {n}")
        added += isinstance(decision, Rotate)
        if there.active(now) is None:
            gaps.append(now)
    assert [now for now in gaps if now >= T0 + rules.minimum_lead + step] == []
    longest = next(longest for which, longest in POOL if which == rules.calendar)
    assert longest is not None
    shortest = rules.rotate_every - longest.length
    assert added <= 2 + (60 * step + rules.ahead) // shortest + len(there.keys) - added
