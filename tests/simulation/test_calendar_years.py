"""Ten years of sweeps with calendars: one that passes the proof is never missed, as long as keys can be generated."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from core.builders import DAY, HOUR, POLICY, SECOND, T0
from core.calendars import calendar, calendars, window
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from simulation.simulator import Fault, refusal
from simulation.test_years import SIG, YEARS, Service

from rotator.core.assessment import NoteKind
from rotator.core.calendar import Calendar, OnceFreeze, YearlyFreeze
from rotator.core.calendar_proof import activations, longest_closed, smallest_rotate_every
from rotator.core.errors import FailureKind
from rotator.core.hold import PolicyHold
from rotator.core.keyset import Keyset
from rotator.core.outcome import Held
from rotator.core.policy import RotationPolicy
from rotator.core.reasons import Reason
from rotator.core.rotation import decide
from rotator.core.stages import Timing

DECEMBER = YearlyFreeze(first=(12, 1), last=(12, 31))
DAILY = Timing(check_interval=DAY, settle=timedelta(minutes=2), dry_run=False)


def lived(rules: RotationPolicy, which: Calendar) -> Service:
    """Ten years with a policy whose calendar passes the proof, with two looks or more in each renewal window."""
    rules = replace(rules, calendar=which)
    service = Service(rules, timing=replace(DAILY, check_interval=rules.renewal_window / 2 - HOUR))
    service.pass_by(YEARS)
    keys = service.keys(rules)
    assert service.troubles == []
    assert [each.nbf for each in keys[1:] if not which.is_open(each.activates)] == []
    assert min(service.leads(rules)) >= rules.publication_lead
    assert [1 for one, other in pairwise(keys) if other.activates > one.expires - rules.overlap] == []
    expected = [each for each in activations(which, rules.rotate_every, T0) if each < T0 + YEARS]
    assert expected == [each.activates for each in keys][: len(expected)]
    return service


@pytest.mark.parametrize(
    "which",
    [
        pytest.param(calendar(window("tue wed thu", "09:00-16:00"), freezes=(DECEMBER,)), id="midweek"),
        pytest.param(calendar(window("tue", "02:00-04:00", (1, 7)), zone="Australia/Sydney"), id="first Tuesday"),
        pytest.param(calendar(window("sun", "02:00-03:00"), zone="America/Chicago"), id="the hour that is skipped"),
    ],
)
def test_years_with_a_calendar(which: Calendar) -> None:
    """Every key takes over while the calendar is open, with its whole lead and overlap, where `config check` says."""
    lived(SIG, which)


@settings(deadline=None, max_examples=settings().max_examples // 8)
@given(
    calendars(),
    st.integers(1, 40).map(lambda hours: hours * HOUR),
    st.integers(2, 20).map(lambda days: days * DAY),
    st.integers(0, 60).map(lambda days: days * DAY + SECOND),
)
def test_years_with_any_calendar_that_passes_the_proof(
    which: Calendar, lead: timedelta, ahead: timedelta, more: timedelta
) -> None:
    """The same for every calendar, and every policy from the smallest `rotate_every` on."""
    longest = longest_closed(which, T0)
    assume(longest is None or longest.length < 400 * DAY)
    rules = replace(POLICY, publication_lead=lead, renewal_window=ahead)
    smallest = rules.ahead + SECOND if longest is None else smallest_rotate_every(rules, longest)
    turn = max(smallest + more, 40 * DAY)
    lived(replace(rules, rotate_every=turn), which)


def test_years_after_an_outage() -> None:
    """An outage that outlasts the pulled activation costs the window, is noted, and the years after it are whole."""
    which = calendar(window("tue wed thu", "09:00-16:00"), freezes=(DECEMBER,))
    rules = replace(SIG, calendar=which)
    service = Service(rules, timing=DAILY)
    planned = next(each for each in activations(which, rules.rotate_every, T0) if each.month == 11)
    begin, end = planned - rules.ahead - DAY, planned
    service.tenant.trouble = lambda _: (
        Fault(error=refusal(FailureKind.NETWORK)) if begin <= service.clock.now() < end else None
    )
    service.pass_by(YEARS)
    keys = service.keys(rules)
    missed = [each.activates for each in keys[1:] if not which.is_open(each.activates)]
    assert len(missed) == 1
    assert planned < missed[0]
    assert min(service.leads(rules)) >= rules.publication_lead
    assert [1 for one, other in pairwise(keys) if other.activates > one.expires - rules.overlap] == []
    before = Keyset(id=rules.keyset_id, keys=tuple(each for each in keys if each.activates <= missed[0]))
    notes = decide(rules, before, missed[0] - DAY).assessment.notes
    assert [note.kind for note in notes] == [NoteKind.WINDOW_MISSED]


def test_years_when_the_calendar_changes() -> None:
    """A key that was generated stays where it is, and no other one is generated beside it."""
    rules = replace(SIG, calendar=calendar(window("mon", "09:00-16:00")))
    service = Service(rules, timing=DAILY)
    service.pass_by(80 * DAY)
    made = service.keys(rules)
    assert len(made) == 2
    service.policies = (replace(rules, calendar=calendar(window("thu", "09:00-16:00"))),)
    service.start()
    service.pass_by(5 * DAY)
    assert service.keys(rules) == made


def test_years_with_a_hold() -> None:
    """Nothing is generated until the hold ends; then the key is, and the next ones are as ever."""
    hold = PolicyHold(until=date(2030, 3, 29))
    rules = replace(SIG, hold=hold)
    service = Service(rules, timing=DAILY)
    service.pass_by(hold.ends - T0)
    assert len(service.keys(rules)) == 1
    reasons = [(each.reason, each.would) for each in service.troubles if isinstance(each, Held)]
    assert {reason for reason, _ in reasons} == {Reason.ON_HOLD}
    assert {would for _, would in reasons} == {Reason.NOT_DUE, Reason.RENEWAL_DUE}
    service.pass_by(400 * DAY)
    born = [service.tenant.born[each.kid or ""] for each in service.keys(rules)[1:]]
    assert hold.ends <= min(born) <= hold.ends + DAY
    turns: list[datetime] = [each.activates for each in service.keys(rules)]
    assert {SIG.rotate_every} == {other - one for one, other in pairwise(turns)}


def test_once_freeze_is_kept() -> None:
    """A freeze that comes once moves the one activation that would be in it."""
    inside = T0 + 2 * SIG.rotate_every
    freeze = OnceFreeze(first=(inside - 3 * DAY).date(), last=(inside + 3 * DAY).date(), reason="launch")
    service = lived(SIG, calendar(freezes=(freeze,), zone="UTC"))
    activates = [each.activates for each in service.keys(SIG)]
    assert activates[2] == datetime(inside.year, inside.month, inside.day, tzinfo=T0.tzinfo) - 3 * DAY - SECOND
    assert {SIG.rotate_every} == {other - one for one, other in pairwise(activates[2:])}
