from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from views.cases import DAY, HOUR, NOW, entry, failed, key, looked_at, policy, refused

from rotator.core.keyset import Key
from rotator.core.outcome import Held, Planned, Rotated
from rotator.core.policy import Mode
from rotator.core.reasons import Reason, Refusal
from rotator.shell.status_store import Board, Entry
from rotator.views.judgement import Case, judge, troubles
from rotator.views.program import About, faults
from rotator.views.signs import Level

STALE = 2.5 * HOUR
CERTIFICATE = replace(key("c", -300, 65), has_certificate=True)
ENDING = replace(key("c", -350, 15), has_certificate=True)
ENC = replace(policy(), use="enc")
FINE = looked_at(key("a", -10, 81))
DUE = looked_at(key("a", -80, 11))
OBSERVED = policy(mode=Mode.OBSERVE)


def judged(found: Entry, *, dry_run: bool = False) -> Case:
    return judge(found, NOW, STALE, dry_run=dry_run)


def held(reason: Reason | Refusal) -> Entry:
    return entry(Held(observation=DUE.observation, reason=reason))


def seen(found: Entry, ago: timedelta) -> Entry:
    assert found.observation is not None
    return replace(found, observation=replace(found.observation, now=NOW - ago))


def rotated() -> Entry:
    assert isinstance(DUE, Planned)
    after = replace(looked_at(key("a", -80, 11), key("b", 10, 101)).observation, now=NOW - HOUR / 2)
    return entry(Rotated(before=DUE.observation, observation=after, reason=DUE.reason, spec=DUE.spec, kid="b"))


@pytest.mark.parametrize(
    ("found", "signs"),
    [
        pytest.param(entry(FINE), ["good fine"], id="fine"),
        pytest.param(entry(DUE), ["due due"], id="due"),
        pytest.param(rotated(), ["good rotated"], id="rotated"),
        pytest.param(Entry(policy=policy()), ["due not seen yet"], id="before the first look"),
        pytest.param(entry(failed("no")), ["bad failed"], id="never seen"),
        pytest.param(entry(refused(FINE, "no")), ["bad failed"], id="failed"),
        pytest.param(
            entry(refused(looked_at(key("a", -100, -9)), "no")),
            ["bad no valid key", "bad failed"],
            id="nobody can sign in, and it failed",
        ),
        pytest.param(
            entry(refused(looked_at(key("a", -90.5, 0.5)), "no")),
            ["bad failed", "bad cover is ending", "bad overdue"],
            id="late, and it failed",
        ),
        pytest.param(seen(entry(FINE), STALE), ["good fine"], id="as old as it may be"),
        pytest.param(seen(entry(FINE), 3 * HOUR), ["bad not seen for 3h"], id="older"),
        pytest.param(held(Refusal.RUNAWAY_GUARD), ["bad guarded", "due due"], id="guarded"),
        pytest.param(held(Refusal.NOT_LEADER), ["due waiting"], id="refused by the lease"),
        pytest.param(entry(looked_at(key("a", -10, 81), of=OBSERVED)), ["good observed"], id="observed"),
        pytest.param(entry(looked_at(key("a", -80, 11), of=OBSERVED)), ["due due"], id="observed, and due"),
        pytest.param(entry(looked_at(key("n", None, None), of=OBSERVED)), ["good observed"], id="observed, undated"),
        pytest.param(entry(looked_at(CERTIFICATE)), ["good fine"], id="a certificate"),
        pytest.param(entry(looked_at(ENDING)), ["bad overdue"], id="a certificate that needs its next"),
        pytest.param(entry(looked_at(key("a", -10, 81), of=ENC)), ["due use differs"], id="configured for another use"),
        pytest.param(
            entry(looked_at(key("a", -80, 11), of=ENC)),
            ["bad overdue", "due use differs"],
            id="due, and configured for another use",
        ),
        pytest.param(entry(looked_at(key("a", None, 700))), ["due due"], id="of unknown age"),
        pytest.param(entry(looked_at(key("a", -80, 8.5))), ["due due"], id="half of the window is left"),
        pytest.param(entry(looked_at(key("a", -80, 8.4))), ["due cover is low", "due due"], id="less than half"),
        pytest.param(entry(looked_at(key("a", -80, 4.25))), ["due cover is low", "due due"], id="a quarter"),
        pytest.param(entry(looked_at(key("a", -80, 4.2))), ["bad cover is ending", "due due"], id="less than that"),
        pytest.param(
            entry(looked_at(key("a", -10, 81), key("b", 70, 200, enabled=False))),
            ["due successor disabled"],
            id="a key to come is disabled",
        ),
        pytest.param(
            entry(looked_at(key("a", -70, 21), key("b", 22, 200), of=OBSERVED)), ["due gap"], id="a gap is to come"
        ),
        pytest.param(
            entry(looked_at(key("a", -70, 21), key("b", 20.5, 200), of=OBSERVED)),
            ["due overlap too short"],
            id="an overlap is too short",
        ),
    ],
)
def test_judge_gives_the_gravest_first(found: Entry, signs: list[str]) -> None:
    """All that is wrong is told, the gravest first, and nothing is good beside it."""
    case = judged(found)
    assert [f"{sign.level} {sign.word}" for sign in case.signs] == signs
    assert all(sign.section for sign in case.signs if sign.level is Level.BAD)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        pytest.param(entry(looked_at(key("a", -10, 81))), "81d left", id="covered"),
        pytest.param(entry(looked_at(key("a", -90.5, 0.124))), "2h58m left", id="not for long"),
        pytest.param(entry(looked_at(key("a", -100, -9))), "the last one expired 9d ago", id="expired"),
        pytest.param(
            entry(looked_at(key("a", -10, 81, enabled=False))), "none of its keys is valid now", id="disabled"
        ),
        pytest.param(entry(looked_at()), "it has no keys", id="empty"),
        pytest.param(entry(looked_at(key("a", None, None))), "no end: the key in use has no expiry", id="undated"),
        pytest.param(entry(looked_at(key("a", -1, None))), "no end: the key in use has no expiry", id="endless"),
        pytest.param(
            entry(looked_at(key("a", -80, 11), key("b", 9, None))),
            "no end: the last of its keys has no expiry",
            id="in the end",
        ),
        pytest.param(entry(failed("no")), "cover is not known: it was never seen", id="never seen"),
    ],
)
def test_time_left_in_words(found: Entry, told: str) -> None:
    """How long is left is never a time that has no meaning."""
    assert judged(found).time_left() == told


