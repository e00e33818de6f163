from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from core.builders import DAY, HOUR, POLICY, T0, extended, key, keyset, made, tenant_id
from hypothesis import given
from hypothesis import strategies as st

from rotator.core.confirmation import LOOKS
from rotator.core.errors import Effect, Failure, FailureKind, RequestError
from rotator.core.keyset import Key
from rotator.core.lifecycle import advance, enabled, generated, given_up, not_generated, refused
from rotator.core.look import Look
from rotator.core.outcome import Failed, Held, Observation, Outcome, Planned, Rotated
from rotator.core.policy import KeySpec
from rotator.core.reasons import Reason, Refusal, confirms
from rotator.core.rotation import decide
from rotator.core.stages import Ask, Asked, Called, Enable, Idle, Progress, Stage, Step, Timing

SETTLE = 120.0
TIMING = Timing(check_interval=HOUR, settle=timedelta(seconds=SETTLE), dry_run=False)
DUE = T0 + 74 * DAY
TURN = T0 + 90 * DAY
OURS = key("ours", T0, TURN + POLICY.overlap)
SPEC = KeySpec(use="sig", kty="RSA", nbf=TURN, exp=TURN + POLICY.validity)
MADE = made(SPEC, "made")
CALLS = (Reason.RENEWAL_DUE, Reason.OVERDUE, Reason.NO_VALID_KEY, Reason.UNDATED)
DOUBT = Failure(kind=FailureKind.TIMEOUT, message="the answer did not come")


def observation(at: float, *more: Key) -> Observation:
    """What a look shows that was made at the monotonic second *at*."""
    now, found = DUE + timedelta(seconds=int(at)), extended(keyset(OURS), *more)
    assessment = decide(POLICY, found, now).assessment
    return Observation(
        tenant="contoso", tenant_id=tenant_id(), policy=POLICY, now=now, keyset=found, assessment=assessment
    )


def hold(at: float, *more: Key) -> Held:
    return Held(observation=observation(at, *more), reason=Reason.NOT_DUE)


def rotate(at: float, reason: Reason = Reason.RENEWAL_DUE) -> Planned:
    return Planned(observation=observation(at), reason=reason, spec=SPEC)


def failure(at: float, kind: FailureKind = FailureKind.SERVICE) -> Failed:
    blind = replace(observation(at), keyset=None, assessment=None)
    return Failed(observation=blind, failure=Failure(kind=kind, message="it failed"))


SHOWN = frozenset({"ours"})
CALLED = Called(since=0.0, reason=Reason.RENEWAL_DUE, keys=SHOWN)
GRAVE = Called(since=0.0, reason=Reason.NO_VALID_KEY, keys=SHOWN)
ASKED = Asked(planned=rotate(0), kid="made", doubt=None, remark=None, next_look=0.0, until=SETTLE, looks=1)
IN_DOUBT = replace(ASKED, kid=None, doubt=DOUBT)


def shown(at: float, **changes: Any) -> Held:
    """A look that shows the key that was requested."""
    return hold(at, replace(MADE, **changes))


