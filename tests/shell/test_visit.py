from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from core.builders import DAY, HOUR, KEYSET_ID, POLICY, SECOND, T0, extended, key, keyset, policy, tenant_id
from simulation.simulator import Fault, Request, SimulatedClock, SimulatedTenant, refusal

from rotator.core.assessment import Note, NoteKind
from rotator.core.errors import Effect, Failure, FailureKind, RequestError
from rotator.core.events import Event, Looked
from rotator.core.inventory import Listed
from rotator.core.keyset import Key, Keyset
from rotator.core.outcome import Failed, Held, Observation, Outcome, Planned, Rotated
from rotator.core.policy import KNOWN_MINIMUM_LEAD, KeySpec, Mode, RotationPolicy
from rotator.core.reasons import Reason, Refusal
from rotator.core.rotation import Hold, decide
from rotator.core.stages import Called, Progress, Timing
from rotator.shell.agenda import Agenda
from rotator.shell.gates import guarded, not_stopping
from rotator.shell.loop import STOP_GRACE, STOP_PAUSE
from rotator.shell.snapshot import Snapshot
from rotator.shell.tenant import Tenant
from rotator.shell.visit import Visit

SETTLE = 120.0
TIMING = Timing(check_interval=HOUR, settle=timedelta(seconds=SETTLE), dry_run=False)

DUE = T0 + 74 * DAY
TURN = T0 + 90 * DAY
OURS = key("ours", T0, TURN + POLICY.overlap)
NET = key("net", None, None)
OTHER_ID = "B2C_1A_Other"
SPEC = KeySpec(use="sig", kty="RSA", nbf=TURN, exp=TURN + POLICY.validity)

FETCH, GENERATE = Request("fetch", KEYSET_ID), Request("generate", KEYSET_ID)
ENABLE = Request("enable", f"{KEYSET_ID}/generated 1")

LOST = refusal(FailureKind.TIMEOUT, Effect.UNKNOWN)


class Bench:
    """One tenant at an instant, and the loop that visits it."""

    def __init__(self, *keys: Key, now: Any = DUE, **changes: Any) -> None:
        self.clock = SimulatedClock(now)
        self.service = SimulatedTenant(self.clock, [keyset(*keys)])
        self.policy = policy(**changes)
        self.may_write: Callable[[Planned], Refusal | Failure | None] = lambda _: None
        self.began = now

    def ask(self, planned: Planned) -> Refusal | Failure | None:
        """The gate, as it is at the time."""
        return self.may_write(planned)

    def visit(self, told: list[Outcome], *policies: RotationPolicy) -> Visit:
        """A visit to the tenant; what comes of it is *told*."""
        self.tenant = Tenant(
            name="contoso",
            id=tenant_id(),
            policies=policies or (self.policy,),
            keysets=self.service,
            writing=guarded([self.ask]),
        )
        snapshot = Snapshot(timing=TIMING).configured([self.tenant], TIMING)
        self.agenda = Agenda(self.tenant)
        self.agenda.revise(snapshot)

        def hear(event: Event) -> None:
            assert isinstance(event, Looked)
            told.append(event.outcome)

        return Visit(self.agenda, snapshot, objection=lambda: None, clock=self.clock, jitter=lambda: 0.0, tell=hear)

    def look(self, *policies: RotationPolicy) -> list[Outcome]:
        """A first look, by these policies if they are given."""
        return self.visit([], *policies).look()

    def reconcile(self, first: Reason | None = None) -> Outcome:
        """What comes of the second look and of what follows, after a first look with the reason that there is now."""
        reason = first or decide(self.policy, self.keyset, self.clock.now()).reason
        told: list[Outcome] = []
        visit = self.visit(told)
        called = Called(since=self.clock.monotonic() - SETTLE, reason=reason)  # type: ignore[arg-type]
        self.agenda.keep(Progress(policy=self.policy, stage=called))
        while not told:
            visit.act()
            at = self.agenda.act_at(TIMING)
            if told or at is None:
                break
            if not self.clock.sleep(max(at - self.clock.monotonic(), 0.0)):
                self._stop(visit)
        (outcome,) = told
        return outcome

    def _stop(self, visit: Visit) -> None:
        """What the loop does at the end."""
        until = self.clock.monotonic() + STOP_GRACE
        while self.agenda.is_confirming:
            visit.look_for_keys(is_urgent=True)
            now = self.clock.monotonic()
            if now >= until:
                break
            self.clock.sleep_uninterrupted(max(min(STOP_PAUSE, until - now, self.agenda.confirm_at(now) - now), 0.0))
        visit.give_up()

    @property
    def keyset(self) -> Keyset:
        """The keyset as it really is."""
        return self.service.there(KEYSET_ID)

    @property
    def passed(self) -> float:
        return self.clock.monotonic()

    def observation(self, found: Keyset, after: float = 0.0) -> Observation:
        """What is seen of *found* some seconds after the beginning."""
        now = self.began + timedelta(seconds=int(after))
        assessment = decide(self.policy, found, now).assessment
        return Observation(
            tenant="contoso", tenant_id=tenant_id(), policy=self.policy, now=now, keyset=found, assessment=assessment
        )


