"""
The credentials of an app registration, in the form in which MSAL takes them.

A secret or certificate is read again for each token, so that a renewed file is used for
the next token. No secret is stored here.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.edges.files import read_file


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecret:
    """A secret in a file or in an environment variable. `expires`: as configured; None if unknown."""

    file: Path | None = None
    variable: str | None = None
    expires: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """
    A private key with its certificate.

    file:             the certificate as PEM, with the private key where *private_key_file* is None; or PKCS#12
    private_key_file: the private key alone, as PEM
    password_file:    the passphrase of the private key or of the PKCS#12 file; None without one
    """

    file: Path
    private_key_file: Path | None = None
    password_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedToken:
    """A file with an assertion (RFC 7523) that another program renews; it is read for every token."""

    file: Path

    def read(self) -> str:
        """
        Read the assertion.

        Raises:
            RequestError: `auth`, the file cannot be read.

        """
        return _content(self.file, "federated_token_file")


Credential = ClientSecret | Certificate | FederatedToken


def client_credential(
    credential: Credential,
    on_expiry: Callable[[datetime | None], None],
    on_secret: Callable[[str], None] = lambda _: None,
) -> object:
    """
    Read the credential, in the form of MSAL's `client_credential`; equal to the previous one if nothing changed.

    on_expiry: called with the instant at which it expires; None if unknown
    on_secret: called with the passphrase of a certificate, before it is used

    Raises:
        RequestError: `auth`, a file or a variable cannot be used.

    """
    match credential:
        case ClientSecret(file=file, variable=variable):
            on_expiry(credential.expires)
            if file is not None:
                return _content(file, "client_secret_file")
            secret = os.environ.get(variable or "", "").strip()
            return secret or _fail(
                f"the environment variable {variable} (client_secret_env) is not set or empty; set it"
            )
        case Certificate():
            return _key_pair(credential, on_expiry, on_secret)
        case FederatedToken():
            on_expiry(None)
            return {"client_assertion": credential.read}


def _content(file: Path, name: str) -> str:
    try:
        text = _read(file, name).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        _fail(f"cannot read {name} {file}: it is not UTF-8 text", cause=error)
    return text or _fail(f"{name} {file} is empty")


def _read(file: Path, name: str) -> bytes:
    try:
        return read_file(file)
    except OSError as error:
        _fail(f"cannot read {name} {file}: {error.strerror}", cause=error)


def _key_pair(
    settings: Certificate, on_expiry: Callable[[datetime | None], None], on_secret: Callable[[str], None]
) -> dict[str, str]:
    """MSAL's form of a key and its certificate; the key is checked here, so that an error names the file."""
    from rotator.edges.certificates import CertificateError, key_pair  # noqa: PLC0415 - cryptography comes with MSAL, as late

    key_file, password_file = settings.private_key_file, settings.password_file
    content = _read(settings.file, "certificate_file")
    if not content.strip():
        _fail(f"certificate_file {settings.file} is empty")
    key = None if key_file is None else _read(key_file, "private_key_file")
    passphrase = None if password_file is None else _content(password_file, "certificate_password_file")
    if passphrase is not None:
        on_secret(passphrase)
    try:
        found = key_pair(content, key, None if passphrase is None else passphrase.encode())
    except CertificateError as error:
        is_key = error.is_key and key_file is not None
        where = f"private_key_file {key_file}" if is_key else f"certificate_file {settings.file}"
        raise RequestError(Failure(kind=FailureKind.AUTH, message=f"{where}: {error}")) from None
    on_expiry(found.expires)
    return {"private_key": found.private_key, "public_certificate": found.certificates}


def _fail(message: str, *, cause: Exception | None = None) -> NoReturn:
    raise RequestError(Failure(kind=FailureKind.AUTH, message=message)) from cause
