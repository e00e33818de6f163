"""
The credentials of an app registration, in the form in which MSAL takes them.

A secret or certificate is read anew each time, so that a file that was renewed counts with
the next token; nothing secret is kept here.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.edges.files import read_file


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecret:
    """A secret in a file or, without one, in an environment variable. `expires`: as configured; None: not known."""

    file: Path | None = None
    variable: str | None = None
    expires: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A PEM file with the private key and the certificate."""

    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedToken:
    """A file with an assertion that another program renews; read at every use."""

    file: Path

    def read(self) -> str:
        """
        The assertion, as it is now.

        Raises:
            RequestError: the file can't be read.

        """
        return _content(self.file, "federated_token_file")


Credential = ClientSecret | Certificate | FederatedToken


def client_credential(credential: Credential, on_expiry: Callable[[datetime | None], None]) -> object:
    """
    The credential as MSAL's `client_credential`, read now; equal to the one before where it has not changed.

    on_expiry: called with the instant when it expires; None: not known

    Raises:
        RequestError: `auth`, where a file or a variable cannot be used.

    """
    match credential:
        case ClientSecret(file=file, variable=variable):
            on_expiry(credential.expires)
            if file is not None:
                return _content(file, "client_secret_file")
            secret = os.environ.get(variable or "", "").strip()
            return secret or _fail(f"the environment variable {variable} (client_secret_env) is not set, or empty")
        case Certificate(file=file):
            return _pem(file, on_expiry)
        case FederatedToken():
            on_expiry(None)
            return {"client_assertion": credential.read}


def _content(file: Path, name: str) -> str:
    try:
        text = read_file(file).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        _fail(f"cannot read {name} {file}: {reason}", cause=error)
    return text or _fail(f"{name} {file} is empty")


def _pem(file: Path, on_expiry: Callable[[datetime | None], None]) -> dict[str, str]:
    """MSAL's form of a key and its certificate; the key is tried here, where its error can name the file."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - comes with MSAL, as late
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415

    blocks = re.findall(
        r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", _content(file, "certificate_file"), re.DOTALL
    )
    keys = [block for block in blocks if "PRIVATE KEY-----" in block]
    certificates = [block for block in blocks if "BEGIN CERTIFICATE-----" in block]
    if len(keys) != 1 or not certificates:
        _fail(f"certificate_file {file} must hold one private key and its certificate, as PEM")
    try:
        load_pem_private_key(keys[0].encode(), password=None)
        certificate = load_pem_x509_certificate(certificates[0].encode())
    except (ValueError, TypeError):
        # The parser's words could quote the key: they are not passed on.
        what = "its key or certificate cannot be parsed; encrypted private keys are not supported"
        raise RequestError(Failure(kind=FailureKind.AUTH, message=f"certificate_file {file}: {what}")) from None
    on_expiry(certificate.not_valid_after_utc)
    return {"private_key": keys[0], "public_certificate": "\n".join(certificates)}


def _fail(message: str, *, cause: Exception | None = None) -> NoReturn:
    raise RequestError(Failure(kind=FailureKind.AUTH, message=message)) from cause
