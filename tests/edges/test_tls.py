"""Which authorities TLS trusts, and what is said where they cannot be read."""

import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from edges.harness import Line

from rotator.core.errors import ConfigError
from rotator.edges.tls import trust

Key = ec.EllipticCurvePrivateKey


def old_fashioned(folder: Path) -> tuple[Path, Path]:
    """The CA of a company without a key usage, and a server's certificate without a key identifier, with its key."""

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def made(subject: str, public: Key, signer: Key, *extensions: tuple[Any, bool]) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("inspecting proxy"))
            .public_key(public.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = folder / "old-ca.pem"
    ca.write_bytes(
        made("inspecting proxy", authority, authority, (x509.BasicConstraints(ca=True, path_length=None), True))
    )
    chain = folder / "old-server.pem"
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    key = server.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(key + made("localhost", server, authority, (names, False)))
    return ca, chain


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with an empty object."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing."""


@contextmanager
def served(chain: Path) -> Iterator[str]:
    """A server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"https://localhost:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def test_authority_of_an_inspecting_proxy(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13 and later check more by default than such authorities hold to; here it is as before."""
    real = ssl.create_default_context

    def strict(*arguments: Any, **options: Any) -> ssl.SSLContext:
        context = real(*arguments, **options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    ca, chain = old_fashioned(tmp_path)
    with served(chain) as url:
        assert line.http(trust(str(ca))).send("discovery", "GET", url, headers={}).status == 200


def problem(ca_file: str | None = None) -> tuple[str, str]:
    """What is wrong, and where."""
    with pytest.raises(ConfigError) as caught:
        trust(ca_file)
    (found,) = caught.value.problems
    return found.path, found.message


def test_ssl_cert_file_is_trusted(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE stands in for the usual authorities."""
    monkeypatch.setenv("SSL_CERT_FILE", str(line.emulator.ca_file))
    assert line.http(trust(None)).send("discovery", "GET", line.discovery, headers={}).status == 200


@pytest.mark.parametrize("with_ca_file", [False, True])
def test_ssl_cert_file_that_cannot_be_used(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, with_ca_file: bool
) -> None:
    """The variable is named, and not `ca_file`, which is all right."""
    ca_file = str(line.emulator.ca_file) if with_ca_file else None
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    assert problem(ca_file) == (
        "SSL_CERT_FILE",
        "/nowhere/ca.pem cannot be read as a PEM bundle: No such file or directory; correct the variable, or unset it",
    )
    (tmp_path / "empty.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    path, message = problem(ca_file)
    assert (path, "it has no certificate" in message) == ("SSL_CERT_FILE", True)


def test_ssl_cert_dir_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL itself would ignore it silently, and trust no authority."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", f"/nowhere:{tmp_path}")
    trust(None)
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere:/else")
    assert problem() == ("SSL_CERT_DIR", "/nowhere:/else is not a directory; correct the variable, or unset it")


def test_ca_file_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting is named if it is at fault."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert problem("/nowhere") == ("ca_file", "/nowhere cannot be read as a PEM bundle: No such file or directory")