@pytest.mark.parametrize(
    ("found", "dry_run", "told"),
    [
        pytest.param(looked_at(), False, "rotator makes a key with its second look", id="it acts"),
        pytest.param(looked_at(), True, "dry run: rotator itself will not act", id="a dry run"),
        pytest.param(looked_at(of=OBSERVED), False, "mode observe: rotator itself will not act", id="observed"),
        pytest.param(refused(looked_at(), "no"), False, "once its failure is mended", id="it failed"),
        pytest.param(
            looked_at(key("b", 0.1, 91), of=replace(policy(), minimum_lead=3 * HOUR)),
            False,
            "would take over sooner",
            id="a key is coming",
        ),
        pytest.param(
            Held(observation=looked_at(key("a", -90.5, 0.5)).observation, reason=Refusal.RUNAWAY_GUARD),
            False,
            "while the guard holds it back",
            id="guarded",
        ),
    ],
)
def test_advice_says_whether_rotator_acts(found: Any, dry_run: bool, told: str) -> None:  # noqa: FBT001
    """Where a key is missing, it says whether this program will make one."""
    assert [sign for sign in judged(entry(found), dry_run=dry_run).signs if told in sign.advice] != []


def test_dry_run_generates_nothing() -> None:
    """Of a dry run nobody expects a key."""
    (sign,) = judged(entry(DUE), dry_run=True).signs
    assert sign.sentence == "its next key would be generated; this is a dry run"


def test_no_valid_key_says_when_the_next_takes_over() -> None:
    """Where a key begins by itself, somebody on call knows for how long nobody can sign in."""
    (sign, *_) = judged(entry(looked_at(key("b", 0.125, 91)))).signs
    assert sign.sentence.endswith("; the next key takes over in 3h")


def test_failure_stands_while_a_plan_is_open() -> None:
    """A look that only calls for a key does not turn trouble into something that is merely due."""
    board = Board([("contoso", policy())])
    board.record(refused(DUE, "no"))
    board.record(DUE, is_open=True)
    (found,) = board.entries().values()
    assert judged(found).words == "failed"


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    ("found", "use", "advice"),
    [
        pytest.param(ENDING, "sig", "upload the next certificate", id="certificate"),
        pytest.param(key("a", -80, 11), "enc", "correct use and kty in the configuration", id="another use"),
    ],
)
def test_signs_advise_what_a_generated_key_cannot_do(found: Key, use: str, advice: str, mode: Mode) -> None:
    """Where no generated key would serve, the advice is never to generate one."""
    case = judged(entry(looked_at(found, of=replace(policy(mode=mode), use=use))))
    advised = {sign.word: sign.advice for sign in case.signs}
    assert advice in advised["overdue"]
    assert not [text for text in advised.values() if "generate" in text.replace("cannot generate", "")]


def test_troubles_in_the_order_of_urgency() -> None:
    """No valid key comes first, then whatever cover ends soonest; what nobody knows is last, and the same is one."""
    found = {
        "a": entry(failed("wrong secret")),
        "b": entry(refused(FINE, "no")),
        "c": entry(FINE),
        "d": entry(looked_at(key("a", -90.5, 0.5))),
        "e": entry(looked_at()),
        "f": entry(failed("wrong secret")),
        "g": entry(looked_at(key("a", -90.5, 0.4))),
    }
    cases = {("contoso", name): judged(each) for name, each in found.items()}
    assert [[keyset for _, keyset in group] for group in troubles(cases)] == [["e"], ["g", "d"], ["b"], ["a", "f"]]


@pytest.mark.parametrize(
    ("about", "words"),
    [
        pytest.param({"swept": NOW - STALE}, [], id="swept"),
        pytest.param({"swept": NOW - 3 * HOUR}, ["No sweep has ended for 3h"], id="swept long ago"),
        pytest.param({}, [], id="begun"),
        pytest.param({"began": NOW - DAY}, ["No sweep has ended for 1d"], id="begun long ago"),
        pytest.param({"began": NOW - DAY, "is_idle": True, "leader": "pod-b"}, [], id="another leads"),
        pytest.param({"began": NOW - DAY, "is_idle": True}, ["Nobody leads"], id="nobody leads"),
        pytest.param({"silence": HOUR}, ["The scheduler has not shown that it lives for 1h"], id="dead"),
    ],
)
def test_faults_of_the_program(about: dict[str, Any], words: list[str]) -> None:
    """A program that has gone blind says so, and not that all is well."""
    program = About(**{"version": "1", "refresh": 60, "stale": STALE, "began": NOW - HOUR, **about})
    found = list(faults(program, NOW))
    assert [word for word, fault in zip(words, found, strict=True) if word not in fault] == []
