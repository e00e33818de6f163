"""
The authorities that TLS trusts: those of certifi, or of SSL_CERT_FILE or SSL_CERT_DIR, and those of `ca_file`.

Source: httpx, "SSL" and "Environment variables".
"""

import os
import ssl
from pathlib import Path

import httpx

from rotator.core.errors import ConfigError
from rotator.edges.authorities import add_authorities, directory_problem, file_problem


def trust(ca_file: str | None) -> ssl.SSLContext:
    """
    The one TLS context of a process; building it costs some 30 ms.

    *ca_file* is trusted in addition to the usual authorities. Certificates are checked as before Python 3.13,
    whose VERIFY_X509_STRICT refuses the authorities of many proxies that inspect TLS: they lack a key usage
    or an authority key identifier.

    Raises:
        ConfigError: a file cannot be read, or holds no certificate; the problem's path is the setting or the variable.

    """
    try:
        context = httpx.create_ssl_context()
    except OSError as error:
        raise ConfigError("environment", (file_problem(os.environ, error),)) from error
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    problem = directory_problem(os.environ)
    if problem is None and ca_file is not None:
        problem = add_authorities(context, Path(ca_file))
    if problem is not None:
        raise ConfigError("environment", (problem,))
    return context
