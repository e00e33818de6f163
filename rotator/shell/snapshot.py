"""The snapshot: the tenants and the timing in force, and whether this replica leads, as one frozen value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rotator.core.stages import Timing
from rotator.core.tenant import TenantId
from rotator.shell.tenant import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """
    The configuration and the lead, as they are at one moment.

    A reload, a lost lead and a regained lead replace it as a whole; it never changes. So a visit
    can check whether the snapshot under which a key was planned is still the current one.

    number:    counts snapshots
    since:     for each tenant, the number of the first snapshot from which on it was configured without a
               break, and this replica led; progress from before that is not valid
    term:      how often the lead was lost
    is_paused: another replica leads, so this one makes no looks
    """

    timing: Timing
    tenants: Mapping[TenantId, Tenant] = field(default_factory=dict)
    since: Mapping[TenantId, int] = field(default_factory=dict)
    number: int = 0
    term: int = 0
    is_paused: bool = False

    def configured(self, tenants: Sequence[Tenant], timing: Timing) -> "Snapshot":
        """The snapshot after a reload: new tenants, and those that were removed and come back, start again."""
        number = self.number + 1
        return replace(
            self,
            timing=timing,
            tenants={tenant.id: tenant for tenant in tenants},
            since={tenant.id: self.since.get(tenant.id, number) for tenant in tenants},
            number=number,
        )

    def paused(self) -> "Snapshot":
        """The snapshot after the lead was lost: every tenant starts again, because others may write meanwhile."""
        number = self.number + 1
        return replace(self, since=dict.fromkeys(self.since, number), number=number, term=self.term + 1, is_paused=True)

    def resumed(self) -> "Snapshot":
        """The snapshot after the lead was regained."""
        return replace(self, number=self.number + 1, is_paused=False)
