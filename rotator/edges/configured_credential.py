"""Converts the settings of a credential."""

from datetime import UTC, datetime

from rotator.edges.credential_settings import CredentialSettings
from rotator.edges.credentials import Certificate, ClientSecret, Credential, FederatedToken


def credential_of(settings: CredentialSettings) -> Credential:
    """The credential of *settings*; no file is read."""
    if settings.certificate_file is not None:
        return Certificate(
            file=settings.certificate_file,
            private_key_file=settings.private_key_file,
            password_file=settings.certificate_password_file,
        )
    if settings.federated_token_file is not None:
        return FederatedToken(file=settings.federated_token_file)
    day = settings.client_secret_expires
    expires = None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)
    return ClientSecret(file=settings.client_secret_file, variable=settings.client_secret_env, expires=expires)
