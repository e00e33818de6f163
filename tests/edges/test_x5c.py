"""Certificates in `x5c`: what is kept of them, and that a hostile one costs nothing but itself."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from rotator.core.certificate import Certificate
from rotator.core.keyset import Keyset
from rotator.edges.answers import parse_keyset
from rotator.edges.listing import Listing
from rotator.edges.x5c import MAX_CERTIFICATE, MAX_CERTIFICATES, MAX_NAME, read_chain

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


@cache
def certificate(subject: str, issuer: str, end: datetime, padding: int = 1) -> str:
    """A certificate as `x5c` has it, with *padding* bytes in an extension."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .not_valid_before(BEGIN)
        .not_valid_after(end)
        .serial_number(0xC0FFEE)
        .public_key(key.public_key())
        .add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.1"), b"x" * padding), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(made.public_bytes(Encoding.DER)).decode()


LEAF = certificate("saml.contoso.com", "Contoso CA", BEGIN + YEAR)
ISSUER = certificate("Contoso CA", "Contoso root", BEGIN + YEAR / 2)
LARGE = certificate("saml.contoso.com", "Contoso CA", BEGIN + YEAR, MAX_CERTIFICATE)
HOSTILE = {
    "no list": LEAF,
    "an object": {"0": LEAF},
    "not text": [1],
    "nested": [[LEAF]],
    "not base64": ["%%%"],
    "base64url": ["-_-_"],
    "not ASCII": ["\u00e9" * 4],
    "not DER": ["MIIC"],
    "a second that is not DER": [LEAF, "MIIC"],
    "cut off": [LEAF[:200]],
    "10,000 entries": [LEAF] * 10_000,
    "5 MB": ["A" * 5_000_000],
    "one too many": [LEAF] * (MAX_CERTIFICATES + 1),
    "one too large": [LEAF, LARGE],
}


def test_read_chain() -> None:
    """The leaf comes first; the chain ends with whichever certificate ends first."""
    found = Certificate(
        subject="CN=saml.contoso.com",
        issuer="CN=Contoso CA",
        serial="C0FFEE",
        not_before=BEGIN,
        not_after=BEGIN + YEAR,
        chain_not_after=BEGIN + YEAR / 2,
    )
    assert read_chain([LEAF, ISSUER]) == found
    assert found.is_cut_short
    alone = read_chain([LEAF])
    assert alone is not None
    assert alone.chain_not_after == alone.not_after
    assert not alone.is_cut_short


def test_read_chain_as_long_as_it_may_be() -> None:
    """The bound is the last number that is read."""
    assert read_chain([LEAF] * MAX_CERTIFICATES) == read_chain([LEAF])


def test_read_chain_keeps_no_part_of_a_long_name() -> None:
    """A name that is as long as a certificate allows is not kept, and not cut: a part of a secret is a leak."""
    long = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x" * 64)] * 50)
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        x509.CertificateBuilder(issuer_name=long, subject_name=long, public_key=key.public_key(), serial_number=1)
        .not_valid_before(BEGIN)
        .not_valid_after(BEGIN + YEAR)
        .sign(key, hashes.SHA256())
    )
    found = read_chain([base64.b64encode(made.public_bytes(Encoding.DER)).decode()])
    assert found is not None
    length = 50 * len("CN=" + "x" * 64) + 49
    assert length > MAX_NAME
    assert found.subject == found.issuer == f"a name of {length} characters"


@pytest.mark.parametrize("x5c", HOSTILE.values(), ids=HOSTILE)
def test_hostile_certificates(x5c: object) -> None:
    """A certificate that cannot be read leaves a key that has one, and changes nothing about the keys beside it."""
    healthy: Mapping[str, object] = {"kid": "healthy", "kty": "RSA", "x5c": [LEAF]}
    found = parse_keyset("B2C_1A_X", {"id": "B2C_1A_X", "keys": [{"kid": "bad", "nbf": 1, "x5c": x5c}, healthy]})
    bad, good = found.keys
    assert (bad.kid, bad.has_certificate, bad.certificate) == ("bad", True, None)
    assert good.certificate == read_chain([LEAF])
    assert found.certified is good


@pytest.mark.parametrize("x5c", HOSTILE.values(), ids=HOSTILE)
def test_hostile_certificates_in_a_list(x5c: object) -> None:
    """The other keysets of the list are read."""
    listing = Listing(["B2C_1A_Bad", "B2C_1A_Good"])
    listing.add(
        {"value": [{"id": "B2C_1A_Bad", "keys": [{"x5c": x5c}]}, {"id": "B2C_1A_Good", "keys": [{"x5c": [LEAF]}]}]}
    )
    found = listing.found().wanted
    assert all(isinstance(each, Keyset) for each in found.values())
    good = found["B2C_1A_Good"]
    assert isinstance(good, Keyset)
    assert good.certified is not None
