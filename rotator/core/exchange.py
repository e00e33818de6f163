"""What a request to the outside was like; made by the one who sends, read by logs and metrics."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """
    One request as it went.

    status:  HTTP status; None where there was no answer
    seconds: from sending to the end of the answer
    skew:    seconds by which the local clock is ahead of the peer's Date header; None without one
    """

    operation: str
    client_request_id: str
    status: int | None
    seconds: float
    skew: float | None = None
