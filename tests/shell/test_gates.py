from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from core.builders import DAY, KEYSET_ID, POLICY, SECOND, T0, key, keyset, tenant_id

from rotator.core.errors import Failure, FailureKind
from rotator.core.events import ClockSkewed, Event, Looked, RequestFinished
from rotator.core.exchange import Exchange
from rotator.core.keyset import Keyset
from rotator.core.outcome import Failed, Held, Observation, Outcome, Planned, Rotated
from rotator.core.policy import KeySpec
from rotator.core.reasons import Reason, Refusal
from rotator.core.rotation import decide
from rotator.shell.gates import RunawayGate, SkewGate, guarded

DUE = T0 + 74 * DAY
OURS = keyset(key("ours", T0, T0 + POLICY.validity))
SPEC = KeySpec(use="sig", kty="RSA", nbf=DUE, exp=DUE + POLICY.validity)
BROKEN = Failure(kind=FailureKind.MISMATCH, message="it is not what was asked for")


def observation(now: datetime = DUE, tenant: str = "contoso", keyset_id: str = KEYSET_ID) -> Observation:
    rules, found = replace(POLICY, keyset_id=keyset_id), Keyset(id=keyset_id, keys=OURS.keys)
    return Observation(
        tenant=tenant,
        tenant_id=tenant_id(tenant),
        policy=rules,
        now=now,
        keyset=found,
        assessment=decide(rules, found, now).assessment,
    )


def planned(seen: Observation) -> Planned:
    return Planned(observation=seen, reason=Reason.RENEWAL_DUE, spec=SPEC)


def rotated(kid: str, seen: Observation) -> Rotated:
    return Rotated(before=seen, observation=seen, reason=Reason.RENEWAL_DUE, spec=SPEC, kid=kid)


def failed(generated: str | None, seen: Observation) -> Failed:
    return Failed(observation=seen, failure=BROKEN, spec=SPEC, generated=generated)


def answer(skew: float | None, tenant: str = "contoso") -> RequestFinished:
    exchange = Exchange(operation="fetch", client_request_id="1", status=200, seconds=0.1, skew=skew)
    return RequestFinished(tenant=tenant, tenant_id=tenant_id(tenant), exchange=exchange)


def looked(outcome: Outcome) -> Looked:
    return Looked(outcome=outcome, is_preliminary=False, failures=0)


@pytest.mark.parametrize(
    ("answers", "expected", "asked"),
    [
        pytest.param((), None, [], id="no gate"),
        pytest.param((None, None), None, [0, 1], id="nothing against it"),
        pytest.param((None, Refusal.STOPPING, Refusal.NOT_LEADER), Refusal.STOPPING, [0, 1], id="the first refusal"),
    ],
)
def test_guarded(answers: tuple[Refusal | None, ...], expected: Refusal | None, asked: list[int]) -> None:
    """Gates are asked in turn, and none after one that refuses: the last one counts as the beginning of a write."""
    heard: list[int] = []

    def gate(number: int, answer: Refusal | None) -> Refusal | None:
        heard.append(number)
        return answer

    gates = [lambda _, each=each: gate(*each) for each in enumerate(answers)]
    with guarded(gates)(planned(observation())) as objection:
        assert (objection, heard) == (expected, asked)


@pytest.mark.parametrize(
    ("skew", "words"),
    [
        pytest.param(None, None, id="not known"),
        pytest.param(300.0, None, id="five minutes ahead"),
        pytest.param(-300.0, None, id="five minutes behind"),
        pytest.param(300.6, "301s ahead of the service's", id="more ahead"),
        pytest.param(-300.6, "301s behind the service's", id="more behind"),
    ],
)
def test_skew_gate_refuses(skew: float | None, words: str | None) -> None:
    """From five minutes on no key is generated; the message says which way the clock is wrong."""
    gate = SkewGate(lambda _: None)
    gate.on_event(answer(skew))
    refusal = gate(planned(observation()))
    if words is None:
        assert refusal is None
    else:
        assert refusal is not None
        assert (refusal.kind, words in refusal.message) == (FailureKind.CLOCK_SKEW, True)