@pytest.mark.parametrize(
    ("stage", "look", "at", "following", "action", "outcome"),
    [
        pytest.param(Idle(), hold(5), 5, Idle(), None, "held", id="idle, hold"),
        pytest.param(Idle(), rotate(5), 5, replace(CALLED, since=5), None, "planned", id="idle, rotate"),
        pytest.param(Idle(), failure(5), 5, Idle(), None, "service", id="idle, failure"),
        pytest.param(CALLED, hold(500), 500, Idle(), None, "held", id="called, hold"),
        pytest.param(CALLED, rotate(119), 119, CALLED, None, "planned", id="called, the same, not settled"),
        pytest.param(CALLED, rotate(119, Reason.OVERDUE), 119, CALLED, None, "planned", id="called, not graver"),
        pytest.param(GRAVE, rotate(119), 119, GRAVE, None, "planned", id="called, less grave"),
        pytest.param(
            CALLED,
            rotate(500, Reason.NO_VALID_KEY),
            500,
            replace(GRAVE, since=500),
            None,
            "planned",
            id="called, graver, though the first has settled",
        ),
        pytest.param(
            GRAVE,
            rotate(500, Reason.UNDATED),
            500,
            Called(since=500, reason=Reason.UNDATED, keys=SHOWN),
            None,
            "planned",
            id="called, grave in another way",
        ),
        pytest.param(CALLED, rotate(120), 120, CALLED, Ask(rotate(120)), "planned", id="called, settled"),
        pytest.param(
            replace(CALLED, keys=SHOWN | {"another"}),
            rotate(120),
            120,
            replace(CALLED, since=120),
            None,
            "planned",
            id="called, settled, and a key is gone",
        ),
        pytest.param(
            GRAVE, rotate(120, Reason.OVERDUE), 120, GRAVE, Ask(rotate(120, Reason.OVERDUE)), "planned", id="less grave"
        ),
        pytest.param(
            replace(CALLED, not_before=130.0),
            rotate(129),
            129,
            replace(CALLED, not_before=130.0),
            None,
            "planned",
            id="called, settled, in a pause",
        ),
        pytest.param(CALLED, failure(500), 500, CALLED, None, "service", id="called, failure"),
        pytest.param(ASKED, shown(1), 1, Idle(), None, "rotated", id="asked, the key"),
        pytest.param(ASKED, shown(500), 500, Idle(), None, "rotated", id="asked, the key, when time is over"),
        pytest.param(IN_DOUBT, shown(1, kid="another"), 1, Idle(), None, "rotated", id="asked in doubt, the key"),
        pytest.param(ASKED, shown(1, enabled=False), 1, ASKED, Enable("made"), None, id="asked, disabled"),
        pytest.param(
            ASKED,
            shown(1, exp=SPEC.exp + DAY),
            1,
            Idle(),
            None,
            "mismatch",
            id="asked, the kid, but not as asked for",
        ),
        pytest.param(ASKED, hold(1), 1, ASKED, None, None, id="asked, not there"),
        pytest.param(ASKED, rotate(1), 1, ASKED, None, None, id="asked, not there, and a key is called for"),
        pytest.param(ASKED, failure(1), 1, ASKED, None, None, id="asked, failure"),
        pytest.param(ASKED, rotate(120), 120, Idle(), None, "unconfirmed", id="asked, not there, time is over"),
        pytest.param(ASKED, failure(120), 120, Idle(), None, "unconfirmed", id="asked, failure, time is over"),
        pytest.param(IN_DOUBT, rotate(120), 120, Idle(), None, "timeout", id="asked in doubt, time is over"),
    ],
)
def test_what_a_look_leads_to(
    stage: Stage, look: Look, at: float, following: Stage, action: object, outcome: str | None
) -> None:
    """Each stage with each kind of look leads to one stage, to at most one action and to at most one outcome."""
    step = advance(Progress(policy=POLICY, stage=stage), look, at, TIMING)
    became = step.progress.stage
    assert type(became) is type(following)
    if isinstance(became, Asked):
        assert isinstance(following, Asked)
        assert (became.planned, became.kid, became.doubt) == (following.planned, following.kid, following.doubt)
        assert (became.until, became.looks) == (following.until, following.looks + 1)
    else:
        assert became == following
    assert (step.action, _name(step.outcome)) == (action, outcome)


def _name(outcome: Outcome | None) -> str | None:
    """The kind of a failure, or the name of another outcome."""
    if outcome is None:
        return None
    return outcome.failure.kind.value if isinstance(outcome, Failed) else outcome.name.value


OLDER = key("older", T0 - 90 * DAY, T0 + DAY)
OTHERS = key("theirs", T0, TURN + POLICY.overlap)


def calling(at: float, *keys: Key) -> Planned:
    """A look that calls for a key, at a keyset with exactly *keys*."""
    seen = observation(at)
    return Planned(observation=replace(seen, keyset=keyset(*keys)), reason=Reason.RENEWAL_DUE, spec=SPEC)


