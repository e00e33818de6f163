"""An emulator on a clock that tests move, and a client that trusts it."""

from __future__ import annotations

import ssl
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from emulator.harness import Bench, MovingClock, contoso

from rotator.emulator.model.seed import Seed, TenantSeed
from rotator.emulator.server import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def start(clock: MovingClock) -> Iterator[Callable[..., Bench]]:
    """Start an emulator with tenants, or with contoso's switches turned."""
    with ExitStack() as stack:

        def begin(*tenants: TenantSeed, state: Any = None, **switches: Any) -> Bench:
            seed = Seed(tenants=tenants or (contoso(**switches),))
            emulator = stack.enter_context(Emulator(seed, clock=clock, login_clock=clock, state=state))
            context = ssl.create_default_context(cafile=str(emulator.ca_file))
            http = httpx.Client(verify=context, base_url=emulator.url, trust_env=False, timeout=5)
            stack.callback(lambda: _no_errors(emulator))
            return Bench(emulator, clock, stack.enter_context(http))

        yield begin


@pytest.fixture
def bench(start: Callable[..., Bench]) -> Bench:
    return start()


def _no_errors(emulator: Emulator) -> None:
    assert emulator.errors == ()