def new(kid: str = "generated 1", **changes: Any) -> Key:
    """The key that is requested in the window."""
    return replace(Key(kid=kid, nbf=SPEC.nbf, exp=SPEC.exp, use="sig", kty="RSA"), **changes)


class Stepwise(SimulatedTenant):
    """Notes in which order a write is prepared, and requested."""

    def __init__(self, steps: list[str], *arguments: Any) -> None:
        super().__init__(*arguments)
        self.steps = steps
        self.no_token: Failure | None = None

    def prepare(self) -> None:
        self.steps.append("prepare")
        if self.no_token is not None:
            raise RequestError(self.no_token)

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        self.steps.append("generate")
        return super().generate(keyset_id, spec)


def test_reconcile_asks_the_gate_last() -> None:
    """What takes time before a write comes before the gate, so that what the gate said still holds for the write."""
    bench, steps = Bench(OURS), list[str]()
    bench.service = Stepwise(steps, bench.clock, [keyset(OURS)])
    bench.may_write = lambda _: steps.append("gate")
    assert isinstance(bench.reconcile(), Rotated)
    assert steps == ["prepare", "gate", "generate"]


def test_reconcile_that_cannot_be_prepared() -> None:
    """Where a write cannot be prepared, nobody is asked whether it may begin, and nothing is written."""
    bench, steps = Bench(OURS), list[str]()
    bench.service = Stepwise(steps, bench.clock, [keyset(OURS)])
    bench.service.no_token = Failure(kind=FailureKind.AUTH, message="no token")
    bench.may_write = lambda _: steps.append("gate")
    outcome = bench.reconcile()
    assert isinstance(outcome, Failed)
    assert (outcome.failure.kind, steps) == (FailureKind.AUTH, ["prepare"])


def test_look_only_reads() -> None:
    """A first look says what is due, with one request for all keysets, and writes nothing."""
    fresh = Keyset(id=OTHER_ID, keys=(key("fresh", DUE, DUE + POLICY.validity),))
    bench = Bench(OURS)
    bench.service = SimulatedTenant(bench.clock, [keyset(OURS), fresh])
    policies = (POLICY, policy(keyset_id=OTHER_ID), policy(keyset_id="B2C_1A_Missing"))

    def seen(rules: RotationPolicy, found: Keyset) -> Observation:
        assessment = decide(rules, found, DUE).assessment
        return Observation(
            tenant="contoso", tenant_id=tenant_id(), policy=rules, now=DUE, keyset=found, assessment=assessment
        )

    missing = Failure(
        kind=FailureKind.NOT_FOUND,
        message="the tenant has no keyset B2C_1A_Missing; check its id, tenant_id and cloud",
    )
    assert [
        Planned(observation=seen(policies[0], keyset(OURS)), reason=Reason.RENEWAL_DUE, spec=SPEC),
        Held(observation=seen(policies[1], fresh), reason=Reason.NOT_DUE),
        Failed(
            observation=Observation(tenant="contoso", tenant_id=tenant_id(), policy=policies[2], now=DUE),
            failure=missing,
        ),
    ] == bench.look(*policies)
    assert [Request("list_keysets")] == bench.service.requests


class Spoilt(SimulatedTenant):
    """Lists one keyset that can't be read, and one that is a bug."""

    def list_keysets(self, wanted: Any, max_others: int = 0) -> Any:
        found = {
            **super().list_keysets(wanted, max_others).wanted,
            "B2C_1A_Unreadable": refusal(FailureKind.UNREADABLE),
            "B2C_1A_Bug": Keyset(id="B2C_1A_Bug", keys=None),  # type: ignore[arg-type]
        }
        return Listed(wanted=found)


def test_look_one_keyset_s_trouble() -> None:
    """Neither a keyset that can't be read nor a bug costs the others their look."""
    ids = ("B2C_1A_Unreadable", "B2C_1A_Bug", KEYSET_ID)
    bench = Bench(OURS)
    bench.service = Spoilt(bench.clock, [keyset(OURS)])
    policies = tuple(policy(keyset_id=keyset_id) for keyset_id in ids)
    unreadable, bug, planned = bench.look(*policies)
    assert isinstance(unreadable, Failed)
    assert refusal(FailureKind.UNREADABLE).failure == unreadable.failure
    assert isinstance(bug, Failed)
    assert (FailureKind.INTERNAL, TypeError) == (bug.failure.kind, type(bug.bug))
    assert isinstance(planned, Planned)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(refusal(FailureKind.AUTH), FailureKind.AUTH), (ZeroDivisionError(), FailureKind.INTERNAL)],
)
def test_look_no_list(error: Exception, kind: FailureKind) -> None:
    """Where the tenant can't be listed every keyset of it has failed, and nothing is raised."""
    bench = Bench(OURS)
    bench.service.fails("list_keysets", error)
    (outcome,) = bench.look()
    assert isinstance(outcome, Failed)
    assert (kind, None) == (outcome.failure.kind, outcome.observation.keyset)


