"""The command `doctor`: checks the access and the set-up of each tenant, and of the lease. It never writes."""

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from rotator.commands.check import exit_on_error
from rotator.commands.report import print_json
from rotator.commands.selection import Selection
from rotator.commands.tenant_doctor import Hosts, TenantDoctor
from rotator.commands.terminal import StatusLine, width
from rotator.core.checkup import Check, LeaseFindings, exit_of
from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.events import CredentialRead, Event
from rotator.core.proof_events import CanaryCredentialRead
from rotator.core.text import printable
from rotator.edges import lease, logs
from rotator.edges.doctor_keysets import DoctorKeysets
from rotator.edges.lease_rights import LeaseRights
from rotator.edges.redacted import redacted
from rotator.edges.stdout import say
from rotator.shell.clock import SystemClock
from rotator.shell.lease_record import LEASE_REQUEST_TIMEOUT
from rotator.views.checks import checks, lease_checks
from rotator.views.doctor import doctor_json, doctor_table
from rotator.wiring import Program, wire


def doctor(path: Path, tenants: tuple[str, ...], *, as_json: bool) -> int:
    """
    Print the checks of the tenants of a configuration; returns the exit code.

    tenants: only these; if empty, all
    """
    clock, clients = SystemClock(), list[DoctorKeysets]()
    hosts = Hosts(clock)

    def client(*arguments: Any, **options: Any) -> DoctorKeysets:  # noqa: ANN401 - those of `GraphKeysets`
        clients.append(DoctorKeysets(*arguments, **options))
        return clients[-1]

    with exit_on_error():
        program = wire(
            path,
            revise=Selection(tenants=tenants).of,
            for_table=not as_json,
            clock=clock,
            transport=hosts.observed,
            keysets=client,
        )
        logs.log_crashes(program.log)
        ends = _Ends()
        program.stream.add(ends.on_event)
        wired = program.tenants(program.settings)
    now, found, line = clock.now(), list[Check](), StatusLine(sys.stderr)
    for tenant, settings, keysets in zip(wired, program.settings.tenants, clients, strict=True):
        line.show(f"checking {printable(tenant.name)}")
        tenant_doctor = TenantDoctor(program, settings, tenant, keysets, hosts)
        findings = tenant_doctor.examine(now, ends.credentials, ends.canaries)
        found += checks(redacted(findings, program.redactor.redact))
    line.show("")
    if program.settings.leader_election.is_on:
        found += lease_checks(redacted(_lease(program), program.redactor.redact))
    _print(program, found, now, as_json=as_json)
    return exit_of(found)


class _Ends:
    """When the credentials expire, by tenant; a credential that was not read is absent."""

    def __init__(self) -> None:
        self.credentials: dict[str, datetime | None] = {}
        self.canaries: dict[str, datetime | None] = {}

    def on_event(self, event: Event) -> None:
        match event:
            case CredentialRead(tenant=tenant, expires=expires):
                self.credentials[tenant] = expires
            case CanaryCredentialRead(tenant=tenant, expires=expires):
                self.canaries[tenant] = expires
            case _:
                pass


def _print(program: Program, found: list[Check], now: datetime, *, as_json: bool) -> None:
    if as_json:
        print_json(program, doctor_json(found, now))
    else:
        say(program.redactor.redact(doctor_table(found, width())))


def _lease(program: Program) -> LeaseFindings:
    """The lease, and the rights on it; `create` is only needed if there is no lease."""
    settings, api = program.settings.leader_election, lease.root(os.environ)
    name, directory, namespace = program.settings.lease_name, settings.service_account_directory, settings.namespace
    if api is None:
        message = f"leader_election needs the variable {lease.HOST}, which every pod has; run it in a pod"
        return LeaseFindings(name=name, failure=Failure(kind=FailureKind.AUTH, message=message))
    leases = lease.KubernetesLeases(api, directory, name=name, namespace=namespace, clock=program.clock)
    rights = LeaseRights(api, directory, name=name, namespace=namespace, clock=program.clock)
    with closing(leases), closing(rights):
        try:
            there = leases.read(LEASE_REQUEST_TIMEOUT)
        except RequestError as error:
            if error.failure.kind is not FailureKind.NOT_FOUND:
                return LeaseFindings(name=name, failure=error.failure, rights=dict(_rights(rights, "get", "update")))
            found = dict(_rights(rights, "get", "update", "create"))
            # The first leader creates a lease that is missing.
            return LeaseFindings(name=name, failure=None if found["create"] is True else error.failure, rights=found)
        return LeaseFindings(name=name, lease=there, rights=dict(_rights(rights, "get", "update")))


def _rights(rights: LeaseRights, *verbs: str) -> Iterator[tuple[str, bool | Failure]]:
    for verb in verbs:
        try:
            yield verb, rights.has(verb)
        except RequestError as error:
            yield verb, error.failure
