"""
Texts for network errors: the type of the exception, or the system's own words.

The texts of exceptions may quote the answer of a peer, or the request with its token. So only these
parts of them are used: an errno, the status of a proxy's answer, and OpenSSL's reason for not
trusting a certificate, which is one of OpenSSL's own texts.
"""

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

MAX_CAUSES = 10
MAX_REASON = 200  # characters
_PROXY_STATUS = re.compile(r"([45]\d\d)\b", re.ASCII)
_OPENSSL_REASON = re.compile(rf"[A-Za-z0-9 ,.:'_-]{{1,{MAX_REASON}}}")


def host_of(url: str) -> str:
    """The host of *url*, for a message."""
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"


def is_untrusted(error: BaseException) -> bool:
    """True if the cause of *error* is a peer certificate that is not trusted."""
    return any(isinstance(each, ssl.SSLCertVerificationError) for each in _causes(error))


def reason(error: BaseException) -> str:
    """Why a request failed, in a few words that a peer cannot influence."""
    for each in _causes(error):
        if found := _known(each):
            return found
    return type(error).__name__


def _known(error: BaseException) -> str | None:
    found: str | None = None
    match error:
        case ssl.SSLCertVerificationError():
            said = str(getattr(error, "verify_message", ""))
            found = said if _OPENSSL_REASON.fullmatch(said) else "SSLCertVerificationError"
        case ssl.SSLError():
            found = "the TLS handshake or connection failed (SSLError)"
        case socket.gaierror() | socket.herror():
            found = "the name cannot be resolved"
        case UnicodeError():
            found = "the name is not a valid host name"
        case OSError(errno=int(number)) if number in errno.errorcode:
            found = os.strerror(number)
        case _ if type(error).__name__ == "ProxyError" and (status := _PROXY_STATUS.match(str(error))):
            found = f"the proxy answered {status.group(1)}"
    return found


def _causes(error: BaseException) -> Iterator[BaseException]:
    """*error* and its causes, at most `MAX_CAUSES`."""
    each: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if each is None:
            return
        yield each
        each = each.__cause__ or each.__context__
