"""
What happens to a request, from its arrival to the answer.

::

    route ▶ token ▶ throttle ▶ [faults] ▶ role ▶ carry out ▶ [faults] ▶ answer
                                  │ before commit          │ after commit

Each stage may refuse; the refusal becomes the error body that the asked side, Graph or
login, would send. A bug of the emulator is answered with a 500 and recorded in the journal.
"""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from rotator.emulator.entra.login import PUBLIC_GRAPHS, Entra
from rotator.emulator.entra.tokens import Bearer, Tokens, unauthenticated
from rotator.emulator.faults import fault_effects
from rotator.emulator.faults.fault import Family, FaultTable, Injected, Kind, Moment
from rotator.emulator.graph import endpoints
from rotator.emulator.graph.throttle import Throttle
from rotator.emulator.http.answers import Answer, Delivery, Ending, LoginRefusedError, Peer, RefusedError, Request
from rotator.emulator.http.routes import GRAPH, NEEDS_WRITE_ROLE, WRITES, Operation, find_route
from rotator.emulator.journal import Journal, Seen, redacted
from rotator.emulator.model.seed import READ_ROLE, WRITE_ROLE
from rotator.emulator.model.tenants import Directory, Tenant
from rotator.emulator.request_context import RequestContext, not_found, refusal, with_common_headers
from rotator.emulator.sign_in.policies import Policies

_POLL_SECONDS = 0.02  # between checks whether a pause is over