@pytest.mark.parametrize(
    ("keys", "now", "mode", "reason"),
    [
        pytest.param((OURS,), DUE - SECOND, Mode.ROTATE, Reason.NOT_DUE, id="not due"),
        pytest.param((OURS, new()), DUE, Mode.ROTATE, Reason.NOT_DUE, id="somebody made the key"),
        pytest.param((OURS,), DUE, Mode.OBSERVE, Reason.OBSERVE, id="only observed"),
    ],
)
def test_reconcile_held(keys: tuple[Key, ...], now: Any, mode: Mode, reason: Reason) -> None:
    """A second look that calls for nothing is all there is."""
    bench = Bench(*keys, now=now, mode=mode)
    decided = decide(bench.policy, keyset(*keys), now)
    assert isinstance(decided, Hold)
    expected = Held(observation=bench.observation(keyset(*keys)), reason=reason, would=decided.would, spec=decided.spec)
    assert expected == bench.reconcile()
    assert bench.service.requests == [FETCH]
    assert (decided.spec is not None) == (mode is Mode.OBSERVE)


@pytest.mark.parametrize(
    ("keys", "now", "first", "second"),
    [
        pytest.param((OURS,), OURS.expires, Reason.OVERDUE, Reason.NO_VALID_KEY, id="no valid key"),
        pytest.param((), DUE, Reason.RENEWAL_DUE, Reason.NO_VALID_KEY, id="nothing there"),
        pytest.param((), DUE, Reason.UNDATED, Reason.NO_VALID_KEY, id="not even an undated key"),
        pytest.param((NET,), DUE, Reason.RENEWAL_DUE, Reason.UNDATED, id="only an undated key"),
    ],
)
def test_reconcile_graver_than_the_first_look(keys: tuple[Key, ...], now: Any, first: Reason, second: Reason) -> None:
    """What only the second look sees as gravely is planned again, and nothing is written."""
    bench = Bench(*keys, now=now)
    outcome = bench.reconcile(first)
    assert isinstance(outcome, Planned)
    assert (second, bench.observation(keyset(*keys))) == (outcome.reason, outcome.observation)
    assert bench.service.requests == [FETCH]


@pytest.mark.parametrize(
    ("keys", "now", "first"),
    [
        pytest.param((OURS,), TURN, Reason.RENEWAL_DUE, id="overdue meanwhile"),
        pytest.param((OURS,), DUE, Reason.OVERDUE, id="no longer overdue"),
        pytest.param((OURS,), DUE, Reason.NO_VALID_KEY, id="valid again"),
        pytest.param((), T0, Reason.NO_VALID_KEY, id="nothing valid, twice"),
        pytest.param((NET,), T0, Reason.UNDATED, id="undated, twice"),
    ],
)
def test_reconcile_as_grave_as_the_first_look(keys: tuple[Key, ...], now: Any, first: Reason) -> None:
    """Where the second look sees nothing graver, its key is made."""
    bench = Bench(*keys, now=now)
    assert isinstance(bench.reconcile(first), Rotated)


def test_reconcile_refused_with_a_reason() -> None:
    """A gate that knows a reason not to write has the keyset held, and is asked once, about the plan."""
    bench = Bench(OURS)
    asked: list[Planned] = []

    def refuse(planned: Planned) -> Refusal:
        asked.append(planned)
        return Refusal.RUNAWAY_GUARD

    bench.may_write = refuse
    observation = bench.observation(keyset(OURS))
    assert Held(observation=observation, reason=Refusal.RUNAWAY_GUARD) == bench.reconcile()
    assert [Planned(observation=observation, reason=Reason.RENEWAL_DUE, spec=SPEC)] == asked
    assert bench.service.requests == [FETCH]


def test_reconcile_refused_with_a_failure() -> None:
    """A gate that finds something wrong fails the rotation before anything is written."""
    bench = Bench(OURS)
    skewed = Failure(kind=FailureKind.CLOCK_SKEW, message="the clock is wrong")
    bench.may_write = lambda _: skewed
    assert Failed(observation=bench.observation(keyset(OURS)), failure=skewed, spec=SPEC) == bench.reconcile()
    assert bench.service.requests == [FETCH]


@pytest.mark.parametrize("names_kids", [True, False])
def test_reconcile_rotated(*, names_kids: bool) -> None:
    """A key that is requested, and seen as it was requested, is a rotation; kid or no kid in the answer."""
    bench = Bench(OURS)
    bench.service.names_kids = names_kids
    expected = Rotated(
        before=bench.observation(keyset(OURS)),
        observation=bench.observation(keyset(OURS, new())),
        reason=Reason.RENEWAL_DUE,
        spec=SPEC,
        kid="generated 1",
    )
    assert expected == bench.reconcile()
    assert bench.service.requests == [FETCH, GENERATE, FETCH]
    assert keyset(OURS, new()) == bench.keyset


