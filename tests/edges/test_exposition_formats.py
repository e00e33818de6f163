"""The formats of the exposition, whatever an Accept header asks for."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from rotator.edges.metrics import Metrics, Registry
from rotator.shell.status_store import StatusStore

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def exposed() -> Metrics:
    """The metrics of a daemon that has no keysets."""
    metrics = Metrics(Registry(), StatusStore(lambda _: None), lambda: datetime(2030, 1, 1, tzinfo=UTC))
    metrics.configure(timedelta(minutes=15), dry_run=False)
    return metrics


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        pytest.param("", PLAIN, id="none"),
        pytest.param("*/*", PLAIN, id="anything"),
        pytest.param("text/html,application/xhtml+xml", PLAIN, id="a browser"),
        pytest.param("text/plain;version=0.0.4", PLAIN, id="text"),
        pytest.param(
            "application/openmetrics-text", OPENMETRICS.partition("; esc")[0], id="OpenMetrics of any version"
        ),
        pytest.param("application/openmetrics-text; version=1.0.0", OPENMETRICS, id="OpenMetrics"),
        pytest.param(PROMETHEUS, OPENMETRICS.replace("underscores", "allow-utf-8"), id="Prometheus 3"),
        *(
            pytest.param(f"{format_};version={version}", PLAIN, id=f"{format_} {version!r}")
            for format_ in ("text/plain", "application/openmetrics-text")
            for version in (
                "latest",
                "1.x",
                '"1.0.0"',
                "9999.0.0",
                "1.0.0+evil",
                "1.0\x0b.0",
                "\u0661.0.0",
                "=",
                "1" * 9999,
            )
        ),
        pytest.param(";;,=;version=1.0.0,,;", PLAIN, id="nonsense"),
        pytest.param(
            "text/plain;version=latest,application/openmetrics-text;version=1.0.0", OPENMETRICS, id="the second"
        ),
    ],
)
def test_format_by_accept_header(accept: str, content_type: str) -> None:
    """What is not understood gets the default format, and nothing of the header is reflected."""
    page, found = exposed().render(accept)
    assert found == content_type
    parse = parse_openmetrics if "openmetrics" in found else parse_text
    assert "b2c_rotator_check_interval_seconds" in [family.name for family in parse(page.decode())]
