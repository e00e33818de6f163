"""
Access tokens for Graph, from Entra's token endpoint. The only door to MSAL.

MSAL's ways that shape this module (measured with 1.39):

- its constructor goes to the network (discovery), so the application object is
  built when the first token is needed, and built anew after a failure: MSAL
  repeats a refusal from memory for a minute without asking again;
- it never reads a secret or certificate again: where the file has changed by the
  time of the next token, the object is built anew, before the old one is refused;
- 4xx comes back as a dict, 5xx and transport errors as exceptions;
- its token cache goes by the machine's clock and cannot be switched off: it is emptied before
  each request. The last good token is kept here, and used as long as it is valid;
- it turns `refresh_in` into an instant of the machine's clock, so it is read from the answer;
- it raises errors of many types for answers that it does not expect.

Sources: "Microsoft identity platform and the OAuth 2.0 client credentials flow";
"Microsoft Entra authentication and authorization error codes" (AADSTS numbers).
"""

import base64
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn, Protocol
from urllib.parse import urlsplit

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.edges.credentials import Credential, client_credential
from rotator.edges.http import Answer, Clock, Http
from rotator.edges.json_text import parse_json
from rotator.edges.msal_http import MsalHttp

GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
RENEW_BEFORE = 300.0  # seconds before its expiry that a token is renewed
MIN_PERMISSIONS_AGE = 60.0  # seconds; a younger token is kept where it lacks a permission
RENEWAL_RETRY = 60.0  # seconds between attempts to renew a token that is still valid


class OnSecret(Protocol):
    """Called with a value that must never be printed."""

    def __call__(self, value: str, *, permanent: bool) -> None:
        """*permanent*: it stays in use; else it is one of many that come and go, such as a token."""
        ...


@dataclass(slots=True)
class _Token:
    value: str = field(repr=False)
    issued: float  # all monotonic
    expires: float
    renew: float


class Tokens:
    """Tokens for one app registration in one tenant; one request at a time, however many ask."""

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
        No request is made, and no credential is read yet.

        authority:  the login root with the tenant
        on_attempt: called after each attempt; True if it gave a token
        on_secret:  called with each value that must never be printed
        on_expiry:  called whenever the credential is read, with the instant when it expires; None: not known
        on_directory: called with the GUID of the directory that a token is for, where the token says it
        """
        self._http = MsalHttp(http)
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
        self._app: Any = None
        self._app_credential: object = None  # what `_app` was built with
        self._token: _Token | None = None

    def get(self) -> str:
        """
        A token that is valid now.

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
                self._app = None
                if self._token is None or now >= self._token.expires:
                    raise
                self._token.renew = min(now + RENEWAL_RETRY, self._token.expires)
            return self._token.value

    def fresh(self) -> tuple[str, timedelta]:
        """
        A token that is fetched now, whatever is kept, and how long it is valid.

        Raises:
            RequestError: no token can be had; the message says why.

        """
        with self._lock:
            try:
                token = self._acquire()
            except RequestError:
                self._app = None
                raise
            return token.value, timedelta(seconds=token.expires - self._clock.monotonic())

    def reject(self, token: str) -> None:
        """Forget *token*: the service refused it."""
        with self._lock:
            if self._token is not None and self._token.value == token:
                self._token = None
                self._app = None

    def outdate(self, token: str) -> bool:
        """
        Forget *token*, which lacks a permission, unless it was issued just now; True where the next one is another.

        Its permissions are those of the time when it was issued. One that is granted afterwards is only in the
        next token. One that is never granted costs no more than a token a minute.
        """
        with self._lock:
            held = self._token
            if held is None or held.value != token:
                return True
            if self._clock.monotonic() - held.issued < MIN_PERMISSIONS_AGE:
                return False
            self._token = self._app = None
            return True

    def _acquire(self) -> _Token:
        granted = False
        try:
            credential = client_credential(self._credential, self._on_expiry)
            if self._app is None or credential != self._app_credential:
                self._app, self._app_credential = self._build(credential), credential
            result = self._ask()
            granted = "access_token" in result
        except RequestError as error:
            # Whatever this request did, it changed no keyset: the default effect, none, is right.
            raise RequestError(error.failure) from error
        finally:
            self._on_attempt(granted)
        if not granted:
            _refuse(result, self._client_id, self._http.answer)
        self._on_secret(result["access_token"], permanent=False)
        if directory := directory_of(result["access_token"]):
            self._on_directory(directory)
        now, lifetime = self._clock.monotonic(), float(result["expires_in"])
        refresh_in = self._http.content.get("refresh_in")
        renew = now + max(lifetime - RENEW_BEFORE, lifetime / 2)
        if refresh_in is not None:
            renew = min(renew, now + refresh_in)
        return _Token(value=result["access_token"], issued=now, expires=now + lifetime, renew=renew)

    def _ask(self) -> Mapping[str, Any]:
        """MSAL's answer: a token, or why there is none."""
        try:
            self._app.remove_tokens_for_client()
            result: Mapping[str, Any] = self._app.acquire_token_for_client(scopes=[self._scope])
        except RequestError:
            raise
        except Exception as error:  # noqa: BLE001 - MSAL raises errors of many types, and its words can quote an answer
            raise _not_understood(error, urlsplit(self._authority).hostname) from None
        return result

    def _build(self, credential: object) -> Any:  # noqa: ANN401 - MSAL ships no types
        import msal  # noqa: PLC0415 - 50 ms that `--help` and a rejected configuration need not pay

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
            message = f"{host} does not know tenant {tenant}; check tenant_id and cloud"
            raise RequestError(Failure(kind=FailureKind.AUTH, message=message)) from error


