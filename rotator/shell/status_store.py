"""
The status store: the status of every configured keyset, for metrics, reports and pages.

The threads that look write to it. Any thread may read it at any time, and gets a copy.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from rotator.core.events import Changed, Event, InventoryTaken, KeysetChanged, Looked
from rotator.core.inventory import Inventory
from rotator.core.outcome import Outcome, reason_name
from rotator.core.proof_events import Probed
from rotator.core.status import KeysetStatus, Name
from rotator.core.tenant import TenantId
from rotator.shell.tenant import Tenant

Identity: TypeAlias = tuple[TenantId, str]
"""The identity of a tenant, and the id of a keyset."""


class StatusStore:
    """
    The status of each keyset, in the order of the configuration.

    It is stored by the identity of the tenant, since a reload can give the name of a tenant to another one.
    """

    def __init__(self, tell: Callable[[Event], None], tenants: Sequence[Tenant] = ()) -> None:
        """*tell* gets a `Changed` event for each look whose outcome differs from the one before."""
        self._tell = tell
        self._lock = threading.Lock()  # guards both; only held while they are copied or replaced
        self._names: dict[TenantId, str] = {}
        self._statuses: dict[Identity, KeysetStatus] = {}
        self._observing: dict[TenantId, str] = {}  # the names of tenants with `observe_others`
        self._inventories: dict[TenantId, Inventory] = {}
        self.configure(tenants)

    def configure(self, tenants: Sequence[Tenant]) -> None:
        """Use another configuration: the statuses of keysets that stay are kept, the rest is dropped."""
        with self._lock:
            known, self._statuses = self._statuses, {}
            self._names = {tenant.id: tenant.name for tenant in tenants}
            self._observing = {tenant.id: tenant.name for tenant in tenants if tenant.max_others}
            taken = self._inventories.items()
            self._inventories = {each: inventory for each, inventory in taken if each in self._observing}
            for tenant in tenants:
                for policy in tenant.policies:
                    identity = tenant.id, policy.keyset_id
                    self._statuses[identity] = replace(known.get(identity, KeysetStatus(policy=policy)), policy=policy)

    def on_event(self, event: Event) -> None:
        """Store the result of a look or a probe if its keyset is still configured."""
        if isinstance(event, InventoryTaken):
            with self._lock:
                if event.inventory.tenant_id in self._observing:
                    self._inventories[event.inventory.tenant_id] = event.inventory
        if isinstance(event, Probed):
            self._note_evidence(event)
        if not isinstance(event, Looked):
            return
        outcome = event.outcome
        with self._lock:
            identity = tenant_id, keyset_id = outcome.observation.identity
            before = self._statuses.get(identity)
            if before is None:
                return
            name = self._names[tenant_id]
            drift = before.changed_by(outcome)
            after = before.updated(outcome, is_preliminary=event.is_preliminary, failures=event.failures, drift=drift)
            self._statuses[identity] = after
        if drift:
            self._tell(KeysetChanged(tenant=name, keyset=keyset_id, changes=drift))
        if _content(before.outcome) != _content(outcome):
            self._tell(Changed(tenant=name, before=before, after=after))

    def _note_evidence(self, event: Probed) -> None:
        with self._lock:
            for identity, status in self._statuses.items():
                if identity[0] == event.tenant_id:
                    self._statuses[identity] = replace(status, evidence=event.evidence)

    def statuses(self) -> dict[Name, KeysetStatus]:
        """A copy of the status of each keyset, by the names that the configuration has now."""
        with self._lock:
            return {(self._names[tenant_id], each): status for (tenant_id, each), status in self._statuses.items()}

    def status(self, tenant_id: TenantId, keyset_id: str) -> KeysetStatus | None:
        """The status of one keyset; None if it is not configured."""
        with self._lock:
            return self._statuses.get((tenant_id, keyset_id))

    def inventories(self) -> list[Inventory]:
        """The keysets that are not configured, for each tenant with `observe_others` that was listed."""
        with self._lock:
            configured: dict[TenantId, list[str]] = {}
            for tenant_id, keyset_id in self._statuses:
                configured.setdefault(tenant_id, []).append(keyset_id)
            return [
                replace(self._inventories[each], tenant=name).without(configured.get(each, ()))
                for each, name in self._observing.items()
                if each in self._inventories
            ]


def _content(outcome: Outcome | None) -> object:
    """An outcome without its instant, to compare it with another one."""
    return None if outcome is None else (outcome.name, reason_name(outcome), outcome.observation.keyset)
