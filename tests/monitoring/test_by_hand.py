"""What the runbook says for when the program is broken, carried out word by word."""

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from end_to_end.harness import DAY, SECRET, Bench, Keyset, Tenant, due, lapsed
from monitoring.stack import RUNBOOK
from programs import need

from rotator.emulator.model.seed import DEMO_CLIENT_ID, KeySeed, Seed
from rotator.emulator.server import Emulator


@pytest.fixture(autouse=True, scope="module")
def curl() -> None:
    need("curl")


HOUR = 3600


def by_hand(folder: Path, keyset: Keyset, **given: str) -> tuple[str, tuple[Any, ...]]:
    """Carry out the blocks of the last section, one after the other; what they print, and the keys after that."""
    section = RUNBOOK.read_text(encoding="utf-8").partition("\n## Rotate by hand\n")[2]
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL))
    secret_file = folder / "secret"
    secret_file.write_text(f"{SECRET}\n")
    tenant = Tenant(keysets=(keyset,))
    ours = {
        "TENANT_ID": tenant.domain,
        "KEYSET": keyset.id,
        "CLIENT_ID": DEMO_CLIENT_ID,
        "SECRET_FILE": str(secret_file),
    }
    for name, value in ours.items():
        script, count = re.subn(rf"^{name}=.*$", f"{name}={value}", script, flags=re.MULTILINE)
        assert count == 1, name
    with Emulator(Seed(tenants=(tenant.seed,))) as emulator:
        environment = {
            "PATH": os.environ["PATH"],
            "LOGIN": emulator.url,
            "GRAPH": emulator.url,
            "CURL_CA_BUNDLE": str(emulator.ca_file),
            "NO_PROXY": "*",
            **given,
        }
        done = subprocess.run(
            ["sh", "-eu"], input=script, env=environment, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout, emulator.tenant(tenant.domain).keyset(keyset.id).keys


def reason(bench: Bench, keyset_id: str, keys: tuple[Any, ...]) -> str:
    """What the program thinks of a keyset with these keys."""
    seeds = tuple(KeySeed(use=key.use, kty=key.kty, nbf=key.nbf, exp=key.exp) for key in keys)
    bench.begin(Tenant(keysets=(Keyset(id=keyset_id, keys=seeds),)))
    said: str = bench.run("--dry-run", "--output", "json").row["reason"]
    return said


def test_by_hand_while_a_key_is_valid(tmp_path: Path, bench: Bench) -> None:
    """The new key begins 25 hours before the last one expires, and the program treats it like a generated one."""
    keyset = due()
    last = keyset.keys[-1].exp or 0
    printed, keys = by_hand(tmp_path, keyset, LAST_EXP=str(last))
    old, new = keys
    assert (new.use, new.kty, new.nbf, new.exp) == ("sig", "RSA", last - 25 * HOUR, last + 90 * DAY)
    assert "HTTP/1.1 200" in printed
    assert new.kid in printed.rpartition(old.kid)[2], "the last look shows both"
    assert reason(bench, keyset.id, keys) == "not_due"


def test_by_hand_where_no_key_is_valid(tmp_path: Path, bench: Bench) -> None:
    """The new key begins now, and lives as long as one of the program's."""
    keyset = lapsed()
    _, keys = by_hand(tmp_path, keyset)
    new = keys[-1]
    assert abs(new.nbf - time.time()) < 20
    assert new.exp - new.nbf == 90 * DAY + 25 * HOUR
    assert reason(bench, keyset.id, keys) == "not_due"
