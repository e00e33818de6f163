"""
Checks the credential that a caller of the token endpoint sends.

Three kinds of credential, each fully checked: a client secret; an assertion signed with a
registered certificate (RFC 7523, and Entra's certificate credentials,
https://learn.microsoft.com/entra/identity-platform/certificate-credentials); an
assertion of a foreign issuer that the app trusts (workload identity federation,
https://learn.microsoft.com/entra/workload-id/workload-identity-federation).

AADSTS numbers: Entra's "authentication and authorization error codes"; 70021 comes as 400
`invalid_request` (seen in Azure/azure-workload-identity issue 616), the others as 401.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from rotator.emulator.http.answers import LoginRefusedError, utc
from rotator.emulator.model.keys import base64url, thumbprint
from rotator.emulator.model.seed import App, FederatedCredential

if TYPE_CHECKING:
    from jwt.types import Options

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LEEWAY = 300  # seconds by which clocks may differ, as Entra allows
SIGNATURE_ONLY: "Options" = {
    "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False,
    "verify_iss": False, "verify_sub": False, "verify_jti": False,
}  # fmt: skip
_UNCHECKED: "Options" = {**SIGNATURE_ONLY, "verify_signature": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """The context of a check: the tenant's time, login time, and the emulator's own addresses."""

    now: float
    login_now: float
    is_our_audience: Callable[[str], bool]


def prove(app: App, form: Mapping[str, str], checks: Checks) -> None:
    """Check the one proof that *form* carries. Raises: LoginRefusedError, the proof is missing or does not hold."""
    if form.get("client_assertion"):
        _check_assertion(app, form, checks)
    elif form.get("client_secret"):
        _check_secret(app, form["client_secret"], checks.now)
    else:
        wanted = "'client_assertion' or 'client_secret'"
        raise _denied(7000218, f"The request body must contain the following parameter: {wanted}.")


def _denied(number: int, text: str) -> LoginRefusedError:
    return LoginRefusedError(401, "invalid_client", number, text)


def _check_secret(app: App, presented: str, now: float) -> None:
    for secret in app.secrets:
        if hmac.compare_digest(secret.value.encode(), presented.encode()):
            if secret.expires is not None and secret.expires <= now:
                raise _denied(7000222, f"The provided client secret keys for app '{app.client_id}' are expired.")
            return
    text = "Ensure the secret being sent in the request is the client secret value, not the client secret ID"
    raise _denied(7000215, f"Invalid client secret provided. {text}, for app '{app.client_id}'.")


def _check_assertion(app: App, form: Mapping[str, str], checks: Checks) -> None:
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        text = "The 'client_assertion_type' parameter is not the JWT bearer type."
        raise LoginRefusedError(400, "invalid_request", 900144, text)
    assertion = form["client_assertion"]
    try:
        header = jwt.get_unverified_header(assertion)
        claims = jwt.decode(assertion, options=_UNCHECKED)
    except jwt.PyJWTError as error:
        raise LoginRefusedError(400, "invalid_request", 50027, "The client assertion is not a JWT.") from error
    if claims.get("iss") == app.client_id or "x5t" in header or "x5t#S256" in header:
        _check_certificate(app, assertion, header, claims, checks)
    else:
        _check_federated(app, assertion, claims)
    _check_times(claims, checks.login_now)


def _check_certificate(
    app: App, assertion: str, header: Mapping[str, Any], claims: Mapping[str, Any], checks: Checks
) -> None:
    certificate = _certificate_of(app, header)
    if certificate is None:
        raise _bad_signature("The key was not found among the app's certificates.")
    if not _signed(assertion, certificate.public_key(), ["RS256", "PS256"]):
        raise _bad_signature("The provided signature value did not match the expected one.")
    # A certificate is checked at the host's time, like the signature of its key.
    if certificate.not_valid_after_utc <= utc(checks.login_now):
        raise _bad_signature("The key used is expired.")
    if not app.client_id == claims.get("iss") == claims.get("sub"):
        raise _denied(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
    if not checks.is_our_audience(str(claims.get("aud"))):
        raise _denied(700023, "Client assertion audience claim does not match Realm issuer.")


def _check_federated(app: App, assertion: str, claims: Mapping[str, Any]) -> None:
    credential = _credential_of(app, claims)
    if credential is None:
        names = (("Issuer", "iss"), ("Subject", "sub"), ("Audience", "aud"))
        presented = " ".join(f"Assertion {name}: '{claims.get(claim)}'." for name, claim in names)
        text = f"No matching federated identity record found for presented assertion. {presented}"
        raise LoginRefusedError(400, "invalid_request", 70021, text)
    if not _signed(assertion, credential.public_key, ["RS256", "PS256", "ES256"]):
        raise _bad_signature("The signature does not match any key of the issuer.")


def _certificate_of(app: App, header: Mapping[str, Any]) -> x509.Certificate | None:
    # MSAL leaves the padding on, against RFC 7515; the service accepts it.
    presented = {str(header.get(name, "")).rstrip("=") for name in ("x5t", "x5t#S256")}
    for registered in app.certificates:
        certificate = x509.load_pem_x509_certificate(registered.encode())
        if presented & {base64url(certificate.fingerprint(hashes.SHA256())), thumbprint(certificate)}:
            return certificate
    return None


def _credential_of(app: App, claims: Mapping[str, Any]) -> FederatedCredential | None:
    """All three must be equal, letter by letter (Entra compares case since 2024)."""
    audiences = claims.get("aud")
    presented = audiences if isinstance(audiences, list) else [audiences]
    for each in app.federated:
        if (each.issuer, each.subject) == (claims.get("iss"), claims.get("sub")) and each.audience in presented:
            return each
    return None


def _signed(assertion: str, key: Any, algorithms: list[str]) -> bool:  # noqa: ANN401 - a key
    try:
        jwt.decode(assertion, key, algorithms=algorithms, options=SIGNATURE_ONLY)
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
    return True


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    match claims.get("nbf", claims.get("iat", now)), claims.get("exp"):
        case (int() | float() as nbf, int() | float() as exp) if nbf - _LEEWAY <= now < exp + _LEEWAY:
            return
    times = f"Current time: {now:.0f}, expiry time of assertion {claims.get('exp')}"
    raise _denied(700024, f"Client assertion is not within its valid time range. {times}.")


def _bad_signature(reason: str) -> LoginRefusedError:
    return _denied(700027, f"Client assertion failed signature validation. [Reason - {reason}]")
