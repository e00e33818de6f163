"""
What a service says of keysets and keys, without the secrets that it may send back to us.

All that is printed or served is redacted once more at the end. But by then a text may have been cut, wrapped or
percent-encoded for a picture, a terminal or a link, and a part of a secret is not recognised.
"""

import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from rotator.core.errors import RequestError
from rotator.core.inventory import Listed
from rotator.core.keyset import Keyset
from rotator.core.policy import KeySpec
from rotator.core.publication import Probe
from rotator.shell.tenant import Keysets, SignIn

Redact = Callable[[str], str]
"""Text without secrets; the very same object where it has none."""

_T = TypeVar("_T")


def redacted(value: _T, redact: Redact) -> _T:
    """
    *value* (text, a frozen value of the core, or any of these in a collection) with every text redacted.

    The id of a keyset and the keys of mappings stay: they are names of the configuration, which are no secret
    although a weak secret can be a part of one.
    """
    found: _T = _redacted(value, redact)
    return found


def _redacted(value: Any, redact: Redact) -> Any:  # noqa: ANN401 - of any type
    if isinstance(value, str) and not isinstance(value, Enum):
        return redact(value)
    if isinstance(value, RequestError):
        failure = _redacted(value.failure, redact)
        return value if failure is value.failure else RequestError(failure, value.effect)
    if isinstance(value, Mapping | tuple | frozenset):
        return _of_collection(value, redact)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    after = {}
    for name in _names(type(value)):
        old = getattr(value, name)
        if (new := _redacted(old, redact)) is not old:
            after[name] = new
    return replace(value, **after) if after else value


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    """The names of the members of a frozen value that are redacted; it is asked at each look, for each key."""
    return tuple(each.name for each in fields(kind) if not (issubclass(kind, Keyset) and each.name == "id"))


def _of_collection(value: Any, redact: Redact) -> Any:  # noqa: ANN401 - of any type
    parts = tuple(value.values()) if isinstance(value, Mapping) else tuple(value)
    new = tuple(_redacted(each, redact) for each in parts)
    if all(map(operator.is_, new, parts)):
        return value
    return dict(zip(value, new, strict=True)) if isinstance(value, Mapping) else type(value)(new)


def _with_names(listed: Listed, redact: Redact) -> Listed:
    """*listed* with the ids of keysets redacted that nobody asked for, which the service chose."""
    if all(redact(name) is name for name in listed.others):
        return listed
    others = {
        redact(name): replace(each, id=redact(each.id)) if isinstance(each, Keyset) else each
        for name, each in listed.others.items()
    }
    return replace(listed, others=others)


@contextmanager
def _redacted_errors(redact: Redact) -> Iterator[None]:
    try:
        yield
    except RequestError as error:
        without = redacted(error, redact)
        if without is error:
            raise
        raise without from None


class RedactedKeysets:
    """Keysets of which nothing is told that is secret."""

    def __init__(self, keysets: Keysets, redact: Redact) -> None:
        self._keysets = keysets
        self._redact = redact

    def list_keysets(self, wanted: Collection[str], max_others: int = 0) -> Listed:
        """As the protocol says."""
        with _redacted_errors(self._redact):
            listed = redacted(self._keysets.list_keysets(wanted, max_others), self._redact)
            return _with_names(listed, self._redact)

    def fetch(self, keyset_id: str) -> Keyset:
        """As the protocol says."""
        with _redacted_errors(self._redact):
            return redacted(self._keysets.fetch(keyset_id), self._redact)

    def prepare(self) -> None:
        """As the protocol says."""
        with _redacted_errors(self._redact):
            self._keysets.prepare()

    def create(self, keyset_id: str) -> None:
        """As the protocol says."""
        with _redacted_errors(self._redact):
            self._keysets.create(keyset_id)

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        """As the protocol says."""
        with _redacted_errors(self._redact):
            return redacted(self._keysets.generate(keyset_id, spec), self._redact)

    def enable(self, keyset_id: str, kid: str) -> None:
        """As the protocol says."""
        with _redacted_errors(self._redact):
            self._keysets.enable(keyset_id, kid)


class RedactedSignIn:
    """A sign-in side of which nothing is told that is secret."""

    def __init__(self, sign_in: SignIn, redact: Redact) -> None:
        self._sign_in = sign_in
        self._redact = redact

    @property
    def policies(self) -> tuple[str, ...]:
        """As the protocol says."""
        return self._sign_in.policies

    @property
    def probe_interval(self) -> timedelta:
        """As the protocol says."""
        return self._sign_in.probe_interval

    @property
    def fetches_tokens(self) -> bool:
        """As the protocol says."""
        return self._sign_in.fetches_tokens

    def probe(self, *, with_token: bool, ask_active: Collection[str]) -> Probe:
        """As the protocol says."""
        return redacted(self._sign_in.probe(with_token=with_token, ask_active=ask_active), self._redact)

    def all_kids(self) -> frozenset[str] | None:
        """As the protocol says."""
        return redacted(self._sign_in.all_kids(), self._redact)
