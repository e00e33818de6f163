"""What tests of the whole stand on; bench.py says what there is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from end_to_end.harness import Bench
from kubernetes.fake_api import Kubernetes


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An emulated service and the program; what a test started is ended with it."""
    with Bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def api() -> Iterator[Kubernetes]:
    """A cluster's API with an empty Lease in it."""
    with Kubernetes() as api:
        api.ship()
        yield api
