"""What tests of the whole program stand on; harness.py says what there is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from end_to_end.harness import Bench
from hypothesis import settings
from kubernetes.fake_api import Kubernetes

settings.register_profile("test", derandomize=True, deadline=None, database=None, max_examples=80)
settings.register_profile("quick", settings.get_profile("test"), max_examples=20)
settings.register_profile("prove", settings.get_profile("test"), max_examples=400)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))


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