def test_skew_gate_knows_tenants_apart() -> None:
    """One service's wrong clock holds up no other tenant, and is forgotten with the next answer."""
    gate = SkewGate(lambda _: None)
    gate.on_event(answer(900.0))
    gate.on_event(answer(None))
    assert gate(planned(observation())) is not None
    assert gate(planned(observation(tenant="fabrikam"))) is None
    gate.on_event(answer(0.0))
    assert gate(planned(observation())) is None


def test_skew_gate_tells_of_changes() -> None:
    """A skew is reported once it is longer than a minute, and once it is no longer, either way, for each tenant."""
    heard: list[Event] = []
    gate = SkewGate(heard.append)
    for skew in (0.0, 60.0, -60.0, 60.5, None, 90.0, -90.0, -60.0, 1.0):
        gate.on_event(answer(skew))
    gate.on_event(answer(-61.0, "fabrikam"))
    told = (("contoso", 60.5), ("contoso", -60.0), ("fabrikam", -61.0))
    assert heard == [ClockSkewed(tenant=tenant, seconds=skew) for tenant, skew in told]


@pytest.mark.parametrize(
    ("outcomes", "holds"),
    [
        pytest.param([], False, id="nothing was generated"),
        pytest.param([rotated("a", observation())], False, id="one"),
        pytest.param([rotated("a", observation()), rotated("b", observation())], True, id="two"),
        pytest.param([rotated("a", observation()), rotated("a", observation())], False, id="one, told twice"),
        pytest.param(
            [rotated("a", observation()), failed("b", observation())], True, id="one that is not as it was asked for"
        ),
        pytest.param([failed("", observation()), failed("", observation())], True, id="two that nobody named"),
        pytest.param([failed(None, observation()), failed(None, observation())], False, id="nobody knows of any"),
        pytest.param(
            [planned(observation()), Held(observation=observation(), reason=Reason.NOT_DUE)],
            False,
            id="nothing was asked for",
        ),
        pytest.param(
            [rotated("a", observation(tenant="fabrikam")), rotated("b", observation())], False, id="another tenant"
        ),
        pytest.param(
            [rotated("a", observation(keyset_id="B2C_1A_Y")), rotated("b", observation())], False, id="another keyset"
        ),
    ],
)
def test_runaway_gate_counts(outcomes: list[Outcome], *, holds: bool) -> None:
    """Every key that was generated counts, whether the keyset shows it or not."""
    gate = RunawayGate()
    for outcome in outcomes:
        gate.on_event(looked(outcome))
    assert gate(planned(observation())) is (Refusal.RUNAWAY_GUARD if holds else None)


@pytest.mark.parametrize(
    ("age", "holds"),
    [(POLICY.rotate_every - SECOND, True), (POLICY.rotate_every, False), (POLICY.rotate_every + SECOND, False)],
)
def test_runaway_gate_forgets(age: timedelta, *, holds: bool) -> None:
    """What was generated a whole turn ago counts no more."""
    gate = RunawayGate()
    gate.on_event(looked(rotated("a", observation(DUE - age))))
    gate.on_event(looked(rotated("b", observation())))
    assert gate(planned(observation())) is (Refusal.RUNAWAY_GUARD if holds else None)


def test_runaway_gate_after_some_were_forgotten() -> None:
    """Two keys without a kid count as two, also after an older one is forgotten."""
    gate = RunawayGate()
    for day in (DUE, DUE + 50 * DAY):
        gate.on_event(looked(failed("", observation(day))))
    assert gate(planned(observation(DUE + 91 * DAY))) is None
    gate.on_event(looked(failed("", observation(DUE + 91 * DAY))))
    assert gate(planned(observation(DUE + 92 * DAY))) is Refusal.RUNAWAY_GUARD


def test_runaway_gate_of_what_was_not_seen() -> None:
    """A keyset that was never seen is not refused."""
    gate = RunawayGate()
    for kid in "ab":
        gate.on_event(looked(rotated(kid, observation())))
    assert gate(planned(replace(observation(), keyset=None, assessment=None))) is None


def test_runaway_gate_by_what_is_pending() -> None:
    """A successor as we make them, which takes over before cover ends, is enough."""
    successor = key("pending", T0 + 90 * DAY, T0 + 90 * DAY + POLICY.validity)
    seen = replace(observation(), keyset=keyset(*OURS.keys, successor))
    assert RunawayGate()(planned(seen)) is Refusal.RUNAWAY_GUARD