def _identities(*keys: Key) -> frozenset[object]:
    return frozenset(each.identity for each in keys)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param((OLDER, OURS), (OLDER, OURS), 0.0, id="the same keys"),
        pytest.param((OURS,), (OURS, OLDER), 0.0, id="one more key"),
        pytest.param((OLDER, OURS), (OURS,), None, id="a key is gone"),
        pytest.param((OURS,), (OTHERS,), None, id="recreated with another key"),
        pytest.param((OURS,), (), None, id="recreated without a key"),
    ],
)
def test_keyset_that_lost_keys_begins_with_two_looks(
    before: tuple[Key, ...], after: tuple[Key, ...], expected: float | None
) -> None:
    """Rule 1: what an earlier look called for does not count, not even after looks that failed in between."""
    called = advance(Progress(policy=POLICY), calling(0, *before), 0, TIMING).progress
    called = advance(called, failure(60), 60, TIMING).progress
    again = calling(SETTLE, *after)
    step = advance(called, again, SETTLE, TIMING)
    if expected is not None:
        assert step.action == Ask(again)
        assert step.progress.stage == replace(CALLED, since=expected, keys=_identities(*before))
        return
    assert (step.action, step.progress.stage) == (None, replace(CALLED, since=SETTLE, keys=_identities(*after)))
    early = advance(step.progress, calling(2 * SETTLE - 1, *after), 2 * SETTLE - 1, TIMING)
    assert early.action is None
    settled = calling(2 * SETTLE, *after)
    assert advance(early.progress, settled, 2 * SETTLE, TIMING).action == Ask(settled)


def test_keyset_that_lost_keys_forgets_what_the_service_refused() -> None:
    """The attempts, the pause and the lead that the service accepts belong to the keyset as it was."""
    called = advance(Progress(policy=POLICY), calling(0, OURS), 0, TIMING).progress
    refused_lead = replace(CALLED, attempts=3, not_before=900.0, minimum_lead=HOUR)
    step = advance(replace(called, stage=refused_lead), calling(200, OTHERS), 200, TIMING)
    assert step.progress.stage == replace(CALLED, since=200, keys=_identities(OTHERS))
    assert step.progress.minimum_lead is None


def test_requested_key_is_looked_for_in_a_keyset_that_lost_keys() -> None:
    """A key that was requested may be there all the same, so it is looked for until the time is over."""
    progress = advance(Progress(policy=POLICY, stage=ASKED), calling(1, OTHERS), 1, TIMING).progress
    assert isinstance(progress.stage, Asked)
    over = advance(progress, calling(SETTLE, OTHERS), SETTLE, TIMING)
    assert (_name(over.outcome), over.progress.stage) == ("unconfirmed", Idle())


def test_when_the_next_look_is() -> None:
    """A keyset that is called for is looked at when settled; after a failure at its pace; an idle one with the rest."""
    called = advance(Progress(policy=POLICY), rotate(5), 5, TIMING).progress
    assert (called.act_at(TIMING), called.retry_at) == (5 + SETTLE, None)
    failed = advance(called, failure(30), 30, TIMING).progress
    assert (failed.act_at(TIMING), failed.retry_at) == (None, 90)
    idle = advance(failed, hold(90), 90, TIMING).progress
    assert (idle.act_at(TIMING), idle.retry_at) == (None, None)


def test_pace_of_looks_for_a_key() -> None:
    """Looks for a key come after 1, 2, 4 ... 30 s, until `settle` is over, counted from the first look."""
    step = generated(Progress(policy=POLICY, stage=CALLED), rotate(0), "made", 0.0)
    looks = [0.0]
    while step.outcome is None:
        step = advance(step.progress, rotate(looks[-1]), looks[-1], TIMING)
        if isinstance(step.progress.stage, Asked):
            looks.append(step.progress.stage.next_look)
    assert looks == [0, 1, 3, 7, 15, 31, 61, 91, 120]
    assert max(after - before for before, after in pairwise(looks)) == LOOKS.longest


def _error(kind: FailureKind, effect: Effect = Effect.NONE) -> RequestError:
    return RequestError(Failure(kind=kind, message="it failed"), effect)


@pytest.mark.parametrize("answer", [None, _error(FailureKind.SERVICE)], ids=["answered, but not done", "refused"])
def test_a_slow_service_gets_a_second_request_to_enable(answer: RequestError | None) -> None:
    """The key is enabled after two looks at least, even if the first request takes all the time to look for it."""
    first = advance(Progress(policy=POLICY, stage=replace(ASKED, until=None)), shown(0, enabled=False), 0, TIMING)
    late = 2 * SETTLE
    second = advance(enabled(first.progress, answer, late), shown(late, enabled=False), late, TIMING)
    assert second.action == first.action == Enable("made")
    third = advance(enabled(second.progress, None, late), shown(late, enabled=False), late, TIMING)
    assert third.action is None
    assert isinstance(third.outcome, Failed)
    assert third.outcome.failure.message.endswith("key made is there, but disabled")


