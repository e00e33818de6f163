"""
Certificates, and the names that the emulator is known by.

A client has to trust the CA: its certificate is written to a file. Its key stays in memory,
or in the state file, so that clients still trust after a restart. All certificates pass
strict verification (VERIFY_X509_STRICT).
"""

import ipaddress
import ssl
from dataclasses import dataclass, field

import trustme

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority: its certificate, and its key as PEM."""

    certificate_pem: str
    key_pem: str = field(repr=False)


def make_authority() -> Authority:
    """A fresh CA."""
    made = trustme.CA(organization_name="Emulated B2C tenant")
    return Authority(certificate_pem=made.cert_pem.bytes().decode(), key_pem=made.private_key_pem.bytes().decode())


def server_context(authority: Authority, names: tuple[str, ...]) -> ssl.SSLContext:
    """A TLS context that serves a fresh certificate of *authority* for *names*. Raises: ValueError."""
    issuer = trustme.CA.from_pem(authority.certificate_pem.encode(), authority.key_pem.encode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    issuer.issue_cert(*names).configure_cert(context)
    return context


def client_certificate() -> tuple[str, str]:
    """A certificate for an app registration (RSA, as Entra requires). Returns: its private key and it, both PEM."""
    made = trustme.CA().issue_cert(common_name="rotator", key_type=trustme.KeyType.RSA)
    return made.private_key_pem.bytes().decode(), made.cert_chain_pems[0].bytes().decode()


@dataclass(frozen=True, slots=True)
class Origins:
    """The roots under which clients may know an emulator on *port*."""

    names: tuple[str, ...]
    port: int

    @property
    def usual(self) -> str:
        """The root that the emulator names itself by."""
        return f"https://localhost:{self.port}"

    def of(self, host: str | None) -> str:
        """The root that the client with this Host header used, if it is one of these; else the usual one."""
        origin = f"https://{host}"
        return origin if host and self.includes(origin) else self.usual

    def includes(self, origin: str) -> bool:
        names = (f"[{name}]" if ":" in name else name for name in self.names)
        return origin.lower() in {f"https://{name}:{self.port}".lower() for name in names}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach *host*."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
