"""
Errors for refused token requests: why there is no token, and what to do.

Sources: "Microsoft Entra authentication and authorization error codes" (AADSTS numbers);
"Error codes: Azure Active Directory B2C" (AADB2C numbers).
"""

from collections.abc import Mapping
from typing import Any, NoReturn

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.edges.http import Answer


def not_understood(error: Exception, host: str | None) -> RequestError:
    """The error for an answer for which MSAL raised *error*, whose text is not used, since it may quote the answer."""
    message = f"the answer of {host} to token cannot be used ({type(error).__name__}); check any proxy in between"
    return RequestError(Failure(kind=FailureKind.UNREADABLE, message=message))


_ADVICE = {
    7000215: "the client secret is wrong; put the secret's value, not its id, where the configuration points",
    7000222: "the client secret has expired; make a new one in the app registration",
    700016: "the app is not registered in this tenant; check client_id and tenant_id",
    700027: "the certificate is not the one of the app registration, or is out of date",
    700024: "the assertion is out of date; check the clock",
    70021: "no federated credential of the app matches the assertion; check issuer, subject and audience",
    700211: "no federated credential of the app has the assertion's issuer",
    700212: "no federated credential of the app has the assertion's audience; it is most often api://AzureADTokenExchange",
    700213: "no federated credential of the app has the assertion's subject",
    7002138: "the subject of the federated credential differs from the assertion's in upper and lower case; correct it",
    700222: "Entra itself issued the assertion, which is not accepted; use a token of the cluster or the pipeline",
    7000112: "the app is disabled in this tenant; enable it under enterprise applications",
    53003: "a Conditional Access policy blocks the app; see the sign-in logs of its service principal",
    90002: "the tenant does not exist; check tenant_id and cloud",
    500011: "the login host does not know this Graph; check cloud",
    70011: "the scope is not valid; check cloud",
}


_POLICY_ADVICE = {
    "AADB2C90013": "the app is not registered in this tenant; check client_id",
    "AADB2C90081": "the credential is not that of the app registration; renew it",
    "AADB2C90085": "the policy does not accept the client credentials grant; check its app registration",
    "AADB2C90117": "the scope is not one of this tenant; use the App ID URI of an API followed by /.default",
}


def refuse(result: Mapping[str, Any], client_id: str, answer: Answer | None) -> NoReturn:
    """
    Raise the error for *result*, which has no token.

    Raises:
        RequestError: `auth`; the message says why there is no token, and what to do.

    """
    numbers = result.get("error_codes")
    number = numbers[0] if isinstance(numbers, list) and numbers and isinstance(numbers[0], int) else None
    error = str(result.get("error", "no reason"))  # `MsalHttp` has checked its length
    policy = result.get("policy_code")
    code = f"AADSTS{number}" if number else str(policy or error)
    known = _ADVICE.get(number or 0) or _POLICY_ADVICE.get(code)
    advice = known or "look up the code, check the app registration and its credential"
    failure = Failure(
        kind=FailureKind.AUTH,
        message=f"the login host gives app {client_id} no token ({error} {code}): {advice}",
        status=answer.status if answer else None,
        code=code,
        request_id=result.get("trace_id"),
        client_request_id=answer.client_request_id if answer else None,
    )
    raise RequestError(failure)