def test_reconcile_rotated_seen_late() -> None:
    """Where reads are behind, the key is looked for ever more seldom until it is seen."""
    bench = Bench(OURS)
    bench.service.lag = lambda: 10.0
    expected = Rotated(
        before=bench.observation(keyset(OURS)),
        observation=bench.observation(keyset(OURS, new()), 15.0),
        reason=Reason.RENEWAL_DUE,
        spec=SPEC,
        kid="generated 1",
    )
    assert expected == bench.reconcile()
    assert [FETCH, GENERATE, *[FETCH] * 5] == bench.service.requests
    assert bench.passed == 15.0  # 1 + 2 + 4 + 8


def test_reconcile_rotated_seen_very_late() -> None:
    """However long the key has been looked for, no two looks are further apart than half a minute."""
    bench = Bench(OURS)
    bench.service.lag = lambda: 91.0
    assert isinstance(bench.reconcile(), Rotated)
    assert bench.passed == 91.0  # 1 + 2 + 4 + 8 + 16 + 30 + 30


def test_reconcile_unconfirmed() -> None:
    """A key that the service says it made, and never shows, is a failure, after looking while settles."""
    bench = Bench(OURS)
    bench.service.lag = lambda: SETTLE + 1
    failure = Failure(
        kind=FailureKind.UNCONFIRMED,
        message="Graph said that it generated the key, but within 120s the keyset does not show it",
    )
    expected = Failed(observation=bench.observation(keyset(OURS)), failure=failure, spec=SPEC, generated="generated 1")
    assert expected == bench.reconcile()
    assert bench.service.asked("generate") == 1
    assert bench.passed == SETTLE


def test_reconcile_unconfirmed_without_kid() -> None:
    """A key that was made, but neither named nor shown, counts as made."""
    bench = Bench(OURS)
    bench.service.names_kids = False
    bench.service.lag = lambda: SETTLE + 1
    outcome = bench.reconcile()
    assert isinstance(outcome, Failed)
    assert (outcome.failure.kind, outcome.generated) == (FailureKind.UNCONFIRMED, "")


def test_reconcile_seen_in_the_last_moment() -> None:
    """The last look comes when the time to settle is over."""
    bench = Bench(OURS)
    bench.service.lag = lambda: SETTLE
    assert isinstance(bench.reconcile(), Rotated)
    assert bench.passed == SETTLE


def test_reconcile_looking_fails_for_a_while() -> None:
    """A look that fails is not the end of looking."""
    bench = Bench(OURS)
    bench.service.fails("fetch", None, *[refusal(FailureKind.SERVICE)] * 3)
    assert isinstance(bench.reconcile(), Rotated)
    assert bench.passed == 7.0


def test_reconcile_looking_fails() -> None:
    """Where the keyset can't be looked at after the key was made, that is what is reported."""
    bench = Bench(OURS)
    bench.service.fails("fetch", None, *[refusal(FailureKind.SERVICE)] * 99)
    failure = Failure(
        kind=FailureKind.UNCONFIRMED,
        message="Graph said that it generated the key, but within 120s it could not be looked at (the service says "
        "service)",
    )
    expected = Failed(observation=bench.observation(keyset(OURS)), failure=failure, spec=SPEC, generated="generated 1")
    assert expected == bench.reconcile()
    assert bench.service.asked("generate") == 1


@pytest.mark.parametrize("lag", [0.0, 10.0])
def test_reconcile_unknown_outcome_adopted(lag: float) -> None:
    """A key that is there although the request failed is ours, and is not requested again."""
    bench = Bench(OURS)
    bench.service.lag = lambda: lag
    bench.service.fails("generate", Fault(error=LOST, after=True))
    outcome = bench.reconcile()
    assert isinstance(outcome, Rotated)
    assert (outcome.kid, outcome.remark) == ("generated 1", "adopted: the service says timeout, but the key is there")
    assert keyset(OURS, new()) == bench.keyset
    assert bench.service.asked("generate") == 1


def test_reconcile_unknown_outcome_open() -> None:
    """If no look shows the key, the rotation has failed, and is not tried again here."""
    bench = Bench(OURS)
    bench.service.fails("generate", LOST)
    failure = LOST.failure.explained("looked for the key for 120s: the keyset does not show it")
    assert Failed(observation=bench.observation(keyset(OURS)), failure=failure, spec=SPEC) == bench.reconcile()
    assert (bench.service.asked("generate"), bench.passed) == (1, SETTLE)


def test_reconcile_unknown_outcome_after_that() -> None:
    """What was requested in vain is requested by the next two looks."""
    bench = Bench(OURS)
    bench.service.fails("generate", LOST)
    bench.reconcile()
    assert isinstance(bench.reconcile(), Rotated)
    assert keyset(OURS, new()) == bench.keyset


