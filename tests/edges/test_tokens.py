"""Tokens through real MSAL: every credential, what is kept, and what a failure leaves behind."""

import base64
import contextlib
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import msal
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509.oid import NameOID
from edges.harness import Line, failure

from rotator.core.errors import FailureKind, RequestError
from rotator.edges.credentials import Certificate, ClientSecret, FederatedToken
from rotator.edges.tokens import directory_of
from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import DEMO_CLIENT_ID, DEMO_SECRET, App, FederatedCredential, Secret

OTHER_SECRET = "kE8Q~the-secret-that-comes-next.aB3"

K = FailureKind
TOKEN, DISCOVERY = Operation.TOKEN, Operation.DISCOVERY
OTHER = "kE8Q~another-secret-that-is-wrong.aB3"


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    """A key pair; making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: Any, password: bytes | None = None) -> str:
    """The private key as PEM."""
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()


def certificate(key: rsa.RSAPrivateKey, expires: datetime) -> str:
    """A self-signed certificate for it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rotator")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(expires - timedelta(days=30))
        .not_valid_after(expires)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def assertion(key: rsa.RSAPrivateKey, **claims: object) -> str:
    """A token of a cluster, which stands for the app."""
    now = int(time.time())
    whole = {
        "iss": "https://cluster.example",
        "sub": "system:serviceaccount:rotator:rotator",
        "aud": "api://AzureADTokenExchange",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        **claims,
    }
    return jwt.encode(whole, pem(key), algorithm="RS256")


def trusts(line: Line, key: rsa.RSAPrivateKey) -> None:
    """Let the app trust that cluster."""
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    credential = FederatedCredential(
        issuer="https://cluster.example",
        subject="system:serviceaccount:rotator:rotator",
        public_key=public.decode(),
    )
    line.emulator.tenants[0].register(App(federated=(credential,)))


# --- credentials


@pytest.mark.parametrize("text", [DEMO_SECRET, f"  {DEMO_SECRET}\n"])
def test_secret_from_a_file(line: Line, text: str) -> None:
    """The secret in a file is used without the white space around it, and it is registered for redaction."""
    token = line.tokens(line.secret(text)).get()
    assert [DEMO_SECRET, token] == line.learnt
    assert line.attempts == [True]


def test_secret_from_the_environment(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret in an environment variable is read when a token is needed."""
    tokens = line.tokens(ClientSecret(variable="CONTOSO_SECRET"))
    monkeypatch.setenv("CONTOSO_SECRET", f"{DEMO_SECRET}\n")
    assert tokens.get()


def test_certificate(line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    """A certificate with its key is a credential, and its expiry is reported."""
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=9)
    public = certificate(private_key, expires)
    line.emulator.tenants[0].register(App(certificates=(public,)))
    for number, text in enumerate((pem(private_key) + public, f"\n{public}\n\n{pem(private_key)}")):
        file = tmp_path / f"client{number}.pem"
        file.write_text(text)
        assert line.tokens(Certificate(file=file)).get()
    assert [expires, expires] == line.expiries


def test_certificate_that_was_renewed(line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    """Without any failure in between, the next token is requested with the new certificate, and its end is reported."""
    ends = [datetime.now(UTC).replace(microsecond=0) + timedelta(days=days) for days in (1, 90)]
    old, new = (certificate(private_key, end) for end in ends)
    line.emulator.tenants[0].register(App(certificates=(new, old)))
    line.emulator.switch(token_lifetime=1)
    file = tmp_path / "client.pem"
    tokens = line.tokens(Certificate(file=file))
    for public in (old, new):
        file.write_text(pem(private_key) + public)
        tokens.get()
        line.clock.move(1.05)
    assert line.expiries == ends


def test_certificate_that_is_not_the_apps(line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    """A certificate that is not registered is refused with what to do."""
    file = tmp_path / "client.pem"
    file.write_text(pem(private_key) + certificate(private_key, datetime.now(UTC) + timedelta(days=9)))
    found = failure(line.tokens(Certificate(file=file)).get)
    assert (found.kind, found.code) == (K.AUTH, "AADSTS700027")
    assert "the certificate is not the one of the app registration" in found.message


def issued(key: rsa.RSAPrivateKey, days: float = 30, *, of: object = None) -> str:
    """A certificate for *of* (None: for *key* itself) that *key* signs."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    now = datetime.now(UTC).replace(microsecond=0)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key((of or key).public_key())  # type: ignore[attr-defined]
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=90))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def pkcs12(key: Any, public: str, *others: str, password: bytes | None = None) -> bytes:
    """A PKCS#12 file with them."""
    certificates = [x509.load_pem_x509_certificate(each.encode()) for each in (public, *others)]
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return serialize_key_and_certificates(b"rotator", key, certificates[0], certificates[1:], how)


