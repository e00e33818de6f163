from dataclasses import replace

from core.builders import HOUR, KEYSET_ID, POLICY, SECOND, T0, keyset, policy, tenant_id
from simulation.simulator import SimulatedClock, SimulatedTenant

from rotator.core.outcome import Observation, Planned
from rotator.core.policy import KeySpec, RotationPolicy
from rotator.core.reasons import Reason
from rotator.core.stages import Asked, Called, Idle, Progress, Timing
from rotator.shell.agenda import Agenda, Kind
from rotator.shell.gates import guarded
from rotator.shell.snapshot import Snapshot
from rotator.shell.tenant import Tenant

SETTLE = 120.0
TIMING = Timing(check_interval=HOUR, settle=SETTLE * SECOND, dry_run=False)
SECOND_ID = "B2C_1A_Second"
SEEN = Observation(tenant="contoso", tenant_id=tenant_id(), policy=POLICY, now=T0, keyset=keyset())
PLANNED = Planned(
    observation=SEEN,
    reason=Reason.RENEWAL_DUE,
    spec=KeySpec(use="sig", kty="RSA", nbf=T0, exp=T0 + POLICY.validity),
)
CALLED = Called(since=0.0, reason=Reason.RENEWAL_DUE)
ASKED = Asked(planned=PLANNED, kid="made", doubt=None, remark=None, next_look=7.0)


def tenant(*policies: RotationPolicy) -> Tenant:
    nothing = SimulatedTenant(SimulatedClock(T0), ())
    return Tenant(name="contoso", id=tenant_id(), policies=policies, keysets=nothing, writing=guarded(()))


def snapshot(*policies: RotationPolicy) -> Snapshot:
    return Snapshot(timing=TIMING).configured([tenant(*policies)], TIMING)


def agenda(*known: Progress) -> Agenda:
    """An agenda on which *known* stands, under the first snapshot."""
    made = Agenda(tenant(*(progress.policy for progress in known)))
    made.revise(snapshot(*(progress.policy for progress in known)))
    for progress in known:
        made.keep(progress)
    return made


def test_one_visit_at_a_time() -> None:
    """A visit of the kind that runs is that one; others follow, each kind once, the one that acts first."""
    book = agenda(Progress(policy=POLICY))
    first, is_new = book.book(Kind.SWEEP)
    assert is_new
    assert book.book(Kind.SWEEP) == (first, False)
    retry, is_new = book.book(Kind.RETRY)
    assert not is_new
    act, is_new = book.book(Kind.ACT)
    assert not is_new
    assert book.book(Kind.ACT) == (act, False)
    assert len({first.result, retry.result, act.result}) == 3
    assert [book.end(), book.end(), book.end()] == [act, retry, None]
    assert book.book(Kind.SWEEP)[1]


def test_what_is_known_outlives_a_reload() -> None:
    """Where the policy stays, what was learnt of the keyset does; where it changes, the two looks begin again."""
    book = agenda(Progress(policy=POLICY, stage=CALLED, failures=2))
    same = snapshot(POLICY)
    book.revise(same)
    assert book.progress == {KEYSET_ID: Progress(policy=POLICY, stage=CALLED, failures=2)}
    other = policy(overlap=2 * HOUR)
    book.revise(same.configured([tenant(other)], TIMING))
    assert book.progress == {KEYSET_ID: Progress(policy=other, stage=Idle(), failures=2)}


def test_break_forgets_all_but_what_was_asked_for() -> None:
    """After a lost lead nothing is known but the keys that were requested."""
    asked = Progress(policy=policy(keyset_id=SECOND_ID), stage=ASKED, failures=1)
    book = agenda(Progress(policy=POLICY, stage=CALLED, failures=2), asked)
    book.revise(snapshot(POLICY, asked.policy).paused().resumed())
    assert book.progress == {KEYSET_ID: Progress(policy=POLICY), SECOND_ID: asked}


def test_keyset_that_left_is_kept_until_its_key_is_seen() -> None:
    """A keyset that left the configuration is forgotten, unless a key was requested; then once that was seen."""
    asked = Progress(policy=policy(keyset_id=SECOND_ID), stage=ASKED)
    book = agenda(Progress(policy=POLICY, stage=CALLED), asked)
    empty = snapshot().configured([], TIMING)
    book.revise(empty)
    assert book.progress == {SECOND_ID: asked}
    book.keep(replace(asked, stage=Idle()))
    book.revise(empty)
    assert book.progress == {}


def test_is_confirming_and_failing() -> None:
    """Keys that were requested are to be confirmed; a tenant whose look for one failed is failing."""
    book = agenda(Progress(policy=POLICY, stage=CALLED, is_failing=True))
    assert (book.is_confirming, book.is_failing) == (False, False)
    book.keep(Progress(policy=POLICY, stage=ASKED))
    assert (book.is_confirming, book.is_failing) == (True, False)
    book.keep(Progress(policy=POLICY, stage=ASKED, is_failing=True))
    assert (book.is_confirming, book.is_failing) == (True, True)
    book.keep(Progress(policy=POLICY))
    assert (book.is_confirming, book.is_failing) == (False, False)


def test_when_to_come_back() -> None:
    """The soonest keyset says when: to act, to look for a key, and to look again after a failure."""
    second, third = policy(keyset_id=SECOND_ID), policy(keyset_id="B2C_1A_Third")
    book = agenda(Progress(policy=POLICY, stage=CALLED))
    assert (book.act_at(TIMING), book.confirm_at(99.0), book.retry_at()) == (SETTLE, 99.0, None)
    book.keep(Progress(policy=second, stage=ASKED))
    book.keep(Progress(policy=third, retry_at=60.0))
    book.keep(Progress(policy=POLICY, stage=CALLED, retry_at=50.0))
    assert (book.act_at(TIMING), book.confirm_at(99.0), book.retry_at()) == (7.0, 7.0, 50.0)
