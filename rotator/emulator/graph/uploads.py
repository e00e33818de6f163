"""
Key material that a client brings: secrets, certificates, PKCS #12 files, whole JWKs.

An uploaded private half stays here like any other. An uploaded key waits for an admin
to enable it, unless the switch says otherwise. What is malformed has the codes of Azure
AD B2C. JWK members: RFC 7518, section 6.
"""

import base64
import binascii
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from rotator.emulator.graph import key_bodies
from rotator.emulator.graph.key_bodies import bad_parameter, parse_dates, parse_kty, parse_use, refuse_unknown
from rotator.emulator.http.answers import RefusedError
from rotator.emulator.model.keys import Key, RsaMaterial, fresh_kid, thumbprint
from rotator.emulator.model.switches import Status, Switches

_RSA_PRIVATE = ("d", "p", "q", "dp", "dq", "qi")
_JWK = ("kid", "kty", "use", "nbf", "exp", "status", "e", "n", "k", "x5c", "x5t")


def parse_secret(data: dict[str, Any], switches: Switches, now: float) -> Key:
    """The symmetric key of an `uploadSecret` body."""
    refuse_unknown(data, "use", "k", "nbf", "exp")
    use, secret = parse_use(data), _text(data, "k")
    nbf, exp = parse_dates(data, switches, now)
    return Key(kid=fresh_kid(), use=use, kty="oct", nbf=nbf, exp=exp, status=switches.uploaded_status, secret=secret)


def parse_certificate(data: dict[str, Any], switches: Switches) -> Key:
    """The key of an `uploadCertificate` body: its dates are the certificate's."""
    refuse_unknown(data, "key")
    octets = _octets(data, "key")
    try:
        pem = b"-----BEGIN" in octets
        certificate = x509.load_pem_x509_certificate(octets) if pem else x509.load_der_x509_certificate(octets)
    except ValueError as error:
        raise bad_parameter("key") from error
    return _certified(certificate, None, switches)


def parse_pkcs12(data: dict[str, Any], switches: Switches) -> Key:
    """The key of an `uploadPkcs12` body."""
    refuse_unknown(data, "key", "password")
    octets, password = _octets(data, "key"), data.get("password", "")
    if not isinstance(password, str):
        raise bad_parameter("password")
    try:
        private, certificate, _ = pkcs12.load_key_and_certificates(octets, password.encode() or None)
    except ValueError as error:
        raise bad_parameter("key") from error
    if certificate is None or not isinstance(private, rsa.RSAPrivateKey):
        raise bad_parameter("key")
    return _certified(certificate, private, switches)


def parse_jwks(data: dict[str, Any], switches: Switches, now: float) -> tuple[Key, ...]:
    """The keys of a whole keyset, as POST and PUT give them."""
    keys = data.get("keys", [])
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise key_bodies.invalid_field()
    return tuple(_parse_jwk(key, switches, now) for key in keys)


def _parse_jwk(data: dict[str, Any], switches: Switches, now: float) -> Key:
    refuse_unknown(data, *_JWK, *_RSA_PRIVATE)
    if data.get("kid"):
        raise RefusedError(400, "AADB2C95059", "The key in the payload has a non-empty 'kid'.")
    kty, use = parse_kty(data), parse_use(data)
    nbf, exp = parse_dates(data, switches, now)
    try:
        material = _rsa_material(data) if kty == "RSA" else None
        status = Status(data["status"]) if data.get("status") else switches.uploaded_status
        chain = tuple(map(str, data.get("x5c") or ()))
        x5t = None if data.get("x5t") is None else str(data["x5t"])
    except (ValueError, TypeError, KeyError) as error:
        raise RefusedError(400, "AADB2C95034", "The JSON Web Key is malformed.") from error
    return Key(
        kid=fresh_kid(),
        use=use,
        kty=kty,
        nbf=nbf,
        exp=exp,
        status=status,
        x5c=chain,
        x5t=x5t,
        rsa=material,
        secret=None if material else _text(data, "k"),
    )


def _rsa_material(data: dict[str, Any]) -> RsaMaterial:
    """The key pair if every private member exists, else the public half. Raises: ValueError."""
    is_pair = all(data.get(member) is not None for member in _RSA_PRIVATE)
    return RsaMaterial.from_jwk({name: data[name] for name in ("n", "e", *(_RSA_PRIVATE if is_pair else ()))})


def _certified(certificate: x509.Certificate, private: rsa.RSAPrivateKey | None, switches: Switches) -> Key:
    public = certificate.public_key()
    if not isinstance(public, rsa.RSAPublicKey):
        raise bad_parameter("key")
    material = RsaMaterial(private=private, public=public)
    return Key(
        kid=fresh_kid(),
        use="sig",
        kty="RSA",
        nbf=int(certificate.not_valid_before_utc.timestamp()),
        exp=int(certificate.not_valid_after_utc.timestamp()),
        status=switches.uploaded_status,
        x5c=(base64.b64encode(certificate.public_bytes(Encoding.DER)).decode(),),
        x5t=thumbprint(certificate),
        rsa=material,
    )


def _text(data: dict[str, Any], member: str) -> str:
    value = data.get(member)
    if not isinstance(value, str) or not value:
        raise bad_parameter(member)
    return value


def _octets(data: dict[str, Any], member: str) -> bytes:
    try:
        return base64.b64decode(_text(data, member), validate=True)
    except binascii.Error as error:
        raise bad_parameter(member) from error
