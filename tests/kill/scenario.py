"""
A rotation that is cut off at a step: how it is caught there, ended, started again, and what came of it.

::

    token ─▶ first look ── settle ──▶ second look ─▶ POST ─▶ read-back ─▶ log line
                                                       └▶ (read-back ─▶ PATCH) where keys are born disabled

The emulated service holds a request for as long as the test wants, before it does
something or after it did; so a test that kills a process there knows what was done.

Where reads are stale, nodes lag for as long as the worst that is promised for: what was
written shows neither to the process that wrote it, nor to the first look of
the next one, and shows from then on.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Self

from end_to_end.harness import DAY, LIFE, Bench, Keyset, Tenant, key
from kill.process import PATIENCE, Victim

from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Stage
from rotator.emulator.model.history import KeyAdded
from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import ReadPath, Status, Switches

KEYSET = "B2C_1A_Sig"
SETTLE = 1.0
LAG = 0.3
ENDLESS = 3600.0


class Program(StrEnum):
    """How the program is run."""

    DAEMON = "daemon"
    ONCE = "--once"

    @property
    def arguments(self) -> tuple[str, ...]:
        """For the command line."""
        return () if self is Program.DAEMON else (self.value,)


class Reads(StrEnum):
    """What a read shows of a write that has just been done."""

    FRESH = "fresh reads"
    STALE = "stale reads"
    FLAPPING = "flapping reads"


@dataclass(frozen=True, kw_only=True)
class Step:
    """
    Where a process is caught.

    at, stage, count: the request that it is caught at (its count-th of that kind), and how far that got
    fault:    what holds it there
    is_mute:  it can't log any more from then on, and the request it is caught at is answered
    is_told:  it is caught when it logs that it rotated
    asked:    how often a key is asked for, if it is killed here and started again
    finishes: whether the rotation is finished, if it is asked to stop here
    """

    name: str
    at: Operation
    fault: Fault | None
    stage: Stage = Stage.ARRIVED
    count: int = 1
    is_mute: bool = False
    is_told: bool = False
    asked: int = 1
    finishes: bool = True


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One rotation: of which keyset, by which program, and what reads show."""

    program: Program
    reads: Reads = Reads.FRESH
    born: Status = Status.ENABLED
    age: float = 80  # days that the only key has been active, of its 90
    patience: str = "60s"  # for one request


@dataclass(frozen=True, kw_only=True)
class End:
    """
    What came of it.

    asked: how often a key was asked for
    keys:  the keys that were generated, in order: their status, and what is wrong with their dates
    codes: the exit codes of the processes that were not killed
    said:  what the process that was ended said of the rotation
    story: the logs, for a failure
    """

    asked: int
    keys: tuple[str, ...]
    codes: tuple[int, ...] = (0,)
    said: tuple[str, ...] = ()
    has_gap: bool = False
    is_hasty: bool = False
    story: str = field(default="", compare=False, repr=False)


def played(steps: Sequence[Step], play: Callable[[Step], End]) -> dict[str, End]:
    """The result of each step, all of them side by side."""
    with ThreadPoolExecutor(max_workers=len(steps)) as pool:
        return dict(zip((step.name for step in steps), pool.map(play, steps), strict=True))


def check(expected: Mapping[str, End], actual: Mapping[str, End]) -> None:
    """Every step ended as *expected*; the log of each that did not is printed."""
    for name, end in actual.items():
        if end != expected[name]:
            print(f"=== {name}: {end}\n{end.story}")
    assert expected == actual


