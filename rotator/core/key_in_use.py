"""
Which key of a keyset is in use, and what shows it.

Pure functions of a keyset, the evidence of the probes and the instant.
"""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from rotator.core.keyset import Key, Keyset, KeyState
from rotator.core.publication import Evidence


class Method(StrEnum):
    """What shows which key is in use. The values are part of the interface."""

    TOKEN = "token"  # noqa: S105 - an issued token names the key, and its signature is correct
    JWKS = "jwks"  # every policy that publishes the keyset lists the key
    ACTIVE_KEY = "active_key"  # Graph's getActiveKey names it
    NONE = "none"


def previous_key(keyset: Keyset, active: Key | None, now: datetime) -> Key | None:
    """The key that was active before *active*, while it is valid."""
    if active is None:
        return None
    retained = [key for key, state in keyset.states(now) if state is KeyState.RETAINED]
    earlier = [key for key in retained if key.activates <= active.activates]
    return max(earlier, key=lambda key: (key.activates, key.expires), default=None)


def keys_in_use(keyset: Keyset, evidence: Evidence, since: datetime | None) -> Iterator[tuple[Method, str]]:
    """Which of the keyset's keys is in use, by each method whose answer is from *since* or later."""
    token, token_at = evidence.token, evidence.token_at
    is_recent = token_at is not None and (since is None or token_at >= since)
    if token is not None and token.is_verified and is_recent and token.kid in keyset.kids:
        yield Method.TOKEN, token.kid
    kid, asked_at = evidence.active_kids.get(keyset.id, (None, None))
    if kid is not None and asked_at is not None and (since is None or asked_at >= since):
        yield Method.ACTIVE_KEY, kid


def is_confirmed(keyset: Keyset, active: Key | None, evidence: Evidence) -> bool | None:
    """Whether *active* is known to be in use; None if no method can show it."""
    if active is None:
        return None
    kids = [kid for _, kid in keys_in_use(keyset, evidence, active.nbf)]
    return active.kid in kids if kids else None


def shown_by(keyset: Keyset, active: Key | None, evidence: Evidence) -> Method:
    """What shows that *active* is the key in use."""
    if active is None:
        return Method.NONE
    methods = [method for method, kid in keys_in_use(keyset, evidence, active.nbf) if kid == active.kid]
    if Method.TOKEN in methods:
        return Method.TOKEN
    if evidence.is_published(keyset.id, active):
        return Method.JWKS
    return methods[0] if methods else Method.NONE
