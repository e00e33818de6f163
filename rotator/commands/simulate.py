"""The command `simulate`: the rotations of the configured keysets in the coming years."""

import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rotator.commands.check import exit_on_error
from rotator.commands.terminal import StatusLine
from rotator.core.errors import Effect, Failure, FailureKind, RequestError
from rotator.core.history import Outage, Simulated
from rotator.core.keyset import Keyset
from rotator.core.outcome import Exit
from rotator.core.tenant import TenantId
from rotator.edges import config, logs
from rotator.edges.config_changes import Change
from rotator.edges.seed_file import read_seed
from rotator.edges.settings import Settings
from rotator.edges.stdout import say
from rotator.shell.tenant import Tenant
from rotator.simulation.run import Wanted, simulate
from rotator.views.ics import render_ics
from rotator.views.ics_events import events_of_simulation
from rotator.views.simulation import comparison_json, comparison_table, describe, simulation_json, simulation_table
from rotator.views.simulation_svg import simulation_svg
from rotator.wiring import identity, timing, wire

YEAR = timedelta(days=365, hours=6)
Found = Mapping[TenantId, tuple[Keyset, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    The options of a simulation.

    live:    begin with the keysets as they are now, by one list request for each tenant
    seed:    begin with the keysets of this file; None, and not *live*: with empty ones
    changes: applied to the configuration in *path*, not to that in *compare*
    compare: another configuration; only the differences are printed
    check:   exit with 3 if a promise is broken
    output:  table, json, svg or ics
    """

    path: Path
    years: float
    live: bool = False
    seed: Path | None = None
    outages: tuple[Outage, ...] = ()
    changes: tuple[Change, ...] = ()
    output: str = "table"
    check: bool = False
    compare: Path | None = None


def run(call: Call, now: datetime | None = None) -> int:
    """Simulate and print the report; returns the exit code. *now*: the start; None: the current instant."""
    start = now or datetime.now(UTC).replace(microsecond=0)
    with exit_on_error():
        settings = config.read(call.path, now=start, changes=call.changes).settings
        other = None if call.compare is None else config.load(call.compare, now=start)
        try:
            found = _beginning(call, settings, other, start)
        except RequestError as error:
            print(f"rotator: {error.failure.message}", file=sys.stderr)
            return Exit.FAILED
    line = StatusLine(sys.stderr)
    simulated = _simulate(call, settings, found, start, line)
    compared = None if other is None else _simulate(call, other, found, start, line)
    line.show("")
    say(_report(call, simulated, compared).removesuffix("\n"))  # `say` ends the last line
    return _verdict(simulated) if call.check else Exit.OK


def _verdict(simulated: Simulated) -> int:
    """3 if a promise is broken, which is printed to stderr; else 0."""
    first = next(iter(simulated.breaches()), None)
    if first is None:
        return Exit.OK
    print(f"rotator: simulate: a promise is broken; first at {describe(first)}", file=sys.stderr)
    return Exit.AT_RISK


def _simulate(call: Call, settings: Settings, found: Found, start: datetime, line: StatusLine) -> Simulated:
    tenants = [
        Wanted(
            name=tenant.name,
            id=identity(tenant),
            policies=settings.policies(tenant),
            keysets=found.get(identity(tenant), ()),
        )
        for tenant in settings.tenants
    ]
    return simulate(
        tenants,
        replace(timing(settings), dry_run=False),  # a simulation shows writes even with dry_run
        start=start,
        end=start + timedelta(seconds=int(call.years * YEAR.total_seconds())),
        outages=call.outages,
        on_progress=lambda share: line.show(f"simulating: {share:.0%}"),
    )


def _report(call: Call, simulated: Simulated, compared: Simulated | None) -> str:
    if compared is not None:
        if call.output == "json":
            return json.dumps(comparison_json(simulated, compared), indent=2)
        return comparison_table(simulated, compared, (f"- {call.path}", f"+ {call.compare}"))
    match call.output:
        case "json":
            return json.dumps(simulation_json(simulated), indent=2)
        case "svg":
            return simulation_svg(simulated)
        case "ics":
            return render_ics(events_of_simulation(simulated), simulated.start)
        case _:
            return simulation_table(simulated)


def _beginning(call: Call, settings: Settings, other: Settings | None, start: datetime) -> Found:
    """The keysets at the start of the simulation, for the tenants of both configurations."""
    both = [*settings.tenants, *(() if other is None else other.tenants)]
    if call.seed is not None:
        seeded = read_seed(call.seed, start)
        return {identity(each): seeded.get(each.tenant_id.lower(), ()) for each in both}
    if not call.live:
        return {}
    program = wire(call.path, for_table=True)
    logs.log_crashes(program.log)
    tenants = program.tenants(settings)
    with ThreadPoolExecutor(settings.concurrency) as pool:
        return dict(zip((each.id for each in tenants), pool.map(_listed, tenants), strict=True))


def _listed(tenant: Tenant) -> tuple[Keyset, ...]:
    """
    The configured keysets of *tenant* as they are now, read with one request; without those that rotator will create.

    Raises:
        RequestError: they cannot be read.

    """
    listed = tenant.keysets.list_keysets([policy.keyset_id for policy in tenant.policies])
    found = listed.wanted
    for policy in tenant.policies:
        name = policy.keyset_id
        each = found.get(name)
        if isinstance(each, RequestError):
            raise each
        if each is None and not (policy.create and not listed.has_backup(name)):
            message = f"{tenant.name} has no keyset {name}; check its id, tenant_id and cloud"
            raise RequestError(Failure(kind=FailureKind.NOT_FOUND, message=message), Effect.NONE)
    return tuple(replace(each, id=name) for name, each in found.items() if isinstance(each, Keyset))
