"""
Ten years of sweeps, six hours apart, by the real loop with the real gates, against a tenant that misbehaves.

Whatever happens on the way, the keys at the end are the ones that an undisturbed
run leaves: a turn apart, with the whole lead and the whole overlap, and not one
too many.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from core.builders import DAY, HOUR, KEYSET_ID, POLICY, SECOND, T0, key, policy, tenant_id
from simulation.simulator import (
    Crash,
    Fault,
    SimulatedClock,
    SimulatedScheduler,
    SimulatedTenant,
    inline_pools,
    refusal,
)

from rotator.core.errors import Effect, FailureKind
from rotator.core.events import Event, JobFailed, Looked
from rotator.core.keyset import Key, Keyset
from rotator.core.outcome import Failed, Held, Outcome
from rotator.core.policy import RotationPolicy
from rotator.core.reasons import Reason
from rotator.core.stages import Timing
from rotator.shell.gates import RunawayGate, guarded, not_stopping
from rotator.shell.loop import Loop
from rotator.shell.stream import Stream
from rotator.shell.tenant import Tenant

STEP = 6 * HOUR
TIMING = Timing(check_interval=STEP, settle=timedelta(minutes=2), dry_run=False)
YEARS, TWO_YEARS = 3650 * DAY, 750 * DAY
TURNS = YEARS // POLICY.rotate_every

ENC_ID = "B2C_1A_TokenEncryptionKeyContainer"
SIG = POLICY
ENC = replace(POLICY, keyset_id=ENC_ID, use="enc", overlap=15 * DAY)


def _raise(error: BaseException) -> None:
    raise error


class Service:
    """A tenant, the process that rotates its keysets, and the years that go by."""

    def __init__(self, *policies: RotationPolicy, keysets: tuple[Keyset, ...] = (), timing: Timing = TIMING) -> None:
        self.policies = policies
        self.timing = timing
        self.clock = SimulatedClock(T0)
        begun = tuple(Keyset(id=rules.keyset_id, keys=(first_of(rules),)) for rules in policies)
        self.tenant = SimulatedTenant(self.clock, keysets or begun)
        self.troubles: list[Outcome] = []
        self.restarts = 0
        self.start()

    def start(self) -> None:
        """Begin with a new process, which remembers nothing."""
        runaway, stream = RunawayGate(), Stream()
        self.scheduler = SimulatedScheduler(self.clock)

        def observe(event: Event) -> None:
            match event:
                case Looked(outcome=Failed() as outcome):
                    self.troubles.append(outcome)
                case Looked(outcome=Held(reason=reason) as outcome) if reason is not Reason.NOT_DUE:
                    self.troubles.append(outcome)
                case JobFailed(error=error):
                    raise error
                case _:
                    pass

        stream.add(runaway.on_event)
        tenant = Tenant(
            id=tenant_id(),
            name="contoso",
            policies=self.policies,
            keysets=self.tenant,
            writing=guarded([not_stopping(self.clock), runaway]),
        )

        def tell(event: Event) -> None:
            stream.tell(event)
            observe(event)

        self.loop = Loop(
            [tenant],
            self.timing,
            concurrency=1,
            clock=self.clock,
            scheduler=self.scheduler,
            tell=tell,
            jitter=lambda: 0.5,
            pools=inline_pools,
        )
        self.scheduler.every("sweep", self.timing.check_interval, self.loop.rounds())

    def pass_by(self, span: timedelta) -> None:
        """Let time pass; a process that dies is started again a minute later."""
        end = self.clock.monotonic() + span.total_seconds()
        while (left := end - self.clock.monotonic()) > 0:
            try:
                self.scheduler.run(left)
            except Crash:
                self.restarts += 1
                self.clock.sleep(60.0)
                self.start()

    def keys(self, rules: RotationPolicy) -> list[Key]:
        return list(self.tenant.there(rules.keyset_id).keys)

    def leads(self, rules: RotationPolicy) -> list[timedelta]:
        """How long before its activation each key was generated."""
        made = self.keys(rules)[1:]
        return [made_one.activates - self.tenant.born[made_one.kid or ""] for made_one in made]


def first_of(rules: RotationPolicy) -> Key:
    """The key that everything begins with."""
    return Key(kid="first", nbf=T0, exp=T0 + rules.validity, use=rules.use, kty=rules.kty)


def dates(keys: list[Key]) -> list[tuple[datetime, datetime]]:
    """From when to when each key is valid."""
    return [(made.activates, made.expires) for made in keys]


def exact(rules: RotationPolicy, span: timedelta = YEARS) -> list[tuple[datetime, datetime]]:
    """What *span* leaves, to the second; it does not end in a window."""
    starts = (T0 + n * rules.rotate_every for n in range(span // rules.rotate_every + 1))
    return [(start, start + rules.validity) for start in starts]


def is_covered(keys: list[Key]) -> bool:
    """Whether every key but the last overlaps with the next as it should."""
    return all(one.expires >= other.activates for one, other in pairwise(keys))


def windows(rules: RotationPolicy) -> Iterator[datetime]:
    """When each window opens."""
    ahead = rules.publication_lead + rules.renewal_window
    return (start - ahead for start, _ in exact(rules)[1:])


def test_years_undisturbed() -> None:
    """A signing and an encryption keyset, side by side, are rotated to the second, and otherwise only listed."""
    service = Service(SIG, ENC)
    service.pass_by(YEARS)
    for rules in (SIG, ENC):
        keys = service.keys(rules)
        assert exact(rules) == dates(keys)
        assert {rules.overlap} == {one.expires - other.activates for one, other in pairwise(keys)}
        opened = rules.publication_lead + rules.renewal_window
        assert {True} == {opened - STEP - HOUR <= lead <= opened for lead in service.leads(rules)}
    assert service.troubles == []
    together = service.tenant.asked("list_keysets") - (YEARS // STEP + 1)  # where one request looked for both keys
    assert together == TURNS
    assert service.tenant.asked("generate") == 2 * TURNS
    assert service.tenant.asked("fetch") == 2 * TURNS


class Trouble:
    """Anything may fail, at random but repeatably; what would hurt for good never lasts longer than the window."""

    def __init__(self, service: Service, seed: int) -> None:
        self._chance = random.Random(seed)
        self._clock = service.clock
        self._outages = [
            (opens + self._chance.randrange(-48, 48) * HOUR, self._chance.randrange(24, 10 * 24) * HOUR)
            for opens in windows(SIG)
        ]
        service.tenant.trouble = self
        service.tenant.lag = self.lag

    def __call__(self, operation: str) -> Fault | None:
        """Outages; and then, of a hundred requests, some are lost, refused, or die with the process."""
        now = self._clock.now()
        if any(began <= now < began + span for began, span in self._outages):
            return Fault(error=refusal(FailureKind.NETWORK))
        lot = self._chance.random()
        if operation == "list_keysets":  # the many requests; the few that write shall suffer more
            lot *= 20
        after = self._chance.random() < 0.7
        if lot < 0.25:
            return Fault(error=refusal(FailureKind.TIMEOUT, Effect.UNKNOWN), after=after)
        if lot < 0.35:
            return Fault(error=Crash(), after=after)
        if lot < 0.45:
            return Fault(error=refusal(FailureKind.THROTTLED, retry_after=20 * SECOND))
        if lot < 0.5:
            return Fault(error=refusal(FailureKind.CONFLICT))
        return None

    def lag(self) -> float:
        """Every third read is up to a minute behind."""
        return self._chance.choice((0.0, 0.0, self._chance.random() * 60))


@pytest.mark.parametrize("seed", range(2))
def test_years_of_trouble(seed: int) -> None:
    """Outages of days, lost answers, stale reads, refusals and restarts cost neither lead nor overlap nor a key."""
    service = Service(SIG)
    Trouble(service, seed)
    service.pass_by(YEARS)
    assert exact(SIG) == dates(service.keys(SIG))
    assert min(service.leads(SIG)) >= SIG.publication_lead
    kinds = {outcome.failure.kind for outcome in service.troubles if isinstance(outcome, Failed)}
    assert {FailureKind.NETWORK, FailureKind.TIMEOUT} <= kinds
    assert service.restarts > 10
    assert {Failed} == {type(outcome) for outcome in service.troubles}


def test_years_created_disabled() -> None:
    """A service that creates keys disabled is rotated like any other; a restart in between costs nothing."""
    service = Service(SIG)
    service.tenant.altered = lambda made: replace(made, enabled=False)
    service.pass_by(TWO_YEARS)
    assert exact(SIG, TWO_YEARS) == dates(service.keys(SIG))
    assert {True} == {made.enabled for made in service.keys(SIG)}
    assert TWO_YEARS // SIG.rotate_every == service.tenant.asked("enable")


@pytest.mark.parametrize(
    ("back", "lead"),
    [
        pytest.param(13 * DAY, 72 * HOUR, id="within the window"),
        pytest.param(15 * DAY, 24 * HOUR, id="at the cost of lead"),
        pytest.param(16 * DAY, 25 * HOUR, id="at the cost of overlap and of lead"),
        pytest.param(16 * DAY + 20 * HOUR, 5 * HOUR, id="at the cost of overlap and of most of the lead"),
        pytest.param(17 * DAY + 3 * HOUR, timedelta(), id="at the cost of cover"),
    ],
)
def test_years_outage_longer_than_the_window(back: timedelta, lead: timedelta) -> None:
    """After an outage that was too long one key is made, as good as it can be, and then all is as ever."""
    service = Service(SIG)
    opens = next(windows(SIG))
    service.tenant.trouble = lambda _: (
        Fault(error=refusal(FailureKind.NETWORK)) if opens <= service.clock.now() < opens + back else None
    )
    service.pass_by(400 * DAY)
    first, *made = service.keys(SIG)
    turn, born = T0 + SIG.rotate_every, service.tenant.born[made[0].kid or ""]
    begun = turn if born <= turn else max(first.expires, born)  # the overlap is lost, so the lead is kept up to there
    expected = [(begun + n * SIG.rotate_every, begun + n * SIG.rotate_every + SIG.validity) for n in range(4)]
    assert expected == dates(made)
    first_lead, *leads = service.leads(SIG)
    assert lead - HOUR <= first_lead <= lead
    assert min(leads) >= SIG.publication_lead
    assert is_covered([first, *made]) == (back < 17 * DAY)


def test_years_with_a_two_year_key() -> None:
    """A hand-made key of two years is followed a turn at a time, and while it is valid an outage costs no lead."""
    two_years = key("first", T0, T0 + 730 * DAY)
    service = Service(SIG, keysets=(Keyset(id=KEYSET_ID, keys=(two_years,)),))
    out = (T0 + 200 * DAY, T0 + 272 * DAY)  # the key of day 180 expires on day 271
    service.tenant.trouble = lambda _: (
        Fault(error=refusal(FailureKind.NETWORK)) if out[0] <= service.clock.now() < out[1] else None
    )
    service.pass_by(900 * DAY)
    made = service.keys(SIG)[1:]
    assert [each.activates for each in made[:2]] == [T0 + 90 * DAY, T0 + 180 * DAY]
    again = made[2].activates
    assert out[1] + SIG.publication_lead <= again <= out[1] + SIG.publication_lead + HOUR
    assert [again + n * SIG.rotate_every for n in range(8)] == [each.activates for each in made[2:]]
    assert min(service.leads(SIG)) >= SIG.publication_lead


def test_years_with_a_second_writer() -> None:
    """Two processes that sweep at different times make no key twice."""
    service = Service(SIG)
    one = service.scheduler
    service.clock.sleep(3600.0)
    service.start()
    for name, job in one.waiting.items():
        service.scheduler.waiting[f"other {name}"] = job
    service.pass_by(TWO_YEARS)
    assert exact(SIG, TWO_YEARS + HOUR) == dates(service.keys(SIG))


def test_years_with_a_minimum_lead() -> None:
    """Where the service takes no key that activates soon, the first comes late, and the others on time."""
    rules = policy(minimum_lead=3 * HOUR)
    service = Service(rules, keysets=(Keyset(id=KEYSET_ID, keys=()),))
    service.tenant.least = 3 * HOUR
    service.pass_by(400 * DAY)
    begun = T0 + 3 * HOUR + TIMING.settle
    assert [begun + n * rules.rotate_every for n in range(5)] == [made.activates for made in service.keys(rules)]
    leads = [made.activates - service.tenant.born[made.kid or ""] for made in service.keys(rules)]
    assert leads[0] == 3 * HOUR
    assert min(leads[1:]) >= rules.publication_lead
