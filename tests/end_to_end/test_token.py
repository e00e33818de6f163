"""`rotator token`: which key made a token, from the token alone."""

import base64
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import DEMO_CLIENT_ID, DEMO_SECRET, KeySeed, KeysetSeed, Seed, TenantSeed
from rotator.emulator.server import Emulator

DAY = 86_400
DOMAIN, SIG, ENC, OTHER, POLICY = "contoso.onmicrosoft.com", "B2C_1A_Sig", "B2C_1A_Enc", "B2C_1A_Other", "B2C_1A_signin"


class Bench:
    """A tenant with a policy, a configuration, and tokens that the policy has issued."""

    def __init__(self, folder: Path, emulator: Emulator) -> None:
        self.emulator, self.config = emulator, folder / "rotator.yaml"
        (folder / "secret").write_text(DEMO_SECRET)
        tenant = {
            "name": "contoso",
            "tenant_id": DOMAIN,
            "cloud": {"graph": emulator.url, "login": emulator.url},
            "credential": {"client_id": DEMO_CLIENT_ID, "client_secret_file": str(folder / "secret")},
            "sign_in": {"url": emulator.url, "policies": [POLICY]},
            "keysets": [{"id": SIG, "use": "sig"}, {"id": ENC, "use": "enc"}],
        }
        self.config.write_text(yaml.safe_dump({"ca_file": str(emulator.ca_file), "tenants": [tenant]}))
        answer = httpx.post(
            f"{emulator.url}/{DOMAIN}/{POLICY}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": DEMO_CLIENT_ID,
                "client_secret": DEMO_SECRET,
                "scope": f"https://{DOMAIN}/canary/.default",
            },
            verify=ssl.create_default_context(cafile=emulator.ca_file),
        ).json()
        self.access, self.refresh = answer["access_token"], answer["refresh_token"]

    def run(self, token: str, *options: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "rotator", "--config", str(self.config), "token", *options],
            input=token,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for part in token.split("."):
            assert len(part) < 20 or part not in done.stdout + done.stderr
        return done


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    now = int(time.time())
    sig = (
        KeySeed(kid="signing", nbf=now - DAY, exp=now + 90 * DAY),
        KeySeed(kid="gone", nbf=now - 9 * DAY, exp=now - DAY),
    )
    enc = (KeySeed(kid="encrypting", use="enc", nbf=now - DAY, exp=now + 90 * DAY),)
    other = (KeySeed(kid="elsewhere", nbf=now - DAY, exp=now + 90 * DAY),)
    seed = TenantSeed(
        domain=DOMAIN,
        keysets=(KeysetSeed(id=SIG, keys=sig), KeysetSeed(id=ENC, keys=enc), KeysetSeed(id=OTHER, keys=other)),
        policies={POLICY: (SIG, ENC)},
    )
    with Emulator(Seed(tenants=(seed,))) as emulator:
        yield Bench(tmp_path, emulator)
        assert not emulator.errors, emulator.errors[0]


def forged(kid: object, parts: int = 3) -> str:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "RS256", "kid": kid}).encode()).decode().rstrip("=")
    return ".".join([header, *["c2lnbmF0dXJlLW9mLW5vYm9keS1hdC1hbGw"] * (parts - 1)])


def test_access_token(bench: Bench) -> None:
    """Tenant, keyset, key, whether relying parties can see it, and until when it verifies."""
    done = bench.run(f"Bearer {bench.access}\n")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:5] == ["kid signing", "tenant contoso", f"keyset {SIG} (sig)", "key active", "published: yes"]
    assert lines[5].startswith("verifies until 20")


def test_refresh_token(bench: Bench) -> None:
    """A refresh token is encrypted, and its header can be read nevertheless."""
    done = bench.run(bench.refresh)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:3] == ["kid encrypting", "tenant contoso", f"keyset {ENC} (enc)"]
    assert "\ndecrypts until 20" in done.stdout


def test_json(bench: Bench) -> None:
    found = json.loads(bench.run(bench.access, "--output", "json").stdout)
    assert (found["found"], found["kid"], found["keyset"], found["state"], found["published"]) == (
        True,
        "signing",
        SIG,
        "active",
        True,
    )


def test_keyset_that_is_not_configured(bench: Bench) -> None:
    """A keyset of the tenant that nobody has configured is named as well, and that rotator does not rotate it."""
    done = bench.run(forged("elsewhere"))
    assert (done.returncode, done.stderr) == (0, "")
    expected = ["kid elsewhere", "tenant contoso", f"keyset {OTHER} (sig), not configured: rotator does not rotate it"]
    assert done.stdout.splitlines()[:4] == [*expected, "key active"]
    found = json.loads(bench.run(forged("elsewhere"), "--output", "json").stdout)
    assert (found["keyset"], found["configured"], found["use"]) == (OTHER, False, "sig")


def test_key_that_has_expired(bench: Bench) -> None:
    done = bench.run(forged("gone"))
    assert done.returncode == 0
    assert "\nkey expired\npublished: no, so relying parties" in done.stdout


def test_key_of_nobody(bench: Bench) -> None:
    """Not found is exit code 1, and says what that usually means."""
    done = bench.run(forged("cpimcore_09252015", 5))
    assert done.returncode == 1
    assert done.stdout.startswith("kid cpimcore_09252015: no keyset of the configured tenants has this key\n")
    assert "user flow" in done.stdout


@pytest.mark.parametrize(
    "text", ["", "secret", "a.b.c", forged(7), forged("x" * 600), "e30.e30.e30", forged("k", 4), "." * 70_000]
)
def test_no_token(bench: Bench, text: str) -> None:
    """What is not a token is exit code 64, and nothing is asked of anybody."""
    done = bench.run(text)
    assert (done.returncode, done.stdout) == (64, "")
    assert bench.emulator.seen(Operation.LIST_KEYSETS) == ()


def test_token_as_an_argument_is_refused(bench: Bench) -> None:
    """Arguments are kept in the history of a shell."""
    done = bench.run("", "a.b.c")
    assert done.returncode == 64
