"""The facts that are kept of the X.509 certificate that a key was uploaded with."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """
    The leaf of a certificate chain, and when the first certificate of the chain ends.

    subject, issuer: distinguished names in the notation of RFC 4514, of bounded length
    serial:          the serial number in upper-case hex
    chain_not_after: the earliest notAfter of the leaf and the certificates after it

    Instants are aware UTC on whole seconds. Source: RFC 5280, section 4.1; RFC 7517, section 4.7 (`x5c`).
    """

    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    chain_not_after: datetime

    @property
    def is_cut_short(self) -> bool:
        """Whether another certificate of the chain ends before the leaf."""
        return self.chain_not_after < self.not_after
