"""The text for the certificate of a keyset."""

from rotator.core.keyset import Keyset
from rotator.core.text import format_instant


def certificate_text(keyset: Keyset) -> str:
    """The certificate that is valid longest, and when it expires; "" if no key has a certificate."""
    key = keyset.certified
    if key is None or key.certificate is None:
        return "cannot be read" if any(each.has_certificate for each in keyset.keys) else ""
    found = key.certificate
    text = f"{found.subject or 'without a subject'}, expires {format_instant(found.not_after)}"
    if found.is_cut_short:
        text += f"; another certificate of its chain expires {format_instant(found.chain_not_after)}"
    return text
