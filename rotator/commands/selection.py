"""The selection of tenants and keysets by `--tenant` and `--keyset`."""

from dataclasses import dataclass

from rotator.edges.settings import Settings
from rotator.edges.tenant_settings import TenantSettings


class SelectionError(Exception):
    """A selected tenant or keyset is not in the configuration; the message lists those that are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """
    The names of tenants and the ids of keysets, as configured; an empty tuple selects all.

    Ids are compared without regard to case, as Microsoft Graph does.
    """

    tenants: tuple[str, ...] = ()
    keysets: tuple[str, ...] = ()

    def of(self, settings: Settings) -> Settings:
        """
        *settings* with the selected tenants and keysets only.

        Raises:
            SelectionError: a tenant is not configured, or a keyset is in none of the selected tenants.

        """
        if not (self.tenants or self.keysets):
            return settings
        named = [tenant for tenant in settings.tenants if not self.tenants or tenant.name in self.tenants]
        _check("tenant", self.tenants, [tenant.name for tenant in settings.tenants])
        _check("keyset", self.keysets, [keyset.id for tenant in named for keyset in tenant.keysets])
        chosen = (self._of_tenant(tenant) for tenant in named)
        return settings.model_copy(update={"tenants": tuple(tenant for tenant in chosen if tenant.keysets)})

    def _of_tenant(self, tenant: TenantSettings) -> TenantSettings:
        wanted = {each.lower() for each in self.keysets}
        keysets = tuple(keyset for keyset in tenant.keysets if not wanted or keyset.id.lower() in wanted)
        return tenant.model_copy(update={"keysets": keysets})


MAX_NAMED = 5  # configured names in the message


def _check(option: str, wanted: tuple[str, ...], known: list[str]) -> None:
    compared = {each.lower() for each in known} if option == "keyset" else set(known)
    missing = [each for each in wanted if (each.lower() if option == "keyset" else each) not in compared]
    if missing:
        more = f" and {len(known) - MAX_NAMED} more" if len(known) > MAX_NAMED else ""
        raise SelectionError(
            f"--{option}: {missing[0]!r} is not in the configuration, which has {', '.join(known[:MAX_NAMED])}{more}"
        )