def test_reconcile_unknown_outcome_another_key_is_not_adopted() -> None:
    """A key that is not exactly the one requested is not adopted, and one that was there before is not either."""
    bench = Bench(OURS, new("old", exp=SPEC.exp, enabled=False))
    bench.service.fails("generate", LOST)
    bench.clock.after(5.0, lambda: bench.service.add(KEYSET_ID, new("another", exp=SPEC.exp + SECOND)))
    assert isinstance(bench.reconcile(), Failed)
    assert [request for request in bench.service.requests if request.operation == "enable"] == []


@pytest.mark.parametrize(
    ("altered", "difference"),
    [
        ({"nbf": None}, "nbf is None, not 2030-04-01T00:00:00Z"),
        ({"exp": SPEC.exp - SECOND}, "exp is 2030-07-01T00:59:59Z, not 2030-07-01T01:00:00Z"),
        ({"use": "enc"}, "use is enc, not sig"),
        ({"kty": None}, "kty is None, not rsa"),
    ],
)
def test_reconcile_mismatch(altered: dict[str, Any], difference: str) -> None:
    """A key that is not as it was requested is a failure that says what differs, told at once."""
    bench = Bench(OURS)
    bench.service.altered = lambda key: replace(key, **altered)
    failure = Failure(
        kind=FailureKind.MISMATCH,
        message=f"key generated 1 was generated, but differs from the request: {difference}",
    )
    expected = Failed(observation=bench.observation(keyset(OURS)), failure=failure, spec=SPEC, generated="generated 1")
    assert expected == bench.reconcile()
    assert bench.passed == 0.0


def disabled(made: Key) -> Key:
    return replace(made, enabled=False)


@pytest.mark.parametrize("names_kids", [True, False])
def test_reconcile_created_disabled(*, names_kids: bool) -> None:
    """A key that the service created disabled is enabled by the same rotation, at once, and no other key is."""
    by_a_person = key("off", TURN + DAY, TURN + 100 * DAY, enabled=False)
    bench = Bench(OURS, by_a_person)
    bench.service.altered = disabled
    bench.service.names_kids = names_kids
    expected = Rotated(
        before=bench.observation(keyset(OURS, by_a_person)),
        observation=bench.observation(keyset(OURS, by_a_person, new())),
        reason=Reason.RENEWAL_DUE,
        spec=SPEC,
        kid="generated 1",
    )
    assert expected == bench.reconcile()
    assert (Note(kid="off", kind=NoteKind.DISABLED),) == bench.observation(bench.keyset).assessment.notes  # type: ignore[union-attr]
    assert bench.service.requests == [FETCH, GENERATE, FETCH, ENABLE, FETCH]
    assert keyset(OURS, by_a_person, new()) == bench.keyset


def test_reconcile_created_disabled_and_lost() -> None:
    """A key that is adopted is enabled as well."""
    bench = Bench(OURS)
    bench.service.altered = disabled
    bench.service.fails("generate", Fault(error=LOST, after=True))
    assert isinstance(bench.reconcile(), Rotated)
    assert keyset(OURS, new()) == bench.keyset
    assert bench.service.requests == [FETCH, GENERATE, FETCH, ENABLE, FETCH]


def test_reconcile_enabled_but_seen_late() -> None:
    """While reads still show the key disabled, it is enabled again, ever more seldom."""
    bench = Bench(OURS)
    bench.service.altered = disabled
    bench.service.lag = lambda: 5.0
    assert isinstance(bench.reconcile(), Rotated)
    assert keyset(OURS, new()) == bench.keyset
    assert {ENABLE} == {request for request in bench.service.requests if request.operation == "enable"}
    assert bench.service.asked("enable") < 5


def test_reconcile_enabling_fails_once() -> None:
    """Enabling is tried again as long as the key is looked for."""
    bench = Bench(OURS)
    bench.service.altered = disabled
    bench.service.fails("enable", refusal(FailureKind.SERVICE))
    assert isinstance(bench.reconcile(), Rotated)
    assert bench.passed == 1.0


def test_reconcile_looking_fails_after_enabling() -> None:
    """One look comes at once after the key was enabled; where that fails, the next ones take their time again."""
    bench = Bench(OURS)
    bench.service.altered = disabled
    bench.service.fails("fetch", None, None, *[refusal(FailureKind.SERVICE)] * 2)
    assert isinstance(bench.reconcile(), Rotated)
    assert bench.passed == 6.0  # 2 + 4


def test_reconcile_enabling_fails() -> None:
    """A key that stays disabled is a failure that says so."""
    bench = Bench(OURS)
    bench.service.altered = disabled
    bench.service.fails("enable", *[refusal(FailureKind.FORBIDDEN)] * 99)
    failure = Failure(
        kind=FailureKind.UNCONFIRMED,
        message="Graph said that it generated the key, but within 120s key generated 1 is there, but disabled, and "
        "enabling it failed (the service says forbidden)",
    )
    expected = Failed(observation=bench.observation(keyset(OURS)), failure=failure, spec=SPEC, generated="generated 1")
    assert expected == bench.reconcile()


