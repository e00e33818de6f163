"""What the tests with a real Prometheus stand on."""

from collections.abc import Iterator

import pytest
from monitoring.stack import Receiver, receiver
from programs import need


@pytest.fixture(scope="session")
def programs() -> None:
    """The programs of the Prometheus project are there."""
    need("prometheus", "promtool", "prometheus-alertmanager")


@pytest.fixture
def webhook() -> Iterator[Receiver]:
    """A receiver of alerts."""
    with receiver() as taking:
        yield taking
