"""
The token endpoint of a policy: the client credentials grant, as applications use it.

Tokens are signed RS256 with the private key of the active key of the keyset that the policy signs
with, which is the first RSA keyset that it names. Where it names another keyset, the answer holds a
refresh token as well: a JWE in shape only, whose header names that keyset's active key.

Sources: "Set up OAuth 2.0 client credentials flow in Azure Active Directory B2C" (request and
answer); "Error codes: Azure Active Directory B2C" (AADB2C90081, 90085, 90117).
"""

import json
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import jwt

from rotator.emulator.http.answers import Answer, LoginRefusedError, Request, json_answer
from rotator.emulator.model.keys import Key, active_key, base64url
from rotator.emulator.model.keysets import Keyset
from rotator.emulator.model.seed import App
from rotator.emulator.model.tenants import Directory, Tenant
from rotator.emulator.sign_in.policies import find_policy

Prove = Callable[[App, Mapping[str, str], Tenant], None]
"""Checks the credential in a form; raises `LoginRefusedError`."""


@dataclass(frozen=True, slots=True)
class PolicyTokens:
    """The token endpoints of all policies. *login_now*: the time that tokens live by."""

    directory: Directory
    login_now: Callable[[], float]
    prove: Prove

    def token(self, request: Request, tenant: str, policy: str) -> Answer:
        """A token for an application. Raises: RefusedError, LoginRefusedError."""
        found, name = find_policy(self.directory, tenant, policy)
        form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        if form.get("grant_type") != "client_credentials":
            raise _refused("unsupported_grant_type", 90085, "The grant type is not supported.")
        app = found.apps.get(form.get("client_id", "").lower())
        if app is None:
            raise _refused("invalid_client", 90013, "There is no application with the given client_id.")
        audience = _audience(form.get("scope", ""), found)
        try:
            self.prove(app, form, found)
        except LoginRefusedError as refused:
            text = "The specified client credential does not match the expected value for this client."
            raise _refused("invalid_client", 90081, text) from refused
        return json_answer(self._granted(request.origin, found, name, app, audience))

    def _granted(self, origin: str, tenant: Tenant, policy: str, app: App, audience: str) -> dict[str, object]:
        signing, others = _signer(tenant, policy)
        at = self.directory.now() - tenant.switches.signing_delay
        key = active_key(signing.keys_at(at) or (), at, tenant.switches.tie_break)
        private = key.rsa.private_key() if key is not None and key.rsa is not None else None
        if key is None or private is None:
            raise _refused("server_error", 90220, "The key container does not have a valid key.")
        now, lifetime = int(self.login_now()), tenant.switches.policy_token_lifetime
        claims = {
            "aud": audience,
            "iss": f"{origin}/{tenant.id}/v2.0/",
            "azp": app.client_id,
            "tid": tenant.id,
            "acr": policy.lower(),
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "sub": str(uuid.uuid4()),
            "ver": "1.0",
        }
        granted: dict[str, object] = {
            "access_token": jwt.encode(claims, private, "RS256", headers={"kid": key.kid}),
            "token_type": "Bearer",
            "not_before": now,
            "expires_in": lifetime,
            "expires_on": now + lifetime,
            "resource": audience,
        }
        if others:
            encrypting = active_key(others[0].keys, self.directory.now(), tenant.switches.tie_break)
            if encrypting is not None:
                granted["refresh_token"] = refresh_token(encrypting)
        return granted


def refresh_token(key: Key) -> str:
    """A refresh token as B2C's look: five parts (RFC 7516, section 7.1), of which the header can be read."""
    header = {"kid": key.kid, "ver": "1.0", "zip": "Deflate", "ser": "1.0"}
    parts = [json.dumps(header, separators=(",", ":")).encode(), *(secrets.token_bytes(n) for n in (256, 12, 400, 16))]
    return ".".join(base64url(part) for part in parts)


def _signer(tenant: Tenant, policy: str) -> tuple[Keyset, list[Keyset]]:
    """The keyset that *policy* signs with, and its others."""
    histories = {keyset.id: keyset for keyset in tenant.all_keysets()}
    named = [histories[keyset_id] for keyset_id in tenant.policies[policy]]
    rsa = [keyset for keyset in named if any(key.rsa is not None for key in keyset.keys)]
    if not rsa:
        raise _refused("server_error", 90220, "The key container does not have a valid key.")
    return rsa[0], [keyset for keyset in named if keyset is not rsa[0]]


def _audience(scope: str, tenant: Tenant) -> str:
    """The App ID URI that *scope* names, of this tenant's."""
    resource = scope.removesuffix("/.default")
    host = urlsplit(resource).hostname if resource != scope and " " not in scope else None
    if host is None or host.lower() != tenant.domain.lower():
        raise _refused("invalid_request", 90117, f"The scope '{scope}' provided in the request is not supported.")
    return resource


def _refused(error: str, number: int, text: str) -> LoginRefusedError:
    return LoginRefusedError(400, error, number, text, is_b2c=True)
