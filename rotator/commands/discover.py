"""The command `discover`: reads the keysets of tenants and prints a configuration for them. It never writes."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rotator.commands import terminal
from rotator.commands.check import exit_on_error
from rotator.commands.discovered import MAX_DISCOVERED, Discovered, configuration, summary
from rotator.commands.selection import Selection, SelectionError
from rotator.core.errors import ConfigError, RequestError
from rotator.core.outcome import Exit
from rotator.core.publication import Evidence, observe
from rotator.edges import logs
from rotator.edges.settings import Settings
from rotator.edges.sign_in_settings import SignInSettings
from rotator.edges.stdout import say
from rotator.shell.tenant import Tenant
from rotator.wiring import Program, wire

COMMAND_LINE = Path("command line")
"""The name in messages of a configuration that consists of options."""

_UNUSED = {"id": "B2C_1A_Unused", "use": "sig"}  # a configuration needs a keyset; `discover` ignores it


def of_configuration(path: Path, tenants: tuple[str, ...], policies: tuple[str, ...]) -> int:
    """
    Discover the tenants of a configuration; returns the exit code.

    tenants:  only these; if empty, all
    policies: whose JWKS are read, in place of those in `sign_in`
    """

    def revised(settings: Settings) -> Settings:
        return _with_policies(Selection(tenants=tenants).of(settings), policies)

    with exit_on_error():
        return _discover(wire(path, revise=revised, for_table=True))


def of_tenant(tenant_id: str, cloud: str, credential: Mapping[str, str], policies: tuple[str, ...]) -> int:
    """
    Discover one tenant without a configuration; returns the exit code.

    credential: as in a configuration, such as `client_id` and `client_secret_file`
    policies:   whose JWKS are read
    """
    name = tenant_id.partition(".")[0]
    tenant = {
        "name": name,
        "tenant_id": tenant_id,
        "cloud": cloud,
        "credential": dict(credential),
        "keysets": [_UNUSED],
    }
    try:
        program = wire(
            COMMAND_LINE,
            text=json.dumps({"tenants": [tenant]}).encode(),
            revise=lambda settings: _with_policies(settings, policies),
            for_table=True,
        )
    except (ConfigError, SelectionError) as error:
        print(error if isinstance(error, ConfigError) else f"rotator: {error}", file=sys.stderr)
        return Exit.USAGE
    with exit_on_error():
        return _discover(program, is_new=True)


def _with_policies(settings: Settings, policies: tuple[str, ...]) -> Settings:
    """
    *settings* with these policies in each tenant's `sign_in`; unchanged if there are none.

    Raises:
        SelectionError: it is not known on which host a tenant publishes its keys.

    """
    if not policies:
        return settings
    update = {"policies": policies, "canary": None}
    tenants = tuple(
        each.model_copy(
            update={"sign_in": (each.sign_in or SignInSettings(policies=policies)).model_copy(update=update)}
        )
        for each in settings.tenants
    )
    unknown = next((each.name for each in tenants if each.sign_in_url is None), None)
    if unknown is not None:
        raise SelectionError(
            f"--policy: the sign-in host of {unknown} is not known; use NAME.onmicrosoft.com as its tenant id, "
            "or a configuration with sign_in.url"
        )
    return settings.model_copy(update={"tenants": tenants})


def _discover(program: Program, *, is_new: bool = False) -> int:
    """
    Print the keysets of the tenants of *program*; returns the exit code.

    is_new: there is no configuration yet, so none of its keysets counts as configured
    """
    logs.log_crashes(program.log)
    settings, found, has_failed = program.settings, list[Discovered](), False
    for tenant in program.tenants(settings):
        try:
            discovered = _read(settings, tenant, is_new=is_new)
        except RequestError as error:
            print(program.redactor.redact(f"{tenant.name}: {error.failure.message}"), file=sys.stderr)
            has_failed = True
            continue
        for policy, failure in discovered.unread.items():
            print(program.redactor.redact(f"{tenant.name}: {policy}: {failure}"), file=sys.stderr)
            has_failed = True
        if discovered.has_keysets:
            found.append(discovered)
        else:
            print(f"{tenant.name}: the tenant has no keyset that rotator could observe or rotate", file=sys.stderr)
            has_failed = True
    now = program.clock.now()
    if found:
        ca_file = None if settings.ca_file is None else str(settings.ca_file)
        say(program.redactor.redact("\n".join(configuration(found, now, ca_file))))
        if terminal.is_stderr():
            print(program.redactor.redact("\n".join(summary(found, now, terminal.width()))), file=sys.stderr)
    return Exit.FAILED if has_failed else Exit.OK


def _read(settings: Settings, tenant: Tenant, *, is_new: bool) -> Discovered:
    """
    The keysets of a tenant, read with one request, and the JWKS of the policies that are named.

    Raises:
        RequestError: the keysets could not be listed.

    """
    (configured,) = (each for each in settings.tenants if each.name == tenant.name)
    members = configured.model_dump(mode="json", include={"name", "tenant_id", "cloud", "credential"})
    modes = {} if is_new else {policy.keyset_id.lower(): policy.mode for policy in tenant.policies}
    listed = tenant.keysets.list_keysets((), MAX_DISCOVERED)
    found = Discovered(members=members, listed=listed, modes=modes)
    if tenant.sign_in is None or configured.sign_in is None:
        return found
    probe = tenant.sign_in.probe(with_token=False, ask_active=())
    keysets = {each.id: each for each in found.keysets}
    names = {each.lower(): each for each in configured.sign_in.policies}
    return replace(
        found,
        policies=tuple(names[each] for each in probe.listed),
        publishes=frozenset(
            (names[policy], each) for policy, each in observe(Evidence(), probe, keysets, frozenset()).publishes
        ),
        unread={names[policy]: failure.message for policy, failure in probe.failures.items()},
    )
