# mypy: disable-error-code="index"
"""
Whatever happens around it, the program keeps its promises.

A machine draws what happens: time passes, the service fails in every way the emulator
knows, people add, disable and enable keys, processes are killed and started again, clocks
go wrong, the configuration changes. After every job that the program runs, and after
every step, its promises are held against everything that the emulated tenant remembers.

What is promised depends on what could be done, so that comes first. A keyset is *calm*
while nothing hinders the program and nothing surprises it:

- the process runs, has neither been killed nor been asked to stop;
- it may write: no dry run, no `observe`, the keyset is configured;
- no trouble is under way that concerns the keyset (a fault of the other keyset does not);
- the clocks agree to within five minutes, beyond which no key may be generated; and
  where the service refuses an nbf that is too soon, to within a minute;
- nobody adds, disables or enables a key, and the configuration stays as it is.

Stale reads (shorter than `settle`), generated keys that come disabled, pages, and dates
as text are no excuse. The *grace* is the longest that a calm program may take: until the
next sweep, then `settle` to the second look, then what is under way for the other keyset.

    I1  An action could have prevented that no key is valid at x if, at some b: the keyset
        had been calm for its grace; b + least lead <= x, so a key asked for then could be
        valid at x; x <= b - grace + overlap + lead + window, so that it was due; and the
        keys as they stood at b left x uncovered. No such b exists. The least lead is
        `minimum_lead`, or what the service insists on.
    I2  Of the enabled keys that we made and that are still to come, there is at most one,
        and one for each surprise since the first of them was made.
    I3  No such b leaves an active key AGED, or an undated one in use, later than a full
        lead from b. A key that is asked for with less than its lead is told of as such.
    I4  No such b leaves a TAIL (an active key in its last `overlap`) later than the least
        lead from b. A flaw nearer than a full lead is told of: `at_risk`, exit code 3.
    I5  No POST in dry run, for a keyset in `observe`, nor with a refused configuration.
    I6  Fewer than 200 requests to Graph in any minute.
    I7  Every failure is counted and logged, each once, with its kind; no bug of our own.
    I8  The keys that we made are bounded: one for each `rotate_every`, one to begin with,
        and one for each surprise. A restart, a failure, an unknown outcome is none.
    I9  Every POST asks for what the rules say of the keys as last read: it is due; its
        dates are apart as configured, not in the past, and the same throughout the window;
        it is no runaway.

*Surprises* are: a key that a person added, disabled or enabled; a changed configuration;
a key that the service made with other dates than asked for; a request carried out after
`settle` was over. HOLE, TAIL and AGED are explained in machine_truth.py.
"""

import copy
import os
from collections.abc import Iterator
from itertools import count
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from stateful import troubles
from stateful.site import InProcess, Shared
from stateful.stage import BAD, SITTING, MakeSite, Stage, When, span
from stateful.time import EPOCH
from stateful.truth import Wish

from rotator.core.policy import Mode
from rotator.emulator.faults.fault import Moment
from rotator.emulator.http.certificates import make_authority
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import ReadPath

MINUTE, HOUR, DAY = 60, 3600, 86400
SIG, ENC = "B2C_1A_Sig", "B2C_1A_Enc"
KEYSETS = st.sampled_from([SIG, SIG, ENC])

SPANS: dict[str, tuple[int, ...]] = {
    "rotate_every": (4 * DAY, 5 * DAY, 8 * DAY),
    "overlap": (3 * HOUR, 25 * HOUR),
    "publication_lead": (6 * HOUR, DAY),
    "renewal_window": (12 * HOUR, 2 * DAY),
    "minimum_lead": (0, 30 * MINUTE, 3 * HOUR + 2 * MINUTE),
}
"""What may be wanted of a keyset: every combination is feasible."""

PLANS = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in SPANS.items()})
RHYTHMS = st.sampled_from(
    [(HOUR, 2 * MINUTE), (2 * HOUR, 10 * MINUTE), (4 * HOUR, 2 * MINUTE), (4 * HOUR, 10 * MINUTE)]
)
"""check_interval and settle."""

