"""A cluster's API with an empty Lease in it."""

from collections.abc import Iterator

import pytest
from lease.fake import Kubernetes


@pytest.fixture
def api() -> Iterator[Kubernetes]:
    with Kubernetes() as api:
        api.ship()
        yield api