def test_reconcile_created_disabled_without_kid() -> None:
    """A key without kid can't be enabled, and that is reported."""
    bench = Bench(OURS)
    bench.service.altered = lambda made: replace(made, kid=None, enabled=False)
    bench.service.names_kids = False
    outcome = bench.reconcile()
    assert isinstance(outcome, Failed)
    assert outcome.failure.message == (
        "Graph said that it generated the key, but within 120s key None is there, but disabled"
    )
    assert bench.service.asked("enable") == 0


def test_reconcile_disabled_by_a_person() -> None:
    """A key of ours that a person disabled stays disabled; another closes the hole."""
    bench = Bench(OURS)
    assert isinstance(bench.reconcile(), Rotated)
    bench.service.turn(KEYSET_ID, "generated 1", enabled=False)
    assert isinstance(bench.reconcile(), Rotated)
    assert keyset(OURS, new(enabled=False), new("generated 2")) == bench.keyset
    assert isinstance(bench.reconcile(), Held)
    assert bench.service.asked("enable") == 0


CONFLICT = refusal(FailureKind.CONFLICT)


def test_reconcile_conflict_with_a_second_writer() -> None:
    """After a conflict the keyset is looked at again, and what somebody else made meanwhile is enough."""
    bench = Bench(OURS)
    bench.service.fails("generate", CONFLICT)
    bench.clock.after(1.0, lambda: bench.service.add(KEYSET_ID, new("theirs")))
    both = extended(keyset(OURS), new("theirs"))
    assert Held(observation=bench.observation(both, 2.0), reason=Reason.NOT_DUE) == bench.reconcile()
    assert bench.service.requests == [FETCH, GENERATE, FETCH]


def test_reconcile_conflict_with_somebody_who_adds_something_else() -> None:
    """After a conflict that left no successor the key is requested again."""
    bench = Bench(OURS)
    bench.service.fails("generate", CONFLICT)
    other = key("theirs", TURN + DAY, None, enabled=False)
    bench.clock.after(1.0, lambda: bench.service.add(KEYSET_ID, other))
    assert isinstance(bench.reconcile(), Rotated)
    assert keyset(OURS, other, new()) == bench.keyset
    assert bench.service.requests == [FETCH, GENERATE, FETCH, GENERATE, FETCH]


@pytest.mark.parametrize(
    "kind", [FailureKind.CONFLICT, FailureKind.THROTTLED, FailureKind.NETWORK, FailureKind.TIMEOUT]
)
def test_reconcile_passing_refusal(kind: FailureKind) -> None:
    """What did nothing and passes by itself is requested again after a look, four times in all."""
    bench = Bench(OURS)
    bench.service.fails("generate", *[refusal(kind)] * 3)
    assert isinstance(bench.reconcile(), Rotated)
    assert bench.service.requests == [FETCH, GENERATE] * 4 + [FETCH]
    assert bench.passed == 14.0  # 2 + 4 + 8


def test_reconcile_passing_refusal_does_not_pass() -> None:
    """After the fourth refusal the rotation has failed."""
    bench = Bench(OURS)
    refused = refusal(FailureKind.THROTTLED, code="TooManyRequests")
    bench.service.fails("generate", *[refused] * 99)
    expected = Failed(observation=bench.observation(keyset(OURS), 14.0), failure=refused.failure, spec=SPEC)
    assert expected == bench.reconcile()
    assert bench.service.asked("generate") == 4


@pytest.mark.parametrize(
    ("seconds", "passed", "rotated"),
    [(0, 0.0, True), (30, 30.0, True), (31, 0.0, False)],
)
def test_reconcile_retry_after(seconds: int, passed: float, *, rotated: bool) -> None:
    """The wait that the service asks for is used, if it is short enough."""
    bench = Bench(OURS)
    bench.service.fails("generate", refusal(FailureKind.THROTTLED, retry_after=seconds * SECOND))
    assert rotated == isinstance(bench.reconcile(), Rotated)
    assert passed == bench.passed


@pytest.mark.parametrize("kind", sorted(set(FailureKind) - {"conflict", "throttled", "network", "timeout"}, key=str))
def test_reconcile_lasting_refusal(kind: FailureKind) -> None:
    """What a person must fix is not requested again."""
    bench = Bench(OURS)
    refused = refusal(kind, status=400)
    bench.service.fails("generate", refused)
    assert Failed(observation=bench.observation(keyset(OURS)), failure=refused.failure, spec=SPEC) == bench.reconcile()
    assert (bench.service.requests, bench.passed) == ([FETCH, GENERATE], 0.0)


@pytest.mark.parametrize(("refusals", "rotated"), [(1, True), (2, False)])
def test_reconcile_token_refused(refusals: int, *, rotated: bool) -> None:
    """A token that the service refuses is dropped, so the key is requested once more, at once, with a fresh one."""
    bench = Bench(OURS)
    bench.service.fails("generate", *[refusal(FailureKind.AUTH, status=401)] * refusals)
    assert rotated == isinstance(bench.reconcile(), Rotated)
    assert (bench.service.asked("generate"), bench.passed) == (2, 0.0)


