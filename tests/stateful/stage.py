"""
One run: a tenant, a configuration file, the program with its lives, and time that passes for all of them.

What can be done to them is here; what is done, and when, is drawn in test_machine.py.
"""

import copy
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from stateful import troubles
from stateful.judge import Books, Judge, Situation
from stateful.program import Process
from stateful.site import Site
from stateful.time import World
from stateful.truth import Life, Lives, flaws, lives_of_service, wish
from stateful.wire import Link, Trap, Way

from rotator.core.errors import ConfigError
from rotator.core.text import format_span
from rotator.edges.settings import Settings
from rotator.emulator.faults.fault import Moment
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import DEMO_CLIENT_ID, DEMO_SECRET, KeySeed, KeysetSeed, TenantSeed
from rotator.emulator.model.switches import Status, Switches

SITTING = 290.0
"""Seconds of skew that are no excuse: beyond 300 no key may be generated, and it is measured to half a second."""

MOST_JOBS = 300
"""After so many jobs a step is over, however little time has passed: a tenant in trouble is looked at often."""

RESTART = 1800.0
"""Seconds after which a program that ended by itself is started again."""

BAD: dict[str, Callable[[dict[str, Any]], str]] = {
    "collision": lambda content: _dumped(_with(content, "rotate_every", "1h")),
    "bare number": lambda content: _dumped({**content, "settle": 5}),
    "no such mode": lambda content: _dumped(_with(content, "mode", "observ")),
    "unknown key": lambda content: _dumped({**content, "dryrun": True}),
    "no yaml": lambda content: _dumped(content) + "}",
    "empty": lambda _: "",
}
"""Configurations that are invalid, made of one that does."""

MakeSite = Callable[[TenantSeed, Callable[[], float]], Site]
When = tuple[str, float | Operation]
"""At once, in so many seconds, or before or after the next request of a kind is carried out."""


