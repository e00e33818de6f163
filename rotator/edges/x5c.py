"""
Parses the certificates of keys (`x5c`).

Pure functions. Only this module parses X.509 certificates that a service sends.

Source: RFC 7517, section 4.7: base64 (not base64url) of DER, the leaf first.
"""

import base64
from typing import TYPE_CHECKING

from rotator.core.certificate import Certificate

if TYPE_CHECKING:
    from cryptography.x509 import Certificate as X509Certificate
    from cryptography.x509 import Name

MAX_CERTIFICATES = 16  # of a key; a chain has two to four
MAX_CERTIFICATE = 64 * 1024  # characters of base64 of one certificate; usual are 1,500
MAX_NAME = 256  # characters of a distinguished name; a longer one is not kept


def read_chain(x5c: object) -> Certificate | None:
    """
    The certificate in *x5c*; None if it cannot be parsed, or is too large.

    No signature is verified: the dates are only shown.
    """
    if not isinstance(x5c, list) or not 0 < len(x5c) <= MAX_CERTIFICATES:
        return None
    if not all(isinstance(each, str) and len(each) <= MAX_CERTIFICATE for each in x5c):
        return None
    try:
        chain = [_parse(each) for each in x5c]
        leaf = chain[0]
        return Certificate(
            subject=_name(leaf.subject),
            issuer=_name(leaf.issuer),
            serial=f"{leaf.serial_number:X}",
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
            chain_not_after=min(each.not_valid_after_utc for each in chain),
        )
    except Exception:  # noqa: BLE001 - the parser has no closed list of errors, and the keyset is shown all the same
        return None


def _parse(text: str) -> "X509Certificate":
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415 - comes with MSAL, as late

    return load_der_x509_certificate(base64.b64decode(text, validate=True))


def _name(name: "Name") -> str:
    """A distinguished name; nothing is cut, since a part of a secret is not recognised as one."""
    text = name.rfc4514_string()
    return text if len(text) <= MAX_NAME else f"a name of {len(text)} characters"
