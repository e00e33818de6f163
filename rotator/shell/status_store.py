"""
The status store: the status of every configured keyset, for metrics, reports and pages.

The threads that look write to it. Any thread may read it at any time, and gets a copy.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from rotator.core.events import Changed, Event, InventoryTaken, KeysetChanged, Looked
from rotator.core.inventory import Inventory
from rotator.core.outcome import Outcome, reason_name
from rotator.core.proof_events import Probed
from rotator.core.status import KeysetStatus, Name
from rotator.core.tenant import TenantId
from rotator.shell.tenant import Tenant


class StatusStore:
    """The status of each keyset, in the order of the configuration."""

    def __init__(self, tell: Callable[[Event], None], tenants: Sequence[Tenant] = ()) -> None:
        """*tell* gets a `Changed` event for each look whose outcome differs from the one before."""
        self._tell = tell
        self._lock = threading.Lock()  # guards both; only held while they are copied or replaced
        self._names: dict[tuple[TenantId, str], Name] = {}
        self._statuses: dict[Name, KeysetStatus] = {}
        self._observing: dict[TenantId, str] = {}  # the names of tenants with `observe_others`
        self._inventories: dict[TenantId, Inventory] = {}
        self.configure(tenants)

    def configure(self, tenants: Sequence[Tenant]) -> None:
        """Use another configuration: the statuses of keysets that stay are kept, the rest is dropped."""
        with self._lock:
            known = {identity: self._statuses[name] for identity, name in self._names.items()}
            self._names, self._statuses = {}, {}
            self._observing = {tenant.id: tenant.name for tenant in tenants if tenant.max_others}
            taken = self._inventories.items()
            self._inventories = {each: inventory for each, inventory in taken if each in self._observing}
            for tenant in tenants:
                for policy in tenant.policies:
                    identity, name = (tenant.id, policy.keyset_id), (tenant.name, policy.keyset_id)
                    self._names[identity] = name
                    self._statuses[name] = replace(known.get(identity, KeysetStatus(policy=policy)), policy=policy)

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
            name = self._names.get(outcome.observation.identity)
            if name is None:
                return
            before = self._statuses[name]
            after = before.updated(outcome, is_preliminary=event.is_preliminary, failures=event.failures)
            self._statuses[name] = after
        if drift := before.changed_by(outcome):
            self._tell(KeysetChanged(tenant=name[0], keyset=name[1], changes=drift))
        if _content(before.outcome) != _content(outcome):
            self._tell(Changed(tenant=name[0], before=before, after=after))

    def _note_evidence(self, event: Probed) -> None:
        with self._lock:
            for (tenant_id, _), name in self._names.items():
                if tenant_id == event.tenant_id:
                    self._statuses[name] = replace(self._statuses[name], evidence=event.evidence)

    def statuses(self) -> dict[Name, KeysetStatus]:
        """A copy of the status of each keyset."""
        with self._lock:
            return dict(self._statuses)

    def inventories(self) -> list[Inventory]:
        """The keysets that are not configured, for each tenant with `observe_others` that was listed."""
        with self._lock:
            configured: dict[TenantId, list[str]] = {}
            for tenant_id, keyset_id in self._names:
                configured.setdefault(tenant_id, []).append(keyset_id)
            return [
                replace(self._inventories[each], tenant=name).without(configured.get(each, ()))
                for each, name in self._observing.items()
                if each in self._inventories
            ]

    def outcomes(self) -> list[Outcome]:
        """The last outcome of each keyset that had a look."""
        return [status.outcome for status in self.statuses().values() if status.outcome is not None]


def _content(outcome: Outcome | None) -> object:
    """An outcome without its instant, to compare it with another one."""
    return None if outcome is None else (outcome.name, reason_name(outcome), outcome.observation.keyset)
