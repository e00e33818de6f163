"""
Access tokens for Graph, from Entra's token endpoint. The only door to MSAL.

MSAL's ways that shape this module (measured with 1.39):

- its constructor goes to the network (discovery), so the application object is
  built when the first token is needed, and built anew after a failure: MSAL
  repeats a refusal from memory for a minute without asking again;
- it never reads a secret or certificate again: where the file has changed by the
  time of the next token, the object is built anew, before the old one is refused;
- 4xx comes back as a dict, 5xx and transport errors as exceptions, and a
  proactive refresh that fails is not always survived: the last good token is
  kept here, and used as long as it is valid;
- it speaks through our own `Http`, so that time, size, TLS and proxies are bounded
  in one place; what is no answer for it (429, 5xx, a redirect, no JSON) is
  translated before it sees it.

Sources: "Microsoft identity platform and the OAuth 2.0 client credentials flow";
"Microsoft Entra authentication and authorization error codes" (AADSTS numbers).
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, Protocol
from urllib.parse import urlencode, urlsplit

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.edges.http import Answer, Http

EARLY = 300.0  # seconds before its expiry that a token is renewed; MSAL, too, passes over one with less left
TRACE = re.compile(r"[A-Za-z0-9-]{1,64}")  # what Entra calls a trace id
PATIENCE = 60.0  # seconds between attempts to renew a token that is still valid


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecret:
    """A secret in a file or, without one, in an environment variable; never held here. `expires` is what was told."""

    file: Path | None = None
    variable: str | None = None
    expires: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A PEM file with the private key and the certificate."""

    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedToken:
    """A file with an assertion that somebody else renews; read at every use."""

    file: Path

    def read(self) -> str:
        """
        The assertion, as it is now.

        Raises:
            RequestError: the file can't be read.

        """
        return _content(self.file, "federated_token_file")


Credential = ClientSecret | Certificate | FederatedToken


class Learn(Protocol):
    """Hears of a value that must never be printed."""

    def __call__(self, value: str, *, for_good: bool) -> None:
        """*for_good*: it is not one of many that come and go."""
        ...


@dataclass(slots=True)
class _Token:
    value: str = field(repr=False)
    expires: float  # both monotonic
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
        observe: Callable[[bool], None],
        learn: Learn,
        expires: Callable[[datetime | None], None],
    ) -> None:
        """
        Nothing is asked, and no credential is read yet.

        authority: the login root with the tenant
        observe:   is told of each attempt whether it gave a token
        learn:     is told each value that must never be printed
        expires:   is told when the credential expires, whenever one is read; None: nobody knows
        """
        self._client = _MsalClient(http)
        self._authority = authority
        self._scope = scope
        self._client_id = client_id
        self._credential = credential
        self._observe = observe
        self._learn = learn
        self._expires = expires
        self._lock = threading.Lock()
        self._app: Any = None
        self._proof: object = None  # what `_app` was built with
        self._token: _Token | None = None

    def get(self) -> str:
        """
        A token that is valid now.

        Raises:
            RequestError: there is none, and why.

        """
        with self._lock:
            now = time.monotonic()
            if self._token is not None and now < self._token.renew:
                return self._token.value
            try:
                self._token = self._acquire()
            except RequestError:
                self._app = None
                if self._token is None or now >= self._token.expires:
                    raise
                self._token.renew = min(now + PATIENCE, self._token.expires)
            return self._token.value

    def reject(self, token: str) -> None:
        """Forget *token*: the service refused it."""
        with self._lock:
            if self._token is not None and self._token.value == token:
                self._token = None
                self._app = None

    def _acquire(self) -> _Token:
        granted = False
        try:
            proof = _proof(self._credential, self._expires)
            if self._app is None or proof != self._proof:
                self._app, self._proof = self._build(proof), proof
            result = self._app.acquire_token_for_client(scopes=[self._scope])
            granted = "access_token" in result
        except RequestError as error:
            # Whatever this request did, it changed no keyset: the default effect, none, is right.
            raise RequestError(error.failure) from error
        finally:
            self._observe(granted)
        if not granted:
            _refuse(result, self._client_id, self._client.answer)
        self._learn(result["access_token"], for_good=False)
        now, lifetime = time.monotonic(), float(result["expires_in"])
        renew = now + max(lifetime - EARLY, lifetime / 2)
        if "refresh_on" in result:
            renew = min(renew, now + max(float(result["refresh_on"]) - time.time(), 0.0))
        return _Token(value=result["access_token"], expires=now + lifetime, renew=renew)

    def _build(self, proof: object) -> Any:  # noqa: ANN401 - MSAL ships no types
        import msal  # noqa: PLC0415 - 50 ms that help, bad input and a keyset-less start need not pay

        if isinstance(proof, str):
            self._learn(proof, for_good=True)
        try:
            return msal.ConfidentialClientApplication(
                self._client_id,
                authority=self._authority,
                client_credential=proof,
                http_client=self._client,
                instance_discovery=False,
            )
        except ValueError as error:
            host, tenant = urlsplit(self._authority).hostname, self._authority.rpartition("/")[2]
            _fail(f"{host} does not know tenant {tenant}; check tenant_id and cloud", cause=error)


def _proof(credential: Credential, expires: Callable[[datetime | None], None]) -> object:
    """The credential in MSAL's form, read now; equal where it has not changed."""
    match credential:
        case ClientSecret(file=file, variable=variable):
            expires(credential.expires)
            if file is not None:
                return _content(file, "client_secret_file")
            secret = os.environ.get(variable or "", "").strip()
            return secret or _fail(f"the environment variable {variable} (client_secret_env) is not set, or empty")
        case Certificate(file=file):
            return _pem(file, expires)
        case FederatedToken():
            expires(None)
            return {"client_assertion": credential.read}


