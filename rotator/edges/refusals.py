"""
The meaning of Graph's error answers: the kind of failure, and whether the request may have been carried out.

Pure functions.

Sources: "Microsoft Graph error responses and resource types"; Azure AD B2C's error codes (AADB2C numbers).
"""

from rotator.core.errors import Effect, Failure, FailureKind, RequestError
from rotator.edges.answers import identifier, parse_object
from rotator.edges.http import Answer

READ = "TrustFrameworkKeySet.Read.All"
WRITE = "TrustFrameworkKeySet.ReadWrite.All"

_CODES = {
    "AADB2C90073": FailureKind.NOT_FOUND,
    "AADB2C90130": FailureKind.NOT_FOUND,
    "AADB2C95052": FailureKind.NOT_FOUND,
    "AADB2C95043": FailureKind.THROTTLED,
    "AADB2C95053": FailureKind.CONFLICT,
    "AADB2C90063": FailureKind.SERVICE,
    "AADB2C90035": FailureKind.SERVICE,
    "AADB2C99007": FailureKind.FORBIDDEN,
}
_STATUSES = {
    401: FailureKind.AUTH,
    403: FailureKind.FORBIDDEN,
    404: FailureKind.NOT_FOUND,
    405: FailureKind.BAD_REQUEST,
    408: FailureKind.TIMEOUT,
    409: FailureKind.CONFLICT,
    412: FailureKind.CONFLICT,
    423: FailureKind.CONFLICT,
    429: FailureKind.THROTTLED,
    501: FailureKind.BAD_REQUEST,
    509: FailureKind.THROTTLED,
}
_NOTHING_DONE = frozenset(FailureKind) - {
    FailureKind.SERVICE,
    FailureKind.TIMEOUT,
    FailureKind.UNREADABLE,
}


def classify(status: int, code: str | None) -> tuple[FailureKind, Effect]:
    """
    The kind of failure, and whether the request may nevertheless have been carried out.

    The code has priority over the status: B2C answers 400 as well as 404 for a missing keyset,
    and 400 as well as 500 for "there is a problem with the service".
    """
    kind = _CODES.get(code or "") or _STATUSES.get(status)
    if kind is None and status >= 500:
        kind = FailureKind.SERVICE
    elif kind is None:
        kind = FailureKind.BAD_REQUEST if status >= 400 else FailureKind.UNREADABLE
    return kind, Effect.NONE if kind in _NOTHING_DONE else Effect.UNKNOWN


def refused(answer: Answer, operation: str) -> RequestError:
    """The error for an error answer of Graph."""
    code = _error_code(answer)
    kind, effect = classify(answer.status, code)
    failure = Failure(
        kind=kind,
        message=_explain(kind, answer.status, code, operation),
        status=answer.status,
        code=code,
        request_id=identifier(answer.headers.get("request-id")),
        client_request_id=answer.client_request_id,
        retry_after=answer.retry_after,
    )
    return RequestError(failure, effect)


def _error_code(answer: Answer) -> str | None:
    try:
        error = parse_object(answer).get("error")
    except RequestError:
        return None
    return identifier(error.get("code")) if isinstance(error, dict) else None


def _explain(kind: FailureKind, status: int, code: str | None, operation: str) -> str:
    said = f"Graph answered {status}{f' {code}' if code else ''} to {operation}"
    needed = READ if operation in ("list_keysets", "get_keyset") else WRITE
    advice = {
        FailureKind.AUTH: "a new token is refused; check tenant_id, cloud and the app registration",
        FailureKind.FORBIDDEN: f"no permission; grant the app the application permission {needed}, with admin consent",
        FailureKind.NOT_FOUND: "there is no such keyset in this tenant; check its id, tenant_id and cloud",
        FailureKind.THROTTLED: "too many requests; rotator tries again later",
        FailureKind.CONFLICT: "another client is writing to this keyset; find out which one",
        FailureKind.SERVICE: "the service has a problem; rotator tries again later",
        FailureKind.TIMEOUT: "the service gave up waiting; rotator tries again later",
        FailureKind.BAD_REQUEST: "the request is refused; look up the code, check use and kty",
        FailureKind.UNREADABLE: "not a documented answer (a redirect is not followed); check `cloud`, and any proxy",
    }
    return f"{said}: {advice[kind]}"
