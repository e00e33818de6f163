"""
What a list of a tenant's keysets shows, and what is known of a keyset that has no rotation policy.

Such a keyset is observed as it is: nothing is wanted of it, so it has no plan, and nothing is late.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rotator.core.assessment import Cover
from rotator.core.errors import RequestError
from rotator.core.keyset import NEVER, Keyset
from rotator.core.policy import ZERO

MAX_INVENTORY = 500
"""Keysets of one tenant that are observed without being configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """
    What one list of a tenant's keysets shows.

    wanted:   the keysets that were asked for and are there, by their ids as asked for
    others:   further keysets, by their own ids; no more than were asked for
    left_out: how many further keysets there are that are not among `others`
    backups:  the ids of the backups (`.bak`) that B2C keeps of deleted keysets

    A keyset that cannot be read is there as the error that says why.
    """

    wanted: Mapping[str, Keyset | RequestError] = field(default_factory=dict)
    others: Mapping[str, Keyset | RequestError] = field(default_factory=dict)
    left_out: int = 0
    backups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """
    How long a keyset serves if nobody touches it.

    end: of the unbroken chain of its keys; None unless cover is `dated`
    """

    cover: Cover
    end: datetime | None = None


def validity(keyset: Keyset, now: datetime) -> Validity:
    """How long *keyset* serves from *now* on; any hand-over without a gap counts."""
    active = keyset.active(now)
    if active is None:
        return Validity(cover=Cover.NONE)
    chain = keyset.chain(now, ZERO)
    end = chain[-1].expires if active.is_dated and chain else NEVER
    return Validity(cover=Cover.ENDLESS) if end == NEVER else Validity(cover=Cover.DATED, end=end)


def kind(keyset: Keyset) -> tuple[str | None, str | None]:
    """
    The kty and use of the keys of *keyset*, in the spelling of a configuration; None where no key, or not each, agrees.

    Source: answers of the service have `RSA`, `rsa`, `OCT` and `oct`, and no use on certificates.
    """
    ktys = {key.kty.lower() for key in keyset.keys if key.kty}
    uses = {key.use for key in keyset.keys if key.use}
    kty = {"rsa": "RSA", "oct": "oct"}.get(ktys.pop()) if len(ktys) == 1 else None
    use = uses.pop() if len(uses) == 1 else None
    return kty, use if use in ("sig", "enc") else None