def _content(file: Path, name: str) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        _fail(f"cannot read {name} {file}: {reason}", cause=error)
    return text or _fail(f"{name} {file} is empty")


def _pem(file: Path, expires: Callable[[datetime | None], None]) -> dict[str, str]:
    """MSAL's form of a key and its certificate; the key is tried here, where its error can name the file."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - comes with MSAL, as late
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415

    blocks = re.findall(
        r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", _content(file, "certificate_file"), re.DOTALL
    )
    keys = [block for block in blocks if "PRIVATE KEY-----" in block]
    certificates = [block for block in blocks if "BEGIN CERTIFICATE-----" in block]
    if len(keys) != 1 or not certificates:
        _fail(f"certificate_file {file} must hold one private key and its certificate, as PEM")
    try:
        load_pem_private_key(keys[0].encode(), password=None)
        certificate = load_pem_x509_certificate(certificates[0].encode())
    except (ValueError, TypeError):
        # The parser's words could quote the key: they are not passed on.
        failure = Failure(
            kind=FailureKind.AUTH,
            message=f"certificate_file {file}: its key or certificate cannot be read (with a passphrase none can)",
        )
        raise RequestError(failure) from None
    expires(certificate.not_valid_after_utc)
    return {"private_key": keys[0], "public_certificate": "\n".join(certificates)}


_ADVICE = {
    7000215: "the client secret is wrong; put the secret's value, not its id, where the configuration points",
    7000222: "the client secret has expired; make a new one in the app registration",
    700016: "the app is not registered in this tenant; check client_id and tenant_id",
    700027: "the certificate is not the one of the app registration, or is out of date",
    700024: "the assertion is out of date; check the clock",
    70021: "no federated credential of the app fits the assertion; check issuer, subject and audience",
    700211: "no federated credential of the app has the assertion's issuer",
    700213: "no federated credential of the app has the assertion's subject",
    90002: "the tenant does not exist; check tenant_id and cloud",
    500011: "the login host does not know this Graph; check cloud",
    70011: "the scope is not valid; check cloud",
}


def _refuse(result: Mapping[str, Any], client_id: str, answer: Answer | None) -> NoReturn:
    numbers = result.get("error_codes")
    number = numbers[0] if isinstance(numbers, list) and numbers and isinstance(numbers[0], int) else None
    error = str(result.get("error", "no reason"))[:80]
    code = f"AADSTS{number}" if number else error
    advice = _ADVICE.get(number or 0, "look the code up, check the app registration and its credential")
    trace = result.get("trace_id")
    failure = Failure(
        kind=FailureKind.AUTH,
        message=f"the login host gives app {client_id} no token ({error} {code}): {advice}",
        status=answer.status if answer else None,
        code=code,
        request_id=trace if isinstance(trace, str) and TRACE.fullmatch(trace) else None,
        client_request_id=answer.client_request_id if answer else None,
    )
    raise RequestError(failure)


def _fail(message: str, *, cause: Exception | None = None) -> NoReturn:
    raise RequestError(Failure(kind=FailureKind.AUTH, message=message)) from cause


@dataclass(frozen=True, slots=True)
class _MsalResponse:
    """An answer in the shape that MSAL reads."""

    status_code: int
    text: str = field(repr=False)
    headers: Mapping[str, str]

    def raise_for_status(self) -> None:
        """MSAL calls this for answers that it cannot use; those it never sees."""


class _MsalClient:
    """Our `Http` in the shape that MSAL calls; `answer` is the last one, for the ids that MSAL drops."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self.answer: Answer | None = None

    def get(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, **_: object
    ) -> _MsalResponse:
        return self._send("discovery", "GET", _with(url, params), headers or {}, None)

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> _MsalResponse:
        form = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._send("token", "POST", _with(url, params), form, urlencode(data or {}).encode())

    def close(self) -> None:
        """Nothing to do: whoever made the `Http` closes it."""

    def _send(
        self, operation: str, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> _MsalResponse:
        ours = {name: value for name, value in headers.items() if name.lower() != "client-request-id"}
        self.answer = None
        self.answer = answer = self._http.send(operation, method, url, headers=ours, content=content)
        _check(answer, operation, urlsplit(url).hostname or url)
        return _MsalResponse(answer.status, answer.body.decode("utf-8", "replace"), answer.headers)


def _with(url: str, params: Mapping[str, str] | None) -> str:
    return f"{url}?{urlencode(params)}" if params else url


def _check(answer: Answer, operation: str, host: str) -> None:
    """Raise for what MSAL would misread, repeat from memory, or raise in its own way."""
    if answer.status == 429:
        kind, what = FailureKind.THROTTLED, "too many requests; it is tried again later"
    elif answer.status >= 500:
        kind, what = FailureKind.SERVICE, "the login host has a problem; it is tried again later"
    elif (answer.status == 200 and _is_well(answer.body, operation)) or (
        answer.status >= 400 and _is_well(answer.body, "refusal")
    ):
        return
    else:
        kind, what = FailureKind.UNREADABLE, "no JSON of the login service; check cloud and what stands between"
    message = f"{host} answered {answer.status} to {operation}: {what}"
    failure = Failure(
        kind=kind,
        message=message,
        status=answer.status,
        client_request_id=answer.client_request_id,
        retry_after=answer.retry_after,
    )
    raise RequestError(failure)


_ENDPOINT = re.compile(r"https://\S{1,2000}")
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,20000}=*")  # RFC 6750, section 2.1


def _is_well(body: bytes, what: str) -> bool:
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
