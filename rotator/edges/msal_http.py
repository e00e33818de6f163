"""
MSAL's requests over our own `Http`, so that time, size, TLS and proxies are bounded in one place.

What MSAL would misread, repeat from memory or raise in its own way (429, 5xx, a redirect, what
is not JSON) is raised here as a `RequestError` before MSAL sees it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.edges.http import Answer, Http

_ENDPOINT = re.compile(r"https://\S{1,2000}")
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,20000}=*")  # RFC 6750, section 2.1


@dataclass(frozen=True, slots=True)
class MsalResponse:
    """An answer in the shape that MSAL reads."""

    status_code: int
    text: str = field(repr=False)
    headers: Mapping[str, str]

    def raise_for_status(self) -> None:
        """MSAL calls this for answers that it cannot use; those it never sees."""


class MsalHttp:
    """Our `Http` in the shape that MSAL calls; `answer` is the last one, for what MSAL drops: ids, and `refresh_in`."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self.answer: Answer | None = None

    def get(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, **_: object
    ) -> MsalResponse:
        return self._send("discovery", "GET", _with(url, params), headers or {}, None)

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> MsalResponse:
        form = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._send("token", "POST", _with(url, params), form, urlencode(data or {}).encode())

    def close(self) -> None:
        """Nothing: the `Http` is closed by its owner."""

    def refresh_in(self) -> float | None:
        """In how many seconds the service wants the token of the last answer renewed; None where it does not say."""
        found = json.loads(self.answer.body).get("refresh_in") if self.answer is not None else None
        return None if found is None else float(found)

    def _send(
        self, operation: str, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> MsalResponse:
        ours = {name: value for name, value in headers.items() if name.lower() != "client-request-id"}
        self.answer = None
        self.answer = answer = self._http.send(operation, method, url, headers=ours, content=content)
        _check(answer, operation, urlsplit(url).hostname or url)
        return MsalResponse(answer.status, answer.body.decode("utf-8", "replace"), answer.headers)


def _with(url: str, params: Mapping[str, str] | None) -> str:
    return f"{url}?{urlencode(params)}" if params else url


def _check(answer: Answer, operation: str, host: str) -> None:
    """Raise for what MSAL would misread, repeat from memory, or raise in its own way."""
    if answer.status == 429:
        kind, what = FailureKind.THROTTLED, "too many requests; it is tried again later"
    elif answer.status >= 500:
        kind, what = FailureKind.SERVICE, "the login host has a problem; it is tried again later"
    elif (answer.status == 200 and is_usable_answer(answer.body, operation)) or (
        answer.status >= 400 and is_usable_answer(answer.body, "refusal")
    ):
        return
    else:
        kind, what = FailureKind.UNREADABLE, "not a documented answer; check `cloud`, and any proxy in between"
    message = f"{host} answered {answer.status} to {operation}: {what}"
    failure = Failure(
        kind=kind,
        message=message,
        status=answer.status,
        client_request_id=answer.client_request_id,
        retry_after=answer.retry_after,
    )
    raise RequestError(failure)


def is_usable_answer(body: bytes, what: str) -> bool:
    """Whether *body* is a JSON object with what MSAL takes for granted in it: discovery, a token, or a refusal."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(content, dict):
        return False
    match what:
        case "discovery":
            endpoints = (content.get("authorization_endpoint"), content.get("token_endpoint"))
            return all(isinstance(each, str) and _ENDPOINT.fullmatch(each) for each in endpoints)
        case "token":
            token, spans = content.get("access_token"), (content.get("expires_in"), content.get("refresh_in", 0))
            return (
                isinstance(token, str)
                and _TOKEN.fullmatch(token) is not None
                and all(_SECONDS.fullmatch(str(span)) for span in spans)
            )
        case _:
            return "access_token" not in content
