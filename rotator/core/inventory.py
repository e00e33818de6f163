"""
The keysets of a tenant as one list shows them, configured or not, and how long a keyset without a policy lasts.

A keyset without a rotation policy is only observed: it has no plan, and cannot be late.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from rotator.core.assessment import Cover
from rotator.core.errors import RequestError
from rotator.core.keyset import NEVER, Keyset
from rotator.core.policy import ZERO
from rotator.core.tenant import TenantId

MAX_INVENTORY = 500
"""How many keysets of one tenant are observed without being configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """
    One list of a tenant's keysets.

    wanted:   the keysets that were asked for and exist, by their ids as the caller wrote them
    others:   further keysets, by their ids; no more than the caller allowed
    left_out: how many further keysets are not in `others`
    backups:  the ids of backups (`.bak`) of deleted keysets; of the wanted keysets only, unless others are listed

    The value of a keyset that cannot be read is the error that says why.
    """

    wanted: Mapping[str, Keyset | RequestError] = field(default_factory=dict)
    others: Mapping[str, Keyset | RequestError] = field(default_factory=dict)
    left_out: int = 0
    backups: tuple[str, ...] = ()

    def has_backup(self, keyset_id: str) -> bool:
        """True if the tenant has a backup of a deleted keyset with that id."""
        return any(each.lower() == f"{keyset_id.lower()}.bak" for each in self.backups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """
    How long a keyset provides a valid key if nobody changes it.

    end: of the unbroken chain of its keys; None unless cover is `dated`
    """

    cover: Cover
    end: datetime | None = None


def validity(keyset: Keyset, now: datetime) -> Validity:
    """How long *keyset* provides a valid key from *now*; hand-overs need no overlap, but no gap either."""
    active = keyset.active(now)
    if active is None:
        return Validity(cover=Cover.NONE)
    chain = keyset.chain(now, ZERO)
    end = chain[-1].expires if active.is_dated and chain else NEVER
    return Validity(cover=Cover.ENDLESS) if end == NEVER else Validity(cover=Cover.DATED, end=end)


def kind(keyset: Keyset) -> tuple[str | None, str | None]:
    """
    The kty and use of the keys of *keyset*, as a configuration spells them; None if the keys differ or have none.

    Source: answers of the service have `RSA`, `rsa`, `OCT` and `oct`, and no use on certificates.
    """
    ktys = {key.kty.lower() for key in keyset.keys if key.kty}
    uses = {key.use for key in keyset.keys if key.use}
    kty = {"rsa": "RSA", "oct": "oct"}.get(ktys.pop()) if len(ktys) == 1 else None
    use = uses.pop() if len(uses) == 1 else None
    return kty, use if use in ("sig", "enc") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryKeyset:
    """
    A keyset of a tenant that is not configured.

    keyset:  None if it could not be read
    problem: why it could not be read; "" if it was read
    """

    id: str
    keyset: Keyset | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """
    The keysets of a tenant that are not configured, as one list showed them.

    tenant:   the name that the configuration gives it
    now:      when the list was requested
    left_out: how many more keysets there are
    backups:  how many backups (`.bak`) of deleted keysets there are
    """

    tenant: str
    tenant_id: TenantId
    now: datetime
    keysets: tuple[InventoryKeyset, ...]
    left_out: int
    backups: int

    def without(self, keyset_ids: Collection[str]) -> "Inventory":
        """The same without keysets that are configured by now."""
        configured = {each.lower() for each in keyset_ids}
        return replace(self, keysets=tuple(each for each in self.keysets if each.id.lower() not in configured))


def take(tenant: str, tenant_id: TenantId, listed: Listed, now: datetime) -> Inventory:
    """The keysets of *listed* that are not configured, without ids that differ from a configured one only in case."""
    found = (
        InventoryKeyset(id=keyset_id, keyset=each)
        if isinstance(each, Keyset)
        else InventoryKeyset(id=keyset_id, keyset=None, problem=each.failure.message)
        for keyset_id, each in listed.others.items()
    )
    return Inventory(
        tenant=tenant,
        tenant_id=tenant_id,
        now=now,
        keysets=tuple(found),
        left_out=listed.left_out,
        backups=len(listed.backups),
    )
