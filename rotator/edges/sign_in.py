"""
The sign-in side of a tenant: the documents that relying parties fetch, and the tokens that they get.

For each policy it reads the OpenID configuration (cached for a day) and the JWKS that this names. It
can fetch a token of the first policy with the client credentials of the canary application. Only the
kid of a token is kept, and whether its signature verifies.

The `issuer` of the OpenID configuration is not checked: it never equals the URL (tokens overview).

Sources: "Overview of tokens in Azure Active Directory B2C" (endpoints); "Set up OAuth 2.0 client
credentials flow in Azure Active Directory B2C"; OpenID Connect Discovery 1.0, section 4; RFC 7517,
section 5 (JWKS); RFC 7515, section 4.1.4 (kid).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Protocol

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.publication import Probe, Token
from rotator.edges.answers import is_text, origin, parse_object, unreadable
from rotator.edges.http import Answer, Http
from rotator.edges.jose import Listed, is_signed_by, parse_jwks, token_kid

DISCOVERY_LIFETIME = timedelta(days=1)

# The answer must come from B2C and not from a cache in between.
_HEADERS = {"Accept": "application/json", "Cache-Control": "no-cache"}


class Issuer(Protocol):
    """Fetches tokens as the canary application. `fresh` raises `RequestError`."""

    def fresh(self) -> tuple[str, timedelta]:
        """Fetch a token; returns it, and how long it is valid."""
        ...


class Directory(Protocol):
    """Graph's view of the keys. Each method raises `RequestError`."""

    def kids(self) -> frozenset[str]:
        """The kids of all keysets of the tenant."""
        ...

    def active_kid(self, keyset_id: str) -> str | None:
        """The kid of the active key; None if the service names none."""
        ...


class Clock(Protocol):
    """The clock, as far as this module needs it."""

    def now(self) -> datetime:
        """The instant: aware, UTC, whole seconds."""
        ...


@dataclass(frozen=True, slots=True)
class _Discovered:
    jwks_uri: str
    until: datetime


class SignIn:
    """The sign-in side of one tenant; one probe at a time."""

    def __init__(
        self,
        url: str,
        tenant_id: str,
        policies: tuple[str, ...],
        http: Http,
        *,
        probe_interval: timedelta,
        clock: Clock,
        directory: Directory,
        issuer: Issuer | None = None,
    ) -> None:
        """
        No request is made yet.

        url:            the base URL of the sign-in host
        probe_interval: the interval of probes while something is unknown
        issuer:         fetches tokens of the first policy; None if none are fetched
        """
        self.probe_interval = probe_interval
        self.policies = tuple(dict.fromkeys(policy.lower() for policy in policies))
        self._root = f"{url}/{tenant_id}"
        self._host = url
        self._http = http
        self._clock = clock
        self._directory = directory
        self._issuer = issuer
        self._discovered: dict[str, _Discovered] = {}

    @property
    def fetches_tokens(self) -> bool:
        """True if a canary application is configured."""
        return self._issuer is not None

    def all_kids(self) -> frozenset[str] | None:
        """The kids of all keysets of the tenant, configured or not; None if they cannot be listed."""
        try:
            return self._directory.kids()
        except RequestError:
            return None

    def probe(self, *, with_token: bool, ask_active: Collection[str]) -> Probe:
        """
        Probe all policies; failures are part of the result.

        ask_active: the keysets for which to call getActiveKey
        """
        shown: dict[str, tuple[Listed, ...]] = {}
        failures: dict[str, Failure] = {}
        caching: dict[str, str] = {}
        for policy in self.policies:
            try:
                answer = self._get("jwks", self._jwks_uri(policy))
                shown[policy] = parse_jwks(parse_object(answer))
                if is_text(said := answer.headers.get("cache-control")):
                    caching[policy] = said
            except RequestError as error:
                failures[policy] = error.failure
                self._discovered.pop(policy, None)
        active: dict[str, str | None] = {}
        for keyset_id in ask_active:
            try:
                active[keyset_id] = self._directory.active_kid(keyset_id)
            except RequestError:
                continue  # the looks at the keyset report problems with Graph
        token, token_failure = None, None
        if with_token and self._issuer is not None:
            try:
                token = self._token(self._issuer, shown.get(self.policies[0], ()))
            except RequestError as error:
                token_failure = error.failure
        return Probe(
            now=self._clock.now(),
            listed={policy: tuple(each.key for each in keys) for policy, keys in shown.items()},
            token=token,
            active_kids=active,
            failures=failures,
            token_failure=token_failure,
            caching=caching,
        )

    def _jwks_uri(self, policy: str) -> str:
        known, now = self._discovered.get(policy), self._clock.now()
        if known is not None and now < known.until:
            return known.jwks_uri
        answer = self._get("openid_configuration", f"{self._root}/{policy}/v2.0/.well-known/openid-configuration")
        uri = parse_object(answer).get("jwks_uri")
        if not is_text(uri) or not uri.isprintable() or origin(uri) != origin(self._host):
            raise unreadable(f"the OpenID configuration of {policy} has no jwks_uri, or one at another host", answer)
        self._discovered[policy] = _Discovered(uri, now + DISCOVERY_LIFETIME)
        return uri

    def _get(self, operation: str, url: str) -> Answer:
        answer = self._http.send(operation, "GET", url, headers=_HEADERS)
        if answer.status != HTTPStatus.OK:
            raise RequestError(_refusal(operation, answer))
        return answer

    def _token(self, issuer: Issuer, shown: Collection[Listed]) -> Token:
        value, lifetime = issuer.fresh()
        kid = token_kid(value)
        listed = next((each for each in shown if each.key.kid == kid), None)
        is_verified = listed is not None and is_signed_by(value, listed)
        return Token(policy=self.policies[0], kid=kid, lifetime=lifetime, is_verified=is_verified)


def _refusal(operation: str, answer: Answer) -> Failure:
    match answer.status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            kind, what = FailureKind.THROTTLED, "too many requests; the next probe shows whether that is over"
        case HTTPStatus.NOT_FOUND | HTTPStatus.BAD_REQUEST:
            kind, what = FailureKind.NOT_FOUND, "there is no such policy; check policies, tenant_id and url"
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            kind, what = (
                FailureKind.SERVICE,
                "the sign-in host has a problem; the next probe shows whether that is over",
            )
        case _:
            kind, what = FailureKind.UNREADABLE, "not a documented answer; check url, and any proxy in between"
    return Failure(
        kind=kind,
        message=f"the sign-in host answered {answer.status} to {operation}: {what}",
        status=answer.status,
        client_request_id=answer.client_request_id,
        retry_after=answer.retry_after,
    )
