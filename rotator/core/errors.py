"""
What can go wrong, and who must act.

    RotatorError
    ├── ConfigError     the configuration is invalid: whoever wrote it must act
    └── RequestError    a request to Graph or to the login host did not do what we asked;
                        `failure.kind` says why, and docs/outcomes-and-failures.md says who must act on it

`FailureKind` is the closed list of the interface. Everything that is not a
`RotatorError` is a bug of ours; the sweep alone catches it, as `internal`.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum


class FailureKind(StrEnum):
    """Why something failed. The values are part of the interface: metric label and `error.kind`."""

    AUTH = "auth"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    THROTTLED = "throttled"
    NETWORK = "network"
    TIMEOUT = "timeout"
    SERVICE = "service"
    BAD_REQUEST = "bad_request"
    UNREADABLE = "unreadable"
    MISMATCH = "mismatch"
    UNCONFIRMED = "unconfirmed"
    CONFLICT = "conflict"
    CLOCK_SKEW = "clock_skew"
    INTERNAL = "internal"


UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
"""OpenSSL's word for a peer whose certificate is not trusted: trying again changes nothing."""


class Effect(StrEnum):
    """What a request that failed may have done."""

    NONE = "none"  # certainly nothing: it was never sent, or the service says so
    UNKNOWN = "unknown"  # perhaps all of it: only looking tells


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    Why a request failed, without anything secret and without the response's body.

    message:            one line: what, where, and what to do
    status, code:       HTTP status and error code, where there was an answer; `UNTRUSTED` where there could be none
    request_id:         the service's own id of the request, for a support case
    client_request_id:  ours
    retry_after:        how long the service asks to be left alone
    if_it_lasts:        the message in its place, where what *message* says passes by itself most often
    """

    kind: FailureKind
    message: str
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    client_request_id: str | None = None
    retry_after: timedelta | None = None
    if_it_lasts: str | None = None

    def explained(self, addition: str) -> "Failure":
        """The same failure with more to say."""
        return replace(self, message=f"{self.message}; {addition}")


class RotatorError(Exception):
    """The root of all our errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigProblem:
    """
    One thing that is wrong with a configuration: where (`tenants[0].keysets[1].overlap`) and what.

    line: of the file, from 1; None where the problem is not in the file
    file: where it is in another file than the configuration itself
    """

    path: str
    message: str
    line: int | None = None
    file: str | None = None

    def __str__(self) -> str:
        """Render the problem as one line."""
        return f"{self.path}: {self.message}" if self.path else self.message

    def located(self, source: str) -> str:
        """The problem as a line that begins with the file, and the line in it, as compilers write it."""
        file = self.file or source
        return f"{file}:{self.line}: {self}" if self.line else f"{file}: {self}"


class ConfigError(RotatorError):
    """An invalid configuration; `problems` has all that is wrong with it, none with a secret."""

    def __init__(self, source: str, problems: tuple[ConfigProblem, ...]) -> None:
        """*source* is the file, as it was named to us."""
        super().__init__("\n".join(problem.located(source) for problem in problems))
        self.source = source
        self.problems = problems


class RequestError(RotatorError):
    """A request that did not do what we asked."""

    def __init__(self, failure: Failure, effect: Effect = Effect.NONE) -> None:
        """*effect* only matters for a request that writes."""
        super().__init__(failure.message)
        self.failure = failure
        self.effect = effect
