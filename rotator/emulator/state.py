"""
The state file: everything but the requests, kept over restarts.

It holds private keys (of keysets, of the CA, of access tokens) and client secrets, so
only its owner may read it (0600), and it is replaced in one step: a reader sees the
state before a write or after it. It is not synced to the disk; a machine that crashes
may lose the last writes of an emulator.
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, ValidationInfo

from rotator.emulator.http.certificates import Authority
from rotator.emulator.model.history import Event, keys_in
from rotator.emulator.model.keys import RsaMaterial, SavedRsa
from rotator.emulator.model.seed import App, TenantSeed
from rotator.emulator.model.switches import Switches
from rotator.emulator.model.tenants import Directory, Tenant
from rotator.emulator.validation import STRICT, InvalidError, JsonForm, one_of


class StateError(InvalidError):
    """A state file that cannot be read or written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What makes an emulator the same one after a restart: its CA, and the key of its tokens."""

    authority: Authority
    signing: RsaMaterial


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedKeyset:
    """A keyset with its whole history."""

    id: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedTenant:
    """A tenant with everything in it."""

    id: str
    domain: str
    apps: tuple[App, ...]
    policies: Mapping[str, tuple[str, ...]]
    switches: Switches
    keysets: tuple[SavedKeyset, ...]


def _fill_table(materials: tuple[RsaMaterial, ...], info: ValidationInfo) -> tuple[RsaMaterial, ...]:
    if isinstance(info.context, list):
        info.context.extend(materials)
    return materials


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The content of the file. *rsa* is read before the tenants, whose keys name places in it."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    version: Annotated[int, one_of(1)] = 1
    offset: float
    authority: Authority
    signing: SavedRsa
    rsa: Annotated[tuple[SavedRsa, ...], AfterValidator(_fill_table)]
    tenants: tuple[SavedTenant, ...]


_FORM: JsonForm[State] = JsonForm(State, StateError)


class StateFile:
    """Writes the state of a directory after every commit."""

    def __init__(self, path: Path, directory: Directory, identity: Identity) -> None:
        self._path = path
        self._directory = directory
        self._identity = identity
        self._lock = threading.Lock()

    def save(self) -> None:
        """Raises: StateError."""
        with self._lock:
            content = self._content()
            draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
            try:
                draft.unlink(missing_ok=True)
                draft.touch(mode=0o600, exist_ok=False)
                draft.write_bytes(content)
                draft.replace(self._path)
            except OSError as error:
                raise StateError(f"{self._path}: cannot be written: {error.strerror}") from error

    def _content(self) -> bytes:
        tenants = tuple(_saved(tenant) for tenant in self._directory.tenants)
        events = (event for tenant in tenants for keyset in tenant.keysets for event in keyset.events)
        pairs = {id(key.rsa): key.rsa for event in events for key in keys_in(event) if key.rsa is not None}
        state = State(
            offset=self._directory.offset,
            authority=self._identity.authority,
            signing=self._identity.signing,
            rsa=tuple(pairs.values()),
            tenants=tenants,
        )
        return _FORM.adapter.dump_json(state, context={pair: place for place, pair in enumerate(pairs)})


def _saved(tenant: Tenant) -> SavedTenant:
    return SavedTenant(
        id=tenant.id,
        domain=tenant.domain,
        apps=tuple(tenant.apps.values()),
        policies=tenant.policies,
        switches=tenant.switches,
        keysets=tuple(SavedKeyset(id=keyset.id, events=tuple(keyset.events)) for keyset in tenant.all_keysets()),
    )


def load_state(path: Path, directory: Directory) -> Identity | None:
    """Fill *directory* with what *path* holds; None if there is no such file. Raises: StateError."""
    try:
        state = _FORM.read(path.read_bytes(), [])
        for saved in state.tenants:
            _restore(directory, saved)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{path}: cannot be read: {error.strerror}") from error
    except InvalidError as error:
        raise StateError(f"{path}: is not a state file of an emulator: {error}") from error
    directory.offset = state.offset
    return Identity(authority=state.authority, signing=state.signing)


def _restore(directory: Directory, saved: SavedTenant) -> None:
    """Raises: SeedError."""
    tenant = directory.add(TenantSeed(id=saved.id, domain=saved.domain, apps=saved.apps, switches=saved.switches))
    tenant.policies = saved.policies
    for keyset in saved.keysets:
        tenant.restore(keyset.id, list(keyset.events))
