"""A request on its way through the emulator, and the marks that every answer to it bears."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from rotator.emulator.answers import (
    Answer,
    LoginRefusedError,
    RefusedError,
    Request,
    graph_refusal,
    login_refusal,
)
from rotator.emulator.faults import Family, Injected, Kind
from rotator.emulator.model import Tenant
from rotator.emulator.operations import Operation
from rotator.emulator.routes import Route, is_graph
from rotator.emulator.switches import Switches
from rotator.emulator.tokens import Bearer

_DIAGNOSTIC = (
    '{"ServerInfo":{"DataCenter":"Loopback","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"EMULATOR"}}'
)


class Peer(Protocol):
    """The other end of a connection."""

    def is_gone(self) -> bool:
        """Whether the client has left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request on its way: what it asks for, of whom, and which faults bite it."""

    request: Request
    peer: Peer
    route: Route
    request_id: str
    number: int = 0
    tenant: Tenant | None = None
    bearer: Bearer | None = None
    bites: Mapping[Family, Injected] = field(default_factory=dict)

    @property
    def operation(self) -> Operation:
        """What is asked for."""
        return self.route.operation

    @property
    def switches(self) -> Switches:
        """The tenant's; the defaults where there is no tenant."""
        return self.tenant.switches if self.tenant else Switches()

    @property
    def kinds(self) -> frozenset[Kind]:
        """What goes wrong with it."""
        return frozenset(injected.fault.what for injected in self.bites.values())


def refusal(
    visit: Visit,
    refused: RefusedError | LoginRefusedError,
    *,
    now: float,
    login_now: float,
) -> Answer:
    """The error body that the side that was asked would send."""
    client_request_id = visit.request.headers.get("client-request-id")
    if isinstance(refused, LoginRefusedError):
        return login_refusal(refused, now=login_now, client_request_id=client_request_id)
    return graph_refusal(
        refused,
        now=now,
        request_id=visit.request_id,
        client_request_id=client_request_id,
        inner_error_member=visit.switches.inner_error_member,
    )


def signed(visit: Visit, answer: Answer) -> Answer:
    """The headers that every answer has ("Best practices for working with Microsoft Graph")."""
    headers = [("request-id", visit.request_id)]
    client_request_id = visit.request.headers.get("client-request-id")
    if client_request_id:
        headers.append(("client-request-id", client_request_id))
    if is_graph(visit.route, visit.request.path):
        headers.append(("x-ms-ags-diagnostic", _DIAGNOSTIC))
        headers.append(("Strict-Transport-Security", "max-age=31536000"))
    return replace(answer, headers=(*answer.headers, *headers))


def unknown(visit: Visit) -> RefusedError:
    """Nothing there, in Graph's words."""
    if visit.route.refused == 405:
        text = "Specified HTTP method is not allowed for the request target."
        return RefusedError(405, "Request_BadRequest", text)
    segment = visit.request.path.rstrip("/").rpartition("/")[2]
    if visit.request.path.lower().startswith("/beta/"):
        return RefusedError(400, "BadRequest", f"Resource not found for the segment '{segment}'.")
    return RefusedError(404, "ResourceNotFound", f"There is nothing at '{visit.request.path}'.")
