"""
MSAL's requests over `Http`, so that time, size, TLS and proxies are controlled in one place.

Answers that MSAL would misread, cache, or turn into its own exceptions (429, 5xx, redirects, other
content than JSON) are raised here as `RequestError` before MSAL sees them. MSAL gets only the members
of an answer that rotator uses, after a check: it acts on many more, such as `id_token` and
`client_info`, and fails in various ways if they are not as expected.

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
    """An answer with the interface that MSAL expects."""

    status_code: int
    text: str = field(repr=False)
    headers: Mapping[str, str]

    def raise_for_status(self) -> None:
        """Do nothing: answers for which MSAL calls this never reach it."""


class MsalHttp:
    """
    `Http` with the interface that MSAL expects.

    answer:  the last one, for its status and ids
    content: the checked members of it
    """

    def __init__(self, http: Http, on_secret: Callable[[str], None] = lambda _: None) -> None:
        """*on_secret* is called with each assertion before it is sent."""
        self._http = http
        self._on_secret = on_secret
        self.answer: Answer | None = None
        self.content: Mapping[str, Any] = {}
        self._discovered: MsalResponse | None = None

    def forget_discovery(self) -> None:
        """Ask for the endpoints again before the next token: the ones that are known may be wrong."""
        self._discovered = None

    def get(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, **_: object
    ) -> MsalResponse:
        """The endpoints, the only thing that MSAL gets; asked for once, until `forget_discovery`."""
        if self._discovered is None:
            self._discovered = self._send("discovery", "GET", _with(url, params), headers or {}, None)
        return self._discovered

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
        """Do nothing: the owner of the `Http` closes it."""

    def _send(
        self, operation: str, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> MsalResponse:
        ours = {name: value for name, value in headers.items() if name.lower() != "client-request-id"}
        self.answer, self.content = None, {}
        answer = self._http.send(operation, method, url, headers=ours, content=content)
        self.answer = replace(answer, body=b"")  # the answer is kept, so its body is dropped
        self.content = _checked(answer, operation, urlsplit(url).hostname or url)
        return MsalResponse(answer.status, json.dumps(self.content), answer.headers)


def _with(url: str, params: Mapping[str, str] | None) -> str:
    return f"{url}?{urlencode(params)}" if params else url


def _checked(answer: Answer, operation: str, host: str) -> Mapping[str, Any]:
    """The members that rotator uses. Raises `RequestError` for answers that MSAL must not see."""
    content = None
    if answer.status == 429:
        kind, what = FailureKind.THROTTLED, "too many requests; rotator tries again later"
    elif answer.status >= 500:
        kind, what = FailureKind.SERVICE, "the login host has a problem; rotator tries again later"
    else:
        kind, what = FailureKind.UNREADABLE, "not a documented answer; check `cloud`, and any proxy in between"
        content = usable(answer.body, operation if answer.status == 200 else "refusal" if answer.status >= 400 else "")
    if content is not None and answer.status == HTTPStatus.BAD_REQUEST and content.get("error") in _PASSING:
        kind, what = FailureKind.SERVICE, f"{content['error']}; rotator tries again later"
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
"""OAuth errors that are not caused by the app: RFC 6749, section 4.1.2.1; Entra sends them with status 400."""


def usable(body: bytes | bytearray, what: str) -> dict[str, Any] | None:
    """
    The members of the JSON object *body* that rotator uses; None if a required one is missing.

    what: discovery, token or refusal; otherwise the result is None
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
