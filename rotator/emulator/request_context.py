"""A request on its way through the emulator; the headers and the error bodies of its answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rotator.emulator.entra.tokens import Bearer
from rotator.emulator.faults.fault import Family, Injected, Kind
from rotator.emulator.http.answers import (
    Answer,
    LoginRefusedError,
    Peer,
    RefusedError,
    Request,
    graph_refusal,
    login_refusal,
)
from rotator.emulator.http.routes import Operation, Route, is_graph
from rotator.emulator.model.switches import Switches
from rotator.emulator.model.tenants import Tenant

_DIAGNOSTIC = (
    '{"ServerInfo":{"DataCenter":"Loopback","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"EMULATOR"}}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """One request: what it asks for, in which tenant, on whose behalf, and the faults that apply to it."""

    request: Request
    peer: Peer
    route: Route
    request_id: str
    number: int = 0
    tenant: Tenant | None = None
    bearer: Bearer | None = None
    faults_hit: Mapping[Family, Injected] = field(default_factory=dict)

    @property
    def operation(self) -> Operation:
        """What the request asks for."""
        return self.route.operation

    @property
    def switches(self) -> Switches:
        """Those of the tenant; the defaults where there is no tenant."""
        return self.tenant.switches if self.tenant else Switches()

    @property
    def client_request_id(self) -> str | None:
        """The id that the client gave the request."""
        return self.request.headers.get("client-request-id")

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of the faults that apply to it."""
        return frozenset(injected.fault.what for injected in self.faults_hit.values())


def refusal(
    context: RequestContext, refused: RefusedError | LoginRefusedError, *, now: float, login_now: float
) -> Answer:
    """The error body that the asked side, Graph or login, would send."""
    if isinstance(refused, LoginRefusedError):
        return login_refusal(refused, now=login_now, client_request_id=context.client_request_id)
    return graph_refusal(
        refused,
        now=now,
        request_id=context.request_id,
        client_request_id=context.client_request_id,
        inner_error_member=context.switches.inner_error_member,
    )


def with_common_headers(context: RequestContext, answer: Answer) -> Answer:
    """*answer* with the headers that every answer has ("Best practices for working with Microsoft Graph")."""
    headers = [("request-id", context.request_id)]
    if context.client_request_id:
        headers.append(("client-request-id", context.client_request_id))
    if is_graph(context.route, context.request.path):
        headers.append(("x-ms-ags-diagnostic", _DIAGNOSTIC))
        headers.append(("Strict-Transport-Security", "max-age=31536000"))
    return replace(answer, headers=(*answer.headers, *headers))


def not_found(context: RequestContext) -> RefusedError:
    """Graph's refusal of a path or a method that it does not have."""
    path = context.request.path
    if context.route.refused == 405:
        text = "Specified HTTP method is not allowed for the request target."
        return RefusedError(405, "Request_BadRequest", text)
    if path.lower().startswith("/beta/"):
        segment = path.rstrip("/").rpartition("/")[2]
        return RefusedError(400, "BadRequest", f"Resource not found for the segment '{segment}'.")
    return RefusedError(404, "ResourceNotFound", f"There is nothing at '{path}'.")
