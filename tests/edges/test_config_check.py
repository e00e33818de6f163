"""What is said of the files that a valid configuration names, and of ids that are only placeholders."""

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from rotator.edges import config, config_check

NOW = datetime(2030, 1, 1, tzinfo=UTC)
APP = "6f1c0c1e-5f0a-4d0e-9a59-0c1d6b4f8f11"


def said(folder: Path, credential: dict[str, Any] | None = None, **more: object) -> list[str]:
    """The warnings about a configuration with *credential*."""
    tenant: dict[str, object] = {
        "name": "one",
        "tenant_id": "one.onmicrosoft.com",
        "credential": {"client_id": APP, **(credential or {"client_secret_env": "SECRET_OF_THIS_TEST"})},
        "keysets": [{"id": "B2C_1A_X", "use": "sig"}],
    }
    path = folder / "rotator.yaml"
    top: dict[str, object] = {name: more.pop(name) for name in ("ca_file", "defaults") if name in more}
    content: dict[str, object] = {**top, "tenants": [tenant | more]}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return [str(problem) for problem in config_check.warnings(config.read(path), NOW)]


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THIS_TEST", "value")


def pem(folder: Path, *, expires: datetime, with_key: bool = True) -> Path:
    """A file with a certificate, and its key."""
    issued = trustme.CA().issue_cert(
        "client", not_before=expires - timedelta(days=30), not_after=expires, key_type=trustme.KeyType.RSA
    )
    file = folder / "client.pem"
    file.write_bytes((issued.private_key_pem.bytes() if with_key else b"") + issued.cert_chain_pems[0].bytes())
    return file


def test_check_of_what_is_all_there_says_nothing(tmp_path: Path) -> None:
    """A secret that is set, a secret in a file, a certificate that is valid."""
    file = tmp_path / "secret"
    file.write_text("value\n")
    assert said(tmp_path) == []
    assert said(tmp_path, {"client_secret_file": str(file)}) == []
    valid = pem(tmp_path, expires=NOW + timedelta(days=1))
    assert said(tmp_path, {"certificate_file": str(valid)}) == []


@pytest.mark.parametrize("setting", ["client_secret_file", "certificate_file", "federated_token_file"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "No such file or directory", id="missing"),
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b" \n", "is empty", id="blank"),
        pytest.param(b"\xff\xfe", "it is not UTF-8 text", id="no text"),
    ],
)
def test_check_of_a_file(tmp_path: Path, setting: str, content: bytes | None, reason: str) -> None:
    """Each file that a credential names is read, and what is wrong with it is said with its path."""
    file = tmp_path / "named"
    if content is not None:
        file.write_bytes(content)
    (warning,) = said(tmp_path, {setting: str(file)})
    assert warning.startswith(f"tenants[0].credential.{setting}: ")
    assert str(file) in warning
    is_binary = setting == "certificate_file" and content == b"\xff\xfe"  # PKCS#12 would be
    assert ("must hold one private key" if is_binary else reason) in warning


def test_check_of_a_directory_in_place_of_a_secret(tmp_path: Path) -> None:
    """What cannot be read as a file is said like a file that is missing."""
    (warning,) = said(tmp_path, {"client_secret_file": str(tmp_path)})
    assert "Is a directory" in warning


