"""
Access tokens for Graph, from Entra's token endpoint. Only this module imports MSAL.

Behaviour of MSAL that this module works around (measured with 1.39):

- its application object takes about 8 kB for each tenant, caches a refusal for a minute and does not send
  another request, never reads a secret or certificate again, and has a token cache that uses the machine's
  clock and cannot be switched off. So an object is created for each request. This module caches the last
  token, and uses it while it is valid;
- its constructor makes a request (discovery): `MsalHttp` caches that answer until a request fails;
- 4xx comes back as a dict, 5xx and transport errors as exceptions;
- it turns `refresh_in` into an instant of the machine's clock, so it is read from the answer;
- it raises errors of many types for answers that it does not expect.

Sources: "Microsoft identity platform and the OAuth 2.0 client credentials flow";
"Microsoft Entra authentication and authorization error codes" (AADSTS numbers).
"""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.edges.credentials import Credential, client_credential
from rotator.edges.http import Clock, Http
from rotator.edges.jose import json_part
from rotator.edges.msal_http import MsalHttp
from rotator.edges.token_refusals import not_understood, refuse

GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
RENEW_BEFORE = 300.0  # seconds before its expiry that a token is renewed
MIN_PERMISSIONS_AGE = 60.0  # seconds; a newer token is kept even if it lacks a permission
RENEWAL_RETRY = 60.0  # seconds between attempts to renew a token that is still valid


class OnSecret(Protocol):
    """A callback for a value that must never be printed."""

    def __call__(self, value: str, *, permanent: bool) -> None:
        """*permanent*: the value stays in use; False for one of many that change, such as a token."""
        ...


@dataclass(slots=True)
class _Token:
    value: str = field(repr=False)
    issued: float  # all monotonic
    expires: float
    renew: float


class Tokens:
    """Tokens for one app registration in one tenant. Thread-safe; one request at a time."""

    def __init__(
        self,
        http: Http,
        *,
        authority: str,
        scope: str,
        client_id: str,
        credential: Credential,
        clock: Clock,
        on_attempt: Callable[[bool], None],
        on_secret: OnSecret,
        on_expiry: Callable[[datetime | None], None],
        on_directory: Callable[[str], None] = lambda _: None,
    ) -> None:
        """
        No request is made, and the credential is not read yet.

        authority:  the base URL of the login host with the tenant
        on_attempt: called after each attempt, with True if there is a token
        on_secret:  called with each value that must never be printed
        on_expiry:  called whenever the credential is read, with the instant at which it expires; None if unknown
        on_directory: called with the GUID of the directory that a token is for, where the token says it
        """
        self._http = MsalHttp(http, lambda value: on_secret(value, permanent=False))
        self._authority = authority
        self._scope = scope
        self._client_id = client_id
        self._credential = credential
        self._clock = clock
        self._on_attempt = on_attempt
        self._on_secret = on_secret
        self._on_expiry = on_expiry
        self._on_directory = on_directory
        self._lock = threading.Lock()
        self._token: _Token | None = None

    def get(self) -> str:
        """
        A token that is valid now: the cached one, or a new one.

        Raises:
            RequestError: no token can be had; the message says why.

        """
        with self._lock:
            now = self._clock.monotonic()
            if self._token is not None and now < self._token.renew:
                return self._token.value
            try:
                self._token = self._acquire()
            except RequestError:
                if self._token is None or now >= self._token.expires:
                    raise
                self._token.renew = min(now + RENEWAL_RETRY, self._token.expires)
            return self._token.value

    def fresh(self) -> tuple[str, timedelta]:
        """
        Fetch a token without the cache; returns it, and how long it is valid.

        Raises:
            RequestError: no token can be had; the message says why.

        """
        with self._lock:
            token = self._acquire()
            return token.value, timedelta(seconds=token.expires - self._clock.monotonic())

    def reject(self, token: str) -> None:
        """Drop *token*, which the service refused."""
        with self._lock:
            if self._token is not None and self._token.value == token:
                self._token = None
                self._http.forget_discovery()

    def outdate(self, token: str) -> bool:
        """
        Drop *token*, which lacks a permission, unless it is newer than `MIN_PERMISSIONS_AGE`; True if it was dropped.

        A token has the permissions that were granted before it was issued. So a new token helps if the permission
        was granted later. If it is never granted, this costs one token a minute at most.
        """
        with self._lock:
            held = self._token
            if held is None or held.value != token:
                return True
            if self._clock.monotonic() - held.issued < MIN_PERMISSIONS_AGE:
                return False
            self._token = None
            return True

    def _acquire(self) -> _Token:
        granted = False
        try:
            credential = client_credential(
                self._credential, self._on_expiry, lambda value: self._on_secret(value, permanent=True)
            )
            result = self._ask(self._build(credential))
            granted = "access_token" in result
        except RequestError as error:
            # A token request never changes a keyset, so the default effect (none) is right.
            raise RequestError(error.failure) from error
        finally:
            if not granted:
                self._http.forget_discovery()
            self._on_attempt(granted)
        if not granted:
            refuse(result, self._client_id, self._http.answer)
        self._on_secret(result["access_token"], permanent=False)
        if directory := directory_of(result["access_token"]):
            self._on_directory(directory)
        now, lifetime = self._clock.monotonic(), float(result["expires_in"])
        refresh_in = self._http.content.get("refresh_in")
        renew = now + max(lifetime - RENEW_BEFORE, lifetime / 2)
        if refresh_in is not None:
            renew = min(renew, now + refresh_in)
        return _Token(value=result["access_token"], issued=now, expires=now + lifetime, renew=renew)

    def _ask(self, application: Any) -> Mapping[str, Any]:  # noqa: ANN401 - MSAL ships no types
        """MSAL's result: a token, or an error."""
        try:
            result: Mapping[str, Any] = application.acquire_token_for_client(scopes=[self._scope])
        except RequestError:
            raise
        except Exception as error:  # noqa: BLE001 - MSAL raises errors of many types, and its words can quote an answer
            raise not_understood(error, urlsplit(self._authority).hostname) from None
        return result

    def _build(self, credential: object) -> Any:  # noqa: ANN401 - MSAL ships no types
        import msal  # noqa: PLC0415 - takes 50 ms, which `--help` and an invalid configuration do not need

        if isinstance(credential, str):
            self._on_secret(credential, permanent=True)
        try:
            return msal.ConfidentialClientApplication(
                self._client_id,
                authority=self._authority,
                client_credential=credential,
                http_client=self._http,
                instance_discovery=False,
            )
        except ValueError as error:
            host, tenant = urlsplit(self._authority).hostname, self._authority.rpartition("/")[2]
            message = f"{host} has no tenant {tenant}; check tenant_id and cloud"
            raise RequestError(Failure(kind=FailureKind.AUTH, message=message)) from error


def directory_of(token: str) -> str | None:
    """
    The GUID of the directory that issued an access token (its claim `tid`), in lower case; None if there is none.

    The token is not verified: it comes from the service, and the GUID is only compared with that of other tenants.
    """
    found = json_part(token, 1).get("tid")
    return found.lower() if isinstance(found, str) and GUID.fullmatch(found) else None
