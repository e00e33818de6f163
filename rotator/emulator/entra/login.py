"""
The login side: OpenID Connect discovery, the token endpoint, and the access tokens it issues.

Only the client credentials grant (RFC 6749, section 4.4): that is all a daemon uses.
Shapes and error bodies are Entra's, as far as MSAL looks at them. Tokens are JWTs
(RFC 7519), signed RS256, with the claims a daemon may look at: ``tid``, ``appid``,
``roles``, ``exp``.

The time of tokens is *login time*: the host's clock unless the emulator is given another.
MSAL caches tokens by the host's clock and accepts no other; a token that expired
whenever a test moves the tenant by a month would only test MSAL.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from rotator.emulator.entra.credentials import SIGNATURE_ONLY, Checks, prove
from rotator.emulator.http.answers import Answer, LoginRefusedError, RefusedError, Request, json_answer
from rotator.emulator.model.keys import RsaMaterial, base64url
from rotator.emulator.model.seed import App
from rotator.emulator.model.tenants import Directory, Tenant

_ALGORITHM = "RS256"
PUBLIC_GRAPHS = (
    "https://graph.microsoft.com",
    "https://graph.microsoft.us",
    "https://dod-graph.microsoft.us",
    "https://microsoftgraph.chinacloudapi.cn",
)
_DEFAULT_SCOPE = "/.default"
_ENDPOINTS = {
    "token": "token",
    "authorization": "authorize",
    "device_authorization": "devicecode",
    "end_session": "logout",
}
_METADATA = {
    "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
    "response_modes_supported": ["query", "fragment", "form_post"],
    "subject_types_supported": ["pairwise"],
    "id_token_signing_alg_values_supported": ["RS256"],
    "response_types_supported": ["code", "id_token", "code id_token"],
    "scopes_supported": ["openid", "profile", "email", "offline_access"],
    "tenant_region_scope": "EU",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """What an access token grants: an app in a tenant, with roles, for an audience, until it expires."""

    tenant_id: str
    client_id: str
    audience: str
    roles: frozenset[str]
    exp: float


class Tokens:
    """Issues access tokens and recognizes its own."""

    def __init__(self, signing: RsaMaterial, clock: Callable[[], float] = time.time) -> None:
        self.signing = signing
        self.now = clock
        # Checking a signature on every request would cost more than the answer.
        self._decoded = lru_cache(10_000)(self._decode)

    def issue(self, *, tenant_id: str, client_id: str, roles: tuple[str, ...], audience: str, lifetime: int) -> str:
        """A token for an app of a tenant; *lifetime* in seconds."""
        now = int(self.now())
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{tenant_id}/",
            "tid": tenant_id,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "appid": client_id,
            "idtyp": "app",
            "roles": list(roles),
            "uti": base64url(uuid.uuid4().bytes),
            "ver": "1.0",
        }
        return jwt.encode(claims, self._private(), _ALGORITHM, headers={"kid": self._kid()})

    def check(self, authorization: str | None) -> Bearer:
        """The app that an `Authorization` header belongs to. Raises: RefusedError, a 401 with Graph's texts."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthenticated("Access token is empty.")
        bearer = self._decoded(token.strip())
        if bearer.exp <= self.now():
            raise unauthenticated("Lifetime validation failed, the token is expired.")
        return bearer

    def jwks(self) -> dict[str, object]:
        """The public half, as the `jwks_uri` of the login side shows it."""
        key = {**self.signing.public_jwk(), "use": "sig", "alg": _ALGORITHM, "kid": self._kid()}
        return {"keys": [key]}

    def _decode(self, token: str) -> Bearer:
        try:
            # Time is checked against the login clock, not the library's.
            claims = jwt.decode(token, self._private().public_key(), algorithms=[_ALGORITHM], options=SIGNATURE_ONLY)
            return Bearer(
                tenant_id=claims["tid"],
                client_id=claims["appid"],
                audience=claims["aud"],
                roles=frozenset(claims["roles"]),
                exp=claims["exp"],
            )
        except (jwt.PyJWTError, KeyError, TypeError) as error:
            raise unauthenticated("CompactToken parsing failed or its signature is not valid.") from error

    def _private(self) -> rsa.RSAPrivateKey:
        key = self.signing.private_key()
        if key is None:
            raise TypeError("tokens are signed with a private key")
        return key

    def _kid(self) -> str:
        return self.signing.n[:27]


def unauthenticated(message: str) -> RefusedError:
    """A 401 of Graph's, with its challenge."""
    challenge = 'Bearer realm="", authorization_uri="/common/oauth2/authorize"'
    headers = (("WWW-Authenticate", challenge),)
    return RefusedError(401, "InvalidAuthenticationToken", message, headers)


