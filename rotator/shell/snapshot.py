"""What is wanted now, as one frozen value: tenants, timing, and who leads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rotator.core.stages import Timing
from rotator.core.tenant import TenantId
from rotator.shell.tenant import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """
    The configuration and the lead, as they are at one moment.

    Replaced as a whole by a reload, by a lost lead and by a regained one, and never changed:
    whoever planned something under a snapshot can tell whether it is still the current one.

    number:    counts snapshots
    since:     the number of the snapshot from which on each tenant was configured without a
               break and with the lead; what was learnt before counts for nothing
    term:      how often the lead was lost
    is_paused: another replica leads, so no keyset is looked at
    """

    timing: Timing
    tenants: Mapping[TenantId, Tenant] = field(default_factory=dict)
    since: Mapping[TenantId, int] = field(default_factory=dict)
    number: int = 0
    term: int = 0
    is_paused: bool = False

    def configured(self, tenants: Sequence[Tenant], timing: Timing) -> "Snapshot":
        """The snapshot after a reload: tenants that come, or come back, begin anew."""
        number = self.number + 1
        return replace(
            self,
            timing=timing,
            tenants={tenant.id: tenant for tenant in tenants},
            since={tenant.id: self.since.get(tenant.id, number) for tenant in tenants},
            number=number,
        )

    def paused(self) -> "Snapshot":
        """The snapshot after the lead was lost: everybody begins anew, since others may write meanwhile."""
        number = self.number + 1
        return replace(self, since=dict.fromkeys(self.since, number), number=number, term=self.term + 1, is_paused=True)

    def resumed(self) -> "Snapshot":
        """The snapshot after the lead was regained."""
        return replace(self, number=self.number + 1, is_paused=False)
