"""
Reads a private key and its certificate from the usual file formats.

PEM in one file or in two, in any order, with authorities before or after; PKCS#12; with or without a passphrase.
Pure functions. No message quotes the content of a file.

Sources: RFC 7468 (PEM), RFC 7292 (PKCS#12); "Microsoft identity platform application authentication certificate
credentials": the certificate is named by its thumbprint, and the assertion is signed with PS256, hence RSA.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
from cryptography.x509 import Certificate, load_pem_x509_certificate

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_ASN1_SEQUENCE = b"\x30"
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)
"""The exceptions of cryptography for input that it cannot parse. Their texts are dropped, as they may quote the key."""


class CertificateError(Exception):
    """The file has no usable key with its certificate; *is_key*: the problem is the private key."""

    def __init__(self, message: str, *, is_key: bool = False) -> None:
        super().__init__(message)
        self.is_key = is_key


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """
    A private key with its certificate.

    private_key:  PEM, not encrypted
    certificates: PEM, the key's own first, then the others of the file
    expires:      the notAfter of the key's own certificate
    """

    private_key: str = field(repr=False)
    certificates: str
    expires: datetime


def key_pair(content: bytes, private_key: bytes | None, passphrase: bytes | None) -> KeyPair:
    """
    The RSA key and the certificate that belongs to it.

    content:     the certificates, with the private key where *private_key* is None
    private_key: PEM with the private key alone
    passphrase:  of the private key or the PKCS#12 file; ignored if that is not encrypted

    Raises:
        CertificateError: the key or the certificate is missing, cannot be parsed, is not RSA, or they do not match.

    """
    if private_key is None and not _blocks(content) and content.startswith(_ASN1_SEQUENCE):
        key, certificates = _from_pkcs12(content, passphrase)
    else:
        key, certificates = _from_pem(content, private_key, passphrase)
    if not isinstance(key, RSAPrivateKey):
        kind = type(key).__name__.strip("_").removesuffix("PrivateKey").replace("EllipticCurve", "EC")
        raise CertificateError(f"its private key is {kind}; an RSA key is needed, with a certificate", is_key=True)
    own = _fitting(key, certificates)
    ordered = [own, *(each for each in certificates if each != own)]
    return KeyPair(
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        certificates="".join(each.public_bytes(Encoding.PEM).decode() for each in ordered),
        expires=own.not_valid_after_utc,
    )


def _from_pem(content: bytes, private_key: bytes | None, passphrase: bytes | None) -> tuple[object, list[Certificate]]:
    blocks = _blocks(content)
    keys, certificates = _keys(blocks), [block for kind, block in blocks if kind == b"CERTIFICATE"]
    if private_key is not None:
        if keys or not certificates:
            raise CertificateError("must hold the certificate and no private key, as PEM, beside private_key_file")
        keys = _keys(_blocks(private_key))
        if len(keys) != 1:
            raise CertificateError("must hold one private key, as PEM", is_key=True)
    if len(keys) != 1 or not certificates:
        raise CertificateError("must hold one private key and its certificate, as PEM or PKCS#12")
    key = _key(keys[0], passphrase)
    try:
        return key, [load_pem_x509_certificate(each) for each in certificates]
    except _UNREADABLE:
        raise CertificateError("its certificate cannot be parsed; export it again") from None


def _key(pem: bytes, passphrase: bytes | None) -> object:
    try:
        return load_pem_private_key(pem, password=None)
    except TypeError:
        if passphrase is None:
            message = "its private key is encrypted; put the passphrase into a file and set certificate_password_file"
            raise CertificateError(message, is_key=True) from None
    except _UNREADABLE:
        raise CertificateError("its private key cannot be parsed; export it again", is_key=True) from None
    try:
        return load_pem_private_key(pem, password=passphrase)
    except _UNREADABLE:
        message = "its private key cannot be decrypted; check the passphrase in certificate_password_file"
        raise CertificateError(message, is_key=True) from None


def _from_pkcs12(content: bytes, passphrase: bytes | None) -> tuple[object, list[Certificate]]:
    loaded: Any = None
    # Without a passphrase there are two ways to write the file: RFC 7292, appendix B.1.
    for each in (None, b"") if passphrase is None else (passphrase,):
        try:
            loaded = load_pkcs12(content, each)
        except _UNREADABLE:
            continue
        break
    if loaded is None:
        raise CertificateError("cannot be parsed as PKCS#12; check the passphrase in certificate_password_file")
    found = [each.certificate for each in (loaded.cert, *loaded.additional_certs) if each is not None]
    if loaded.key is None or not found:
        raise CertificateError("must hold one private key and its certificate; export it with the private key")
    return loaded.key, found


def _fitting(key: RSAPrivateKey, certificates: list[Certificate]) -> Certificate:
    """The certificate of *key*; of several, the one that is valid longest."""
    wanted = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fitting = [each for each in certificates if _public_key(each) == wanted]
    if not fitting:
        count = len(certificates)
        which = "its certificate does not belong" if count == 1 else f"none of its {count} certificates belongs"
        raise CertificateError(f"{which} to the private key; use the certificate that was issued for it")
    return max(fitting, key=lambda each: each.not_valid_after_utc)


def _public_key(certificate: Certificate) -> bytes | None:
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except _UNREADABLE:
        return None  # a type that cryptography does not support, so not RSA


def _blocks(content: bytes) -> list[tuple[bytes, bytes]]:
    """The PEM blocks, each with its label."""
    return [(found[1], found[0]) for found in _BLOCK.finditer(content)]


def _keys(blocks: list[tuple[bytes, bytes]]) -> list[bytes]:
    return [block for kind, block in blocks if kind.endswith(b"PRIVATE KEY")]
