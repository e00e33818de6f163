"""
What happens to a request, from its arrival to the answer.

::

    route ▶ token ▶ throttle ▶ [faults] ▶ role ▶ do it ▶ [faults] ▶ answer
                                  │ before commit          │ after commit

Each stage may say no; what it says is turned into the body that the asked side, Graph
or login, would send. A bug in here is answered with a 500 and written into the journal.
"""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from rotator.emulator import graph, havoc
from rotator.emulator.answers import (
    Answer,
    LoginRefusedError,
    RefusedError,
    Request,
)
from rotator.emulator.directory import Directory
from rotator.emulator.entra import PUBLIC_GRAPHS, Entra
from rotator.emulator.faults import Family, FaultTable, Injected, Kind, Moment
from rotator.emulator.havoc import Delivery, Ending
from rotator.emulator.journal import Journal, Seen
from rotator.emulator.jwks import Runtime
from rotator.emulator.masks import masked
from rotator.emulator.model import Tenant
from rotator.emulator.operations import (
    GRAPH,
    NEEDS_WRITE_ROLE,
    READ_ROLE,
    WRITE_ROLE,
    WRITES,
    Operation,
)
from rotator.emulator.routes import find_route
from rotator.emulator.throttle import Throttle
from rotator.emulator.tokens import Bearer, Tokens, unauthenticated
from rotator.emulator.visits import Peer, Visit, refusal, signed, unknown

_LOOK = 0.02  # seconds between looks at whether a pause is over


class _LeftError(Exception):
    """The client left before anything was done, or the emulator closes."""


