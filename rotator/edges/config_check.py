"""
What is wrong around a configuration that is valid: the files that it names, and ids that are only placeholders.

These are warnings: where a configuration is checked, such as in a pipeline, its secrets need not be.
"""

import re
import ssl
from collections.abc import Iterator
from datetime import datetime

from rotator.core.errors import ConfigProblem, RequestError
from rotator.core.text import format_instant
from rotator.edges.config import Loaded
from rotator.edges.config_words import Location, location_of, path_of
from rotator.edges.configured_credential import credential_of
from rotator.edges.credential_settings import CredentialSettings
from rotator.edges.credentials import FederatedToken, client_credential
from rotator.edges.settings import TenantSettings

_ONE_DIGIT = re.compile(r"(\w)\1{7}-\1{4}-\1{4}-\1{4}-\1{12}", re.ASCII)
_EXAMPLES = re.compile(r"(contoso|fabrikam|northwind|example|yourtenant|your-tenant)\.", re.IGNORECASE)
_SOURCES = ("client_secret_file", "client_secret_env", "certificate_file", "federated_token_file")


def warnings(loaded: Loaded, now: datetime) -> Iterator[ConfigProblem]:
    """Each thing that somebody should look at before the configuration is used, with its line."""
    found = [*_ca_file(loaded)]
    found += ((location_of(path), text) for path, text in loaded.settings.advice(now))
    for number, tenant in enumerate(loaded.settings.tenants):
        found += ((("tenants", number, *location), message) for location, message in _of_tenant(tenant, now))
    for location, message in found:
        yield ConfigProblem(path=path_of(location), message=message, line=loaded.file.line(location))


def _ca_file(loaded: Loaded) -> Iterator[tuple[Location, str]]:
    file = loaded.settings.ca_file
    if file is None:
        return
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        reason = error.strerror if not isinstance(error, ssl.SSLError) else "it has no certificate that can be parsed"
        yield ("ca_file",), f"{file} cannot be read as a PEM bundle: {reason}"


def _of_tenant(tenant: TenantSettings, now: datetime) -> Iterator[tuple[Location, str]]:
    """What is to be said of a tenant; locations begin at it."""
    is_example = isinstance(tenant.cloud, str) and _EXAMPLES.match(tenant.tenant_id)
    if is_example or _ONE_DIGIT.fullmatch(tenant.tenant_id):
        yield ("tenant_id",), "is a placeholder; put in the GUID or a domain of the tenant"
    if _ONE_DIGIT.fullmatch(tenant.credential.client_id):
        yield ("credential", "client_id"), "is a placeholder; put in the application (client) id of the app"
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
