"""Waiting for what another thread does."""

import time
from collections.abc import Callable

PATIENCE = 20.0  # seconds


def wait_for(reached: Callable[[], object]) -> None:
    """Wait; what has not come about after twenty seconds is a failed test."""
    until = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.005)