SEEDS: dict[str, tuple[float | None, float | None]] = {
    "fresh": (-DAY, 0),
    "middle-aged": (-3 * DAY, 0),
    "old": (-6 * DAY, 0),
    "neglected for years": (-200 * DAY, 700 * DAY),
    "for two years": (-2 * DAY, 730 * DAY),
    "without exp": (-2 * DAY, None),
    "without nbf": (None, 4 * DAY),
    "undated": (None, None),
    "about to expire": (-4 * DAY, 2 * HOUR),
    "expired": (-9 * DAY, -HOUR),
    "to come": (2 * DAY, 0),
    "short, to come": (DAY, 1.5 * DAY),
    "behind a gap": (6 * DAY, 40 * DAY),
}
"""Keys that may exist from the start: nbf and exp from now; exp 0: valid for as long as a generated key."""

THEN = st.sampled_from([0, 0, 1, 20, 2 * MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 8 * HOUR, DAY])
"""How much time passes after something was done."""

MIDST: list[When] = [
    ("after", Operation.GENERATE_KEY),
    ("before", Operation.GENERATE_KEY),
    ("after", Operation.GET_KEYSET),
    ("before", Operation.GET_KEYSET),
    ("after", Operation.LIST_KEYSETS),
]
"""In the midst of a rotation."""

WHENS: st.SearchStrategy[When] = st.sampled_from([("now", 0), ("now", 0), ("in", 3), ("in", 65), ("in", HOUR), *MIDST])

TROUBLES = [
    *((name, "generate", Moment.AFTER_COMMIT) for name in (*troubles.UNKNOWN, *troubles.ON_THE_WAY)),
    *((name, "generate", Moment.BEFORE_COMMIT) for name in (*troubles.REFUSED, *troubles.UNKNOWN)),
    *((name, "generate", Moment.AFTER_COMMIT) for name in [*troubles.LYING] * 3),
    *((name, "look", Moment.BEFORE_COMMIT) for name in troubles.NAMES),
]
"""What may go wrong with a rotation, where and when: mostly that nobody knows its result."""

PASSES = st.sampled_from([True, True, False])
"""Whether what hinders the program is over after that time."""

AGAIN = st.sampled_from([0, 1, 20, 110, HOUR, DAY])
"""Seconds until a process that has ended is started again."""

_domains = count()


