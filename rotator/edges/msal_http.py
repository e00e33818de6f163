"""
MSAL's requests over our own `Http`, so that time, size, TLS and proxies are bounded in one place.

What MSAL would misread, repeat from memory or raise in its own way (429, 5xx, a redirect, what
is not JSON) is raised here as a `RequestError` before MSAL sees it. Of an answer only the members
that are used are handed on, each of them checked: MSAL acts on many more, such as `id_token` and
`client_info`, and fails in its own ways where they are not what it expects.

Sources: RFC 6749, sections 5.1 and 5.2; "Microsoft identity platform and the OAuth 2.0 client
credentials flow"; OpenID Connect Discovery 1.0, section 3.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.edges.http import Answer, Http
from rotator.edges.json_text import parse_json

MAX_ELEMENTS = 1_000  # values and members of an answer; those of Entra have about 50
_ENDPOINT = re.compile(r"https://\S{1,2000}")
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)
_ERROR = re.compile(r"[A-Za-z0-9_.-]{1,80}")  # RFC 6749, section 5.2, allows more; Entra uses these
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")  # what Entra calls a trace id or a correlation id
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
    """
    Our `Http` in the shape that MSAL calls.

    answer:  the last one, for its status and ids
    content: the checked members of it
    """

    def __init__(self, http: Http, on_secret: Callable[[str], None] = lambda _: None) -> None:
        """*on_secret* is called with each assertion before it is sent."""
        self._http = http
        self._on_secret = on_secret
        self.answer: Answer | None = None
        self.content: Mapping[str, Any] = {}

    def get(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, **_: object
    ) -> MsalResponse:
        return self._send("discovery", "GET", _with(url, params), headers or {}, None)

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> MsalResponse:
        if data and "client_assertion" in data:  # RFC 7521, section 4.2
            assertion: str | bytes = data["client_assertion"]  # bytes where MSAL has made it with a certificate
            self._on_secret(assertion if isinstance(assertion, str) else assertion.decode())
        form = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._send("token", "POST", _with(url, params), form, urlencode(data or {}).encode())

    def close(self) -> None:
        """Nothing: the `Http` is closed by its owner."""

    def _send(
        self, operation: str, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> MsalResponse:
        ours = {name: value for name, value in headers.items() if name.lower() != "client-request-id"}
        self.answer, self.content = None, {}
        answer = self._http.send(operation, method, url, headers=ours, content=content)
        self.answer = replace(answer, body=b"")  # which is kept for long
        self.content = _checked(answer, operation, urlsplit(url).hostname or url)
        return MsalResponse(answer.status, json.dumps(self.content), answer.headers)


def _with(url: str, params: Mapping[str, str] | None) -> str:
    return f"{url}?{urlencode(params)}" if params else url


def _checked(answer: Answer, operation: str, host: str) -> Mapping[str, Any]:
    """The members that are used; raise for what MSAL would misread, repeat from memory, or raise in its own way."""
    content = None
    if answer.status == 429:
        kind, what = FailureKind.THROTTLED, "too many requests; it is tried again later"
    elif answer.status >= 500:
        kind, what = FailureKind.SERVICE, "the login host has a problem; it is tried again later"
    else:
        kind, what = FailureKind.UNREADABLE, "not a documented answer; check `cloud`, and any proxy in between"
        content = usable(answer.body, operation if answer.status == 200 else "refusal" if answer.status >= 400 else "")
    if content is not None and answer.status == HTTPStatus.BAD_REQUEST and content.get("error") in _PASSING:
        kind, what = FailureKind.SERVICE, f"{content['error']}; it is tried again later"
    elif content is not None:
        return content
    failure = Failure(
        kind=kind,
        message=f"{host} answered {answer.status} to {operation}: {what}",
        status=answer.status,
        client_request_id=answer.client_request_id,
        retry_after=answer.retry_after,
    )
    raise RequestError(failure)


_PASSING = ("temporarily_unavailable", "server_error")
"""OAuth's errors that say nothing about the app: RFC 6749, section 4.1.2.1, and Entra with status 400."""


def usable(body: bytes | bytearray, what: str) -> dict[str, Any] | None:
    """
    The members of the JSON object *body* that are used; None where what is taken for granted is not there.

    what: discovery, token or refusal; for anything else there is nothing
    """
    read = _READERS.get(what)
    try:
        content = parse_json(body, MAX_ELEMENTS) if read is not None else None
    except (ValueError, RecursionError):
        return None
    return read(content) if read is not None and isinstance(content, dict) else None


def _discovery(content: Mapping[str, Any]) -> dict[str, Any] | None:
    found = {name: content.get(name) for name in ("authorization_endpoint", "token_endpoint")}
    is_whole = all(isinstance(each, str) and _ENDPOINT.fullmatch(each) for each in found.values())
    return found if is_whole else None


def _token(content: Mapping[str, Any]) -> dict[str, Any] | None:
    token, kind = content.get("access_token"), content.get("token_type", "Bearer")
    spans = {name: content[name] for name in ("expires_in", "refresh_in") if name in content}
    if (
        not isinstance(token, str)
        or not _TOKEN.fullmatch(token)
        or not isinstance(kind, str)
        or kind.lower() != "bearer"
        or "expires_in" not in spans
        or not all(_SECONDS.fullmatch(str(span)) for span in spans.values())
    ):
        return None
    return {"access_token": token, "token_type": "Bearer", **{name: int(span) for name, span in spans.items()}}


def _refusal(content: Mapping[str, Any]) -> dict[str, Any] | None:
    if "access_token" in content:
        return None
    found: dict[str, Any] = {"error": "no reason"}
    for name, shape in (("error", _ERROR), ("correlation_id", _ID), ("trace_id", _ID)):
        value = content.get(name)
        if isinstance(value, str) and shape.fullmatch(value):
            found[name] = value
    numbers = content.get("error_codes")
    if isinstance(numbers, list) and numbers and type(numbers[0]) is int and 0 < numbers[0] < 10**9:
        found["error_codes"] = [numbers[0]]
    if policy := _POLICY_CODE.match(str(content.get("error_description", ""))[:80]):
        found["policy_code"] = policy[0]
    return found


_POLICY_CODE = re.compile(r"AADB2C\d{5}")  # "Error codes: Azure Active Directory B2C"; they stand only in the text
_READERS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any] | None]] = {
    "discovery": _discovery,
    "token": _token,
    "refusal": _refusal,
}