class _LeftError(Exception):
    """The client left before anything was written, or the emulator closes."""


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
        context = RequestContext(
            request=request,
            peer=peer,
            route=find_route(request.method, request.path, request.query),
            request_id=str(uuid.uuid4()),
        )
        if context.operation is Operation.CONTROL:
            return self._guarded(context, lambda: Delivery(answer=self.control(request)))
        bearer, refused = self._authenticated(context)
        context = replace(context, bearer=bearer, tenant=self._tenant(context, bearer))
        context = replace(context, number=self._arrived(context))
        delivery = self._guarded(context, lambda: self._answered(context, refused))
        status = delivery.answer.status if delivery.ending is Ending.SEND else None
        self.journal.answered(context.number, status)
        return delivery

    def _answered(self, context: RequestContext, refused: RefusedError | None) -> Delivery:
        if refused is not None:
            raise refused
        if context.bearer is not None and context.tenant is not None:
            bearer, now = context.bearer, self.directory.now()
            self.throttle.count(context.tenant.id, bearer.client_id, context.switches, now)
        context = replace(context, faults_hit=self._faults_hit(context))
        early = self._interrupted(context, Moment.BEFORE_COMMIT)
        if early is not None:
            return early
        answer = self._real_answer(context)
        late = self._interrupted(context, Moment.AFTER_COMMIT)
        return late or self._damaged(context, answer)

    def _real_answer(self, context: RequestContext) -> Answer:
        """The answer without faults, which may be a refusal."""
        try:
            answer = self._carried_out(context)
        except (RefusedError, LoginRefusedError) as refused:
            return self._refusal(context, refused)
        if context.operation in WRITES and Kind.LOST not in context.kinds:
            self.journal.committed(context.number)
        return answer

    def _authenticated(self, context: RequestContext) -> tuple[Bearer | None, RefusedError | None]:
        """The app that asks Graph; or the refusal. Both None where no app is needed."""
        if context.operation not in GRAPH:
            return None, None
        try:
            bearer = self.tokens.check(context.request.headers.get("authorization"))
        except RefusedError as refused:
            return None, refused
        if not (self.is_ours(bearer.audience) or bearer.audience in PUBLIC_GRAPHS):
            return None, unauthenticated("Access token validation failure. Invalid audience.")
        if self.directory.find(bearer.tenant_id) is None:
            text = "The identity of the calling application could not be established."
            return None, unauthenticated(text)
        return bearer, None

    def _tenant(self, context: RequestContext, bearer: Bearer | None) -> Tenant | None:
        name = bearer.tenant_id if bearer else context.route.arguments.get("tenant", "")
        return self.directory.find(name)

    def _arrived(self, context: RequestContext) -> int:
        request, arguments = context.request, context.route.arguments
        query = f"?{urlencode(request.query)}" if request.query else ""

        def make(number: int) -> Seen:
            return Seen(
                number=number,
                time=self.directory.now(),
                method=request.method,
                path=request.path + query,
                operation=context.operation,
                tenant=context.tenant.domain if context.tenant else None,
                keyset=arguments.get("keyset"),
                client_request_id=context.client_request_id,
                body=redacted(context.operation, request.body),
            )

        return self.journal.arrived(make)

    def _carried_out(self, context: RequestContext) -> Answer:
        """Carry out the request. Raises: RefusedError, LoginRefusedError."""
        request, arguments = context.request, context.route.arguments
        entra = Entra(self.directory, self.tokens, self.is_ours)
        policies = Policies(self.directory)
        match context.operation:
            case Operation.DISCOVERY:
                return entra.discovery(request, arguments["tenant"])
            case Operation.TOKEN:
                return entra.token(request, arguments["tenant"])
            case Operation.LOGIN_KEYS:
                return entra.login_keys(request, arguments["tenant"])
            case Operation.JWKS:
                return policies.keys(request, arguments["tenant"], arguments["policy"])
            case Operation.POLICY_DISCOVERY:
                return policies.discovery(request, arguments["tenant"], arguments["policy"])
            case Operation.UNKNOWN:
                raise not_found(context)
            case _:
                return self._graph(context)

    def _graph(self, context: RequestContext) -> Answer:
        tenant, bearer = context.tenant, context.bearer
        if tenant is None or bearer is None:
            msg = f"{context.operation} without a tenant"
            raise TypeError(msg)
        needed = {WRITE_ROLE} if context.operation in NEEDS_WRITE_ROLE else {WRITE_ROLE, READ_ROLE}
        if not needed & bearer.roles:
            text = "Insufficient privileges to complete the operation."
            raise RefusedError(403, "Authorization_RequestDenied", text)
        keeping = context.faults_hit.get(Family.KEEPING)
        altered = keeping is not None and keeping.fault.what is Kind.ALTERED
        call = endpoints.Call(
            request=context.request,
            tenant=tenant,
            client_id=bearer.client_id,
            now=self.directory.now(),
            keyset=context.route.arguments.get("keyset", ""),
            kid=context.route.arguments.get("kid", ""),
            commits=Kind.LOST not in context.kinds,
            shift=keeping.fault.shift if keeping is not None and altered else 0,
        )
        return endpoints.answer(context.operation, call)

    def _faults_hit(self, context: RequestContext) -> Mapping[Family, Injected]:
        tenant = context.tenant
        names = {tenant.id, tenant.domain.lower()} if tenant else set()
        return self.faults.faults_hit(context.operation, names, context.route.arguments.get("keyset"))

    def _interrupted(self, context: RequestContext, moment: Moment) -> Delivery | None:
        """Pause, then what is answered instead; None where no fault replaces the answer at this *moment*."""
        pause = context.faults_hit.get(Family.PAUSE)
        if pause is not None and pause.fault.when is moment:
            self._pause(pause, context.peer, moment)
        other = context.faults_hit.get(Family.INSTEAD)
        if other is not None and other.fault.when is moment:
            return fault_effects.instead(other.fault, context.operation, self.directory.now())
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
            injected.released.wait(min(_POLL_SECONDS, max(0.0, until - time.monotonic())))
        left = fault.what is Kind.HANG and moment is Moment.BEFORE_COMMIT and peer.is_gone()
        if left or self.closing.is_set():
            raise _LeftError

    def _damaged(self, context: RequestContext, answer: Answer) -> Delivery:
        """The real answer, changed and sent as the faults say."""
        shape, badly = context.faults_hit.get(Family.SHAPE), context.faults_hit.get(Family.TRANSPORT)
        if shape is not None:
            answer = fault_effects.reshape(shape.fault, answer, context.request)
        delivery = Delivery(answer=answer)
        return fault_effects.transport(badly.fault, delivery) if badly is not None else delivery

    def _guarded(self, context: RequestContext, act: Callable[[], Delivery]) -> Delivery:
        """Turn everything that is raised into an answer."""
        try:
            delivery = act()
        except _LeftError:
            delivery = Delivery(ending=Ending.CLOSE)
        except (RefusedError, LoginRefusedError) as refused:
            delivery = Delivery(answer=self._refusal(context, refused))
        except Exception as error:  # noqa: BLE001 - a bug must not end the thread
            self.journal.failed(error)
            bug = RefusedError(500, "UnknownError", "The emulator has a bug; see its errors.")
            delivery = Delivery(answer=self._refusal(context, bug))
        return replace(delivery, answer=with_common_headers(context, delivery.answer))

    def _refusal(self, context: RequestContext, refused: RefusedError | LoginRefusedError) -> Answer:
        return refusal(context, refused, now=self.directory.now(), login_now=self.tokens.now())