class Machine(RuleBasedStateMachine):
    """One tenant with two keysets, the program, and everything that may happen."""

    make_site: ClassVar[MakeSite] = InProcess
    stage: Stage | None = None

    @initialize(
        plans=st.tuples(PLANS, PLANS),
        sig=st.lists(st.sampled_from(list(SEEDS)), max_size=3, unique=True),
        enc=st.lists(st.sampled_from(["fresh", "old", "undated"]), max_size=1),
        rhythm=RHYTHMS,
        service_lead=st.sampled_from([0, 0, 0, 3 * HOUR]),
        missing=st.sampled_from([(), (), ("B2C_1A_Gone",)]),
        switches=st.sampled_from([{}, {}, {"generated_status": "disabled"}, {"string_dates": True, "page_size": 1}]),
    )
    def begin(
        self,
        plans: tuple[dict[str, int], dict[str, int]],
        sig: list[str],
        enc: list[str],
        rhythm: tuple[int, int],
        service_lead: int,
        missing: tuple[str, ...],
        switches: dict[str, Any],
    ) -> None:
        """A tenant as people may have left it, and the program's first start."""
        self.stage = Stage(
            type(self).make_site,
            f"t{next(_domains)}.example",
            ((SIG, "sig", plans[0]), (ENC, "enc", plans[1])),
            {
                SIG: [_seed("sig", kind, plans[0]) for kind in sig],
                ENC: [_seed("enc", kind, plans[1]) for kind in enc],
            },
            check_interval=rhythm[0],
            settle=rhythm[1],
            switches={**switches, "minimum_nbf_lead": service_lead},
            missing=missing,
        )

    def teardown(self) -> None:
        """In the end all is well again, whatever happened."""
        if self.stage is None:
            return
        try:
            if not self.stage.judge.broken:
                self._heal()
            assert self.stage.site.errors == (), self.stage.site.errors[0]
            self.promises_kept()
        finally:
            self.stage.close()

    def _heal(self) -> None:
        stage = self._stage
        stage.end_troubles()
        stage.way.traps.clear()
        stage.skew(0.0)
        content = copy.deepcopy(stage.content)
        content["dry_run"] = False
        for keyset in content["tenants"][0]["keysets"]:
            keyset["mode"] = "rotate"
        stage.write(content)
        stage.pass_time(5)
        stage.start()
        stage.pass_time(2 * stage.situation.grace)

    @property
    def _stage(self) -> Stage:
        assert self.stage is not None
        return self.stage

    @invariant()
    def promises_kept(self) -> None:
        """No promise is broken."""
        assert self.stage is None or not self.stage.judge.broken, "\n".join(self.stage.judge.broken)

    # --- time

    @rule(seconds=st.sampled_from([HOUR, 6 * HOUR, DAY, 2 * DAY, 4 * DAY]))
    def time_passes(self, seconds: int) -> None:
        self._stage.pass_time(seconds)

    @rule(keyset=KEYSETS, number=st.integers(0, 30), offset=st.sampled_from([-HOUR, -120, -1, 0, 1, 120, HOUR]))
    def time_passes_until_it_matters(self, keyset: str, number: int, offset: int) -> None:
        """To, or nearly to, an instant at which something changes for a keyset."""
        stage = self._stage
        wish = stage.judge.books[keyset].wish
        instants = sorted(
            instant + offset
            for instant in {each for life in stage.lives(keyset) for each in _instants(life.nbf, life.exp, wish)}
            if stage.world.now < instant + offset < stage.world.now + 6 * DAY
        )
        if instants:
            stage.pass_time(instants[number % len(instants)] - stage.world.now)

    # --- the service and the way to it

    @rule(
        name=st.sampled_from(troubles.NAMES),
        place=st.sampled_from(sorted(troubles.PLACES)),
        keyset=st.sampled_from([None, None, SIG, ENC]),
        times=st.sampled_from([1, 1, 2, 4, None]),
        moment=st.sampled_from(list(Moment)),
        then=THEN,
        passes=PASSES,
    )
    def trouble_begins(
        self,
        name: str,
        place: str,
        keyset: str | None,
        times: int | None,
        moment: Moment,
        then: int,
        passes: bool,  # noqa: FBT001 - drawn by name
    ) -> None:
        whole = place in ("list", "login", "all", "reads")
        self._stage.trouble(name, place, None if whole else keyset, times, moment)
        self._stage.pass_time(then)
        if passes:
            self._stage.end_troubles()

    @precondition(lambda self: self.stage and self.stage.troubles)
    @rule()
    def troubles_end(self) -> None:
        self._stage.end_troubles()

    @rule(seconds=st.sampled_from([0, 5, 60]), path=st.sampled_from(list(ReadPath)), then=THEN)
    def reads_become_stale(self, seconds: int, path: ReadPath, then: int) -> None:
        self._stale(seconds, path)
        self._stage.pass_time(then)

    @rule(
        keyset=KEYSETS,
        trouble=st.sampled_from(TROUBLES),
        times=st.sampled_from([1, 1, 2, None]),
        stale=st.sampled_from([0, 60]),
        meanwhile=st.sampled_from(["nothing", "nothing", "killed", "stopped", "key added", "key disabled"]),
        again=AGAIN,
    )
    def rotation_goes_wrong(
        self,
        keyset: str,
        trouble: tuple[str, str, Moment],
        times: int | None,
        stale: int,
        meanwhile: str,
        again: int,
    ) -> None:
        """The next rotation meets a fault, and others act meanwhile."""
        stage = self._stage
        name, place, moment = trouble
        self._wait_until_due(keyset)
        self._stale(stale, ReadPath.STALE)
        stage.trouble(name, place, keyset, times, moment)
        acts = {
            "killed": lambda: stage.kill(again),
            "stopped": lambda: stage.stop(again),
            "key added": lambda: stage.add(keyset, stage.world.now + 2 * DAY, stage.world.now + 9 * DAY, enabled=True),
            "key disabled": lambda: stage.disable(keyset, lambda life: life.nbf > stage.world.now),
        }
        if meanwhile in acts:
            stage.when(("after", Operation.GENERATE_KEY), acts[meanwhile], keyset)
        stage.pass_time(stage.situation.grace)
        stage.end_troubles()

    @rule(keyset=KEYSETS, when=st.sampled_from(MIDST), again=AGAIN, stale=st.sampled_from([0, 60]))
    def rotation_is_cut_off(self, keyset: str, when: When, again: int, stale: int) -> None:
        """The program dies during the next rotation."""
        stage = self._stage
        self._wait_until_due(keyset)
        self._stale(stale, ReadPath.STALE)
        stage.when(when, lambda: stage.kill(again), keyset)
        stage.pass_time(stage.situation.grace)

    # --- people

    @rule(
        keyset=KEYSETS,
        nbf=st.sampled_from([None, -2 * DAY, -HOUR, 30, 2 * HOUR, 12 * HOUR, 2 * DAY, 6 * DAY, "tail", "end", "gap"]),
        life=st.sampled_from([None, -HOUR, 30 * MINUTE, 4 * HOUR, DAY, 3 * DAY, "ours", "ours", 700 * DAY]),
        enabled=st.sampled_from([True, True, True, False]),
        when=WHENS,
        then=THEN,
    )
    def person_adds_key(
        self,
        keyset: str,
        nbf: int | str | None,
        life: int | str | None,
        enabled: bool,  # noqa: FBT001 - drawn by name
        when: When,
        then: int,
    ) -> None:
        stage = self._stage
        wish = stage.judge.books[keyset].wish

        def act() -> None:
            now = int(stage.world.now)
            last = max((each.exp for each in stage.lives(keyset) if each.exp < float("inf")), default=now)
            named = {"tail": last - wish.overlap + 1, "end": last, "gap": last + 5 * HOUR}
            begins = named[nbf] if isinstance(nbf, str) else None if nbf is None else now + nbf
            length = wish.validity if life == "ours" else life
            ends = None if length is None else (now if begins is None else begins) + float(length)
            stage.add(keyset, begins, ends, enabled=enabled)

        stage.when(when, act, keyset)
        self._stage.pass_time(then)

    @rule(
        keyset=KEYSETS,
        which=st.sampled_from(["active", "ours to come", "to come", "any"]),
        number=st.integers(0, 9),
        when=WHENS,
        then=THEN,
    )
    def person_disables_key(self, keyset: str, which: str, number: int, when: When, then: int) -> None:
        stage = self._stage

        def act() -> None:
            now = stage.world.now
            kids = [each.kid for each in stage.lives(keyset) if each.is_enabled and _is(which, each.nbf, each.exp, now)]
            if which == "ours to come":
                ours = {made.kid for made in stage.judge.books[keyset].made}
                kids = [kid for kid in kids if kid in ours]
            if kids:
                stage.set_status(keyset, kids[number % len(kids)] or "", enabled=False)

        stage.when(when, act, keyset)
        self._stage.pass_time(then)

    @rule(keyset=KEYSETS, number=st.integers(0, 9), when=WHENS, then=THEN)
    def person_enables_key(self, keyset: str, number: int, when: When, then: int) -> None:
        stage = self._stage

        def act() -> None:
            kids = [each.kid for each in stage.lives(keyset) if not each.is_enabled]
            if kids:
                stage.set_status(keyset, kids[number % len(kids)] or "", enabled=True)

        stage.when(when, act, keyset)
        self._stage.pass_time(then)

    @rule(
        keyset=KEYSETS,
        nbf=st.sampled_from([-8 * HOUR, -1, 0, 1, HOUR, 3 * HOUR, 30 * HOUR]),
        life=st.sampled_from([HOUR, DAY, 0, 0, 100 * DAY]),
        then=THEN,
    )
    def person_makes_next_key(self, keyset: str, nbf: int, life: int, then: int) -> None:
        """A person makes the successor, and has it take over in good time, too late, or behind a gap."""
        stage = self._stage
        wish = stage.judge.books[keyset].wish
        now = stage.world.now
        last = max(
            (each.exp for each in stage.lives(keyset) if each.is_enabled and now < each.exp < float("inf")), default=now
        )
        begins = last - wish.overlap + nbf
        stage.add(keyset, begins, begins + (life or wish.validity), enabled=True)
        self._wait_until_due(keyset)
        stage.pass_time(then)

    @rule(keyset=KEYSETS, left=st.sampled_from([HOUR, 8 * HOUR, 30 * HOUR]), then=THEN)
    def person_falls_back(self, keyset: str, left: int, then: int) -> None:
        """A person goes back to an old key that is valid for a little longer, and disables what is in use."""
        stage = self._stage
        now = stage.world.now
        stage.disable(keyset, lambda life: life.is_dated and life.is_valid(now))
        stage.add(keyset, now - 20 * DAY, now + left, enabled=True)
        stage.pass_time(then)

    @rule(keyset=KEYSETS, times=st.integers(1, 3), all_of_them=st.booleans(), then=THEN)
    def person_undoes_what_we_make(self, keyset: str, times: int, all_of_them: bool, then: int) -> None:  # noqa: FBT001
        """A person disables what we made, again and again, and in the end all there is."""
        stage = self._stage
        self._wait_until_due(keyset)
        for _ in range(times):
            stage.pass_time(stage.situation.grace)
            stage.disable(keyset, lambda life: life.nbf > stage.world.now)
        if all_of_them:
            stage.disable(keyset, lambda _: True)
        stage.pass_time(then)

    # --- the program and its host

    @rule(when=WHENS, again=AGAIN, then=THEN)
    def program_is_killed(self, when: When, again: int, then: int) -> None:
        self._stage.when(when, lambda: self._stage.kill(again))
        self._stage.pass_time(then)

    @rule(when=WHENS, again=AGAIN, then=THEN)
    def program_is_stopped(self, when: When, again: int, then: int) -> None:
        self._stage.when(when, lambda: self._stage.stop(again))
        self._stage.pass_time(then)

    @rule()
    def program_is_started(self) -> None:
        self._stage.start()

    @rule(
        seconds=st.sampled_from([30, SITTING, -30, -SITTING, 400, -400, DAY, -DAY]),
        when=WHENS,
        then=THEN,
        passes=PASSES,
    )
    def clock_goes_wrong(self, seconds: float, when: When, then: int, passes: bool) -> None:  # noqa: FBT001
        self._stage.when(when, lambda: self._stage.skew(seconds))
        self._stage.pass_time(then)
        if passes:
            self._stage.skew(0.0)

    @rule(
        keyset=KEYSETS,
        change=st.sampled_from([(name, value) for name, values in SPANS.items() for value in values]),
        then=THEN,
    )
    def wishes_change(self, keyset: str, change: tuple[str, int], then: int) -> None:
        self._change(keyset, change[0], span(change[1]))
        self._stage.pass_time(then)

    @rule(keyset=KEYSETS, mode=st.sampled_from(list(Mode)), when=WHENS, then=THEN, passes=PASSES)
    def mode_changes(self, keyset: str, mode: Mode, when: When, then: int, passes: bool) -> None:  # noqa: FBT001
        self._stage.when(when, lambda: self._change(keyset, "mode", mode.value))
        self._stage.pass_time(then)
        if passes:
            self._change(keyset, "mode", Mode.ROTATE.value)

    @rule(when=WHENS, then=THEN, passes=PASSES)
    def dry_run_begins(self, when: When, then: int, passes: bool) -> None:  # noqa: FBT001
        self._stage.when(when, lambda: self._stage.write({**self._stage.content, "dry_run": True}))
        self._stage.pass_time(then)
        if passes:
            self._stage.write({**self._stage.content, "dry_run": False})

    @rule(check_interval=st.sampled_from([HOUR, 2 * HOUR, 4 * HOUR]), then=THEN)
    def rhythm_changes(self, check_interval: int, then: int) -> None:
        self._stage.write({**self._stage.content, "check_interval": span(check_interval)})
        self._stage.pass_time(then)

    @rule(then=THEN, passes=PASSES)
    def keyset_leaves(self, then: int, passes: bool) -> None:  # noqa: FBT001
        """ENC leaves the configuration and, where that *passes*, is back as it was."""
        content = copy.deepcopy(self._stage.content)
        left = [each for each in content["tenants"][0]["keysets"] if each["id"] == ENC]
        content["tenants"][0]["keysets"] = [each for each in content["tenants"][0]["keysets"] if each["id"] != ENC]
        self._stage.write(content)
        self._stage.pass_time(then)
        if passes:
            content = copy.deepcopy(self._stage.content)
            content["tenants"][0]["keysets"] += left
            self._stage.write(content)

    @rule(how=st.sampled_from(sorted(BAD)), then=THEN, passes=PASSES)
    def configuration_is_spoilt(self, how: str, then: int, passes: bool) -> None:  # noqa: FBT001
        self._stage.spoil(how)
        self._stage.pass_time(then)
        if passes:
            self._stage.write(self._stage.content)

    def _wait_until_due(self, keyset: str) -> None:
        due = self._stage.due(keyset)
        if due is not None:
            self._stage.pass_time(max(due - self._stage.world.now, 0.0))

    def _stale(self, seconds: int, path: ReadPath) -> None:
        """Shorter than `settle`, which must not matter."""
        stage = self._stage
        stage.tenant.switch(read_after_write_delay=seconds, read_path=path.value)
        stage.situation.stale = max(stage.situation.stale, seconds)

    def _change(self, keyset: str, name: str, value: str) -> None:
        """Wish something else of a keyset, if it is configured."""
        content = copy.deepcopy(self._stage.content)
        for each in content["tenants"][0]["keysets"]:
            if each["id"] == keyset:
                each[name] = value
        self._stage.write(content)


