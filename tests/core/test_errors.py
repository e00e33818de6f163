from dataclasses import replace

import pytest

from rotator.core.errors import ConfigError, Effect, Failure, FailureKind, Fault, RequestError


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (Fault(path="tenants[0].name", message="is missing"), "tenants[0].name: is missing"),
        (Fault(path="", message="is no YAML"), "is no YAML"),
    ],
)
def test_fault_is_one_line(fault: Fault, line: str) -> None:
    """A fault says where it is, if it is anywhere, and what."""
    assert line == str(fault)


def test_config_error_tells_every_fault() -> None:
    """All that is wrong is told, a line each, with the name of the file."""
    faults = (Fault(path="settle", message="is no duration"), Fault(path="log.level", message="is unknown"))
    error = ConfigError("rotator.yaml", faults)
    assert str(error) == "rotator.yaml: settle: is no duration\nrotator.yaml: log.level: is unknown"
    assert (error.source, error.faults) == ("rotator.yaml", faults)


def test_failure_explained() -> None:
    """More can be said of a failure; everything else of it stays."""
    failure = Failure(kind=FailureKind.SERVICE, message="it failed", status=503, code="busy")
    assert replace(failure, message="it failed; and again") == failure.explained("and again")


def test_request_error_says_what_failed() -> None:
    """The error's text is the failure's; unless told otherwise the request did nothing."""
    failure = Failure(kind=FailureKind.TIMEOUT, message="no answer")
    error = RequestError(failure)
    assert (str(error), error.failure, error.effect) == ("no answer", failure, Effect.NONE)