def test_certificate_among_authorities(line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    """The certificate that fits the key is named to the service, wherever it is in the file; of two, the later one."""
    authority = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    own, before = issued(authority, 30, of=private_key), issued(authority, 3, of=private_key)
    ca = issued(authority, 900)
    line.emulator.tenants[0].register(App(certificates=(own,)))
    file = tmp_path / "client.pem"
    for text in (
        ca + own + pem(private_key),
        pem(private_key) + before + ca + own,
        own + ca + before + pem(private_key),
    ):
        file.write_text(text)
        assert line.tokens(Certificate(file=file)).get()
    expires = x509.load_pem_x509_certificate(own.encode()).not_valid_after_utc
    assert line.expiries == [expires] * 3


def test_certificate_in_two_files(line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    """Certificate and key can be in two files, as in a Secret of type kubernetes.io/tls, the key with a passphrase."""
    public = issued(private_key)
    line.emulator.tenants[0].register(App(certificates=(public,)))
    cert, key, password = (tmp_path / name for name in ("tls.crt", "tls.key", "password"))
    cert.write_text(public)
    key.write_text(pem(private_key))
    assert line.tokens(Certificate(file=cert, private_key_file=key)).get()
    password.write_text("a passphrase\n")
    assert line.tokens(Certificate(file=cert, private_key_file=key, password_file=password)).get(), "none is needed"
    key.write_text(pem(private_key, b"a passphrase"))
    assert line.tokens(Certificate(file=cert, private_key_file=key, password_file=password)).get()


@pytest.mark.parametrize("password", [None, b"a passphrase \xc3\xa9"], ids=["without", "with"])
def test_certificate_as_pkcs12(
    line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey, password: bytes | None
) -> None:
    """A PKCS#12 file is known by its content, whatever its name, with a passphrase or without."""
    authority = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = issued(authority, of=private_key)
    line.emulator.tenants[0].register(App(certificates=(public,)))
    file, passphrase = tmp_path / "client.certificate", tmp_path / "password"
    file.write_bytes(pkcs12(private_key, public, issued(authority), password=password))
    passphrase.write_bytes((password or b"") + b"\n")
    assert line.tokens(Certificate(file=file, password_file=passphrase if password else None)).get()
    assert ("a passphrase \u00e9" in line.learnt) is bool(password)


def test_passphrase_that_is_wrong_is_redacted(line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    """It is told before it is used, so that nothing that quotes it is printed whatever comes of it."""
    file, passphrase = tmp_path / "client.pem", tmp_path / "password"
    file.write_text(pem(private_key, b"the passphrase") + issued(private_key))
    passphrase.write_text("another passphrase\n")
    failure(line.tokens(Certificate(file=file, password_file=passphrase)).get)
    assert line.learnt == ["another passphrase"]


def test_assertion_is_redacted_whatever_it_is(line: Line, tmp_path: Path) -> None:
    """The file may hold something that is not a JWT, and goes by no shape."""
    file = tmp_path / "token"
    file.write_text("what-somebody-put-there\n")
    failure(line.tokens(FederatedToken(file=file)).get)
    assert line.learnt == ["what-somebody-put-there"]


def test_certificate_with_a_passphrase(line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    """The passphrase is read at every use, and the key is never logged or shown."""
    public = issued(private_key)
    line.emulator.tenants[0].register(App(certificates=(public,)))
    file, passphrase = tmp_path / "client.pem", tmp_path / "password"
    file.write_text(pem(private_key, b"the passphrase") + public)
    tokens = line.tokens(Certificate(file=file, password_file=passphrase))
    assert f"cannot read certificate_password_file {passphrase}: No such file" in failure(tokens.get).message
    passphrase.write_text("another passphrase")
    found = failure(tokens.get)
    assert (found.kind, found.status) == (K.AUTH, None)
    assert f"certificate_file {file}: its private key cannot be decrypted" in found.message
    passphrase.write_text("the passphrase\n")
    assert tokens.get()


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("EC", lambda: ec.generate_private_key(ec.SECP256R1())),
        ("Ed25519", ed25519.Ed25519PrivateKey.generate),
    ],
)
@pytest.mark.parametrize("form", ["PEM", "two files", "PKCS#12"])
def test_certificate_of_another_kind_of_key(
    line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey, kind: str, make: Any, form: str
) -> None:
    """A key that cannot sign as the service requires is reported at once, and not as a bug."""
    key = make()
    public, text = issued(private_key, of=key), pem(key)
    file, key_file = tmp_path / "client", tmp_path / "key"
    file.write_bytes({"PEM": (text + public).encode(), "PKCS#12": pkcs12(key, public)}.get(form, public.encode()))
    key_file.write_text(text)
    two = form == "two files"
    found = failure(line.tokens(Certificate(file=file, private_key_file=key_file if two else None)).get)
    where = f"private_key_file {key_file}" if two else f"certificate_file {file}"
    assert found.kind is K.AUTH
    assert found.message == f"{where}: its private key is {kind}; an RSA key is needed, with a certificate"
    assert not line.emulator.requests


def test_certificate_of_another_key(line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    """A certificate that does not belong to the key is found here, before anybody is asked."""
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = tmp_path / "client.pem"
    for text, words in (
        (pem(private_key) + issued(other), "its certificate does not belong to the private key"),
        (pem(private_key) + issued(other) + issued(other), "none of its 2 certificates belongs to the private key"),
    ):
        file.write_text(text)
        found = failure(line.tokens(Certificate(file=file)).get)
        assert (found.kind, words in found.message) == (K.AUTH, True)
    assert not line.emulator.requests


def test_certificate_in_two_files_that_do_not_fit(line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    """The file at fault is named."""
    public, secret = issued(private_key), pem(private_key)
    garbled = secret.replace(secret[100:140], "A" * 40)
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    for certificate_text, key_text, words in (
        (public, "", f"private_key_file {key}: must hold one private key, as PEM"),
        (public, secret + secret, f"private_key_file {key}: must hold one private key, as PEM"),
        (public, public, f"private_key_file {key}: must hold one private key, as PEM"),
        (public, garbled, f"private_key_file {key}: its private key cannot be parsed"),
        (public, pem(private_key, b"password"), f"private_key_file {key}: its private key is encrypted"),
        (secret + public, secret, f"certificate_file {cert}: must hold the certificate and no private key"),
        ("words", secret, f"certificate_file {cert}: must hold the certificate and no private key"),
    ):
        cert.write_text(certificate_text)
        key.write_text(key_text)
        found = failure(line.tokens(Certificate(file=cert, private_key_file=key)).get)
        assert (found.kind, words in found.message) == (K.AUTH, True), found.message
        assert "AAAA" not in found.message
    key.unlink()
    found = failure(line.tokens(Certificate(file=cert, private_key_file=key)).get)
    assert found.message == f"cannot read private_key_file {key}: No such file or directory"
    assert not line.emulator.requests


def test_certificate_as_pkcs12_that_cannot_be_used(line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    """A wrong passphrase, a missing one, a file without a key, and one of another kind."""
    public = issued(private_key)
    file, passphrase = tmp_path / "client.pfx", tmp_path / "password"
    passphrase.write_text("wrong")
    whole = pkcs12(private_key, public, password=b"right")
    der = x509.load_pem_x509_certificate(public.encode()).public_bytes(serialization.Encoding.DER)
    for content, password_file, words in (
        (whole, None, "cannot be parsed as PKCS#12; check the passphrase in certificate_password_file"),
        (whole, passphrase, "cannot be parsed as PKCS#12"),
        (whole[:-200], None, "cannot be parsed as PKCS#12"),
        (der, None, "cannot be parsed as PKCS#12"),
        (pkcs12(None, public), None, "export it with the private key"),
        (b"\xff\xfe", None, "must hold one private key and its certificate, as PEM or PKCS#12"),
    ):
        file.write_bytes(content)
        found = failure(line.tokens(Certificate(file=file, password_file=password_file)).get)
        assert (found.kind, words in found.message) == (K.AUTH, True), found.message
        assert str(file) in found.message
    assert not line.emulator.requests


def test_certificate_file_that_is_none(line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    """A problem with the file is reported with its name, and never with its content."""
    public = certificate(private_key, datetime.now(UTC) + timedelta(days=9))
    good = pem(private_key)
    garbled = good.replace(good[100:140], "A" * 40)
    for text, words in (
        ("", "is empty"),
        ("words", "must hold one private key and its certificate, as PEM"),
        (good, "must hold one private key and its certificate, as PEM"),
        (public, "must hold one private key and its certificate, as PEM"),
        (good + good + public, "must hold one private key and its certificate, as PEM"),
        (garbled + public, "cannot be parsed"),
        (pem(private_key, b"password") + public, "set certificate_password_file"),
        (good + public.replace(public[100:140], "A" * 40), "cannot be parsed"),
    ):
        file = tmp_path / "client.pem"
        file.write_text(text)
        found = failure(line.tokens(Certificate(file=file)).get)
        assert K.AUTH is found.kind
        assert str(file) in found.message
        assert words in found.message
        assert "AAAA" not in found.message
    assert not line.emulator.requests


def test_federated_token_is_read_at_every_use(line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    """The assertion is read from its file whenever a token is requested: somebody else renews it."""
    trusts(line, private_key)
    line.emulator.switch(token_lifetime=1)
    file = tmp_path / "token"
    file.write_text(assertion(private_key))
    tokens = line.tokens(FederatedToken(file=file))
    first = tokens.get()
    line.clock.move(1.05)
    file.write_text(assertion(private_key, exp=int(time.time()) - 1000))
    found = failure(tokens.get)
    assert (found.kind, found.code) == (K.AUTH, "AADSTS700024")
    file.write_text(f"{assertion(private_key)}\n")
    assert tokens.get() != first
    assert line.count(DISCOVERY) == 2, "the application object is built anew only after the failure"
    assert line.expiries == [None, None, None], "nobody knows when it ends"


def test_federated_token_that_changed_while_all_is_well(
    line: Line, tmp_path: Path, private_key: rsa.RSAPrivateKey
) -> None:
    """Without any failure in between, the next token is requested with what is in the file by then."""
    trusts(line, private_key)
    line.emulator.switch(token_lifetime=1)
    file = tmp_path / "token"
    file.write_text(assertion(private_key))
    tokens = line.tokens(FederatedToken(file=file))
    tokens.get()
    line.clock.move(1.05)
    file.write_text(assertion(private_key, sub="somebody-else"))
    found = failure(tokens.get)
    assert "no federated credential of the app matches the assertion" in found.message
    assert line.count(DISCOVERY) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe", "it is not UTF-8 text"),
    ],
)
def test_federated_token_file_that_is_none(line: Line, tmp_path: Path, content: bytes | None, words: str) -> None:
    """A file that is missing, empty or no text is named, and no request for a token is sent without it."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    found = failure(line.tokens(FederatedToken(file=file)).get)
    assert K.AUTH is found.kind
    assert f"federated_token_file {file}" in found.message
    assert words in found.message
    assert line.count(TOKEN) == 0


def test_secret_that_expires(line: Line) -> None:
    """When a secret expires is reported where the configuration says it."""
    expires = datetime(2030, 1, 1, tzinfo=UTC)
    given = line.secret()
    line.tokens(ClientSecret(file=given.file, expires=expires)).get()
    assert [expires] == line.expiries


def test_secret_that_was_renewed(line: Line) -> None:
    """The next token is requested with what is in the file by then, before the old secret is refused."""
    line.emulator.tenants[0].register(App(secrets=(Secret(value=DEMO_SECRET), Secret(value=OTHER_SECRET))))
    line.emulator.switch(token_lifetime=1)
    tokens = line.tokens(line.secret())
    for secret in (DEMO_SECRET, OTHER_SECRET, OTHER_SECRET):
        line.secret(secret)
        tokens.get()
        line.clock.move(1.05)
    learnt = dict.fromkeys(value for value in line.learnt if value in (DEMO_SECRET, OTHER_SECRET))
    assert list(learnt) == [DEMO_SECRET, OTHER_SECRET]
    assert line.attempts == [True, True, True]


# --- refusals


@pytest.mark.parametrize(
    ("app", "code", "advice"),
    [
        (App(secrets=(Secret(value=OTHER),)), "AADSTS7000215", "put the secret's value, not its id"),
        (App(secrets=(Secret(value=DEMO_SECRET, expires=1),)), "AADSTS7000222", "has expired; make a new one"),
    ],
)
def test_refused_secret(line: Line, app: App, code: str, advice: str) -> None:
    """A refused secret is `auth`, with the number and what to do, and without the secret."""
    line.emulator.tenants[0].register(app)
    found = failure(line.tokens().get)
    assert (K.AUTH, code) == (found.kind, found.code)
    assert found.message.startswith(f"the login host gives app {DEMO_CLIENT_ID} no token (invalid_client {code}): ")
    assert advice in found.message
    assert DEMO_SECRET not in found.message
    assert line.attempts == [False]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (700212, "has the assertion's audience"),
        (7002138, "in upper and lower case"),
        (700222, "Entra itself issued the assertion"),
        (53003, "a Conditional Access policy blocks the app"),
        (7000112, "the app is disabled in this tenant"),
    ],
)
def test_refused_with_advice(line: Line, number: int, advice: str) -> None:
    """The message explains the meaning of a number."""
    body = json.dumps({"error": "invalid_request", "error_codes": [number], "trace_id": "t"})
    line.emulator.inject(Fault(what=Kind.BODY, body=body, status=400, where=TOKEN))
    found = failure(line.tokens().get)
    assert (found.kind, found.code) == (K.AUTH, f"AADSTS{number}")
    assert advice in found.message
    assert "look the code up" not in found.message
    assert len(found.message) <= 250


def test_refused_app(line: Line) -> None:
    """An app that the tenant does not have is distinguished from a wrong secret."""
    found = failure(line.tokens(client_id="99999999-0000-4000-8000-000000000000").get)
    assert found.code == "AADSTS700016"
    assert "check client_id and tenant_id" in found.message


def test_refused_tenant(line: Line) -> None:
    """A tenant that does not exist is named with its host."""
    found = failure(line.tokens(tenant="nobody.onmicrosoft.com").get)
    assert (
        found.kind,
        found.message,
    ) == (K.AUTH, "localhost has no tenant nobody.onmicrosoft.com; check tenant_id and cloud")


@pytest.mark.parametrize("where", [TOKEN, DISCOVERY])
@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        (Fault(what=Kind.STATUS, status=500), K.SERVICE, 500),
        (Fault(what=Kind.STATUS, status=503, retry_after=120), K.SERVICE, 503),
        (Fault(what=Kind.HTML), K.SERVICE, 502),
        (Fault(what=Kind.THROTTLED, retry_after=120), K.THROTTLED, 429),
        (Fault(what=Kind.HTML, status=200), K.UNREADABLE, 200),
        (Fault(what=Kind.HTML, status=403), K.UNREADABLE, 403),
        (Fault(what=Kind.EMPTY), K.UNREADABLE, 200),
        (Fault(what=Kind.LIST), K.UNREADABLE, 200),
        (Fault(what=Kind.CUT_JSON), K.UNREADABLE, 200),
        (Fault(what=Kind.REDIRECT), K.UNREADABLE, 302),
        (Fault(what=Kind.RESET), K.NETWORK, None),
        (Fault(what=Kind.TRUNCATED), K.NETWORK, None),
        (Fault(what=Kind.HANG), K.TIMEOUT, None),
        (Fault(what=Kind.GZIP_BOMB), K.UNREADABLE, 200),
    ],
)
def test_login_host_in_trouble(
    line: Line, where: Operation, fault: Fault, kind: FailureKind, status: int | None
) -> None:
    """An answer that is not one of the login service has its own failure kind, and does not outlast its cause."""
    tokens = line.tokens()
    line.timeout = 0.5 if fault.what is Kind.HANG else 5
    injected = line.emulator.inject(replace(fault, where=where))
    found = failure(tokens.get)
    assert (kind, status) == (found.kind, found.status)
    assert "localhost" in found.message
    injected.remove()
    line.timeout = 5
    assert tokens.get(), "nothing is repeated from memory"
    assert line.attempts == [False, True]


@pytest.mark.parametrize(
    "body",
    ["{}", '{"access_token": null}', '{"access_token": 7, "expires_in": 9}', '{"error": 7}', '{"error_codes": ["x"]}'],
)
@pytest.mark.parametrize("status", [200, 400])
def test_login_host_that_answers_nonsense(line: Line, status: int, body: str) -> None:
    """JSON without a token is not a token, even if it has other members."""
    line.emulator.inject(Fault(what=Kind.BODY, body=body, status=status, where=TOKEN))
    assert failure(line.tokens().get).kind in (K.AUTH, K.UNREADABLE)
    assert line.attempts == [False]


@pytest.mark.parametrize("lifetime", ["", ', "expires_in": "soon"', ', "expires_in": null', ', "expires_in": -1'])
def test_login_host_that_gives_half_a_token(line: Line, lifetime: str) -> None:
    """A token whose lifetime is missing or is invalid is a failure of the login host's or a token, never a bug."""
    body = f'{{"access_token": "a.b.c", "token_type": "Bearer"{lifetime}}}'
    line.emulator.inject(Fault(what=Kind.BODY, body=body, where=TOKEN))
    with contextlib.suppress(RequestError):
        assert line.tokens().get() == "a.b.c"


GRANTED = {"token_type": "Bearer", "expires_in": 3599, "access_token": "eyJhbGciOiJub25lIn0.e30.x"}


@pytest.mark.parametrize(
    "more",
    [
        {"id_token": "no.token"},
        {"id_token": 7},
        {"client_info": "%%%"},
        {"client_info": []},
        {"scope": 7},
        {"scope": ["a"]},
        {"expires_on": "soon"},
        {"expires_on": {}},
        {"refresh_in": "5"},
        {"refresh_token": {}},
        {"foci": []},
        {"ext_expires_in": None},
        {"error": None},
        {"expires_in": "3599"},
        {"token_type": "bearer"},
    ],
    ids=str,
)
def test_token_with_odd_members(line: Line, more: dict[str, object]) -> None:
    """Members that are not used may be anything."""
    line.emulator.inject(Fault(what=Kind.BODY, body=json.dumps({**GRANTED, **more}), where=TOKEN))
    assert line.tokens().get() == GRANTED["access_token"]
    assert line.attempts == [True]


@pytest.mark.parametrize(
    "more",
    [{"token_type": "pop"}, {"token_type": 7}, {"refresh_in": "soon"}, {"expires_in": True}, {"x": [0] * 1000}],
    ids=lambda more: str(more)[:30],
)
def test_token_that_cannot_be_used(line: Line, more: dict[str, object]) -> None:
    """What is used has to be what it should be; else the answer is unreadable, and not a bug."""
    line.emulator.inject(Fault(what=Kind.BODY, body=json.dumps({**GRANTED, **more}), where=TOKEN))
    assert failure(line.tokens().get).kind is K.UNREADABLE
    assert line.attempts == [False]


def test_token_after_a_byte_order_mark(line: Line, tmp_path: Path) -> None:
    """A byte order mark is left out, before a token's JSON and in a file with a secret."""
    line.emulator.inject(Fault(what=Kind.BODY, body="\ufeff" + json.dumps(GRANTED), where=TOKEN, times=1))
    assert line.tokens().get() == GRANTED["access_token"]
    file = tmp_path / "with-mark"
    file.write_text(f"\ufeff{DEMO_SECRET}\n", encoding="utf-8")
    assert line.tokens(ClientSecret(file=file)).get()
    assert DEMO_SECRET in line.learnt


class Confused:
    """Sends no request, and fails as MSAL does for unexpected answers."""

    def remove_tokens_for_client(self) -> None:
        msg = "the answer said s3cret"
        raise AttributeError(msg)


def test_msal_that_raises(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever MSAL raises is unreadable, by the type of the error and without its words."""
    monkeypatch.setattr(msal, "ConfidentialClientApplication", lambda *_, **__: Confused())
    found = failure(line.tokens().get)
    assert (found.kind, "AttributeError" in found.message) == (K.UNREADABLE, True)
    assert "s3cret" not in found.message


@pytest.mark.parametrize("error", ["temporarily_unavailable", "server_error"])
def test_refusal_that_passes(line: Line, error: str) -> None:
    """A refusal that says nothing about the app is the service's, with any status."""
    line.emulator.inject(Fault(what=Kind.BODY, body=json.dumps({"error": error}), status=400, where=TOKEN))
    found = failure(line.tokens().get)
    assert (found.kind, found.status, error in found.message) == (K.SERVICE, 400, True)


def test_refusal_with_an_echoed_secret(line: Line) -> None:
    """An error that is not a code is not shown: cut, a secret in it could not be redacted."""
    echoed = "x" * 70 + DEMO_SECRET
    line.emulator.inject(Fault(what=Kind.BODY, body=json.dumps({"error": echoed}), status=400, where=TOKEN))
    found = failure(line.tokens().get)
    assert (found.kind, found.code) == (K.AUTH, "no reason")
    assert DEMO_SECRET[:10] not in str(found)


@pytest.mark.parametrize(
    ("claims", "directory"),
    [
        ({"tid": "AAAAAAAA-0000-4000-8000-000000000000"}, "aaaaaaaa-0000-4000-8000-000000000000"),
        ({"tid": "contoso"}, None),
        ({"tid": 7}, None),
        ({}, None),
        ([], None),
        ([0] * 200_000, None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_directory_of_a_token(claims: object, directory: str | None) -> None:
    """The claim `tid` of a token is the GUID of its directory; what is not one is as good as none."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert directory_of(f"eyJhbGciOiJub25lIn0.{payload}.x") == directory


@pytest.mark.parametrize("token", ["opaque", "", ".", "a.b.c", "a.\u00e9.c", "a.W1tb.c", "a.." + "b" * 10_000])
def test_directory_of_what_is_not_a_jwt(token: str) -> None:
    """A token of another form says nothing."""
    assert directory_of(token) is None


def test_directory_is_told(line: Line) -> None:
    """The directory is reported with each token."""
    told: list[str] = []
    line.tokens(on_directory=told.append).get()
    assert told == [line.emulator.tenants[0].id.lower()]


# --- what is kept


def test_token_is_kept(line: Line) -> None:
    """A token is requested only once while it is valid."""
    tokens = line.tokens()
    assert len({tokens.get() for _ in range(20)}) == 1
    assert (line.count(DISCOVERY), line.count(TOKEN)) == (1, 1)


def test_token_nobody_asks_for(line: Line) -> None:
    """No file is read and no request is made before a token is needed."""
    line.tokens(ClientSecret(file=line.folder / "nowhere"))
    assert not line.emulator.requests


def test_token_for_many_at_once(line: Line) -> None:
    """However many ask at the same time, one request is sent, and all get the same token."""
    tokens = line.tokens()
    line.emulator.inject(Fault(what=Kind.SLOW, delay=0.2, where=TOKEN))
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(tokens.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(set(got)), line.count(TOKEN)) == (8, 1, 1)


def test_token_is_renewed_before_it_expires(line: Line) -> None:
    """Half-way through a short life a token is renewed, though it could still be used."""
    line.emulator.switch(token_lifetime=6)
    tokens = line.tokens()
    first = tokens.get()
    line.clock.move(0.5)
    assert first == tokens.get()
    line.clock.move(2.6)
    assert first != tokens.get()
    assert (line.count(TOKEN), line.count(DISCOVERY)) == (2, 1)


def test_token_is_renewed_when_the_service_wants_it(line: Line) -> None:
    """`refresh_in` goes before the rule of thumb."""
    line.emulator.switch(token_refresh_in=1)
    tokens = line.tokens()
    first = tokens.get()
    line.clock.move(1.1)
    assert first != tokens.get()
    assert line.count(TOKEN) == 2


def test_token_outlives_the_login_host(line: Line) -> None:
    """While the login host is down, the last token is used until it expires, and no longer."""
    line.emulator.switch(token_lifetime=6)
    tokens = line.tokens()
    first = tokens.get()
    line.emulator.inject(Fault(what=Kind.STATUS, status=503, where=TOKEN))
    line.clock.move(3.1)
    assert {first} == {tokens.get() for _ in range(5)}
    assert line.count(TOKEN) == 2, "it is not asked again at every use"
    line.clock.move(3)
    assert failure(tokens.get).kind is K.SERVICE
    assert line.attempts == [True, False, False]


def test_token_that_was_rejected(line: Line) -> None:
    """A token that the service refused is forgotten; another one's rejection means nothing."""
    tokens = line.tokens()
    first = tokens.get()
    tokens.reject("another")
    assert first == tokens.get()
    tokens.reject(first)
    assert first != tokens.get()
    assert line.count(TOKEN) == 2


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(None, id="401, as a wrong secret comes"),
        pytest.param(
            Fault(what=Kind.STATUS, status=400, code="invalid_client", where=TOKEN, times=1),
            id="400, which MSAL repeats",
        ),
    ],
)
def test_secret_that_was_corrected_works_at_once(line: Line, fault: Fault | None) -> None:
    """After a refusal the credential is read and the token requested again, so that a fix takes effect at once."""
    tokens = line.tokens(line.secret(OTHER))
    if fault is not None:
        line.emulator.inject(fault)
    assert failure(tokens.get).kind is K.AUTH
    line.secret(DEMO_SECRET)
    assert tokens.get()
    assert line.attempts == [False, True]
    assert {OTHER, DEMO_SECRET} <= set(line.learnt)


def test_token_that_lacks_a_permission(line: Line) -> None:
    """It is forgotten once it has had time to be outdated; another one's refusal means nothing."""
    tokens = line.tokens()
    first = tokens.get()
    assert tokens.outdate("another"), "the next one is another already"
    assert not tokens.outdate(first), "it was issued just now, with all permissions that there are"
    line.clock.move(61)
    assert tokens.outdate(first)
    assert tokens.get() != first
    assert line.count(TOKEN) == 2


def test_token_requests_are_ours(line: Line) -> None:
    """MSAL's requests have our ids, go nowhere else, and are reported like any other."""
    line.tokens().get()
    assert [seen.operation for seen in line.emulator.requests] == [DISCOVERY, TOKEN]
    assert [seen.client_request_id for seen in line.emulator.requests] == [
        exchange.client_request_id for exchange in line.exchanges
    ]
    assert [exchange.operation for exchange in line.exchanges] == ["discovery", "token"]