def _seed(use: str, kind: str, plan: dict[str, int]) -> KeySeed:
    nbf, exp = SEEDS[kind]
    ours = plan["rotate_every"] + plan["overlap"]
    return KeySeed(
        use=use,
        nbf=None if nbf is None else int(EPOCH + nbf),
        exp=None if exp is None else int(EPOCH + (exp or (nbf or 0) + ours)),
    )


def _instants(nbf: float, exp: float, wish: Wish) -> Iterator[float]:
    """When something changes because of a key."""
    yield from (nbf, exp)
    for takes_over in (nbf + wish.rotate_every, exp - wish.overlap):
        yield from (takes_over, takes_over - wish.lead, takes_over - wish.lead - wish.window)


def _is(which: str, nbf: float, exp: float, now: float) -> bool:
    match which:
        case "active":
            return nbf <= now < exp
        case "to come" | "ours to come":
            return now < nbf
        case _:
            return True


# --- how much of it

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "0"))
"""How many examples to run, drawn again each time; 0: a fixed few, the same each time."""

STEPS = int(os.environ.get("MACHINE_STEPS", "30"))


def _run(machine: type[Machine], few: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES or few,
            stateful_step_count=STEPS,
            database=None,
            deadline=None,
            print_blob=bool(EXAMPLES),
            suppress_health_check=list(HealthCheck),
            # A time limit counts as one more failure to an example that is being made smaller: it would never end.
            phases=set(Phase) if EXAMPLES else {Phase.generate},
        ),
    )


@pytest.fixture(autouse=True)
def _few_authorities(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No set of authorities that takes long to read: the program starts thousands of times."""
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    file.write_text(make_authority().certificate_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


@pytest.mark.timeout(0 if EXAMPLES else 600)
@pytest.mark.parametrize("part", range(4))
def test_promises_whatever_happens(part: int) -> None:
    """I1 to I9 hold after every job and every step."""
    machine = type(f"Machine{part}", (Machine,), {})
    _run(machine if EXAMPLES else seed(part)(machine), 10)


@pytest.mark.timeout(0 if EXAMPLES else 600)
def test_promises_over_https(monkeypatch: pytest.MonkeyPatch) -> None:
    """So they do where every request goes over TLS and a socket."""
    shared = Shared()
    with shared.emulator:
        monkeypatch.setenv("SSL_CERT_FILE", str(shared.emulator.ca_file))
        machine = type("OverHttps", (Machine,), {"make_site": staticmethod(shared.site)})
        _run(machine if EXAMPLES else seed(4)(machine), 4)
