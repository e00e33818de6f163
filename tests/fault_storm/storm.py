"""Random faults that come and go; with one seed, always the same ones in the same order."""

import random
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rotator.emulator.faults.fault import Fault, Injected, Kind, Moment
from rotator.emulator.http.routes import Operation
from rotator.emulator.server import Emulator

READS = (
    Operation.DISCOVERY,
    Operation.TOKEN,
    Operation.LIST_KEYSETS,
    Operation.LIST_KEYSETS,
    Operation.GET_KEYSET,
    Operation.GET_KEYSET,
)
NOTHING_DONE: tuple[dict[str, Any], ...] = (
    {"what": Kind.STATUS, "status": 401},
    {"what": Kind.STATUS, "status": 409},
    {"what": Kind.THROTTLED},
    {"what": Kind.THROTTLED, "retry_after": 1},
)
"""Answers that say that nothing was done; a service that lies with one of them is beyond what anybody can promise."""

NOBODY_KNOWS: tuple[dict[str, Any], ...] = (
    {"what": Kind.STATUS, "status": 500},
    {"what": Kind.STATUS, "status": 503, "retry_after": 1},
    {"what": Kind.STATUS, "status": 400, "code": "AADB2C90063"},
    {"what": Kind.HTML, "status": 502},
    {"what": Kind.EMPTY},
    {"what": Kind.LIST},
    {"what": Kind.RESET},
    {"what": Kind.CLOSE},
    {"what": Kind.HANG},
    {"what": Kind.SLOW, "delay": 0.5},
    {"what": Kind.TRUNCATED},
    {"what": Kind.CUT_JSON},
    {"what": Kind.MISSING_KID},
)
LONGEST, LONGEST_WAIT = 2.0, 6.0
"""Seconds that a fault is there for reads, and that one waits for the one write that it is meant for."""

PAUSE = (0.05, 0.2)
"""
Seconds from one fault to the next, at least and at most. Twice as many left one keyset in a hundred without a
single write that succeeded in the 26 s that its last key had left.
"""

OUTAGE_EVERY, OUTAGE = 8.0, 1.0


class Weather:
    """Random faults of an emulated service, while the context is open."""

    def __init__(self, emulator: Emulator, tenants: Sequence[str], seed: int) -> None:
        self.faults = 0
        self._emulator = emulator
        self._tenants = tenants
        self._chance = random.Random(seed)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._blow)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _blow(self) -> None:
        """A fault now and then, in one tenant; and now and then an outage for all."""
        chance, now, next_outage = self._chance, 0.0, OUTAGE_EVERY
        ends: list[tuple[float, Injected]] = []
        while not self._over.is_set():
            step = chance.uniform(*PAUSE)
            self._over.wait(step)
            now += step
            for end, injected in [(end, injected) for end, injected in ends if end <= now]:
                ends.remove((end, injected))
                self._remove(injected)
            if now >= next_outage:
                next_outage += OUTAGE_EVERY
                outage = Fault(what=Kind.STATUS, status=503, when=chance.choice(list(Moment)))
                ends.append((now + OUTAGE, self._emulator.inject(outage)))
            elif chance.random() < 0.5:
                ends.append(
                    (now + chance.uniform(0.2, LONGEST), self._inject(chance.choice(READS), chance.randint(1, 3)))
                )
            else:
                ends.append((now + chance.uniform(0.2, LONGEST_WAIT), self._inject(Operation.GENERATE_KEY, 1)))
        for _, injected in ends:
            self._remove(injected)

    def _inject(self, where: Operation, times: int) -> Injected:
        chance = self._chance
        kind = chance.choice((*NOTHING_DONE, *NOBODY_KNOWS))
        moments = [Moment.BEFORE_COMMIT] if kind in NOTHING_DONE else list(Moment)
        when, tenant = chance.choice(moments), chance.choice(self._tenants)
        return self._emulator.inject(Fault(**kind, where=where, when=when, tenant=tenant, times=times))

    def _remove(self, injected: Injected) -> None:
        injected.remove()
        self.faults += injected.hits
