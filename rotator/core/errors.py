"""
What can go wrong, and who must act.

    RotatorError
    ├── ConfigError     the configuration is invalid; its author must fix it
    └── RequestError    a request to Graph or to the login host failed;
                        `failure.kind` says why, and docs/outcomes-and-failures.md says who must act on it

`FailureKind` is the complete list, and part of the interface. Every exception that is not a
`RotatorError` is a bug in rotator; it is caught where one keyset is visited, and reported as `internal`.
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
"""OpenSSL's code for a peer certificate that is not trusted. A retry does not help."""


class Effect(StrEnum):
    """Whether a failed request may have changed something."""

    NONE = "none"  # certainly not: it was never sent, or the service says so
    UNKNOWN = "unknown"  # possibly: the answer was lost, so the keyset must be read to find out


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    Why a request failed. It contains no secret, and not the body of the response.

    message:            one line: what, where, and what to do
    status, code:       HTTP status and error code of the answer; *code* is `UNTRUSTED` if TLS refused the peer
    request_id:         the service's own id of the request, for a support case
    client_request_id:  the id that rotator gave the request
    retry_after:        how long the service asks to wait before the next request
    if_it_lasts:        replaces *message* if the failure lasts; *message* then describes what usually passes by itself
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
        """The same failure, with *addition* at the end of its message."""
        return replace(self, message=f"{self.message}; {addition}")


class RotatorError(Exception):
    """The base class of all errors of rotator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigProblem:
    """
    One problem of a configuration: where it is (`tenants[0].keysets[1].overlap`) and what it is.

    line: of the file, from 1; None if the problem is not in the file
    file: the path of the file, if it is not the configuration file
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
    """The configuration is invalid. `problems` lists every problem that was found; none contains a secret."""

    def __init__(self, source: str, problems: tuple[ConfigProblem, ...]) -> None:
        """*source* is the path of the file, as it was given."""
        super().__init__("\n".join(problem.located(source) for problem in problems))
        self.source = source
        self.problems = problems


class RequestError(RotatorError):
    """A request failed; *failure* says why, and *effect* whether it may have changed something."""

    def __init__(self, failure: Failure, effect: Effect = Effect.NONE) -> None:
        """*effect* is only of use for a request that writes."""
        super().__init__(failure.message)
        self.failure = failure
        self.effect = effect
