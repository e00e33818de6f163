"""
The lines of the demo: a legend, and then the events in the order of their time.

All times are seconds since the start, by the clock of the machine, which the emulator uses too.
"""

import json
import queue
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import IO, Any, NamedTuple

from rotator.emulator.model.history import Event, KeyAdded
from rotator.emulator.model.tenants import Tenant

_GREEN, _YELLOW, _CYAN, _RED = "32", "33", "36", "31"  # parameters of SGR, ECMA-48
_LEGEND = """\
Rotations of five keysets, with keys that are valid for 12 s instead of 91 days.
All times are in seconds since the start.

  Signing     its key expires in a few seconds
  Encryption  the same; its key encrypts
  HandMade    a person created a key for a year
  Undated     its key has neither nbf nor exp
  Empty       has no key: nobody can sign in through policies that use it

  due         rotator calls for a key, and looks again before it requests one
  generated   the keyset has the key, but does not use it yet (publication lead)
  published   a probe has seen the key where relying parties look for it
  takes over  B2C uses the key; the one before it stays valid (overlap)
  signs       a token or Graph shows that B2C signs, or encrypts, with the key
"""


class _Line(NamedTuple):
    """A line to print: its time, its rank among lines of the same time, and its text."""

    seconds: float
    rank: int
    text: str
    colour: str = ""


def legend() -> str:
    """The legend of the lines."""
    return _LEGEND


def short(keyset_id: str) -> str:
    """A short name for a keyset of the demo tenant."""
    return keyset_id.removeprefix("B2C_1A_").removeprefix("Token").removesuffix("KeyContainer")


class Show:
    """Prints lines that begin with the seconds since the start."""

    def __init__(self, tenant: Tenant, *, is_coloured: bool) -> None:
        self.began = time.time()
        self._tenant = tenant
        self._is_coloured = is_coloured
        self._last = 0.0
        self._log: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        self._due: set[str] = set()
        self._shown = {event for keyset in tenant.all_keysets() for event in _added(keyset.events)}
        self._generated: dict[str, float] = {}
        self._active = {keyset.id: tenant.active(keyset.id) for keyset in tenant.all_keysets()}

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.time() - self.began

    def line(self, text: str, colour: str = "") -> None:
        """Print *text* with the time."""
        self._print(_Line(self.elapsed(), 0, text, colour))

    def follow(self, log: IO[str]) -> None:
        """Read the lines of the daemon's log until it ends; `update` prints them."""
        for line in log:
            self._log.put((self.elapsed(), line))

    def update(self) -> None:
        """Print the events since the last call, in the order of their time."""
        active = {keyset_id: self._tenant.active(keyset_id) for keyset_id in self._active}
        # Takeovers are read first: then every key that took over is among the generated ones, which are read second.
        happened = [*self._keys(), *self._takeovers(active), *self._logged()]
        for line in sorted(happened, key=lambda line: line[:2]):
            self._print(line)

    def _keys(self) -> Iterator[_Line]:
        for keyset in self._tenant.all_keysets():
            for added in _added(tuple(keyset.events)):
                if added in self._shown:
                    continue
                self._shown.add(added)
                key, born = added.key, added.instant - self.began
                self._generated[key.kid] = born
                nbf, exp = (float(instant or 0) - self.began for instant in (key.nbf, key.exp))
                text = f"{short(keyset.id):11} {key.kid[:8]} generated, active from {max(nbf, born):.1f}s to {exp:.1f}s"
                yield _Line(born, 1, text, _CYAN)

    def _takeovers(self, active: dict[str, Any]) -> Iterator[_Line]:
        for keyset_id, now in active.items():
            before, self._active[keyset_id] = self._active[keyset_id], now
            if now is None or (before is not None and now.kid == before.kid):
                continue
            at = max(float(now.nbf or 0) - self.began, self._generated.get(now.kid, 0))
            source = f" from {before.kid[:8]}" if before else ""
            yield _Line(at, 2, f"{short(keyset_id):11} {now.kid[:8]} takes over{source}", _GREEN)

    def _logged(self) -> Iterator[_Line]:
        while not self._log.empty():
            seconds, line = self._log.get()
            try:
                event = json.loads(line)
            except ValueError:
                yield _Line(seconds, 0, line.rstrip())
                continue
            yield from self._told(seconds, event)

    def _told(self, seconds: float, event: dict[str, Any]) -> Iterator[_Line]:
        keyset_id = event.get("keyset", "")
        name = f"{short(keyset_id):11}"
        match event["event"]:
            case "rotator.started":
                page = f"http://127.0.0.1:{event['port']}/"
                yield _Line(seconds, 0, f"the daemon looks every {event['check_interval']}; its status page: {page}")
            case "keyset.planned" if not self._is_known(keyset_id, event["nbf"]):
                wanted = datetime.fromisoformat(event["nbf"]).timestamp() - self.began
                yield _Line(seconds, 0, f"{name} due ({event['reason']}): a key is to begin at {wanted:.1f}s", _YELLOW)
            case "keyset.rotated":
                self._due.discard(keyset_id)
            case "key.published":
                yield _Line(seconds, 0, f"{name} {event['kid'][:8]} published: relying parties can see it", _CYAN)
            case "key.signing":
                yield _Line(seconds, 0, f"{name} {event['kid'][:8]} {self._in_use(keyset_id)}", _GREEN)
            case "keyset.failed":
                yield _Line(seconds, 0, f"{name} FAILED: {event['message']}", _RED)
            case _:
                pass

    def _is_known(self, keyset_id: str, nbf: str) -> bool:
        """True if a line has said already that the key is due (each look repeats it), or if the key exists."""
        known = keyset_id in self._due
        self._due.add(keyset_id)
        begins = datetime.fromisoformat(nbf).timestamp()
        keys = self._tenant.keyset(keyset_id).keys
        return known or any(key.nbf is not None and key.nbf >= begins for key in keys)

    def _in_use(self, keyset_id: str) -> str:
        """What B2C does with the active key of the keyset."""
        encrypts = any(key.use == "enc" for key in self._tenant.keyset(keyset_id).keys)
        return f"{'encrypts' if encrypts else 'signs'}: confirmed by a probe"

    def _print(self, line: _Line) -> None:
        self._last = max(self._last, line.seconds)  # an event that is read late does not get an earlier time
        text = f"\x1b[{line.colour}m{line.text}\x1b[0m" if self._is_coloured and line.colour else line.text
        print(f"{self._last:5.1f}s  {text}", flush=True)


def _added(events: Iterable[Event]) -> Iterator[KeyAdded]:
    return (event for event in events if isinstance(event, KeyAdded))
