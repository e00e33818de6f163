"""
The state of the emulated service: tenants, their apps, and the writes to their keysets.

Beside the rules of keysets.py:

1. DELETE leaves a copy named ``{id}.bak``.
2. Two writes to one keyset at the same time: the second is refused.

Thread-safe: a lock per tenant guards its keysets; it is not held during the switch
`write_duration`. The clock is handed in, in epoch seconds.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

from rotator.emulator.model import history, keysets
from rotator.emulator.model.history import BEFORE_ALL_TIME, Created, Event, KeyAdded
from rotator.emulator.model.keys import Key, active_key, new_key
from rotator.emulator.model.keysets import Keyset, View, refuse_mixture, view_of
from rotator.emulator.model.seed import App, KeySeed, TenantSeed
from rotator.emulator.model.switches import ReadPath, Status, Switches

Clock = Callable[[], float]

PERSON = "person"
SEED = "seed"


class Tenant:
    """One tenant: reads as Graph sees them, and writes of Graph, of people and of tests."""

    def __init__(self, seed: TenantSeed, clock: Clock, on_commit: Callable[[], None]) -> None:
        self.id = seed.id.lower()
        self.domain = seed.domain
        self.apps: dict[str, App] = {app.client_id.lower(): app for app in seed.apps}
        self.policies: Mapping[str, tuple[str, ...]] = dict(seed.policies)
        self.switches: Switches = seed.switches
        self._clock = clock
        self._on_commit = on_commit
        self._lock = threading.RLock()
        self._numbers = count()
        self._reads = count()
        self._keysets: dict[str, Keyset] = {}
        for keyset in seed.keysets:
            events: list[Event] = [Created(instant=BEFORE_ALL_TIME, by=SEED)]
            events += [KeyAdded(instant=BEFORE_ALL_TIME, by=SEED, key=new_key(key)) for key in keyset.keys]
            self.restore(keyset.id, events)

    def all_keysets(self) -> tuple[Keyset, ...]:
        """Every keyset that ever was, in order of creation, deleted ones included."""
        with self._lock:
            return tuple(sorted(self._keysets.values(), key=lambda keyset: keyset.number))

    def keyset(self, keyset_id: str) -> Keyset:
        """One keyset as it is. Raises: KeysetMissingError."""
        with self._lock:
            found = self._keysets.get(self._canonical(keyset_id))
            if found is None or not found.exists:
                raise keysets.KeysetMissingError(keyset_id)
            return found

    def read(self) -> tuple[View, ...]:
        """All keysets as a read sees them now, which may be stale."""
        at = self._read_instant()
        return tuple(view for keyset in self.all_keysets() if (view := view_of(keyset, at)) is not None)

    def read_keyset(self, keyset_id: str) -> View:
        """One keyset as a read sees it now. Raises: KeysetMissingError."""
        at = self._read_instant()
        with self._lock:
            found = self._keysets.get(self._canonical(keyset_id))
        view = view_of(found, at) if found is not None else None
        if view is None:
            raise keysets.KeysetMissingError(keyset_id)
        return view

    def active(self, keyset_id: str) -> Key | None:
        """The key in use now, as a read sees it."""
        return active_key(self.read_keyset(keyset_id).keys, self._clock(), self.switches.tie_break)

    def gaps(self, keyset_id: str, start: float, end: float) -> tuple[history.Gap, ...]:
        """The times without a valid key, from the whole history."""
        with self._lock:
            return history.gaps(self._keysets[keyset_id].events, start, end)

    def signers(self, keyset_id: str, start: float, end: float) -> tuple[history.Signer, ...]:
        """Which key was active when, from the whole history."""
        with self._lock:
            return history.signers(self._keysets[keyset_id].events, start, end, self.switches.tie_break)

    def create(self, keyset_id: str, keys: tuple[Key, ...] = (), *, by: str = PERSON) -> None:
        """Make a keyset. Raises: KeysetExistsError, MixedTypesError, MixedUsesError."""
        refuse_mixture(keys)
        with self._lock:
            keyset_id = self._canonical(keyset_id)
            present = self._keysets.get(keyset_id)
            if present is not None and present.exists:
                raise keysets.KeysetExistsError(keyset_id)
            now = self._clock()
            events: list[Event] = [Created(instant=now, by=by)]
            events += [KeyAdded(instant=now, by=by, key=key) for key in keys]
            self.restore(keyset_id, [*(present.events if present else []), *events])
        self._on_commit()

    def add(self, keyset_id: str, key: Key, *, by: str = PERSON) -> None:
        """Add *key*. Raises: KeysetMissingError, Mixed...Error, ConcurrentWriteError."""
        with self._writing(keyset_id) as keyset:
            refuse_mixture((*keyset.keys[-1:], key))
            keyset.append(KeyAdded(instant=self._clock(), by=by, key=key))

    def add_key(self, keyset_id: str, seed: KeySeed | None = None, *, by: str = PERSON) -> Key:
        """Make a key from its description and add it, as a person does in the portal."""
        key = new_key(seed or KeySeed())
        self.add(keyset_id, key, by=by)
        return key

    def set_status(self, keyset_id: str, kid: str, status: Status | None, *, by: str = PERSON) -> Key:
        """Enable or disable. Raises: KeysetMissingError, KeyMissingError."""
        with self._writing(keyset_id) as keyset:
            keyset.key(kid)
            keyset.append(history.StatusSet(instant=self._clock(), by=by, kid=kid, status=status))
            return keyset.key(kid)

    def replace(self, keyset_id: str, keys: tuple[Key, ...], *, by: str = PERSON) -> None:
        """Remove every key and put *keys* in their place."""
        refuse_mixture(keys)
        with self._writing(keyset_id) as keyset:
            keyset.append(history.Replaced(instant=self._clock(), by=by, keys=keys))

    def delete(self, keyset_id: str, *, by: str = PERSON) -> None:
        """Delete, and keep a copy as `{id}.bak`; a `.bak` is deleted without one."""
        with self._writing(keyset_id) as keyset:
            now, keys = self._clock(), keyset.keys
            keyset.append(history.Deleted(instant=now, by=by))
            if not keyset.id.endswith(".bak"):
                backup = f"{keyset.id}.bak"
                past = self._keysets[backup].events if backup in self._keysets else []
                copy = history.Replaced(instant=now, by=by, keys=keys)
                self.restore(backup, [*past, Created(instant=now, by=by), copy])

    def register(self, app: App) -> None:
        """Put an app registration in the place of the one with its client id, or add it."""
        self.apps = {**self.apps, app.client_id.lower(): app}
        self._on_commit()

    def switch(self, /, **changes: Any) -> Switches:  # noqa: ANN401 - Switches checks them
        """Change switches. Raises: SwitchError."""
        self.switches = replace(self.switches, **changes)
        self._on_commit()
        return self.switches

    def restore(self, keyset_id: str, events: list[Event]) -> None:
        """Add a keyset with its whole history."""
        self._keysets[keyset_id] = Keyset(keyset_id, next(self._numbers), events)

    @contextmanager
    def _writing(self, keyset_id: str) -> Iterator[Keyset]:
        """Rule 2: the keyset is busy for as long as the write takes. Commits, unless it raises."""
        with self._lock:
            keyset = self.keyset(keyset_id)
            if keyset.busy:
                raise keysets.ConcurrentWriteError(keyset_id)
            keyset.busy = True
        try:
            if self.switches.write_duration:
                time.sleep(self.switches.write_duration)
            with self._lock:
                yield keyset
        finally:
            keyset.busy = False
        self._on_commit()

    def _canonical(self, keyset_id: str) -> str:
        """The id under which a keyset is kept, as far as the switches let it differ."""
        if keyset_id in self._keysets:
            return keyset_id
        spellings = [keyset_id, *([f"B2C_1A_{keyset_id}"] if self.switches.unprefixed_ids_resolve else [])]
        for spelling in spellings:
            for known in self._keysets:
                if known == spelling or (self.switches.ids_ignore_case and known.lower() == spelling.lower()):
                    return known
        return keyset_id

    def flaps(self) -> bool:
        """Whether this answer comes from a node with an old cache: every other one does."""
        return next(self._reads) % 2 == 1

    def _read_instant(self) -> float | None:
        """The instant whose state this read sees; None: the very latest."""
        delay = self.switches.read_after_write_delay
        if not delay or (self.switches.read_path is ReadPath.FLAPPING and next(self._reads) % 2 == 0):
            return None
        return self._clock() - delay


class Directory:
    """Every tenant, and the time that all of them share. *on_commit* is called after every change."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset = 0.0
        self.on_commit: Callable[[], None] = lambda: None
        self._tenants: dict[str, Tenant] = {}

    def now(self) -> float:
        """The emulated time: the clock that was handed in, moved by the offset."""
        return self._clock() + self.offset

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        return tuple(dict.fromkeys(self._tenants.values()))

    def add(self, seed: TenantSeed) -> Tenant:
        tenant = Tenant(seed, self.now, lambda: self.on_commit())  # noqa: PLW0108 - it is replaced later
        self._tenants[tenant.id] = tenant
        self._tenants[tenant.domain.lower()] = tenant
        return tenant

    def find(self, name: str) -> Tenant | None:
        """The tenant of a GUID or a domain."""
        return self._tenants.get(name.lower())
