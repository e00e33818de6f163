"""What a daemon exposes, read with the official parsers."""

import time
from collections.abc import Iterable

from end_to_end.harness import PATIENCE, Running
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PREFIX = "b2c_rotator_"


class Scrape:
    """Every sample of one scrape, by name without prefix and by labels."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.families = {family.name: family for family in families}
        self.samples = {
            (sample.name.removeprefix(PREFIX), frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __getitem__(self, name: str) -> float:
        """The one sample without labels."""
        return self.of(name)

    def of(self, name: str, **labels: str) -> float:
        """The sample with exactly these labels."""
        return self.samples[name, frozenset(labels.items())]

    def series(self, name: str) -> list[dict[str, str]]:
        """The labels of every sample of that name."""
        return [dict(labels) for found, labels in self.samples if found == name]


def scrape(daemon: Running) -> Scrape:
    """One scrape, by the newer format."""
    text = daemon.get("/metrics", Accept=OPENMETRICS).text
    return Scrape(parse_openmetrics(text))  # type: ignore[no-untyped-call]  # prometheus-client types one of its two


def swept(daemon: Running) -> Scrape:
    """A scrape after the first sweep."""
    daemon.log("sweep.finished")
    return scrape(daemon)


def reached(daemon: Running, value: float, name: str, **labels: str) -> Scrape:
    """The first scrape in which that sample is at least *value*; lines are logged a moment before they are counted."""
    until = time.monotonic() + PATIENCE
    while True:
        found = scrape(daemon)
        if found.samples.get((name, frozenset(labels.items())), 0) >= value:
            return found
        assert time.monotonic() < until, f"{name} {labels} did not reach {value}"
        time.sleep(0.05)
