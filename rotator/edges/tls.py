"""
The authorities that TLS trusts: those of certifi, or of SSL_CERT_FILE or SSL_CERT_DIR, and those of `ca_file`.

Sources: httpx, "SSL" and "Environment variables"; OpenSSL, SSL_CERT_FILE and SSL_CERT_DIR.
"""

import os
import ssl
from pathlib import Path

import httpx

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.edges.authorities import add_authorities

CERT_FILE, CERT_DIR = "SSL_CERT_FILE", "SSL_CERT_DIR"


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
        raise _unusable(CERT_FILE, os.environ.get(CERT_FILE, ""), error) from error
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    directories = os.environ.get(CERT_DIR, "")
    # OpenSSL ignores directories that do not exist, and would then trust no authority.
    if directories and not os.environ.get(CERT_FILE) and not any(map(os.path.isdir, directories.split(os.pathsep))):
        message = f"{directories} is not a directory; correct the variable, or unset it"
        raise ConfigError("environment", (ConfigProblem(path=CERT_DIR, message=message),))
    if ca_file is not None:
        try:
            add_authorities(context, Path(ca_file))
        except OSError as error:
            raise _unusable("ca_file", ca_file, error) from error
    return context


def _unusable(name: str, file: str, error: OSError) -> ConfigError:
    is_other = isinstance(error, ssl.SSLError)
    reason = "it has no certificate that can be parsed" if is_other else error.strerror or str(error)
    advice = "" if name == "ca_file" else "; correct the variable, or unset it"
    message = f"{Path(file)} cannot be read as a PEM bundle: {reason}{advice}"
    return ConfigError("environment", (ConfigProblem(path=name, message=message),))
