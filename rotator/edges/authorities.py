"""
Certificate authorities: whether those that the environment names can be used, and those that are trusted in addition.

Sources: httpx, "SSL" and "Environment variables"; OpenSSL, SSL_CERT_FILE and SSL_CERT_DIR.
"""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from rotator.core.errors import ConfigProblem
from rotator.edges.files import read_file

CERT_FILE, CERT_DIR = "SSL_CERT_FILE", "SSL_CERT_DIR"
_ADVICE = "; correct the variable, or unset it"


def add_authorities(context: ssl.SSLContext, ca_file: Path) -> ConfigProblem | None:
    """
    Trust the certificates in *ca_file*, a PEM bundle, which may have comments.

    Returns:
        Why that is impossible; None if they are trusted now.

    """
    try:
        bundle = read_file(ca_file).decode("ascii", "ignore")
        context.load_verify_locations(cadata=bundle)
    except (OSError, ValueError) as error:
        return _unusable("ca_file", str(ca_file), error)
    return None


def variable_problem(environ: Mapping[str, str]) -> ConfigProblem | None:
    """Why the authorities that *environ* names cannot be used; None if they can, or it names none."""
    if not environ.get(CERT_FILE):
        return directory_problem(environ)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=environ[CERT_FILE])
    except (OSError, ValueError) as error:
        return file_problem(environ, error)
    return None


def file_problem(environ: Mapping[str, str], error: OSError | ValueError) -> ConfigProblem:
    """The problem with SSL_CERT_FILE, which raised *error* when it was loaded."""
    return _unusable(CERT_FILE, environ.get(CERT_FILE, ""), error, _ADVICE)


def directory_problem(environ: Mapping[str, str]) -> ConfigProblem | None:
    """Why SSL_CERT_DIR cannot be used; None if it can, or if it is not used."""
    directories = environ.get(CERT_DIR, "")
    # OpenSSL ignores directories that do not exist, and would then trust no authority.
    if environ.get(CERT_FILE) or not directories or any(map(os.path.isdir, directories.split(os.pathsep))):
        return None
    return ConfigProblem(path=CERT_DIR, message=f"{directories} is not a directory{_ADVICE}")


def _unusable(name: str, file: str, error: OSError | ValueError, advice: str = "") -> ConfigProblem:
    if isinstance(error, ssl.SSLError | ValueError):
        reason = "it has no certificate that can be parsed"
    else:
        reason = error.strerror or str(error)
    return ConfigProblem(path=name, message=f"{Path(file)} cannot be read as a PEM bundle: {reason}{advice}")
