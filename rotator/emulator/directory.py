"""The whole of the emulated service: every tenant, and the time that all of them live in."""

from collections.abc import Callable

from rotator.emulator.model import Clock, Tenant
from rotator.emulator.seed import TenantSeed


class Directory:
    """Every tenant, and the time that all of them live in."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset = 0.0
        self.on_commit: Callable[[], None] = lambda: None
        self._tenants: dict[str, Tenant] = {}

    def committed(self) -> None:
        """Something has changed: whoever keeps the state may keep it."""
        self.on_commit()

    def now(self) -> float:
        """The emulated time: the clock that was given, moved by the offset."""
        return self._clock() + self.offset

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        """In the order of the seed."""
        return tuple(dict.fromkeys(self._tenants.values()))

    def add(self, seed: TenantSeed) -> Tenant:
        """Let a tenant be."""
        tenant = Tenant(seed, self.now, self.committed)
        self._tenants[tenant.id] = tenant
        self._tenants[tenant.domain.lower()] = tenant
        return tenant

    def find(self, name: str) -> Tenant | None:
        """The tenant of a GUID or a domain."""
        return self._tenants.get(name.lower())
