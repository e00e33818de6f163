# mypy: disable-error-code="arg-type"
"""
What can go wrong between the program and the service, as a palette to draw from.

Each entry says where it bites, and builds either a fault of the emulator or a trap
on the way. Two sorts of write are told apart: one that was refused, which the
service says and means, and one of which nobody knows what came of it. A service
that says "refused" and has done it all the same is none that can be dealt with,
so such a fault only ever bites before the commit.
"""

from collections.abc import Callable
from dataclasses import dataclass

from stateful.wire import Mishap, Trap

from rotator.emulator.faults.fault import Fault, FaultTable, Injected, Kind, Moment
from rotator.emulator.http.routes import Operation

BEFORE, AFTER = Moment.BEFORE_COMMIT, Moment.AFTER_COMMIT

PLACES: dict[str, frozenset[Operation]] = {
    "list": frozenset({Operation.LIST_KEYSETS}),
    "look": frozenset({Operation.GET_KEYSET}),
    "reads": frozenset({Operation.LIST_KEYSETS, Operation.GET_KEYSET}),
    "generate": frozenset({Operation.GENERATE_KEY}),
    "enable": frozenset({Operation.UPDATE_KEY}),
    "login": frozenset({Operation.DISCOVERY, Operation.TOKEN}),
    "all": frozenset(
        {Operation.LIST_KEYSETS, Operation.GET_KEYSET, Operation.GENERATE_KEY, Operation.UPDATE_KEY, Operation.TOKEN}
    ),
}

REFUSED: dict[str, dict[str, object]] = {
    "throttled": {"what": Kind.THROTTLED},
    "throttled for 7s": {"what": Kind.THROTTLED, "retry_after": 7},
    "throttled for 10m": {"what": Kind.THROTTLED, "retry_after": 600, "retry_after_as_date": True},
    "95043": {"what": Kind.THROTTLED, "code": "AADB2C95043"},
    "unauthorized": {"what": Kind.STATUS, "status": 401},
    "forbidden": {"what": Kind.STATUS, "status": 403},
    "not found": {"what": Kind.STATUS, "status": 404},
    "90073": {"what": Kind.STATUS, "status": 400, "code": "AADB2C90073"},
    "conflict": {"what": Kind.STATUS, "status": 409},
    "95053": {"what": Kind.STATUS, "status": 400, "code": "AADB2C95053"},
    "precondition": {"what": Kind.STATUS, "status": 412},
    "bad request": {"what": Kind.STATUS, "status": 400, "code": "AADB2C90136"},
}
UNKNOWN: dict[str, dict[str, object]] = {
    "500": {"what": Kind.STATUS, "status": 500},
    "503 for 20s": {"what": Kind.STATUS, "status": 503, "retry_after": 20},
    "504": {"what": Kind.STATUS, "status": 504},
    "90063": {"what": Kind.STATUS, "status": 400, "code": "AADB2C90063"},
    "html 502": {"what": Kind.HTML},
    "html 200": {"what": Kind.HTML, "status": 200},
    "empty": {"what": Kind.EMPTY},
    "no object": {"what": Kind.LIST},
    "redirect": {"what": Kind.REDIRECT},
    "reset": {"what": Kind.RESET},
    "closed": {"what": Kind.CLOSE},
}
SPOILED: dict[str, dict[str, object]] = {
    "truncated": {"what": Kind.TRUNCATED},
    "cut json": {"what": Kind.CUT_JSON},
    "wrong date": {"what": Kind.WRONG_DATE},
    "no kid": {"what": Kind.MISSING_KID},
}
LYING: dict[str, dict[str, object]] = {
    "lost": {"what": Kind.LOST},
    "an hour late": {"what": Kind.ALTERED, "shift": 3600},
    "an hour early": {"what": Kind.ALTERED, "shift": -3600},
}
ON_THE_WAY: dict[str, tuple[Mishap, float]] = {
    "unreachable": (Mishap.UNREACHABLE, 0),
    "unanswered": (Mishap.UNANSWERED, 0),
    "delayed 5s": (Mishap.DELAYED, 5),
    "delayed 45s": (Mishap.DELAYED, 45),
    "delayed 1h": (Mishap.DELAYED, 3600),
}

NAMES = tuple(sorted((*REFUSED, *UNKNOWN, *SPOILED, *LYING, *ON_THE_WAY)))


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Something that goes wrong, from when it was started until it is over."""

    name: str
    keyset: str | None
    hits: Callable[[], int]
    is_over: Callable[[], bool]
    end: Callable[[], None]


def start(
    name: str, place: str, keyset: str | None, times: int | None, moment: Moment, faults: FaultTable, traps: list[Trap]
) -> Trouble:
    """
    Let the trouble *name* begin at *place*; None as *times*: until it is ended.

    Where *keyset* is given, only requests about that keyset suffer.
    """
    where = PLACES[place]
    if name in ON_THE_WAY:
        mishap, delay = ON_THE_WAY[name]
        late = moment if mishap is Mishap.UNANSWERED else BEFORE
        trap = Trap(where=where, keyset=keyset, moment=late, mishap=mishap, delay=delay, times=times)
        traps.append(trap)
        return Trouble(
            name=name,
            keyset=keyset,
            hits=lambda: trap.hits,
            is_over=lambda: trap.spent,
            end=lambda: traps.remove(trap),
        )
    injected = [
        faults.inject(Fault(where=operation, keyset=keyset, times=times, when=_when(name, moment), **_members(name)))
        for operation in where
        if name not in LYING or operation is Operation.GENERATE_KEY
    ]
    return Trouble(
        name=name,
        keyset=keyset,
        hits=lambda: sum(each.hits for each in injected),
        is_over=lambda: all(each.spent for each in injected),
        end=_ender(injected),
    )


def _when(name: str, moment: Moment) -> Moment:
    return BEFORE if name in REFUSED else moment


def _members(name: str) -> dict[str, object]:
    return next(palette[name] for palette in (REFUSED, UNKNOWN, SPOILED, LYING) if name in palette)


def _ender(injected: list[Injected]) -> Callable[[], None]:
    def end() -> None:
        for each in injected:
            each.remove()

    return end