def test_check_of_a_variable_that_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is named and not set is like a file that is missing."""
    monkeypatch.delenv("SECRET_OF_THIS_TEST")
    (warning,) = said(tmp_path)
    assert "the environment variable SECRET_OF_THIS_TEST (client_secret_env) is not set" in warning


def test_check_of_certificates(tmp_path: Path) -> None:
    """A certificate without its key, one that cannot be parsed, and one that has expired."""
    alone = pem(tmp_path, expires=NOW + timedelta(days=1), with_key=False)
    (warning,) = said(tmp_path, {"certificate_file": str(alone)})
    assert "must hold one private key and its certificate" in warning
    broken = tmp_path / "broken.pem"
    broken.write_text(
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    )
    (warning,) = said(tmp_path, {"certificate_file": str(broken)})
    assert "cannot be parsed" in warning
    old = pem(tmp_path, expires=NOW)
    (warning,) = said(tmp_path, {"certificate_file": str(old)})
    assert warning == "tenants[0].credential.certificate_file: expired at 2030-01-01T00:00:00Z; renew it"


def test_check_of_a_secret_that_has_expired(tmp_path: Path) -> None:
    """The day that the configuration gives is compared with today."""
    credential = {"client_secret_env": "SECRET_OF_THIS_TEST", "client_secret_expires": "2029-12-31"}
    (warning,) = said(tmp_path, credential)
    assert "expired at 2029-12-31T00:00:00Z" in warning
    assert said(tmp_path, {**credential, "client_secret_expires": "2030-01-02"}) == []


def test_check_of_a_ca_file(tmp_path: Path) -> None:
    """The bundle must be there, and have a certificate."""
    bundle = tmp_path / "ca.pem"
    (warning,) = said(tmp_path, ca_file=str(bundle))
    assert warning == f"ca_file: {bundle} cannot be read as a PEM bundle: No such file or directory"
    bundle.write_text("nothing")
    (warning,) = said(tmp_path, ca_file=str(bundle))
    assert warning.endswith("it has no certificate that can be parsed")
    trustme.CA().cert_pem.write_to_path(bundle)
    assert said(tmp_path, ca_file=str(bundle)) == []
    assert ssl.create_default_context(cafile=bundle).get_ca_certs()


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"tenant_id": "contoso.onmicrosoft.com"}, "tenants[0].tenant_id"),
        ({"tenant_id": "00000000-0000-0000-0000-000000000000"}, "tenants[0].tenant_id"),
        (
            {"credential": {"client_id": "11111111-1111-1111-1111-111111111111", "client_secret_env": "PATH"}},
            "tenants[0].credential.client_id",
        ),
    ],
)
def test_check_of_placeholders(tmp_path: Path, more: dict[str, Any], path: str) -> None:
    """Ids out of examples are pointed out."""
    (warning,) = said(tmp_path, **more)
    assert warning.startswith(f"{path}: is a placeholder; replace it by ")


def test_check_leaves_an_emulated_contoso_alone(tmp_path: Path) -> None:
    """In a cloud of one's own a tenant can be called as in the examples."""
    cloud = {"graph": "https://localhost:8443", "login": "https://localhost:8443"}
    assert said(tmp_path, tenant_id="contoso.onmicrosoft.com", cloud=cloud) == []


def test_check_of_a_short_publication_lead(tmp_path: Path) -> None:
    """Below 25 h it is said once, if it is configured, who breaks; an encryption key needs no lead."""
    keysets = [{"id": "B2C_1A_X", "use": "sig"}, {"id": "B2C_1A_Y", "use": "sig"}, {"id": "B2C_1A_Z", "use": "enc"}]
    (warning,) = said(tmp_path, defaults={"publication_lead": "23h59m"}, keysets=keysets)
    assert warning == (
        "defaults.publication_lead: 23h59m breaks libraries that poll daily (Microsoft.IdentityModel: older 24h, "
        "current 12h36m); use 25h or more, or at least 2h30m if all are modern"
    )
    assert len(warning) <= 200
    assert said(tmp_path, defaults={"publication_lead": "25h"}, keysets=keysets) == []


def test_check_of_a_short_publication_lead_of_keysets(tmp_path: Path) -> None:
    """A keyset's own lead counts instead of the default, and its warning is at the keyset."""
    own = [{"id": "B2C_1A_X", "use": "sig", "publication_lead": "1h"}, {"id": "B2C_1A_Z", "use": "enc"}]
    (warning,) = said(tmp_path, keysets=own)
    assert warning.startswith("tenants[0].keysets[0].publication_lead: 1h breaks libraries that poll daily")
    longer = [{**own[0], "publication_lead": "25h"}]
    assert said(tmp_path, defaults={"publication_lead": "1h"}, keysets=longer) == []
    only_enc = [{"id": "B2C_1A_Z", "use": "enc", "publication_lead": "1h"}]
    assert said(tmp_path, defaults={"publication_lead": "1h"}, keysets=only_enc) == []


def test_check_of_authorities_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A variable that names a file which is not there is reported before the first connection needs it."""
    missing = tmp_path / "missing.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(missing))
    (warning,) = said(tmp_path)
    assert warning == (
        f"SSL_CERT_FILE: {missing} cannot be read as a PEM bundle: No such file or directory; "
        "correct the variable, or unset it"
    )


def test_check_of_a_ca_file_that_has_become_a_pipe(tmp_path: Path) -> None:
    """A pipe without a writer does not block the check forever."""
    pipe = tmp_path / "ca.pem"
    os.mkfifo(pipe)
    (warning,) = said(tmp_path, ca_file=str(pipe))
    assert "not written within 3s" in warning
