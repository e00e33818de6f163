"""
Warnings about a valid configuration: files that it names, placeholders, leads that are too short for applications.

They are warnings and not errors, because the secrets need not exist where it is checked, such as in a pipeline.
"""

import os
import re
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta

from rotator.core.errors import ConfigProblem, RequestError
from rotator.core.text import format_instant, format_span
from rotator.edges.authorities import add_authorities, variable_problem
from rotator.edges.config import Loaded
from rotator.edges.config_words import Location, location_of
from rotator.edges.configured_credential import credential_of
from rotator.edges.credential_settings import CredentialSettings
from rotator.edges.credentials import FederatedToken, client_credential
from rotator.edges.settings import Settings
from rotator.edges.tenant_settings import TenantSettings

SHORT_LEAD = timedelta(hours=25)
"""
Shorter publication leads break relying parties that read the JWKS once a day; B2C's caches add half an hour.

Sources: "Signing key rollover in the Microsoft identity platform" (once a day is recommended); Microsoft.IdentityModel,
`BaseConfigurationManager` (12 h and up to 5 % more since 6.10.1; 24 h before). docs/proof.md has others.
"""

_ONE_DIGIT = re.compile(r"(\w)\1{7}-\1{4}-\1{4}-\1{4}-\1{12}", re.ASCII)
_EXAMPLES = re.compile(r"(contoso|fabrikam|northwind|example|yourtenant|your-tenant)\.", re.IGNORECASE)
_SOURCES = ("client_secret_file", "client_secret_env", "certificate_file", "federated_token_file")


def warnings(loaded: Loaded, now: datetime) -> Iterator[ConfigProblem]:
    """Each warning, with its line."""
    yield from _authorities(loaded)
    found: list[tuple[Location, str]] = [(location_of(path), text) for path, text in loaded.settings.advice(now)]
    found += _leads(loaded.settings)
    for number, tenant in enumerate(loaded.settings.tenants):
        found += ((("tenants", number, *location), message) for location, message in _of_tenant(tenant, now))
    for location, message in found:
        yield loaded.origins.problem(location, message)


def _authorities(loaded: Loaded) -> Iterator[ConfigProblem]:
    """Why the authorities that TLS is to trust cannot be read, from the environment or `ca_file`."""
    if (problem := variable_problem(os.environ)) is not None:
        yield problem
    file = loaded.settings.ca_file
    problem = None if file is None else add_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), file)
    if problem is not None:
        yield loaded.origins.placed(problem)


def _leads(settings: Settings) -> Iterator[tuple[Location, str]]:
    """Publication leads of signing keys that are too short, at the place where each is configured."""
    inherits = False
    for t, tenant in enumerate(settings.tenants):
        for k, keyset in enumerate(tenant.keysets):
            if keyset.use != "sig":
                continue  # only B2C uses an encryption key
            if keyset.publication_lead is None:
                inherits = True
            elif keyset.publication_lead < SHORT_LEAD:
                yield ("tenants", t, "keysets", k, "publication_lead"), _short(keyset.publication_lead)
    if inherits and settings.defaults.publication_lead < SHORT_LEAD:
        yield ("defaults", "publication_lead"), _short(settings.defaults.publication_lead)


def _short(lead: timedelta) -> str:
    return (
        f"{format_span(lead)} breaks libraries that poll daily "
        "(Microsoft.IdentityModel: older 24h, current 12h36m); use 25h or more, or at least 2h30m if all are modern"
    )


def _of_tenant(tenant: TenantSettings, now: datetime) -> Iterator[tuple[Location, str]]:
    """The warnings about a tenant; their locations are relative to it."""
    is_example = isinstance(tenant.cloud, str) and _EXAMPLES.match(tenant.tenant_id)
    if is_example or _ONE_DIGIT.fullmatch(tenant.tenant_id):
        yield ("tenant_id",), "is a placeholder; replace it by the GUID or a domain of the tenant"
    if _ONE_DIGIT.fullmatch(tenant.credential.client_id):
        yield ("credential", "client_id"), "is a placeholder; replace it by the application (client) id of the app"
    source = next(name for name in _SOURCES if getattr(tenant.credential, name) is not None)
    for message in _of_credential(tenant.credential, now):
        yield ("credential", source), message


def _of_credential(settings: CredentialSettings, now: datetime) -> Iterator[str]:
    """Why the credential cannot be used."""
    expiries: list[datetime | None] = []
    credential = credential_of(settings)
    try:
        client_credential(credential, expiries.append)
        if isinstance(credential, FederatedToken):
            credential.read()
    except RequestError as error:
        yield error.failure.message
    for expires in expiries:
        if expires is not None and expires <= now:
            yield f"expired at {format_instant(expires)}; renew it"
