"""
Checks between settings: conflicts of values that are valid on their own.

Messages never repeat a value except names, which logs and metrics show anyway.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rotator.core.calendar import Calendar
from rotator.core.calendar_proof import HORIZON, Stretch, check_calendar, longest_closed
from rotator.core.errors import ConfigProblem
from rotator.core.policy import PolicyError
from rotator.edges.calendar_settings import CalendarSettings, build_calendars
from rotator.edges.settings import Settings
from rotator.edges.tenant_settings import PolicySettings, TenantSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """
    The parts of a configuration that are valid.

    tenants:  by their positions in the file
    defaults: None if they or the calendars are not valid: no policy is known then
    """

    tenants: Mapping[int, TenantSettings]
    defaults: PolicySettings | None
    calendars: Mapping[str, CalendarSettings] = field(default_factory=dict)


def parts_of(settings: Settings) -> Parts:
    """All parts of a valid configuration."""
    tenants = dict(enumerate(settings.tenants))
    return Parts(tenants=tenants, defaults=settings.defaults, calendars=settings.calendars)


def collisions(parts: Parts, now: datetime) -> Iterator[ConfigProblem]:
    """The problems; calendars are checked from *now* on."""
    calendars = build_calendars(parts.calendars)
    closed = {name: longest_closed(calendar, now) for name, calendar in calendars.items()}
    for name, longest in closed.items():
        if longest is not None and longest.length >= HORIZON:
            yield ConfigProblem(
                path=f"calendars.{name}", message="is not open within ten years; change allow or freeze"
            )
    chosen = None if parts.defaults is None else parts.defaults.calendar
    if chosen is not None and chosen not in calendars:
        yield ConfigProblem(path="defaults.calendar", message=_unknown(calendars))
    names, keysets = set[str](), set[tuple[str, str, str]]()
    for t, tenant in parts.tenants.items():
        path = f"tenants[{t}]"
        if tenant.name in names:
            yield ConfigProblem(path=f"{path}.name", message=f"duplicate tenant name {tenant.name}")
        names.add(tenant.name)
        for k, keyset in enumerate(tenant.keysets):
            identity = (tenant.roots.graph, tenant.tenant_id.lower(), keyset.id.lower())
            if identity in keysets:
                yield ConfigProblem(path=f"{path}.keysets[{k}].id", message=f"duplicate keyset {keyset.id}")
            keysets.add(identity)
        if parts.defaults is not None:
            yield from _policies(path, tenant, parts.defaults, calendars, closed)


def _policies(
    path: str,
    tenant: TenantSettings,
    defaults: PolicySettings,
    calendars: Mapping[str, Calendar],
    closed: Mapping[str, Stretch | None],
) -> Iterator[ConfigProblem]:
    """The problems of keysets of *tenant* whose policy is invalid, or whose calendar is closed for too long."""
    for k, keyset in enumerate(tenant.keysets):
        where = f"{path}.keysets[{k}]"
        if keyset.calendar is not None and keyset.calendar not in calendars:
            yield ConfigProblem(path=f"{where}.calendar", message=_unknown(calendars))
        if (keyset.calendar or defaults.calendar or None) not in (None, *calendars):
            continue
        try:
            policy = keyset.policy(defaults, calendars=calendars, tenant=tenant)
            check_calendar(policy, None if policy.calendar is None else closed[policy.calendar.name])
        except PolicyError as error:
            yield ConfigProblem(path=where, message=str(error))


def _unknown(calendars: Mapping[str, Calendar]) -> str:
    known = ", ".join(sorted(calendars)) or "there are none"
    return f"must be a name of calendars ({known})"
