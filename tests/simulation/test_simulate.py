"""A simulation leaves out sweeps that change nothing, and is otherwise the daemon's loop."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from core.builders import DAY, HOUR, KEYSET_ID, POLICY, SECOND, T0, key, keyset, tenant_id
from core.calendars import calendar, window
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.simulator import Fault, refusal
from simulation.test_years import ENC, SIG, TIMING, Service

from rotator.core.calendar import Calendar, YearlyFreeze
from rotator.core.errors import FailureKind
from rotator.core.history import Affected, Outage, Promise, Simulated
from rotator.core.hold import PolicyHold
from rotator.core.keyset import Key, Keyset
from rotator.core.policy import Mode, RotationPolicy
from rotator.core.stages import Timing
from rotator.simulation.run import WRITES, Wanted, simulate

SPAN = 400 * DAY
HOURLY = replace(TIMING, check_interval=HOUR)
MIDWEEK = calendar(window("tue wed thu", "09:00-16:00"), freezes=(YearlyFreeze(first=(12, 1), last=(12, 31)),))


def first(rules: RotationPolicy, age: timedelta = timedelta()) -> Keyset:
    begun = T0 - age
    made = Key(kid="first", nbf=begun, exp=begun + rules.validity, use=rules.use, kty=rules.kty)
    return Keyset(id=rules.keyset_id, keys=(made,))


def simulated(
    *policies: RotationPolicy,
    keysets: tuple[Keyset, ...],
    outages: tuple[Outage, ...] = (),
    timing: Timing = TIMING,
    span: timedelta = SPAN,
) -> Simulated:
    wanted = Wanted(name="contoso", id=tenant_id(), policies=policies, keysets=keysets)
    return simulate([wanted], timing, start=T0, end=T0 + span, outages=outages)


def swept(
    *policies: RotationPolicy,
    keysets: tuple[Keyset, ...],
    outages: tuple[Outage, ...] = (),
    timing: Timing = TIMING,
    span: timedelta = SPAN,
) -> Service:
    """The same with every sweep."""
    service = Service(*policies, keysets=keysets, timing=timing)

    def trouble(operation: str) -> Fault | None:
        now = service.clock.now()
        is_out = any(each.fails(now, is_write=operation in WRITES) for each in outages)
        return Fault(error=refusal(FailureKind.NETWORK)) if is_out else None

    service.tenant.trouble = trouble
    service.pass_by(span)
    return service


def lives(service: Service, rules: RotationPolicy) -> list[tuple[datetime, datetime, datetime | None]]:
    keys = sorted(service.keys(rules), key=lambda each: each.activates)
    return [(each.activates, each.expires, service.tenant.born.get(each.kid or "")) for each in keys]


def recorded(found: Simulated, rules: RotationPolicy) -> list[tuple[datetime, datetime, datetime | None]]:
    history = next(each for each in found.keysets if each.policy == rules)
    return [(each.key.activates, each.key.expires, each.generated) for each in history.keys]


OUTAGES = {
    "none": (),
    "all": (Outage(begin=T0 + 70 * DAY, end=T0 + 80 * DAY), Outage(begin=T0 + 240 * DAY, end=T0 + 270 * DAY)),
    "writes": (Outage(begin=T0 + 70 * DAY, end=T0 + 92 * DAY, affected=Affected.WRITES),),
    "reads": (Outage(begin=T0 + 74 * DAY + 30 * 60 * SECOND, end=T0 + 89 * DAY, affected=Affected.READS),),
}


@pytest.mark.parametrize("outages", [pytest.param(each, id=name) for name, each in OUTAGES.items()])
@pytest.mark.parametrize("which", [None, MIDWEEK], ids=["any time", "calendar"])
def test_simulation_and_every_sweep_make_the_same_keys(outages: tuple[Outage, ...], which: Calendar | None) -> None:
    """The same keys, generated at the same second, by as many requests."""
    policies = (replace(SIG, calendar=which), replace(ENC, calendar=which))
    keysets = (first(policies[0]), first(policies[1], 31 * DAY + HOUR))
    service = swept(*policies, keysets=keysets, outages=outages)
    found = simulated(*policies, keysets=keysets, outages=outages)
    for rules in policies:
        assert lives(service, rules) == recorded(found, rules)
    assert len(service.tenant.requests) == found.requests
    assert found.generated > 5


@settings(deadline=None, max_examples=settings().max_examples // 20)
@given(
    ages=st.tuples(*[st.integers(0, 100 * 24 * 60).map(lambda minutes: minutes * 60 * SECOND)] * 3),
    out=st.integers(0, 200 * 24).map(lambda hours: hours * HOUR),
    long=st.integers(1, 30 * 24 * 60).map(lambda minutes: minutes * 60 * SECOND),
    affected=st.sampled_from(list(Affected)),
    hold=st.none() | st.dates(date(2029, 12, 1), date(2030, 6, 1)),
)
def test_simulation_and_every_sweep_agree_whatever_happens(
    ages: tuple[timedelta, ...], out: timedelta, long: timedelta, affected: Affected, hold: date | None
) -> None:
    """Three keysets of any age, of which one is on hold and one has two keys without nbf, and an outage."""
    held = replace(SIG, keyset_id="B2C_1A_Held", hold=None if hold is None else PolicyHold(until=hold))
    undated = replace(SIG, keyset_id="B2C_1A_Undated")
    policies = (SIG, held, undated)
    without_nbf = Key(kid="hand", nbf=None, exp=T0 + ages[2] + DAY, use="sig", kty="RSA")
    keysets = (
        first(SIG, ages[0]),
        first(held, ages[1]),
        Keyset(id=undated.keyset_id, keys=(without_nbf,)),
    )
    outages = (Outage(begin=T0 + out, end=T0 + out + long, affected=affected),)
    span = 150 * DAY
    service = swept(*policies, keysets=keysets, outages=outages, span=span)
    found = simulated(*policies, keysets=keysets, outages=outages, span=span)
    assert {each.keyset_id: lives(service, each) for each in policies} == {
        each.keyset_id: recorded(found, each) for each in policies
    }
    assert len(service.tenant.requests) == found.requests


def test_a_plain_simulation_breaks_no_promise() -> None:
    """Keys are a turn apart, and cover never gets shorter than lead and overlap."""
    found = simulated(SIG, keysets=(first(SIG),), timing=HOURLY, span=800 * DAY)
    assert found.breaches() == []
    assert found.generated == 9
    rows = list(found.keysets[0].handovers())
    assert {row.overlap for row in rows[1:]} == {SIG.overlap}
    assert all(row.lead is not None and row.lead >= SIG.publication_lead for row in rows[1:])
    closest = found.closest_call()
    assert closest is not None
    assert closest[0] > SIG.publication_lead + SIG.overlap


def test_an_empty_keyset_begins_with_its_first_key() -> None:
    """The first key of an empty keyset breaks no promise, and there was no cover that could be short."""
    found = simulated(SIG, keysets=(), span=60 * DAY)
    assert found.generated == 1
    assert found.breaches() == []
    assert found.closest_call() is None


@pytest.mark.parametrize(
    ("days", "promises"),
    [
        pytest.param(13, set(), id="within the window"),
        pytest.param(15, {Promise.LEAD}, id="lead"),
        pytest.param(16.5, {Promise.LEAD, Promise.OVERLAP}, id="overlap"),
        pytest.param(18, {Promise.LEAD, Promise.COVER}, id="cover"),
    ],
)
def test_an_outage_breaks_promises_by_its_length(days: float, promises: set[Promise]) -> None:
    """An outage from the begin of the renewal window breaks what the decision gives up for cover."""
    opens = T0 + SIG.rotate_every - SIG.ahead
    found = simulated(
        SIG,
        keysets=(first(SIG),),
        outages=(Outage(begin=opens, end=opens + days * DAY),),
        timing=HOURLY,
        span=200 * DAY,
    )
    assert promises <= {breach.promise for breach in found.breaches()}
    if not promises:
        assert found.breaches() == []
    elif Promise.COVER in promises:
        gap = next(each for each in found.breaches() if each.promise is Promise.COVER)
        assert gap.at == T0 + SIG.validity
    else:
        assert Promise.COVER not in {breach.promise for breach in found.breaches()}


def test_a_keyset_that_nobody_rotates_breaks_no_promise() -> None:
    """Nothing is promised in mode observe."""
    rules = replace(SIG, mode=Mode.OBSERVE)
    found = simulated(rules, keysets=(first(rules),))
    assert found.generated == 0
    assert found.breaches() == []


def test_a_missed_window_is_a_breach() -> None:
    """Where an outage costs the window, the key takes over while the calendar is closed."""
    rules = replace(POLICY, calendar=calendar(window("tue", "02:00-04:00", (1, 7))))
    begin = T0 + 40 * DAY
    found = simulated(rules, keysets=(first(rules),), outages=(Outage(begin=begin, end=T0 + 89 * DAY),), span=200 * DAY)
    assert Promise.WINDOW in {breach.promise for breach in found.breaches()}


def test_gap_between_seeded_keys() -> None:
    """A gap between keys that were there from the start counts where it cannot be closed."""
    rules = replace(SIG, hold=PolicyHold(until=date(2031, 1, 1)))
    seeded = keyset(key("one", T0 - DAY, T0 + 10 * DAY), key("two", T0 + 12 * DAY, T0 + 900 * DAY))
    found = simulated(rules, keysets=(replace(seeded, id=KEYSET_ID),), span=100 * DAY)
    gap = found.breaches()[0]
    assert (gap.promise, gap.at, gap.short_by) == (Promise.COVER, T0 + 10 * DAY, 2 * DAY)
