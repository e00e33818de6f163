"""
What others changed in a keyset between two looks.

Pure functions of two observations. Two things do not count as changes by others: the key that rotator requested, and
a node of the service that does not show it yet.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.core.keyset import Key, Keyset
from rotator.core.policy import KeySpec

SHOWN_FOR = timedelta(days=7)
"""How long the page and the reports show a change."""

MAX_CHANGES = 20
"""How many changes of one keyset are remembered."""


class ChangeKind(StrEnum):
    """What was changed. The values are part of the interface."""

    KEY_ADDED = "key_added"
    KEY_DISABLED = "key_disabled"
    KEY_ENABLED = "key_enabled"
    KEY_GONE = "key_gone"
    DATES_CHANGED = "dates_changed"
    USE_CHANGED = "use_changed"
    KTY_CHANGED = "kty_changed"
    KEYSET_DELETED = "keyset_deleted"  # it is missing, and its backup (`.bak`) exists
    KEYSET_RECREATED = "keyset_recreated"  # the same id, but none of the earlier keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change, and when it was seen; *kid*: None if it is about the keyset, or the key has none."""

    kind: ChangeKind
    seen: datetime
    kid: str | None = None


def changes(before: Keyset, after: Keyset, asked: KeySpec | None, now: datetime) -> Iterator[Change]:
    """
    The differences between two looks at one keyset; *now* is the instant of the second.

    asked: the key that rotator asked for last; None if it asked for none
    """
    old, new = _by_identity(before), _by_identity(after)
    if old and new and old.keys().isdisjoint(new):
        yield Change(kind=ChangeKind.KEYSET_RECREATED, seen=now)
        return
    for identity, key in new.items():
        was = old.get(identity)
        if was is None:
            kinds = iter(() if _is_ours(key, asked) else (ChangeKind.KEY_ADDED,))
        else:
            kinds = _differences(was, key, is_ours=_is_ours(key, asked))
        yield from (Change(kind=kind, seen=now, kid=key.kid) for kind in kinds)
    for identity, key in old.items():
        if identity not in new and not _is_ours(key, asked):
            yield Change(kind=ChangeKind.KEY_GONE, seen=now, kid=key.kid)


def _by_identity(keyset: Keyset) -> dict[object, Key]:
    """The keys by their identities."""
    return {key.identity: key for key in keyset.keys}


def _is_ours(key: Key, asked: KeySpec | None) -> bool:
    return asked is not None and not asked.differences(key)


def _differences(was: Key, key: Key, *, is_ours: bool) -> Iterator[ChangeKind]:
    if was.enabled and not key.enabled:
        yield ChangeKind.KEY_DISABLED
    if key.enabled and not was.enabled and not is_ours:
        yield ChangeKind.KEY_ENABLED
    if (was.nbf, was.exp) != (key.nbf, key.exp):
        yield ChangeKind.DATES_CHANGED
    if was.use != key.use:
        yield ChangeKind.USE_CHANGED
    if (was.kty or "").lower() != (key.kty or "").lower():
        yield ChangeKind.KTY_CHANGED
