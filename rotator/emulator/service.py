"""
What happens to a request, from its arrival to the answer.

::

    route ▶ token ▶ throttle ▶ [faults] ▶ role ▶ carry out ▶ [faults] ▶ answer
                                  │ before commit          │ after commit

Each stage may refuse; the refusal becomes the error body that the asked side, Graph or
login, would send. A bug of the emulator is answered with a 500 and recorded in the journal.
"""

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from rotator.emulator.entra.login import PUBLIC_GRAPHS, Bearer, Entra, Tokens, unauthenticated
from rotator.emulator.faults import fault_effects
from rotator.emulator.faults.fault import Family, FaultTable, Injected, Kind, Moment
from rotator.emulator.graph import endpoints
from rotator.emulator.graph.throttle import Throttle
from rotator.emulator.http import answers, routes
from rotator.emulator.http.answers import Answer, Delivery, Ending, LoginRefusedError, Peer, RefusedError, Request
from rotator.emulator.http.routes import Operation, Route
from rotator.emulator.journal import Journal, Seen, redacted
from rotator.emulator.model.seed import READ_ROLE, WRITE_ROLE
from rotator.emulator.model.switches import Switches
from rotator.emulator.model.tenants import Directory, Tenant
from rotator.emulator.sign_in.policies import Policies
from rotator.emulator.sign_in.tokens import PolicyTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
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
        return self.route.operation

    @property
    def client_request_id(self) -> str | None:
        return self.request.headers.get("client-request-id")

    @property
    def switches(self) -> Switches:
        """Those of the tenant; the defaults if there is no tenant."""
        return self.tenant.switches if self.tenant else Switches()

    @property
    def is_lost(self) -> bool:
        """Whether it is answered as if it were carried out, and is not."""
        return Family.KEEPING in self.faults_hit and self.faults_hit[Family.KEEPING].fault.what is Kind.LOST


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
        context = _Context(
            request=request,
            peer=peer,
            route=routes.find_route(request.method, request.path, request.query),
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

    def _answered(self, context: _Context, refused: RefusedError | None) -> Delivery:
        if refused is not None:
            raise refused
        if context.bearer is not None and context.tenant is not None:
            self.throttle.count(context.tenant, context.bearer.client_id, self.directory.now())
        context = replace(context, faults_hit=self._faults_hit(context))
        early = self._interrupted(context, Moment.BEFORE_COMMIT)
        if early is not None:
            return early
        answer = self._real_answer(context)
        late = self._interrupted(context, Moment.AFTER_COMMIT)
        return late or fault_effects.damaged(context.faults_hit, answer, context.request)

    def _real_answer(self, context: _Context) -> Answer:
        """The answer without faults, which may be a refusal."""
        try:
            answer = self._carried_out(context)
        except (RefusedError, LoginRefusedError) as refused:
            return self._refusal(context, refused)
        if context.operation in routes.WRITES and not context.is_lost:
            self.journal.committed(context.number)
        return answer

    def _authenticated(self, context: _Context) -> tuple[Bearer | None, RefusedError | None]:
        """The app that asks Graph; or the refusal. Both None if no app is needed."""
        if context.operation not in routes.GRAPH:
            return None, None
        try:
            bearer = self.tokens.check(context.request.headers.get("authorization"))
        except RefusedError as refused:
            return None, refused
        if not (self.is_ours(bearer.audience) or bearer.audience in PUBLIC_GRAPHS):
            return None, unauthenticated("Access token validation failure. Invalid audience.")
        if self.directory.find(bearer.tenant_id) is None:
            return None, unauthenticated("The identity of the calling application could not be established.")
        return bearer, None

    def _tenant(self, context: _Context, bearer: Bearer | None) -> Tenant | None:
        name = bearer.tenant_id if bearer else context.route.arguments.get("tenant", "")
        return self.directory.find(name)

    def _arrived(self, context: _Context) -> int:
        request = context.request
        query = f"?{urlencode(request.query)}" if request.query else ""

        seen = Seen(
            time=self.directory.now(),
            method=request.method,
            path=request.path + query,
            operation=context.operation,
            tenant=context.tenant.domain if context.tenant else None,
            keyset=context.route.arguments.get("keyset"),
            client_request_id=context.client_request_id,
            body=redacted(context.operation, request.body),
        )
        return self.journal.arrived(seen)

    def _carried_out(self, context: _Context) -> Answer:
        """Carry out the request. Raises: RefusedError, LoginRefusedError."""
        request, arguments = context.request, context.route.arguments
        entra = Entra(self.directory, self.tokens, self.is_ours)
        match context.operation:
            case Operation.DISCOVERY:
                return entra.discovery(request, arguments["tenant"])
            case Operation.TOKEN:
                return entra.token(request, arguments["tenant"])
            case Operation.LOGIN_KEYS:
                return entra.login_keys(request, arguments["tenant"])
            case Operation.JWKS | Operation.POLICY_DISCOVERY | Operation.POLICY_TOKEN:
                return self._policy(context, entra)
            case Operation.UNKNOWN:
                raise routes.not_found(context.route, request.path)
            case _:
                return self._graph(context)

    def _policy(self, context: _Context, entra: Entra) -> Answer:
        request, tenant, policy = context.request, *map(context.route.arguments.__getitem__, ("tenant", "policy"))
        policies = Policies(self.directory)
        match context.operation:
            case Operation.JWKS:
                return policies.keys(request, tenant, policy)
            case Operation.POLICY_DISCOVERY:
                return policies.discovery(request, tenant, policy)
            case _:
                return PolicyTokens(self.directory, self.tokens.now, entra.prove).token(request, tenant, policy)

    def _graph(self, context: _Context) -> Answer:
        tenant, bearer = context.tenant, context.bearer
        if tenant is None or bearer is None:
            raise TypeError(f"{context.operation} without a tenant")
        needed = {WRITE_ROLE} if context.operation in routes.NEEDS_WRITE_ROLE else {WRITE_ROLE, READ_ROLE}
        if not needed & bearer.roles:
            raise RefusedError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        keeping = context.faults_hit.get(Family.KEEPING)
        altered = keeping is not None and keeping.fault.what is Kind.ALTERED
        call = endpoints.Call(
            request=context.request,
            tenant=tenant,
            client_id=bearer.client_id,
            now=self.directory.now(),
            keyset=context.route.arguments.get("keyset", ""),
            kid=context.route.arguments.get("kid", ""),
            commits=not context.is_lost,
            shift=keeping.fault.shift if keeping is not None and altered else 0,
        )
        return endpoints.answer(context.operation, call)

    def _faults_hit(self, context: _Context) -> Mapping[Family, Injected]:
        names = {context.tenant.id, context.tenant.domain.lower()} if context.tenant else set()
        return self.faults.hit(context.operation, names, context.route.arguments.get("keyset"))

    def _interrupted(self, context: _Context, moment: Moment) -> Delivery | None:
        """Pause, then what is answered instead; None if no fault replaces the answer at this *moment*."""
        hit = {family: each for family, each in context.faults_hit.items() if each.fault.when is moment}
        if Family.PAUSE in hit:
            fault_effects.pause(hit[Family.PAUSE], context.peer, self.closing)
        if Family.INSTEAD in hit:
            return fault_effects.instead(hit[Family.INSTEAD].fault, context.operation, self.directory.now())
        return None

    def _guarded(self, context: _Context, act: Callable[[], Delivery]) -> Delivery:
        """Turn everything that is raised into an answer."""
        try:
            delivery = act()
        except fault_effects.LeftError:
            delivery = Delivery(ending=Ending.CLOSE)
        except (RefusedError, LoginRefusedError) as refused:
            delivery = Delivery(answer=self._refusal(context, refused))
        except Exception as error:  # noqa: BLE001 - a bug must not end the thread
            self.journal.failed(error)
            bug = RefusedError(500, "UnknownError", "The emulator has a bug; see its errors.")
            delivery = Delivery(answer=self._refusal(context, bug))
        is_graph = routes.is_graph(context.route, context.request.path)
        headers = answers.common_headers(context.request_id, context.client_request_id, is_graph=is_graph)
        return replace(delivery, answer=replace(delivery.answer, headers=(*delivery.answer.headers, *headers)))

    def _refusal(self, context: _Context, refused: RefusedError | LoginRefusedError) -> Answer:
        """The error body that the asked side, Graph or login, would send."""
        if isinstance(refused, LoginRefusedError):
            return answers.login_refusal(refused, now=self.tokens.now(), client_request_id=context.client_request_id)
        return answers.graph_refusal(
            refused,
            now=self.directory.now(),
            request_id=context.request_id,
            client_request_id=context.client_request_id,
            inner_error_member=context.switches.inner_error_member,
        )