def _not_done(error: Exception) -> Callable[[Progress, Planned, float], Step]:
    return lambda progress, planned, at: not_generated(progress, planned, error, at, TIMING, lambda: 0.0)


def _refused(objection: Refusal | Failure) -> Callable[[Progress, Planned, float], Step]:
    return lambda progress, planned, at: refused(progress, planned, objection, at, TIMING)


ANSWERS: dict[str, Callable[[Progress, Planned, float], Step]] = {
    "kid": lambda progress, planned, at: generated(progress, planned, "made", at),
    "no kid": lambda progress, planned, at: generated(progress, planned, None, at),
    "doubt": _not_done(_error(FailureKind.TIMEOUT, Effect.UNKNOWN)),
    "conflict": _not_done(_error(FailureKind.CONFLICT)),
    "forbidden": _not_done(_error(FailureKind.FORBIDDEN)),
    "bug": _not_done(ValueError("a bug")),
    "held": _refused(Refusal.RUNAWAY_GUARD),
    "skew": _refused(Failure(kind=FailureKind.CLOCK_SKEW, message="the clock is wrong")),
}


@pytest.mark.parametrize(
    ("answer", "following", "outcome"),
    [
        ("kid", Asked, None),
        ("no kid", Asked, None),
        ("doubt", Asked, None),
        ("conflict", Called, None),
        ("forbidden", Idle, "forbidden"),
        ("bug", Idle, "internal"),
        ("held", Idle, "held"),
        ("skew", Idle, "clock_skew"),
    ],
)
def test_what_an_answer_leads_to(answer: str, following: type, outcome: str | None) -> None:
    """A key, or a doubt, is looked for at once; what certainly did nothing is tried after a pause, or has failed."""
    step = ANSWERS[answer](Progress(policy=POLICY, stage=CALLED), rotate(200), 200.0)
    assert (type(step.progress.stage), _name(step.outcome), step.action) == (following, outcome, None)
    if isinstance(step.progress.stage, Asked):
        assert (step.progress.stage.next_look, step.progress.stage.until) == (200.0, None)
    if isinstance(step.progress.stage, Called):
        assert (step.progress.stage.attempts, step.progress.stage.not_before) == (1, 202.0)


@dataclass
class Life:
    """
    What happened to one keyset, as the properties need it; knows nothing of `Called`.

    calls:     the successful looks in a row that called for a key, since nothing was known: when, and why
    asks:      when each key was asked for
    begun:     how often a key was asked for, or may have been
    outcomes:  what came of those
    forgotten: how many of them a restart forgot
    """

    at: float = 0.0
    progress: Progress = field(default_factory=lambda: Progress(policy=POLICY))
    calls: list[tuple[float, Reason]] = field(default_factory=list)
    asks: list[float] = field(default_factory=list)
    begun: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    forgotten: int = 0

    def look(self, kind: str, answer: str) -> None:
        """Make a look of that *kind*; if it leads to a request, it has that *answer*."""
        before, look = self.progress.stage, _look(kind, self.at)
        step = advance(self.progress, look, self.at, TIMING)
        if isinstance(before, Asked):
            assert not isinstance(step.action, Ask), "a key is asked for while another one is"
        elif isinstance(look, Planned):
            self.calls.append((self.at, look.reason))
        elif isinstance(look, Held):
            self.calls.clear()
        if isinstance(step.action, Ask):
            assert step.action.planned is look, "the look right before the request is not the one that it is made of"
            self._assert_settled(look.reason)
            self.asks.append(self.at)
            step = ANSWERS[answer](step.progress, step.action.planned, self.at)
            if isinstance(step.progress.stage, Asked):
                self.begun += 1
            if not isinstance(step.progress.stage, Called):
                self.calls.clear()
        self._take(before, step)
        if isinstance(step.action, Enable):
            error = None if answer == "kid" else _error(FailureKind.SERVICE)
            self.progress = enabled(self.progress, error, self.at)

    def _take(self, before: Stage, step: Step) -> None:
        self.progress = step.progress
        if isinstance(before, Asked):
            is_over = not isinstance(step.progress.stage, Asked)
            assert is_over == (step.outcome is not None), "it ends with an outcome, and has none before that"
            if step.outcome is not None:
                self.outcomes.append(step.outcome)

    def _assert_settled(self, reason: Reason) -> None:
        first = [when for when, called in self.calls if confirms(called, reason)]
        assert first, "no look before called for the same"
        assert self.at - first[0] >= SETTLE, "the first look that called for the same is too recent"

    def restart(self) -> None:
        """The process is another one, which knows nothing."""
        self.forgotten += isinstance(self.progress.stage, Asked)
        self.progress = Progress(policy=POLICY)
        self.calls.clear()

    def live(self, events: list[tuple[int, str, str]]) -> "Life":
        """Let happen what *events* say: after so many seconds a look of that kind, and the answer it may lead to."""
        for gap, kind, answer in events:
            self.at += gap
            if kind == "restart":
                self.restart()
            else:
                self.look(kind, answer)
        return self


