"""
Keysets, and what may not be done with them.

Rules that hold whoever writes (Graph or a person):

1. Keys are only ever added; nothing but PUT and DELETE of a whole keyset takes one away.
2. A keyset has one kty and one use.
3. Every change is an event with its instant (history.py), so that reads can be stale
   and the past can be read.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from rotator.emulator.model.history import Event, apply, as_of
from rotator.emulator.model.keys import SECRET_MEMBERS, Key
from rotator.emulator.validation import JsonForm

_KEY: JsonForm[Key] = JsonForm(Key)
_EVENT: JsonForm[Event] = JsonForm(Event)
_SECRETS_OF_EVENTS: Any = {"key": SECRET_MEMBERS, "keys": {"__all__": SECRET_MEMBERS}}


class ModelError(Exception):
    """
    A write or read that the state does not allow, and how Graph says so.

    Codes: "Error codes: Azure Active Directory B2C". Which HTTP status comes with a code is not
    documented; where clients saw more than one, *status* is the name of a switch.
    """

    status: ClassVar[int | str]
    code: ClassVar[str]
    text: ClassVar[str]

    def __init_subclass__(cls, *, status: int | str, code: str, text: str) -> None:
        cls.status, cls.code, cls.text = status, code, text

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self.message = self.text.format(name=name)


_MISSING_KEYSET = "The KeyContainer with id '{name}' cannot be found in the directory."
_MISSING_KEY = "The key with id '{name}' cannot be found in the keyset."
_EXISTS = "The keyset '{name}' already exists."
_TYPES = "A keyset cannot hold keys of different types."
_USES = "A keyset cannot mix keys for signature and for encryption."
_PARALLEL = "Concurrent writes to the same object are not allowed."


class KeysetMissingError(ModelError, status="missing_keyset_status", code="AADB2C90073", text=_MISSING_KEYSET):
    """The keyset does not exist. The switch `missing_keyset_code` replaces the code."""


class KeysetExistsError(ModelError, status="existing_keyset_status", code="AADB2C95028", text=_EXISTS):
    """There already is such a keyset."""


class KeyMissingError(ModelError, status="missing_key_status", code="AADB2C90130", text=_MISSING_KEY):
    """The keyset has no key with this kid."""


class MixedTypesError(ModelError, status=400, code="AADB2C95032", text=_TYPES):
    """A keyset has one kty."""


class MixedUsesError(ModelError, status=400, code="AADB2C95042", text=_USES):
    """A keyset has one use."""


class ConcurrentWriteError(ModelError, status="concurrent_write_status", code="AADB2C95053", text=_PARALLEL):
    """Another write to this keyset is under way."""


class Keyset:
    """One keyset: its events, and the keys that follow from them."""

    def __init__(self, keyset_id: str, number: int, events: list[Event]) -> None:
        self.id = keyset_id
        self.number = number  # order of creation, which is the order of lists
        self.events = events
        self.busy = False
        self._by_kid: dict[str, Key] = {}
        self.exists = False  # also after a DELETE, which leaves the history
        for event in events:
            self.exists = apply(event, self._by_kid)
        self.keys = tuple(self._by_kid.values())  # in the order in which they were added

    def key(self, kid: str) -> Key:
        """One key. Raises: KeyMissingError."""
        try:
            return self._by_kid[kid]
        except KeyError:
            raise KeyMissingError(kid) from None

    def keys_at(self, instant: float) -> tuple[Key, ...] | None:
        """The keys as they were; None if there was no keyset."""
        return as_of(tuple(self.events), instant)

    def append(self, event: Event) -> None:
        self.events.append(event)
        self.exists = apply(event, self._by_kid)
        self.keys = tuple(self._by_kid.values())


@dataclass(frozen=True, slots=True)
class View:
    """A keyset as one read sees it."""

    number: int
    id: str
    keys: tuple[Key, ...]


def view_of(keyset: Keyset, at: float | None) -> View | None:
    """The keyset at an instant, None being the very latest; no view if there is none."""
    if at is None:
        return View(keyset.number, keyset.id, keyset.keys) if keyset.exists else None
    keys = keyset.keys_at(at)
    return None if keys is None else View(keyset.number, keyset.id, keys)


def refuse_mixture(keys: tuple[Key, ...]) -> None:
    """Rule 2. Raises: MixedTypesError, MixedUsesError."""
    if len({key.kty for key in keys}) > 1:
        raise MixedTypesError
    if len({key.use for key in keys}) > 1:
        raise MixedUsesError


def key_json(key: Key) -> object:
    """A key as the state file has it, without its secrets."""
    return _KEY.adapter.dump_python(key, mode="json", exclude=SECRET_MEMBERS)


def event_json(event: Event) -> object:
    """An event as the state file has it, without the secrets of its keys."""
    return _EVENT.adapter.dump_python(event, mode="json", exclude=_SECRETS_OF_EVENTS)
