"""
One successor, with the right dates, and no gap: wherever in a rotation a process ends, and however.

Each table has a row for every step at which the program is caught; scene.py draws them.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from kill.scenario import ENDLESS, LAG, End, Plot, Program, Reads, Scene, Step, check, played

from rotator.emulator.faults.fault import Fault, Kind, Moment
from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Stage
from rotator.emulator.model.switches import Status

TOKEN, LIST, GET = Operation.TOKEN, Operation.LIST_KEYSETS, Operation.GET_KEYSET
POST, PATCH = Operation.GENERATE_KEY, Operation.UPDATE_KEY


def hang(where: Operation, when: Moment = Moment.BEFORE_COMMIT, *, skip: int = 0) -> Fault:
    """The request goes no further; where its client leaves before it is done, it never is."""
    return Fault(what=Kind.HANG, where=where, when=when, skip=skip)


def slow(where: Operation) -> Fault:
    """The request goes no further for now, and is done even if its client has left."""
    return Fault(what=Kind.SLOW, where=where, delay=600)


AFTER = Moment.AFTER_COMMIT
LOOKING = (
    Step(name="asking for a token", at=TOKEN, fault=hang(TOKEN), finishes=False),
    Step(name="first look", at=LIST, fault=hang(LIST), finishes=False),
    Step(name="between the looks", at=LIST, fault=hang(GET), stage=Stage.ANSWERED, finishes=False),
    Step(name="second look", at=GET, fault=hang(GET), finishes=False),
)
WRITING = (
    Step(name="asked, never done", at=POST, fault=hang(POST), asked=2),
    Step(name="asked, done later", at=POST, fault=slow(POST)),
    Step(name="done, not answered", at=POST, fault=hang(POST, AFTER), stage=Stage.COMMITTED),
    Step(
        name="being answered",
        at=POST,
        fault=Fault(what=Kind.DRIP, where=POST, interval=0.006),
        stage=Stage.ANSWERED,
    ),
    Step(name="read-back", at=GET, fault=hang(GET, skip=1), count=2),
    Step(name="before the log line", at=GET, fault=hang(GET, skip=1), count=2, is_mute=True),
    Step(name="log line", at=POST, fault=None, is_told=True),
)
STEPS = (*LOOKING, *WRITING)
"""The steps of a rotation."""

ENABLING = (
    Step(name="enabled later", at=PATCH, fault=slow(PATCH)),
    Step(name="enabled, not answered", at=PATCH, fault=hang(PATCH, AFTER), stage=Stage.COMMITTED),
    Step(name="enabled, read-back", at=GET, fault=hang(GET, skip=2), count=3),
    Step(name="enabled, before the log line", at=GET, fault=hang(GET, skip=2), count=3, is_mute=True),
)
"""The last steps, where the service creates keys disabled, from the moment on that nothing stops the PATCH."""

BEFORE_ENABLING = (
    Step(name="read-back", at=GET, fault=hang(GET, skip=1), count=2, asked=2),
    Step(name="enabling, never done", at=PATCH, fault=hang(PATCH), asked=2),
)
"""The steps before that, once the key is there."""

DAEMON, ONCE = Program.DAEMON, Program.ONCE
FRESH, STALE, FLAPPING = Reads.FRESH, Reads.STALE, Reads.FLAPPING


def killed(folder: Path, plot: Plot) -> Callable[[Step], End]:
    """The result of a rotation whose process was killed at a step, and started again."""

    def play(step: Step) -> End:
        with Scene(folder / step.name, plot) as scene:
            said = scene.kill(scene.caught_at(step))
            return scene.end(scene.restart(), said=said)

    return play


def stopped(folder: Path, plot: Plot, *, lag: float = ENDLESS) -> Callable[[Step], End]:
    """The result of a rotation whose process was asked to stop at a step; with stale reads, it is started again."""

    def play(step: Step) -> End:
        with Scene(folder / step.name, plot) as scene:
            code, said = scene.stop(scene.caught_at(step), lag)
            codes = (code,) if plot.reads is FRESH else (code, scene.restart())
            return scene.end(*codes, said=said)

    return play


def named(plot: Plot) -> str:
    """The id of a table."""
    return f"{plot.program}, {plot.reads}"


def succeeded(step: Step) -> End:
    """One successor; the killed process reported it only if it had seen it."""
    return End(asked=step.asked, keys=("enabled",), said=("keyset.rotated",) if step.is_told else ())


@pytest.mark.parametrize("program", [DAEMON, ONCE])
def test_killed(program: Program, tmp_path: Path) -> None:
    """Killed at any step and started again, it ends with one successor, requested again only if it is not there."""
    ends = played(STEPS, killed(tmp_path, Plot(program=program)))
    check({step.name: succeeded(step) for step in STEPS}, ends)


@pytest.mark.parametrize(
    "plot",
    [
        Plot(program=DAEMON, reads=STALE),
        Plot(program=ONCE, reads=STALE),
        Plot(program=DAEMON, reads=FLAPPING),
    ],
    ids=named,
)
def test_killed_where_reads_lag(plot: Plot, tmp_path: Path) -> None:
    """A new process finds the key from before, even if its first look does not show it yet."""
    ends = played(WRITING, killed(tmp_path, plot))
    check({step.name: succeeded(step) for step in WRITING}, ends)


@pytest.mark.parametrize("age", [pytest.param(90.5, id="past its activation"), pytest.param(100, id="no valid key")])
def test_killed_when_late(age: float, tmp_path: Path) -> None:
    """Even if the dates of a key depend on when it is requested, a killed process leaves one successor."""
    steps = [step for step in WRITING if step.name in ("asked, never done", "done, not answered", "read-back")]
    ends = played(steps, killed(tmp_path, Plot(program=DAEMON, reads=STALE, age=age)))
    check({step.name: succeeded(step) for step in steps}, ends)


@pytest.mark.parametrize("plot", [Plot(program=DAEMON, reads=STALE), Plot(program=ONCE)], ids=named)
def test_killed_while_enabling(plot: Plot, tmp_path: Path) -> None:
    """If keys are created disabled, a process that is killed while it enables the new one leaves one key, enabled."""
    # Where reads lag, there is more than one read-back before the PATCH: those after it can't be told by their number.
    steps = [step for step in ENABLING if plot.reads is FRESH or step.at is PATCH]
    ends = played(steps, killed(tmp_path, replace(plot, born=Status.DISABLED)))
    check({step.name: succeeded(step) for step in steps}, ends)


@pytest.mark.parametrize("plot", [Plot(program=DAEMON, reads=STALE), Plot(program=ONCE)], ids=named)
def test_killed_before_enabling(plot: Plot, tmp_path: Path) -> None:
    """
    A key that its process left disabled can't be told from one that a person disabled, so it is left alone.

    This is the known limit: a second key is generated, and enabled.
    """
    ends = played(BEFORE_ENABLING, killed(tmp_path, replace(plot, born=Status.DISABLED)))
    check({step.name: End(asked=2, keys=("disabled", "enabled")) for step in BEFORE_ENABLING}, ends)


def test_killed_twice_before_enabling(tmp_path: Path) -> None:
    """Two keys that were left disabled are enough: no third one is requested before somebody has looked."""
    step = Step(name="enabling, never done", at=PATCH, fault=hang(PATCH))
    with Scene(tmp_path / step.name, Plot(program=DAEMON, born=Status.DISABLED)) as scene:
        scene.kill(scene.caught_at(step))
        scene.kill(scene.caught_at(step))
        end = scene.end(scene.restart())
    check({step.name: End(asked=2, keys=("disabled", "disabled"))}, {step.name: end})
    assert '"reason": "runaway_guard"' in end.story


def test_killed_again_and_again(tmp_path: Path) -> None:
    """However often it is killed before it has read back what it requested, one key is all there is."""
    steps = {step.name: step for step in STEPS}
    with Scene(tmp_path / "rotation", Plot(program=DAEMON, reads=STALE)) as scene:
        for name in ("first look", "second look", "done, not answered", "between the looks", "first look"):
            scene.kill(scene.caught_at(steps[name]))
        end = scene.end(scene.restart())
    check({"rotation": End(asked=1, keys=("enabled",))}, {"rotation": end})


@pytest.mark.parametrize("program", [DAEMON, ONCE])
def test_stopped(program: Program, tmp_path: Path) -> None:
    """Asked to stop at any step, it begins no write, finishes the one under way, says so, and leaves with 0."""
    steps = [step for step in STEPS if program is DAEMON or not step.is_told]  # by then, the other one has left
    ends = played(steps, stopped(tmp_path, Plot(program=program)))
    finished = End(asked=1, keys=("enabled",), said=("keyset.rotated",))
    check({step.name: finished if step.finishes else End(asked=0, keys=()) for step in steps}, ends)


@pytest.mark.parametrize("program", [DAEMON, ONCE])
def test_stopped_and_never_answered(program: Program, tmp_path: Path) -> None:
    """Asked to stop while its request is never answered, it looks whether that was carried out, and leaves in time."""
    done = Step(name="done", at=POST, fault=hang(POST, AFTER), stage=Stage.COMMITTED)
    never = Step(name="never done", at=POST, fault=hang(POST))

    def play(step: Step) -> End:
        with Scene(tmp_path / step.name, Plot(program=program, patience="5s")) as scene:
            code, said = scene.stop(scene.caught_at(step), 0, goes_on=False)
            return scene.end(code, said=said)

    expected = {
        "done": End(asked=1, keys=("enabled",), said=("keyset.rotated",)),
        "never done": End(asked=1, keys=(), codes=(0 if program is DAEMON else 1,), said=("keyset.failed",)),
    }
    check(expected, played((done, never), play))


def test_stopped_where_reads_lag(tmp_path: Path) -> None:
    """A process that stops before it has seen its key reports that, and the next process finds the key."""
    ends = played(WRITING, stopped(tmp_path, Plot(program=DAEMON, reads=STALE)))
    unseen = End(asked=1, keys=("enabled",), codes=(0, 0), said=("keyset.failed",))
    seen = replace(unseen, said=("keyset.rotated",))
    check({step.name: seen if step.is_mute or step.is_told else unseen for step in WRITING}, ends)


@pytest.mark.parametrize("plot", [Plot(program=DAEMON), Plot(program=ONCE)], ids=named)
def test_stopped_while_enabling(plot: Plot, tmp_path: Path) -> None:
    """Where keys are created disabled, a stop waits until the new one is enabled."""
    steps = (*BEFORE_ENABLING, *ENABLING)
    ends = played(steps, stopped(tmp_path, replace(plot, born=Status.DISABLED)))
    check({step.name: End(asked=1, keys=("enabled",), said=("keyset.rotated",)) for step in steps}, ends)


def test_stopped_before_enabling_where_reads_lag(tmp_path: Path) -> None:
    """A stop gives a key that was created disabled the time to show, so that it can be enabled."""
    steps = [step for step in WRITING if step.name in ("asked, done later", "done, not answered", "read-back")]
    plot = Plot(program=DAEMON, reads=STALE, born=Status.DISABLED)
    ends = played(steps, stopped(tmp_path, plot, lag=LAG))
    # Whether there is also the time to see that it is enabled, is not promised.
    ends = {name: replace(end, said=()) for name, end in ends.items()}
    check({step.name: End(asked=1, keys=("enabled",), codes=(0, 0)) for step in steps}, ends)
