"""
What relying parties read: the OpenID configuration and the published keys of a policy.

Which keys are published, and when (policy-keys overview): those of the keysets that
the policy's JwtIssuer names; valid ones and, unless a switch says otherwise, future ones;
not expired, not disabled. Nodes cache, so what is shown may be as old as the switch
``jwks_delay`` says.

On the real service the host is ``{name}.b2clogin.com``; here it is the emulator's root
with the same paths.
"""

from dataclasses import dataclass

from rotator.emulator.http.answers import Answer, RefusedError, Request, json_answer
from rotator.emulator.model.keys import Key
from rotator.emulator.model.switches import Status, Switches
from rotator.emulator.model.tenants import Directory, Tenant

# As recorded from the real service: no max-age, no ETag, and cookies that nobody needs.
_JWKS_TYPE = "application/json; charset=utf-8"
_JWKS_HEADERS = (("Cache-Control", "private"), ("Set-Cookie", "x-ms-cpim-slice=emulated; path=/; secure; HttpOnly"))


@dataclass(frozen=True, slots=True)
class Policies:
    """The custom policies of every tenant, as applications see them."""

    directory: Directory

    def keys(self, request: Request, tenant: str, policy: str) -> Answer:
        """The JWKS (RFC 7517, section 5) of a policy."""
        del request
        found, name = find_policy(self.directory, tenant, policy)
        body = {"keys": published(found, name, self.directory.now())}
        return json_answer(body, content_type=_JWKS_TYPE, headers=_JWKS_HEADERS)

    def discovery(self, request: Request, tenant: str, policy: str) -> Answer:
        found, name = find_policy(self.directory, tenant, policy)
        root = f"{request.origin}/{found.domain}/{name.lower()}"
        return json_answer(
            {
                "issuer": f"{request.origin}/{found.id}/v2.0/",
                "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                "token_endpoint": f"{root}/oauth2/v2.0/token",
                "end_session_endpoint": f"{root}/oauth2/v2.0/logout",
                "jwks_uri": f"{root}/discovery/v2.0/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token"],
                "subject_types_supported": ["pairwise"],
            }
        )


def find_policy(directory: Directory, tenant: str, policy: str) -> tuple[Tenant, str]:
    """The tenant, and the policy as it is spelled there; case does not matter. Raises: RefusedError."""
    found = directory.find(tenant)
    for name in found.policies if found else ():
        if found and name.lower() == policy.lower():
            return found, name
    raise RefusedError(404, "AADB2C90007", f"The policy '{policy}' does not exist in the tenant '{tenant}'.")


def published(tenant: Tenant, policy: str, now: float) -> list[dict[str, object]]:
    """The keys that *policy* shows to the world at *now*."""
    switches = tenant.switches
    at = now - (switches.jwks_delay if not switches.jwks_flapping or tenant.flaps() else 0)
    shown: list[dict[str, object]] = []
    histories = {keyset.id: keyset for keyset in tenant.all_keysets()}
    for keyset_id in tenant.policies[policy]:
        keyset = histories[keyset_id]
        keys = keyset.keys_at(at) if at < now else keyset.keys
        shown += [_shown(key, switches) for key in keys or () if _is_published(key, at, switches)]
    return shown


def _is_published(key: Key, now: float, switches: Switches) -> bool:
    """A symmetric key is never published; the rest is in the switches."""
    return (
        key.rsa is not None
        and (switches.jwks_disabled or key.status is not Status.DISABLED)
        and (switches.jwks_expired or key.exp is None or now < key.exp)
        and (switches.jwks_future or key.nbf is None or key.nbf <= now)
    )


def _shown(key: Key, switches: Switches) -> dict[str, object]:
    exp = key.exp if switches.jwks_exp_member else None
    members = {"kid": key.kid, "nbf": key.nbf, "exp": exp, "use": key.use, "kty": key.kty}
    rsa = {"e": key.rsa.e, "n": key.rsa.n} if key.rsa else {}
    return {name: value for name, value in {**members, **rsa}.items() if value is not None}