def _look(kind: str, at: float) -> Look:
    match kind:
        case "hold":
            return hold(at)
        case "failure":
            return failure(at)
        case "shown":
            return shown(at)
        case "disabled":
            return shown(at, enabled=False)
        case "other":
            return shown(at, exp=SPEC.exp + DAY)
        case _:
            return rotate(at, Reason(kind))


LOOKS_MADE = (*(reason.value for reason in CALLS), "failure")
KINDS = (*LOOKS_MADE, "hold", "shown", "disabled", "other", "restart")
GAPS = st.integers(0, 150)
# Half of the looks call for a key and are answered, so that many lives get as far as a request.
LIVES = st.lists(
    st.tuples(GAPS, st.sampled_from(LOOKS_MADE) | st.sampled_from(KINDS), st.sampled_from(sorted(ANSWERS))),
    max_size=40,
)


@given(LIVES)
def test_asks_only_after_two_settled_looks_and_one_at_a_time(events: list[tuple[int, str, str]]) -> None:
    """Rules 1 and 3: two looks `settle` apart that call for the same, the second right before; none while Asked."""
    life = Life().live(events)
    assert len(life.asks) >= life.begun


@given(LIVES)
def test_each_key_that_was_asked_for_ends_in_one_outcome(events: list[tuple[int, str, str]]) -> None:
    """Whatever is seen of a key, one outcome ends it: a look that shows it, the end of the time, or giving up."""
    life = Life().live(events)
    is_under_way = isinstance(life.progress.stage, Asked)
    assert life.begun == len(life.outcomes) + life.forgotten + is_under_way
    assert all(isinstance(outcome, Rotated | Failed) for outcome in life.outcomes)
    last = given_up(life.progress, life.at, TIMING)
    assert not isinstance(last.progress.stage, Asked)
    if is_under_way:
        assert isinstance(last.outcome, Failed)


@given(st.sampled_from(CALLS), st.lists(GAPS, max_size=12), st.lists(st.sampled_from(list(FailureKind)), min_size=12))
def test_failing_looks_delay_a_key_no_further_than_they_fail(
    reason: Reason, gaps: list[int], kinds: list[FailureKind]
) -> None:
    """Rule 2: however looks fail after the first, the first one that succeeds after `settle` asks for the key."""
    progress, at = advance(Progress(policy=POLICY), rotate(0, reason), 0, TIMING).progress, 0.0
    for gap, kind in zip(gaps, kinds, strict=False):
        at += gap
        step = advance(progress, failure(at, kind), at, TIMING)
        assert (step.action, step.progress.stage) == (None, Called(since=0, reason=reason, keys=SHOWN))
        progress = step.progress
    early = advance(progress, rotate(at, reason), at, TIMING)
    assert (early.action is not None) == (at >= SETTLE)
    settled = max(at, SETTLE)
    assert advance(progress, rotate(settled, reason), settled, TIMING).action == Ask(rotate(settled, reason))


@given(LIVES, st.lists(st.tuples(GAPS, st.sampled_from(LOOKS_MADE)), max_size=12))
def test_restart_begins_anew(before: list[tuple[int, str, str]], after: list[tuple[int, str]]) -> None:
    """Rule 1 begins again with the process: nothing is requested until `settle` after its first look that succeeds."""
    life = Life().live(before)
    life.restart()
    asked, first = len(life.asks), None
    for gap, kind in after:
        life.at += gap
        if first is None and kind != "failure":
            first = life.at
        life.look(kind, "kid")
        if len(life.asks) > asked:
            assert first is not None
            assert life.at - first >= SETTLE
            return
        assert not isinstance(life.progress.stage, Asked)
