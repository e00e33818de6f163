"""What `doctor` observes of one tenant, by requests that only read."""

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TypeVar

from rotator.core.checkup import MAX_ASKED, CredentialFindings, HostFindings, KeysetFindings, Reply, TenantFindings
from rotator.core.errors import Failure, RequestError
from rotator.core.inventory import Listed
from rotator.core.look import judge
from rotator.core.outcome import Observation
from rotator.core.policy import Mode
from rotator.edges.answers import origin
from rotator.edges.configured_credential import credential_of
from rotator.edges.credential_settings import CredentialSettings
from rotator.edges.credentials import Certificate, ClientSecret, FederatedToken
from rotator.edges.doctor_keysets import DoctorKeysets
from rotator.edges.http import Http, Transport
from rotator.edges.observed_transport import ObservedTransport
from rotator.edges.proxies import read_proxies
from rotator.edges.tenant_settings import TenantSettings
from rotator.edges.transport import transport
from rotator.shell.clock import SystemClock
from rotator.shell.tenant import Tenant
from rotator.wiring import Program

T = TypeVar("T")
Origin = tuple[str, str | None, int | None]
_KINDS = {ClientSecret: "client secret", Certificate: "certificate", FederatedToken: "federated token"}
_HTTPS = 443


class Hosts:
    """
    The transport of all requests, and the replies of every host so far, by origin.

    carrier: the transport; only there once `observed` was called
    """

    carrier: Transport

    def __init__(self, clock: SystemClock) -> None:
        """No host has replied yet."""
        self._clock = clock
        self._replies: dict[Origin, list[Reply]] = {}

    def observed(self, context: ssl.SSLContext) -> Transport:
        """Create the transport from a TLS context."""
        self.carrier = ObservedTransport(transport(context), self._clock, self._note)
        return self.carrier

    def _note(self, where: Origin, reply: Reply) -> None:
        """Note a reply of the host at *where*: scheme, host and port; None for the port of the scheme."""
        scheme, host, port = where
        self._replies.setdefault((scheme, host, port or _HTTPS), []).append(reply)

    def of(self, url: str) -> tuple[Reply, ...]:
        """The replies of the host of *url*."""
        return tuple(self._replies.get(origin(url), ()))


class TenantDoctor:
    """The observation of one tenant."""

    def __init__(
        self, program: Program, settings: TenantSettings, tenant: Tenant, keysets: DoctorKeysets, hosts: Hosts
    ) -> None:
        """No request is made yet. *keysets*: the client of *tenant*; *hosts*: gets the replies to its requests."""
        self._program = program
        self._settings = settings
        self._tenant = tenant
        self._keysets = keysets
        self._hosts = hosts

    def examine(
        self, now: datetime, ends: Mapping[str, datetime | None], canary_ends: Mapping[str, datetime | None]
    ) -> TenantFindings:
        """
        Observe everything; a failure is part of the result.

        ends, canary_ends: by tenant, when its credentials expire; they are filled by the requests
        """
        tenant, settings = self._tenant, self._settings
        permissions, no_token = _tried(self._keysets.permissions)
        keysets = tuple(self._looks(now)) if no_token is None else ()
        probe = None if tenant.sign_in is None else tenant.sign_in.probe(with_token=True, ask_active=())
        canary = None if settings.sign_in is None else settings.sign_in.canary
        return TenantFindings(
            tenant=tenant.name,
            now=now,
            may_write=not self._program.settings.dry_run and any(each.mode is Mode.ROTATE for each in tenant.policies),
            client_id=settings.credential.client_id,
            credential=_credential(settings.credential, tenant.name, ends),
            hosts=tuple(self._reached()),
            max_seconds=self._program.settings.request_timeout.total_seconds(),
            permissions=permissions,
            no_token=no_token,
            keysets=keysets,
            probe=probe,
            canary=None if canary is None else _credential(canary, tenant.name, canary_ends),
        )

    def _looks(self, now: datetime) -> Iterator[KeysetFindings]:
        """Each configured keyset as the decision sees it, and what the other requests of Graph say of it."""
        tenant = self._tenant
        listed, failure = _tried(lambda: tenant.keysets.list_keysets([each.keyset_id for each in tenant.policies]))
        for number, policy in enumerate(tenant.policies):
            keyset_id = policy.keyset_id
            found = RequestError(failure) if failure else (listed or Listed()).wanted.get(keyset_id)
            observation = Observation(
                tenant=tenant.name,
                tenant_id=tenant.id,
                policy=policy,
                now=now,
                has_backup=listed is not None and listed.has_backup(keyset_id),
            )
            look = judge(observation, found)
            if look.observation.keyset is None or number >= MAX_ASKED:
                yield KeysetFindings(look=look, is_asked=False)
                continue
            kid, no_kid = _tried(lambda keyset_id=keyset_id: self._keysets.active_kid(keyset_id))  # type: ignore[misc]
            keys, no_keys = _tried(lambda keyset_id=keyset_id: self._keysets.list_keys(keyset_id))  # type: ignore[misc]
            yield KeysetFindings(look=look, active_kid=no_kid or kid, keys_v2=no_keys or keys)

    def _reached(self) -> Iterator[HostFindings]:
        """Each host with its replies; one that has not answered yet is asked once more, without a token."""
        roots, tenant_id = self._settings.roots, self._settings.tenant_id
        discovery = "v2.0/.well-known/openid-configuration"
        urls = {
            "login": (roots.login, f"{roots.login}/{tenant_id}/{discovery}"),
            "graph": (roots.graph, f"{roots.graph}/beta/trustFramework/keySets"),
        }
        if self._settings.sign_in is not None and self._settings.sign_in_url is not None:
            url = self._settings.sign_in_url
            policy = self._settings.sign_in.policies[0].lower()
            urls["sign_in"] = (url, f"{url}/{tenant_id}/{policy}/{discovery}")
        proxies = read_proxies(os.environ)
        for role, (root, url) in urls.items():
            failure = None
            if not any(reply.status is not None for reply in self._hosts.of(root)):
                failure = self._unreachable(url)
            scheme, host, port = origin(root)
            proxy = proxies.proxy_of(scheme, host or "", port)
            yield HostFindings(
                role=role,
                url=root,
                proxy=None if proxy is None else str(proxy),
                replies=self._hosts.of(root),
                failure=failure,
            )

    def _unreachable(self, url: str) -> Failure | None:
        """Why no answer comes from *url*; None if one comes, of any status."""
        settings = self._program.settings
        http = Http(
            self._hosts.carrier,
            clock=self._program.clock,
            on_exchange=lambda _: None,
            timeout=settings.request_timeout.total_seconds,
            has_ca_file=settings.ca_file is not None,
        )
        return _tried(lambda: http.send("reach", "GET", url, headers={"Accept": "application/json"}))[1]


def _credential(settings: CredentialSettings, tenant: str, ends: Mapping[str, datetime | None]) -> CredentialFindings:
    kind = _KINDS[type(credential_of(settings))]
    return CredentialFindings(kind=kind, is_read=tenant in ends, expires=ends.get(tenant))


def _tried(request: Callable[[], T]) -> tuple[T | None, Failure | None]:
    """The answer of *request*, or why it failed."""
    try:
        return request(), None
    except RequestError as error:
        return None, error.failure
