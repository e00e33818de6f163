"""Sentences for the changes of a keyset by others."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from rotator.core.drift import SHOWN_FOR, ChangeKind
from rotator.core.status import KeysetStatus
from rotator.views.phrases import remaining

_WORDS: Mapping[ChangeKind, str] = {
    ChangeKind.KEY_ADDED: "key {kid} was added by others",
    ChangeKind.KEY_DISABLED: "key {kid} was disabled",
    ChangeKind.KEY_ENABLED: "key {kid} was enabled by others",
    ChangeKind.KEY_GONE: "key {kid} is gone",
    ChangeKind.DATES_CHANGED: "the dates of key {kid} were changed",
    ChangeKind.USE_CHANGED: "the use of key {kid} was changed",
    ChangeKind.KTY_CHANGED: "the kty of key {kid} was changed",
    ChangeKind.KEYSET_DELETED: "the keyset was deleted; B2C has a backup of it",
    ChangeKind.KEYSET_RECREATED: "the keyset was deleted and created again: it has none of its keys from before",
}


def changes_told(entry: KeysetStatus, now: datetime) -> Iterator[str]:
    """A sentence for each change of the last week, the latest first."""
    for change in reversed(entry.changes):
        if now - change.seen <= SHOWN_FOR:
            yield f"{_WORDS[change.kind].format(kid=change.kid or '-')} (seen {remaining(change.seen, now)})"