@dataclass(frozen=True, slots=True)
class Entra:
    """The login side of every tenant. *is_ours* knows the emulator's own origins."""

    directory: Directory
    tokens: Tokens
    is_ours: Callable[[str], bool]

    def tenant(self, name: str) -> Tenant:
        """Raises: LoginRefusedError."""
        tenant = self.directory.find(name)
        if tenant is None:
            advice = "the correct tenant ID and are signing into the correct cloud"
            text = f"Tenant '{name}' not found. Check to make sure you have {advice}."
            raise LoginRefusedError(400, "invalid_tenant", 90002, text)
        return tenant

    def discovery(self, request: Request, tenant: str) -> Answer:
        root = f"{request.origin}/{self.tenant(tenant).id}"
        urls = {f"{name}_endpoint": f"{root}/oauth2/v2.0/{path}" for name, path in _ENDPOINTS.items()}
        own = {"issuer": f"{root}/v2.0", "jwks_uri": f"{root}/discovery/v2.0/keys"}
        return json_answer({**urls, **own, "cloud_instance_name": urlsplit(request.origin).netloc, **_METADATA})

    def login_keys(self, request: Request, tenant: str) -> Answer:
        """The keys that access tokens are signed with."""
        del request
        self.tenant(tenant)
        return json_answer(self.tokens.jwks())

    def token(self, request: Request, tenant: str) -> Answer:
        """The client credentials grant."""
        found = self.tenant(tenant)
        form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        for name in ("grant_type", "client_id", "scope"):
            if not form.get(name):
                text = f"The request body must contain the following parameter: '{name}'."
                raise LoginRefusedError(400, "invalid_request", 900144, text)
        if form["grant_type"] != "client_credentials":
            text = f"The app requested an unsupported grant type '{form['grant_type']}'."
            raise LoginRefusedError(400, "unsupported_grant_type", 70003, text)
        app = self._app(found, form["client_id"])
        audience = self._resource(form["scope"], found)
        self.prove(app, form, found)
        return self._granted(found, app, audience)

    def prove(self, app: App, form: Mapping[str, str], tenant: Tenant) -> None:
        """Check the credential that *form* carries. Raises: LoginRefusedError."""
        checks = Checks(
            now=self.directory.now(),
            login_now=self.tokens.now(),
            is_our_audience=lambda audience: self._is_audience(audience, tenant),
        )
        prove(app, form, checks)

    def _app(self, tenant: Tenant, client_id: str) -> App:
        app = tenant.apps.get(client_id.lower())
        if app is None:
            text = (
                f"Application with identifier '{client_id}' was not found in the directory '{tenant.domain}'. This "
                "can happen if the application has not been installed by the administrator of the tenant or consented "
                "to by any user in the tenant."
            )
            raise LoginRefusedError(400, "unauthorized_client", 700016, text)
        return app

    def _resource(self, scope: str, tenant: Tenant) -> str:
        """The audience of the token: the root of Graph."""
        if not scope.endswith(_DEFAULT_SCOPE) or " " in scope:
            text = (
                "The provided request must include a 'scope' input parameter. The provided value for the input "
                f"parameter 'scope' is not valid. The scope {scope} is not valid."
            )
            raise LoginRefusedError(400, "invalid_scope", 70011, text)
        resource = scope.removesuffix(_DEFAULT_SCOPE).rstrip("/")
        if resource not in PUBLIC_GRAPHS and not self.is_ours(resource):
            text = f"The resource principal named {resource} was not found in the tenant named {tenant.domain}."
            raise LoginRefusedError(400, "invalid_resource", 500011, text)
        return resource

    def _is_audience(self, audience: str, tenant: Tenant) -> bool:
        """Whether an assertion is meant for the login side of *tenant*."""
        parts = urlsplit(audience)
        owner = parts.path.strip("/").partition("/")[0]
        return self.is_ours(f"{parts.scheme}://{parts.netloc}") and self.directory.find(owner) is tenant

    def _granted(self, tenant: Tenant, app: App, audience: str) -> Answer:
        lifetime, refresh_in = tenant.switches.token_lifetime, tenant.switches.token_refresh_in
        token = self.tokens.issue(
            tenant_id=tenant.id, client_id=app.client_id, roles=app.roles, audience=audience, lifetime=lifetime
        )
        granted = {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}
        if refresh_in is not None:
            granted["refresh_in"] = refresh_in
        return json_answer(granted, headers=(("Cache-Control", "no-store, no-cache"),))
