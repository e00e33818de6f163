"""
The login side: OpenID Connect discovery and the token endpoint.

Only the client credentials grant (RFC 6749, section 4.4): that is all a daemon uses.
Shapes and error bodies are Entra's, as far as MSAL looks at them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from rotator.emulator.entra.credentials import Checks, prove
from rotator.emulator.entra.tokens import Tokens
from rotator.emulator.http.answers import Answer, LoginRefusedError, Request, json_answer
from rotator.emulator.model.seed import App
from rotator.emulator.model.tenants import Directory, Tenant

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
        checks = Checks(
            now=self.directory.now(),
            login_now=self.tokens.now(),
            is_our_audience=lambda audience: self._is_audience(audience, found),
        )
        prove(app, form, checks)
        return self._granted(found, app, audience)

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