LATEST = timedelta(hours=3, minutes=2)


@pytest.mark.parametrize(
    ("keys", "now", "reason", "nbf"),
    [
        pytest.param((OURS,), TURN - HOUR, Reason.OVERDUE, OURS.expires, id="overdue: the overlap is lost"),
        pytest.param((OURS,), OURS.expires, Reason.NO_VALID_KEY, OURS.expires + LATEST, id="no valid key"),
        pytest.param((), T0, Reason.NO_VALID_KEY, T0 + LATEST, id="empty"),
    ],
)
def test_reconcile_refused_as_too_early(keys: tuple[Key, ...], now: Any, reason: Reason, nbf: datetime) -> None:
    """A late key that the service may find too early is requested once more, with the lead that it is known to take."""
    bench = Bench(*keys, now=now)
    bench.service.least = 3 * HOUR
    outcome = bench.reconcile()
    assert isinstance(outcome, Rotated)
    assert (reason, nbf) == (outcome.reason, outcome.spec.nbf)
    assert outcome.remark == (
        "the service refused a sooner nbf, so this key takes over later than it should; set minimum_lead to 3h2m, "
        "and generate a key by hand if it cannot wait"
    )
    assert bench.service.requests == [FETCH, GENERATE, FETCH, GENERATE, FETCH]
    assert bench.passed == 0.0


def test_reconcile_refused_as_too_early_again() -> None:
    """Where even that lead is refused, the rotation has failed."""
    bench = Bench(now=T0)
    bench.service.least = 4 * HOUR
    outcome = bench.reconcile()
    assert isinstance(outcome, Failed)
    assert outcome.failure.kind == FailureKind.BAD_REQUEST
    assert bench.service.asked("generate") == 2


def test_reconcile_refused_as_too_early_where_that_lead_changes_nothing() -> None:
    """Where the longer lead leads to a key to come whose successor is as soon, that is refused once, and no more."""
    brief = key("brief", T0 + HOUR, T0 + 3 * HOUR)
    bench = Bench(brief, now=T0, publication_lead=HOUR, overlap=HOUR)
    too_early = refusal(FailureKind.BAD_REQUEST, status=400)
    bench.service.fails("generate", too_early, too_early)
    outcome = bench.reconcile()
    assert isinstance(outcome, Failed)
    assert (outcome.failure.kind, outcome.spec and outcome.spec.nbf) == (FailureKind.BAD_REQUEST, T0 + 2 * HOUR)
    assert bench.service.asked("generate") == 2


def test_reconcile_after_a_key_that_was_refused_as_too_early() -> None:
    """While the key with the longer lead is pending, none is added."""
    bench = Bench(now=T0)
    bench.service.least = 3 * HOUR
    assert isinstance(bench.reconcile(), Rotated)
    for hours in range(1, 5):
        bench.clock.sleep(3600.0)
        outcome = bench.reconcile()
        assert isinstance(outcome, Held)
        assert (Reason.NO_VALID_KEY if hours < 4 else Reason.NOT_DUE) == outcome.reason
    assert list(bench.service.born.values()) == [T0]


@pytest.mark.parametrize(
    ("now", "status"),
    [
        pytest.param(DUE, 400, id="in time"),
        pytest.param(TURN - LATEST, 400, id="late, but with that lead"),
        pytest.param(TURN - HOUR, 422, id="another status"),
    ],
)
def test_reconcile_refused_for_another_cause(now: Any, status: int) -> None:
    """A request that can't have been refused for its nbf is not requested again."""
    bench = Bench(OURS, now=now)
    bench.service.fails("generate", refusal(FailureKind.BAD_REQUEST, status=status))
    assert isinstance(bench.reconcile(), Failed)
    assert bench.service.asked("generate") == 1


def test_reconcile_refused_in_time_with_a_short_lead() -> None:
    """However short the lead that the policy wants, a request that is not late is not requested again."""
    bench = Bench(OURS, now=TURN - HOUR, publication_lead=HOUR)
    bench.service.fails("generate", refusal(FailureKind.BAD_REQUEST, status=400))
    assert isinstance(bench.reconcile(), Failed)
    assert bench.service.asked("generate") == 1


@pytest.mark.parametrize(
    ("now", "kind", "status"),
    [
        pytest.param(TURN - HOUR, FailureKind.NOT_FOUND, 400, id="not for its nbf"),
        pytest.param(DUE, FailureKind.FORBIDDEN, 401, id="not for its token"),
    ],
)
def test_reconcile_refused_with_a_code_of_its_own(now: Any, kind: FailureKind, status: int) -> None:
    """If a code says why a request was refused, the status alone does not cause a retry."""
    bench = Bench(OURS, now=now)
    bench.service.fails("generate", refusal(kind, status=status))
    assert isinstance(bench.reconcile(), Failed)
    assert bench.service.asked("generate") == 1