def directory_of(token: str) -> str | None:
    """
    The GUID of the directory that an access token is for (its claim `tid`), in lower case; None where it says none.

    The token is not verified, and nothing else of it is read: it is the service's, and only compared with others.
    """
    _, _, rest = token.partition(".")
    payload = rest.partition(".")[0]
    try:
        claims = parse_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        found = claims.get("tid")
    except (ValueError, RecursionError, AttributeError):
        return None
    return found.lower() if isinstance(found, str) and GUID.fullmatch(found) else None


def _not_understood(error: Exception, host: str | None) -> RequestError:
    message = f"the answer of {host} to token cannot be used ({type(error).__name__}); check any proxy in between"
    return RequestError(Failure(kind=FailureKind.UNREADABLE, message=message))


_ADVICE = {
    7000215: "the client secret is wrong; put the secret's value, not its id, where the configuration points",
    7000222: "the client secret has expired; make a new one in the app registration",
    700016: "the app is not registered in this tenant; check client_id and tenant_id",
    700027: "the certificate is not the one of the app registration, or is out of date",
    700024: "the assertion is out of date; check the clock",
    70021: "no federated credential of the app fits the assertion; check issuer, subject and audience",
    700211: "no federated credential of the app has the assertion's issuer",
    700212: "no federated credential of the app has the assertion's audience; it is most often api://AzureADTokenExchange",
    700213: "no federated credential of the app has the assertion's subject",
    7002138: "a federated credential has the assertion's subject in other upper and lower case; write it in the same",
    700222: "Entra itself issued the assertion, which is not accepted; use a token of the cluster or the pipeline",
    7000112: "the app is disabled in this tenant; enable it under enterprise applications",
    53003: "a Conditional Access policy blocks the app; see the sign-in logs of its service principal",
    90002: "the tenant does not exist; check tenant_id and cloud",
    500011: "the login host does not know this Graph; check cloud",
    70011: "the scope is not valid; check cloud",
}


_POLICY_ADVICE = {
    "AADB2C90013": "the app is not registered in this tenant; check client_id",
    "AADB2C90081": "the credential is not the one of the app registration",
    "AADB2C90085": "the policy does not take the client credentials grant; check its app registration",
    "AADB2C90117": "the scope is not one of this tenant; name the App ID URI of an API, and then /.default",
}


def _refuse(result: Mapping[str, Any], client_id: str, answer: Answer | None) -> NoReturn:
    numbers = result.get("error_codes")
    number = numbers[0] if isinstance(numbers, list) and numbers and isinstance(numbers[0], int) else None
    error = str(result.get("error", "no reason"))  # of bounded length: `MsalHttp` has checked it
    policy = result.get("policy_code")
    code = f"AADSTS{number}" if number else str(policy or error)
    known = _ADVICE.get(number or 0) or _POLICY_ADVICE.get(code)
    advice = known or "look the code up, check the app registration and its credential"
    failure = Failure(
        kind=FailureKind.AUTH,
        message=f"the login host gives app {client_id} no token ({error} {code}): {advice}",
        status=answer.status if answer else None,
        code=code,
        request_id=result.get("trace_id"),
        client_request_id=answer.client_request_id if answer else None,
    )
    raise RequestError(failure)
