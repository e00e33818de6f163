"""What tests of the edges stand on; bench.py says what there is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from edges.harness import Line, connected

from rotator.emulator.model.seed import KeysetSeed, Seed, TenantSeed
from rotator.emulator.server import Emulator


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests do not use the proxies of the machine for the loopback interface."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A service with one tenant and one empty keyset."""
    with Emulator(Seed(tenants=(TenantSeed(keysets=(KeysetSeed(id="B2C_1A_X"),)),))) as emulator:
        yield emulator
        assert not emulator.errors, emulator.errors[0]


@pytest.fixture
def line(emulator: Emulator, tmp_path: Path) -> Iterator[Line]:
    """Adapters for that service."""
    with connected(emulator, tmp_path) as line:
        yield line