@dataclass(frozen=True, slots=True)
class Service:
    """The emulated service, without its sockets."""

    directory: Directory
    tokens: Tokens
    faults: FaultTable
    journal: Journal
    control: Callable[[Request], Answer]
    is_ours: Callable[[str], bool]
    closing: threading.Event
    throttle: Throttle = field(default_factory=Throttle)

    def serve(self, request: Request, peer: Peer) -> Delivery:
        """Answer one request; never raises."""
        visit = Visit(
            request=request,
            peer=peer,
            route=find_route(request.method, request.path, request.query),
            request_id=str(uuid.uuid4()),
        )
        if visit.operation is Operation.CONTROL:
            return self._guarded(visit, lambda: Delivery(answer=self.control(request)))
        bearer, refused = self._authenticated(visit)
        visit = replace(visit, bearer=bearer, tenant=self._tenant(visit, bearer))
        visit = replace(visit, number=self._arrived(visit))
        delivery = self._guarded(visit, lambda: self._visited(visit, refused))
        status = delivery.answer.status if delivery.ending is Ending.SEND else None
        self.journal.answered(visit.number, status)
        return delivery

    def _visited(self, visit: Visit, refused: RefusedError | None) -> Delivery:
        if refused is not None:
            raise refused
        if visit.bearer is not None and visit.tenant is not None:
            bearer, now = visit.bearer, self.directory.now()
            self.throttle.count(visit.tenant.id, bearer.client_id, visit.switches, now)
        visit = replace(visit, bites=self._strike(visit))
        early = self._bitten(visit, Moment.BEFORE_COMMIT)
        if early is not None:
            return early
        answer = self._said(visit)
        late = self._bitten(visit, Moment.AFTER_COMMIT)
        return late or self._spoiled(visit, answer)

    def _said(self, visit: Visit) -> Answer:
        """What the service says when nothing goes wrong, a refusal included."""
        try:
            answer = self._done(visit)
        except (RefusedError, LoginRefusedError) as refused:
            return self._refusal(visit, refused)
        if visit.operation in WRITES and Kind.LOST not in visit.kinds:
            self.journal.committed(visit.number)
        return answer

    # --- who asks, and for what

    def _authenticated(self, visit: Visit) -> tuple[Bearer | None, RefusedError | None]:
        """Who asks Graph; or why they are not let in."""
        if visit.operation not in GRAPH:
            return None, None
        try:
            bearer = self.tokens.check(visit.request.headers.get("authorization"))
        except RefusedError as refused:
            return None, refused
        if not (self.is_ours(bearer.audience) or bearer.audience in PUBLIC_GRAPHS):
            return None, unauthenticated("Access token validation failure. Invalid audience.")
        if self.directory.find(bearer.tenant_id) is None:
            text = "The identity of the calling application could not be established."
            return None, unauthenticated(text)
        return bearer, None

    def _tenant(self, visit: Visit, bearer: Bearer | None) -> Tenant | None:
        name = bearer.tenant_id if bearer else visit.route.arguments.get("tenant", "")
        return self.directory.find(name)

    def _arrived(self, visit: Visit) -> int:
        request, arguments = visit.request, visit.route.arguments
        query = f"?{urlencode(request.query)}" if request.query else ""

        def make(number: int) -> Seen:
            return Seen(
                number=number,
                time=self.directory.now(),
                method=request.method,
                path=request.path + query,
                operation=visit.operation,
                tenant=visit.tenant.domain if visit.tenant else None,
                keyset=arguments.get("keyset"),
                client_request_id=request.headers.get("client-request-id"),
                body=masked(visit.operation, request.body),
            )

        return self.journal.arrived(make)

    # --- what is done

    def _done(self, visit: Visit) -> Answer:
        """Do it. Raises: RefusedError, LoginRefusedError."""
        request, arguments = visit.request, visit.route.arguments
        entra = Entra(self.directory, self.tokens, self.is_ours)
        runtime = Runtime(self.directory)
        match visit.operation:
            case Operation.DISCOVERY:
                return entra.discovery(request, arguments["tenant"])
            case Operation.TOKEN:
                return entra.token(request, arguments["tenant"])
            case Operation.LOGIN_KEYS:
                return entra.login_keys(request, arguments["tenant"])
            case Operation.JWKS:
                return runtime.keys(request, arguments["tenant"], arguments["policy"])
            case Operation.POLICY_DISCOVERY:
                return runtime.discovery(request, arguments["tenant"], arguments["policy"])
            case Operation.UNKNOWN:
                raise unknown(visit)
            case _:
                return self._graph(visit)

    def _graph(self, visit: Visit) -> Answer:
        tenant, bearer = visit.tenant, visit.bearer
        if tenant is None or bearer is None:
            msg = f"{visit.operation} without a tenant"
            raise TypeError(msg)
        needed = {WRITE_ROLE} if visit.operation in NEEDS_WRITE_ROLE else {WRITE_ROLE, READ_ROLE}
        if not needed & bearer.roles:
            text = "Insufficient privileges to complete the operation."
            raise RefusedError(403, "Authorization_RequestDenied", text)
        keeping = visit.bites.get(Family.KEEPING)
        altered = keeping is not None and keeping.fault.what is Kind.ALTERED
        call = graph.Call(
            request=visit.request,
            tenant=tenant,
            client_id=bearer.client_id,
            now=self.directory.now(),
            keyset=visit.route.arguments.get("keyset", ""),
            kid=visit.route.arguments.get("kid", ""),
            commits=Kind.LOST not in visit.kinds,
            shift=keeping.fault.shift if keeping is not None and altered else 0,
        )
        return graph.answer(visit.operation, call)

    # --- what goes wrong

    def _strike(self, visit: Visit) -> Mapping[Family, Injected]:
        tenant = visit.tenant
        names = {tenant.id, tenant.domain.lower()} if tenant else set()
        return self.faults.strike(visit.operation, names, visit.route.arguments.get("keyset"))

    def _bitten(self, visit: Visit, moment: Moment) -> Delivery | None:
        """Pause, and what is answered instead, if it is to be now."""
        pause = visit.bites.get(Family.PAUSE)
        if pause is not None and pause.fault.when is moment:
            self._pause(pause, visit.peer, moment)
        other = visit.bites.get(Family.INSTEAD)
        if other is not None and other.fault.when is moment:
            return havoc.instead(other.fault, visit.operation, self.directory.now())
        return None

    def _pause(self, injected: Injected, peer: Peer, moment: Moment) -> None:
        """
        Wait, for *delay* seconds or until released.

        Raises:
            _LeftError: the client left while its request hung, or the emulator closes.

        """
        fault = injected.fault
        until = time.monotonic() + (float("inf") if fault.delay is None else fault.delay)
        while not injected.released.is_set() and time.monotonic() < until:
            if self.closing.is_set() or (fault.what is Kind.HANG and peer.is_gone()):
                raise _LeftError
            injected.released.wait(min(_LOOK, max(0.0, until - time.monotonic())))
        left = fault.what is Kind.HANG and moment is Moment.BEFORE_COMMIT and peer.is_gone()
        if left or self.closing.is_set():
            raise _LeftError

    def _spoiled(self, visit: Visit, answer: Answer) -> Delivery:
        """The real answer, changed and sent as badly as the faults want it."""
        shape, badly = visit.bites.get(Family.SHAPE), visit.bites.get(Family.TRANSPORT)
        if shape is not None:
            answer = havoc.reshape(shape.fault, answer, visit.request)
        delivery = Delivery(answer=answer)
        return havoc.transport(badly.fault, delivery) if badly is not None else delivery

    # --- how no is said

    def _guarded(self, visit: Visit, act: Callable[[], Delivery]) -> Delivery:
        """Turn everything that is raised into an answer."""
        try:
            delivery = act()
        except _LeftError:
            delivery = Delivery(ending=Ending.CLOSE)
        except (RefusedError, LoginRefusedError) as refused:
            delivery = Delivery(answer=self._refusal(visit, refused))
        except Exception as error:  # noqa: BLE001 - a bug of ours must not cost the thread
            self.journal.failed(error)
            bug = RefusedError(500, "UnknownError", "The emulator has a bug; see its errors.")
            delivery = Delivery(answer=self._refusal(visit, bug))
        return replace(delivery, answer=signed(visit, delivery.answer))

    def _refusal(self, visit: Visit, refused: RefusedError | LoginRefusedError) -> Answer:
        return refusal(visit, refused, now=self.directory.now(), login_now=self.tokens.now())