class Scene:
    """A tenant with one keyset that is due, and the process that rotates it; a context manager."""

    def __init__(self, folder: Path, plot: Plot) -> None:
        folder.mkdir(parents=True)
        self.bench = Bench(folder)
        self.plot = plot
        self.stories: list[str] = []
        switches = Switches(
            generated_status=plot.born,
            read_after_write_delay=0 if plot.reads is Reads.FRESH else LAG,
            read_path=ReadPath.FLAPPING if plot.reads is Reads.FLAPPING else ReadPath.STALE,
        )
        self.old: KeySeed = key(age=plot.age)
        keyset = Keyset(id=KEYSET, keys=(self.old,))
        self.emulator = self.bench.begin(
            Tenant(keysets=(keyset,), switches=switches),
            settle=f"{SETTLE:g}s",
            request_timeout=plot.patience,
            log={"level": "info", "format": "json"},
        )
        self.tenant = self.emulator.tenants[0]
        self.began = self.emulator.now()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.bench.__exit__(*error)

    # --- acts

    def caught_at(self, step: Step) -> Victim:
        """A process that has got as far as *step*, and no further."""
        count = step.count + len(self.emulator.seen(step.at, stage=step.stage))
        if step.fault is not None:
            self.emulator.inject(step.fault)
        victim = Victim(self.bench, *self.plot.program.arguments)
        try:
            if step.is_told:
                victim.wait_for("keyset.rotated")
                return victim
            arrived = self.emulator.wait_for(step.at, stage=step.stage, count=count, timeout=PATIENCE)
            assert arrived, f"no {step.at} {step.stage}:\n{victim.text}"
            if step.is_mute:
                victim.halt_log()
                self._lag(0)  # what it asked for shows: there is nothing left but to tell
                self.emulator.faults.clear()
                assert self.emulator.wait_for(step.at, stage=Stage.ANSWERED, count=count, timeout=PATIENCE)
            return victim
        except BaseException:
            victim.kill()
            raise

    def kill(self, victim: Victim) -> tuple[str, ...]:
        """End it on the spot; the service then does what it was about to do. What it said of the rotation."""
        victim.kill()
        self._lag(ENDLESS)
        self._go_on()
        return self._heard(victim)

    def stop(self, victim: Victim, lag: float, *, goes_on: bool = True) -> tuple[int, tuple[str, ...]]:
        """
        Ask it to end; once it knows, reads lag behind by *lag*, and the service goes on, unless it never does.

        Returns:
            Its exit code, and what it said of the rotation.

        """
        with victim:
            victim.terminate()
            self._lag(lag)
            if goes_on:
                self._go_on()
            victim.resume_log()
            return victim.wait(), self._heard(victim)

    def restart(self) -> int:
        """Start it again, and let it come to a conclusion: its exit code."""
        emulator = self.emulator
        lists = len(self.bench.asked(Operation.LIST_KEYSETS))
        held = emulator.inject(Fault(what=Kind.HANG, where=Operation.GET_KEYSET))
        with Victim(self.bench, *self.plot.program.arguments, ROTATOR_LOG__LEVEL="debug") as victim:
            looked = emulator.wait_for(Operation.LIST_KEYSETS, stage=Stage.ANSWERED, count=lists + 1, timeout=PATIENCE)
            assert looked, victim.text
            self._lag(0)
            held.remove()
            if self.plot.program is Program.DAEMON:
                victim.wait_for("keyset.rotated", "keyset.held", "keyset.failed")
                victim.terminate()
            code = victim.wait()
            self.stories.append(victim.text)
            return code

    def end(self, *codes: int, said: tuple[str, ...] = ()) -> End:
        """The result of it."""
        return End(
            asked=len(self.bench.asked(Operation.GENERATE_KEY)),
            keys=tuple(self._described(born) for born in self.born),
            codes=codes,
            said=said,
            has_gap=bool(self._gaps()),
            is_hasty=self._is_hasty(),
            story="--- and then\n".join(self.stories),
        )

    def _heard(self, victim: Victim) -> tuple[str, ...]:
        self.stories.append(victim.text)
        return tuple(line["event"] for line in victim.events("keyset.rotated", "keyset.failed"))

    # --- what is seen

    @property
    def born(self) -> tuple[KeyAdded, ...]:
        """The keys that were generated."""
        events = self.tenant.keyset(KEYSET).events
        return tuple(event for event in events if isinstance(event, KeyAdded) and event.instant >= self.began)

    def _described(self, born: KeyAdded) -> str:
        """
        The status of a key; it takes over when the old one's turn ends.

        Where that has passed, it does so when the old one expires, since the overlap is lost
        whatever is done, and the lead is not; where that has passed as well, at once.
        """
        assert self.old.nbf is not None
        assert self.old.exp is not None
        now = next(key for key in self.tenant.keyset(KEYSET).keys if key.kid == born.key.kid)
        nbf, exp = int(born.key.nbf or 0), int(born.key.exp or 0)
        turn_ends = self.old.nbf + 90 * DAY
        ends = next((end for end in (turn_ends, self.old.exp) if end > self.began), None)
        is_right = nbf == ends if ends is not None else int(self.began) <= nbf <= born.instant
        dates = f"{datetime.fromtimestamp(nbf, UTC)} to {datetime.fromtimestamp(exp, UTC)}"
        is_right = is_right and exp - nbf == LIFE.total_seconds()
        return str(now.status) if is_right else f"{now.status}, but {dates}"

    def _gaps(self) -> tuple[object, ...]:
        """The times without a valid key, from now on or from the first new key on, to the end of the last."""
        ends = [int(key.exp or 0) for key in self.tenant.keyset(KEYSET).keys if key.status is Status.ENABLED]
        assert self.old.exp is not None
        begins = [max(born.instant, float(born.key.nbf or 0)) for born in self.born]
        starts = self.began if self.old.exp > self.began or not begins else max(begins)
        return self.tenant.gaps(KEYSET, starts, max(ends))

    def _is_hasty(self) -> bool:
        """Whether a key was requested without two looks that are `settle` apart."""
        kinds = (Operation.LIST_KEYSETS, Operation.GET_KEYSET, Operation.GENERATE_KEY)
        asked = [seen for seen in self.emulator.requests if seen.operation in kinds]
        for number, seen in enumerate(asked):
            if seen.operation is Operation.GENERATE_KEY:
                looks = asked[max(number - 2, 0) : number]
                if [look.operation for look in looks] != [Operation.LIST_KEYSETS, Operation.GET_KEYSET]:
                    return True
                if looks[1].time - looks[0].time < SETTLE * 0.98:
                    return True
        return False

    # --- the service

    def _lag(self, seconds: float) -> None:
        """How far its reads lag behind, if they are not fresh."""
        if self.plot.reads is not Reads.FRESH:
            self.tenant.switch(read_after_write_delay=seconds)

    def _go_on(self) -> None:
        """Let go what is held, and wait until the writes that have arrived are over."""
        self.emulator.faults.clear()
        for write in (Operation.GENERATE_KEY, Operation.UPDATE_KEY):
            arrived = len(self.bench.asked(write))
            assert self.emulator.wait_for(write, stage=Stage.ANSWERED, count=arrived, timeout=PATIENCE)