def test_known_minimum_lead() -> None:
    """The lead that the service is known to take is the one seen in the field."""
    assert LATEST == KNOWN_MINIMUM_LEAD


@pytest.mark.parametrize("operation", ["fetch", "generate"])
def test_reconcile_bug(operation: str) -> None:
    """A bug is this keyset's failure, with the exception for the log, and nothing is raised."""
    bench, bug = Bench(OURS), ZeroDivisionError("oops")
    bench.service.fails(operation, bug)
    failure = Failure(
        kind=FailureKind.INTERNAL,
        message="a bug in rotator (ZeroDivisionError); please report it with the traceback in the log",
    )
    blind = Observation(tenant="contoso", tenant_id=tenant_id(), policy=POLICY, now=DUE)
    assert Failed(observation=blind, failure=failure, bug=bug) == bench.reconcile()


def test_reconcile_not_found() -> None:
    """A keyset that is not there any more is a failure, and nothing is written."""
    bench = Bench(OURS, keyset_id="B2C_1A_Gone")
    outcome = bench.reconcile()
    assert isinstance(outcome, Failed)
    assert (outcome.failure.kind, outcome.failure.status) == (FailureKind.NOT_FOUND, 404)
    assert bench.service.asked("generate") == 0


def test_reconcile_stopped_before_writing() -> None:
    """Once the program is to stop, nothing new is written."""
    bench = Bench(OURS)
    bench.may_write = not_stopping(bench.clock)
    fetch = bench.service.fetch

    def stopping(keyset_id: str) -> Keyset:
        bench.clock.stop()
        return fetch(keyset_id)

    bench.service.fetch = stopping  # type: ignore[method-assign]
    assert Held(observation=bench.observation(keyset(OURS)), reason=Refusal.STOPPING) == bench.reconcile()
    assert bench.service.requests == [FETCH]


def test_reconcile_stopped_while_waiting_to_ask_again() -> None:
    """A stop ends the wait between two requests; the next is not sent."""
    bench = Bench(OURS)
    bench.service.fails("generate", *[CONFLICT] * 2)
    bench.clock.after(1.0, bench.clock.stop)
    assert Failed(observation=bench.observation(keyset(OURS)), failure=CONFLICT.failure, spec=SPEC) == bench.reconcile()
    assert (bench.service.requests, bench.passed) == ([FETCH, GENERATE], 1.0)


@pytest.mark.parametrize(
    ("lag", "passed", "rotated"),
    [
        pytest.param(9.0, 9.0, True, id="seen soon"),
        pytest.param(9.5, 9.5, True, id="seen in the last moment"),
        pytest.param(9.75, 9.5, False, id="not seen in time"),
    ],
)
def test_reconcile_stopped_while_looking_for_the_key(lag: float, passed: float, *, rotated: bool) -> None:
    """A stop leaves five seconds for seeing a key that was made; then what is known of it is reported."""
    bench = Bench(OURS)
    bench.service.lag = lambda: lag
    bench.clock.after(4.5, bench.clock.stop)
    outcome = bench.reconcile()
    assert rotated == isinstance(outcome, Rotated)
    assert passed == bench.passed
    if isinstance(outcome, Failed):
        assert (outcome.failure.kind, outcome.generated) == (FailureKind.UNCONFIRMED, "generated 1")


def test_reconcile_stopped_when_looking_is_nearly_over() -> None:
    """A stop never makes the program look for longer than it would have."""
    bench = Bench(OURS)
    bench.service.lag = lambda: SETTLE + 60
    bench.clock.after(SETTLE - 0.75, bench.clock.stop)
    assert isinstance(bench.reconcile(), Failed)
    assert bench.passed == SETTLE


def test_reconcile_stopped_with_the_key_in_sight() -> None:
    """A write in flight is finished: a key that shows at once is a rotation, although the program is to stop."""
    bench = Bench(OURS)
    bench.service.altered = disabled
    generate = bench.service.generate

    def stopping(keyset_id: str, spec: KeySpec) -> str | None:
        bench.clock.stop()
        return generate(keyset_id, spec)

    bench.service.generate = stopping  # type: ignore[method-assign]
    assert isinstance(bench.reconcile(), Rotated)
    assert keyset(OURS, new()) == bench.keyset


def test_keyset_that_is_recreated_between_two_looks_gets_no_key() -> None:
    """The second look begins anew, so that nothing is written to a keyset that somebody has just replaced."""
    bench = Bench(OURS)
    told: list[Outcome] = []
    visit = bench.visit(told)
    assert isinstance(visit.look()[0], Planned)
    told.clear()
    bench.service.write(keyset(replace(OURS, kid="theirs")))
    bench.clock.sleep(SETTLE)
    visit.act()
    assert [type(each) for each in told] == [Planned]
    assert bench.service.asked("generate") == 0
    assert bench.agenda.act_at(TIMING) == 2 * SETTLE
    bench.clock.sleep(SETTLE)
    visit.act()
    assert bench.service.asked("generate") == 1
