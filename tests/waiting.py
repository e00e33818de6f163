"""Waiting for what another thread does, and being what it waits for."""

import time
from collections.abc import Callable
from threading import Event

PATIENCE = 20.0  # seconds


def wait_for(reached: Callable[[], object]) -> None:
    """Wait; what has not come about after twenty seconds is a failed test."""
    until = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.005)


def held_until(event: Event) -> Callable[..., None]:
    """What takes until then, whatever it is called with."""

    def hold(*_: object) -> None:
        event.wait(3 * PATIENCE)  # longer than anybody waits for it

    return hold
