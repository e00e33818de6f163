"""One HTTP request and its answer, as numbers; the HTTP client creates it, logs and metrics read it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """
    One HTTP request and its answer.

    status:  HTTP status; None if there was no answer
    seconds: from sending to the end of the answer
    skew:    seconds by which the local clock is ahead of the peer's Date header; None without one
    """

    operation: str
    client_request_id: str
    status: int | None
    seconds: float
    skew: float | None = None
