from dataclasses import replace

import pytest

from rotator.core.errors import ConfigError, ConfigProblem, Effect, Failure, FailureKind, RequestError


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (ConfigProblem(path="tenants[0].name", message="is missing"), "tenants[0].name: is missing"),
        (ConfigProblem(path="", message="is not valid YAML"), "is not valid YAML"),
    ],
)
def test_problem_is_one_line(problem: ConfigProblem, line: str) -> None:
    """A problem says where it is, if it is anywhere, and what."""
    assert line == str(problem)


def test_config_error_tells_every_problem() -> None:
    """All problems are reported, one a line, with the name of the file."""
    problems = (
        ConfigProblem(path="settle", message="is not a duration"),
        ConfigProblem(path="log.level", message="is unknown"),
    )
    error = ConfigError("rotator.yaml", problems)
    assert str(error) == "rotator.yaml: settle: is not a duration\nrotator.yaml: log.level: is unknown"
    assert (error.source, error.problems) == ("rotator.yaml", problems)


def test_failure_explained() -> None:
    """More can be said of a failure; everything else of it stays."""
    failure = Failure(kind=FailureKind.SERVICE, message="it failed", status=503, code="busy")
    assert replace(failure, message="it failed; and again") == failure.explained("and again")


def test_request_error_says_what_failed() -> None:
    """The error has the text of the failure; by default its request had no effect."""
    failure = Failure(kind=FailureKind.TIMEOUT, message="no answer")
    error = RequestError(failure)
    assert (str(error), error.failure, error.effect) == ("no answer", failure, Effect.NONE)