class Stage:
    """Everything that one run consists of."""

    def __init__(
        self,
        make_site: MakeSite,
        domain: str,
        keysets: Sequence[tuple[str, str, Mapping[str, int]]],
        seeds: Mapping[str, Sequence[KeySeed]],
        *,
        check_interval: int,
        settle: int,
        switches: Mapping[str, Any],
        missing: Sequence[str] = (),
    ) -> None:
        """
        *keysets* are their ids and uses with the spans that are wanted of them, in seconds.

        *missing* are ids that are configured as well, and that the tenant does not have.
        """
        self.world, self.way = World(), Way()
        self.process: Process | None = None
        self.troubles: list[troubles.Trouble] = []
        self._is_busy = False
        self._handlers = logging.getLogger().handlers[:]
        self._folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self._config = self._folder / "rotator.yaml"
        (self._folder / "secret").write_text(DEMO_SECRET)
        seed = TenantSeed(
            domain=domain,
            keysets=tuple(KeysetSeed(id=name, keys=tuple(seeds.get(name, ()))) for name, *_ in keysets),
            switches=Switches(**switches),
        )
        self.site = make_site(seed, lambda: self.world.now)
        self.tenant = self.site.tenant
        self.uses = {name: use for name, use, _ in keysets}
        self.content = {
            "check_interval": span(check_interval),
            "settle": span(settle),
            "concurrency": 1,
            "dry_run": False,
            "tenants": [
                {
                    "name": "contoso",
                    "tenant_id": domain,
                    "cloud": {"graph": self.site.root, "login": self.site.root},
                    "credential": {
                        "client_id": DEMO_CLIENT_ID,
                        "client_secret_file": str(self._folder / "secret"),
                    },
                    "keysets": [
                        {"id": name, "use": use, **{key: span(value) for key, value in spans.items()}}
                        for name, use, spans in keysets
                    ]
                    + [{"id": name, "use": "sig"} for name in missing],
                }
            ],
        }
        self.situation = Situation(least_lead=self.tenant.switches.minimum_nbf_lead)
        self.judge = Judge(self.world, self.way, self.tenant, self.situation, self._is_hindered)
        self.way.pass_time, self.way.later = self._pass_request, self.world.at
        self.way.now, self.way.skew = lambda: self.world.now, lambda: self.world.skew
        self.way.endless = self._give_up
        self._config.write_text(_dumped(self.content))
        self.start()

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process is not None:
            self.process.close()
        for trouble in self.troubles:
            trouble.end()
        logging.getLogger().handlers[:] = self._handlers
        shutil.rmtree(self._folder)

    # --- time

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due meanwhile, unless a promise is broken."""
        target, jobs = self.world.now + seconds, 0
        while not self.judge.broken and jobs < MOST_JOBS:
            process = self.process if self.process is not None and self.process.is_up else None
            due = process.queue.upcoming() if process is not None else float("inf")
            if not self.world.step(max(min(target, due), self.world.now)):
                continue
            if process is not None and process.is_up and due <= self.world.now:
                self._run_job(process)
                jobs += 1
            elif self.world.now >= target:
                break
        self.judge.look()

    def when(self, when: When, act: Callable[[], None], keyset: str | None = None) -> None:
        """Let *act* happen then; *keyset* narrows down which request it is."""
        kind, what = when
        if kind == "now":
            act()
        elif isinstance(what, Operation):
            moment = Moment.BEFORE_COMMIT if kind == "before" else Moment.AFTER_COMMIT
            about = None if what is Operation.LIST_KEYSETS else keyset
            self.way.traps.append(Trap(where=frozenset({what}), keyset=about, moment=moment, act=act))
        else:
            self.world.at(self.world.now + what, act)

    def _run_job(self, process: Process) -> None:
        before = [each.hits() for each in self.troubles]
        self._is_busy = True
        process.run_job()
        self._is_busy = False
        for trouble, hits in zip(self.troubles, before, strict=False):
            if trouble.hits() > hits:
                self.judge.hinder(trouble.keyset)
        self.judge.after_job(process)
        if not process.is_up:
            process.close()

    def _pass_request(self, seconds: float) -> None:
        if self.process is not None and self._is_busy:
            self.process.clock.pass_request(seconds)

    def _give_up(self) -> None:
        self.judge.fail("I6", "a job asks without end")
        if self.process is not None:
            self.process.die()

    # --- the program

    def start(self) -> None:
        """Start the program, unless it runs; with a configuration that is invalid it ends at once."""
        if self.process is not None and self.process.is_up:
            return
        if self._is_busy:  # the one that was asked to stop has not ended yet
            self.world.at(self.world.now + 5, self.start)
            return
        self.judge.look()
        try:
            self.process = Process(self.world, self._config, lambda own: Link(self.site.inner(own), self.way))
        except ConfigError:
            if self.is_good:
                self.judge.fail("I5", "a good configuration is refused")
            self.world.at(self.world.now + RESTART, self.start)
            return
        if not self.is_good:
            self.judge.fail("I5", "a configuration that is invalid is taken")
        self.judge.began()
        self._adopt(self.process.settings)

    def kill(self, again: float) -> None:
        """Kill the program, and start it in *again* seconds."""
        self._end_life()
        if self.process is not None:
            self.process.die()
            self.world.at(self.world.now + again, self.start)

    def stop(self, again: float) -> None:
        """Ask the program to stop, and start it in *again* seconds."""
        self._end_life()
        if self.process is not None:
            self.judge.is_stopped = True
            self.process.stop()
            self.world.at(self.world.now + again, self.start)

    def _end_life(self) -> None:
        if self.tenant.switches.generated_status is Status.DISABLED:
            # A key that it did not live to enable looks as if a person had disabled it.
            self.judge.touch(surprises=True)
        else:
            self.judge.touch()

    @property
    def is_good(self) -> bool:
        """Whether the configuration file makes sense."""
        return self._config.read_text() == _dumped(self.content)

    def write(self, content: dict[str, Any]) -> None:
        """Change the configuration, and have it read again."""
        self.judge.look()
        self.content = content
        self._config.write_text(_dumped(content))
        self._reload(is_good=True)

    def spoil(self, how: str) -> None:
        """Write a configuration that is invalid, and have it read again."""
        self._config.write_text(BAD[how](self.content))
        self._reload(is_good=False)

    def _reload(self, *, is_good: bool) -> None:
        if self.process is None or not self.process.is_up:
            return
        taken = self.process.reload()
        if taken != is_good:
            self.judge.fail("I5", f"a configuration was {'taken' if taken else 'refused'}")
        if taken:
            self._adopt(self.process.settings)

    def _adopt(self, settings: Settings) -> None:
        """From now on this is what is wanted, and what may be written."""
        situation = self.situation
        situation.check_interval = settings.check_interval.total_seconds()
        situation.settle = settings.settle.total_seconds()
        situation.may_write.clear()
        changed = False
        for policy in settings.policies(settings.tenants[0]):
            situation.may_write[policy.keyset_id] = policy.mode == "rotate" and not settings.dry_run
            if policy.keyset_id not in self.uses:
                continue
            wanted = wish(policy)
            books = self.judge.books.setdefault(policy.keyset_id, Books(wish=wanted))
            changed = changed or books.wish != wanted
            books.wish = wanted
            situation.shortest_turn = min(situation.shortest_turn, wanted.rotate_every)
        for name in self.judge.books.keys() - situation.may_write.keys():
            self.judge.left(name)
        self.judge.hinder(surprises=changed)

    # --- what hinders it

    def trouble(self, name: str, place: str, keyset: str | None, times: int | None, moment: Moment) -> None:
        """Let something go wrong."""
        self.judge.touch(keyset)
        self.troubles.append(troubles.start(name, place, keyset, times, moment, self.site.faults, self.way.traps))

    def end_troubles(self) -> None:
        """Let nothing go wrong any more."""
        self.judge.touch()
        for trouble in self.troubles:
            trouble.end()
        self.troubles.clear()

    def skew(self, seconds: float) -> None:
        """Set the clock of the program's host wrong."""
        self.judge.touch()
        self.world.skew, self.world.skewed_at = seconds, self.world.now

    def _is_hindered(self, keyset: str) -> bool:
        if self.process is None or not self.process.is_up or not self.situation.may_write.get(keyset, False):
            return True
        # Where the service insists on a lead, the one that is known to do has two minutes to spare.
        harmless = 60.0 if self.situation.least_lead else SITTING
        if abs(self.world.skew) > harmless:
            return True
        return any(each.keyset in (None, keyset) and not each.is_over() for each in self.troubles)

    def due(self, keyset: str) -> float | None:
        """When the next key of a keyset is due, as far as anybody can see."""
        now, wanted = self.world.now, self.judge.books[keyset].wish
        first = next(flaws(self.lives(keyset), wanted, now, now, now + 2 * wanted.validity), None)
        return None if first is None else first.instant - wanted.lead - wanted.window

    # --- people

    def lives(self, keyset: str) -> Lives:
        """The keys as they are."""
        return lives_of_service(self.tenant.keyset(keyset).keys)

    def add(self, keyset: str, nbf: float | None, exp: float | None, *, enabled: bool) -> None:
        """A person adds a key; one with the very nbf of another takes over a second later, since ties are unknown."""
        taken = {life.nbf for life in self.lives(keyset)}
        while nbf is not None and nbf in taken:
            nbf += 1
        self.judge.touch(keyset, surprises=True)
        status = Status.ENABLED if enabled else Status.DISABLED
        seed = KeySeed(
            use=self.uses[keyset],
            nbf=None if nbf is None else int(nbf),
            exp=None if exp is None else int(exp),
            status=status,
        )
        self.tenant.add_key(keyset, seed)

    def disable(self, keyset: str, which: Callable[[Life], bool]) -> None:
        """A person disables these keys."""
        for life in self.lives(keyset):
            if life.is_enabled and life.kid is not None and which(life):
                self.set_status(keyset, life.kid, enabled=False)

    def set_status(self, keyset: str, kid: str, *, enabled: bool) -> None:
        """A person enables or disables a key."""
        self.judge.touch(keyset, surprises=True)
        self.tenant.set_status(keyset, kid, Status.ENABLED if enabled else Status.DISABLED)


def span(seconds: float) -> str:
    """A span as the configuration writes it."""
    return format_span(timedelta(seconds=seconds))


def _dumped(content: object) -> str:
    return yaml.safe_dump(content, sort_keys=False)


def _with(content: dict[str, Any], name: str, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(content)
    changed["tenants"][0]["keysets"][0][name] = value
    return changed
