"""
Kubernetes' API as far as a Lease goes: what it answers is what the real one was seen to answer.

Over TLS on loopback, with tokens, RBAC and versions. It can hang, fail, cut connections,
freeze as a stopped process does, lose one client's packets, and shift the clock by
which one client writes.

Sources: API reference, Lease v1 coordination.k8s.io and "Resource versions"; answers as measured with 1.36.
"""

import contextlib
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from rotator.emulator.http.certificates import LOOPBACK_NAMES, make_authority, server_context

NAME, NAMESPACE = "rotator", "b2c"
PATH = re.compile(r"/apis/coordination\.k8s\.io/v1/namespaces/([^/]+)/leases(?:/([^/]+))?")
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
VERBS = {"GET": "get", "PUT": "update", "POST": "create", "PATCH": "patch", "DELETE": "delete"}

Json = dict[str, Any]


class Kind(Enum):
    """What goes wrong."""

    HANG = auto()  # until it is removed; then it goes on, as a frozen server does, whether the client has left or not
    STATUS = auto()
    RESET = auto()  # the connection, hard


class Moment(Enum):
    """When."""

    BEFORE_COMMIT = auto()
    AFTER_COMMIT = auto()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong, *times* times (None: until it is removed), for some or for all requests."""

    what: Kind
    when: Moment = Moment.BEFORE_COMMIT
    method: str | None = None
    user: str | None = None
    status: int = 500
    times: int | None = None


@dataclass(eq=False)
class Injected:
    """A fault at work."""

    fault: Fault
    hits: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def remove(self) -> None:
        """It bites no more, and what hangs on it goes on."""
        self.over.set()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request, when it was answered; *time* is the epoch's."""

    time: float
    user: str | None
    method: str
    status: int | None
    body: Json | None


@dataclass(frozen=True, kw_only=True)
class Change:
    """What the Lease came to say, when, and by whom."""

    time: float
    user: str
    holder: str
    duration: int | None
    transitions: int
    version: str


@dataclass(frozen=True, kw_only=True)
class Account:
    """
    A service account: its token, and the verbs it has on which names (None: on any).

    may_create: by a rule of its own, since a rule that has names never allows `create`
    """

    user: str
    verbs: tuple[str, ...] = ("get", "update")
    names: tuple[str, ...] | None = (NAME,)
    may_create: bool = False

    def may(self, verb: str, name: str | None) -> bool:
        """Whether a rule allows it; what a request is to create has no name yet."""
        if verb == "create" and self.may_create:
            return True
        return verb in self.verbs and (self.names is None or name in self.names)


class _StatusError(Exception):
    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        }
        self.code = code


class _DropError(Exception):
    """The connection ends without an answer."""


class Kubernetes:
    """The API server; a context manager. Everything may be called from any thread."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.skews: dict[str, timedelta] = {}
        self._authority = make_authority()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._objects: dict[tuple[str, str], Json] = {}
        self._version = 100
        self._seen: list[Seen] = []
        self._history: list[Change] = []
        self._faults: list[Injected] = []
        self._thawed = threading.Event()
        self._thawed.set()
        self._whole: dict[str, threading.Event] = {}
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._server.context = server_context(self._authority, LOOPBACK_NAMES)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    # --- its life

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thawed.set()
        for user in tuple(self._whole):
            self.heal(user)
        for injected in self._faults:
            injected.remove()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its root."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What every container of the cluster has."""
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port)}

    # --- what is in it

    def ship(self, name: str = NAME, spec: Json | None = None) -> None:
        """What the manifests bring: a Lease, by default an empty one."""
        self._create(NAMESPACE, name, {"metadata": {"labels": {"app": "rotator"}}, "spec": spec or {}})

    def mount(self, directory: Path, user: str, **account: Any) -> Path:
        """A service account's directory, as it is mounted into a pod of *user*."""
        token = f"token-of-{user}"
        self.accounts[token] = Account(user=user, **account)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "token").write_text(token)
        (directory / "ca.crt").write_text(self._authority.certificate_pem)
        (directory / "namespace").write_text(NAMESPACE)
        return directory

    def lease(self, name: str = NAME) -> Json:
        """The object as it is."""
        with self._lock:
            return deepcopy(self._objects[NAMESPACE, name])

    def spec(self) -> Json:
        """Its spec."""
        spec: Json = self.lease()["spec"]
        return spec

    def tamper(self, **spec: object) -> None:
        """Somebody edits the Lease by hand."""
        with self._lock:
            raw = self.lease()
            raw["spec"] |= spec
            self._store(NAMESPACE, NAME, raw, "somebody")

    def relabel(self, **labels: str) -> None:
        """Somebody changes its labels, and nothing else, as an upgrade of the manifests does."""
        with self._lock:
            raw = self.lease()
            raw["metadata"]["labels"] |= labels
            self._store(NAMESPACE, NAME, raw, self._history[-1].user)  # who holds it does not change

    def delete(self) -> None:
        """Somebody deletes the Lease."""
        with self._lock:
            del self._objects[NAMESPACE, NAME]

    # --- what was asked

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Every request that has been answered, or dropped."""
        with self._lock:
            return tuple(self._seen)

    @property
    def history(self) -> tuple[Change, ...]:
        """What the Lease named `rotator` said, from its creation on."""
        with self._lock:
            return tuple(self._history)

    def holder_at(self, instant: float) -> Change:
        """What the Lease said at *instant*."""
        return [change for change in self.history if change.time <= instant][-1]

    def wait(self, reached: Callable[[Change], bool], timeout: float = 20) -> Change:
        """Wait until a change comes of which *reached* is true; the first such one."""
        with self._changed:
            found = self._changed.wait_for(lambda: [each for each in self._history if reached(each)], timeout)
            assert found, f"did not happen within {timeout}s: {self._history[-3:]}"
            return found[0]

    # --- what goes wrong

    def inject(self, fault: Fault) -> Injected:
        """Let something go wrong from now on."""
        injected = Injected(fault)
        with self._lock:
            self._faults.append(injected)
        return injected

    def freeze(self) -> None:
        """As SIGSTOP does: connections are made, and nothing is said on them."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Go on where it stood, with everything that came meanwhile."""
        self._thawed.set()

    def split(self, user: str) -> None:
        """Lose every packet from and to *user*."""
        self._whole[user] = threading.Event()

    def heal(self, user: str) -> None:
        """Lose no more; what was lost stays so."""
        self._whole.pop(user).set()

    # --- how it answers

    def answer(self, method: str, path: str, token: str, content: bytes) -> tuple[int, Json]:
        """One request; raises _DropError if there is no answer."""
        self._thawed.wait()
        account = self.accounts.get(token)
        user = account.user if account else None
        body = _json(content)
        status: int | None = None
        try:
            self._hold(user)
            self._bite(Moment.BEFORE_COMMIT, method, user)
            status, answer = self._act(method, path, account, body)
            self._bite(Moment.AFTER_COMMIT, method, user)
            self._thawed.wait()
            self._hold(user)
        except _StatusError as error:
            status, answer = error.code, error.body
        except _DropError:
            status = None
            raise
        finally:
            with self._changed:
                self._seen.append(Seen(time=time.time(), user=user, method=method, status=status, body=body))
                self._changed.notify_all()
        return status, answer

    def _hold(self, user: str | None) -> None:
        whole = self._whole.get(user or "")
        if whole is not None:
            whole.wait()
            raise _DropError

    def _bite(self, moment: Moment, method: str, user: str | None) -> None:
        with self._lock:
            injected = next((each for each in self._faults if _bites(each, moment, method, user)), None)
            if injected is None:
                return
            injected.hits += 1
        match injected.fault.what:
            case Kind.HANG:
                injected.over.wait()
            case Kind.STATUS:
                raise _StatusError(injected.fault.status, "InternalError", "something went wrong")
            case Kind.RESET:
                raise _DropError

    def _act(self, method: str, path: str, account: Account | None, body: Json | None) -> tuple[int, Json]:
        if account is None:
            raise _StatusError(401, "Unauthorized", "Unauthorized")
        if (method, path) == ("POST", REVIEWS) and body is not None:
            asked = body["spec"]["resourceAttributes"]
            return 201, {**body, "status": {"allowed": account.may(asked["verb"], asked.get("name"))}}
        return self._act_on_lease(method, path, account, body)

    def _act_on_lease(self, method: str, path: str, account: Account, body: Json | None) -> tuple[int, Json]:
        match = PATH.fullmatch(path)
        if match is None:
            raise _StatusError(404, "NotFound", "the server could not find the requested resource")
        namespace, name = match.groups()
        verb = VERBS[method] if name or method == "POST" else "list"
        if not account.may(verb, name):
            which = f' "{name}"' if name else ""
            what = f'leases.coordination.k8s.io{which} is forbidden: User "{account.user}" cannot {verb} resource'
            raise _StatusError(403, "Forbidden", f'{what} "leases" in API group "coordination.k8s.io"')
        with self._lock:
            if method == "POST":
                return 201, self._post(namespace, name, body or {}, account.user)
            present = self._objects.get((namespace, name))
            if present is None and method == "PUT" and (body or {}).get("metadata", {}).get("uid"):
                # A Lease may be created by PUT, but not as the one that its uid says it was.
                raise _StatusError(409, "Conflict", "Precondition failed: UID in precondition, UID in object meta: ")
            if present is None:
                raise _StatusError(404, "NotFound", f'leases.coordination.k8s.io "{name}" not found')
            if method == "PUT":
                return 200, self._put(namespace, name, body or {}, account.user)
            if method == "PATCH":
                return 200, self._patch(namespace, name, present, body or {}, account.user)
            if method == "DELETE":
                del self._objects[namespace, name]
                return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}
            return 200, deepcopy(present)

    def _post(self, namespace: str, path_name: str | None, body: Json, user: str) -> Json:
        metadata = body.get("metadata", {})
        if path_name:
            raise _StatusError(
                405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
            )
        if metadata.get("namespace", namespace) != namespace:
            message = "the namespace of the provided object does not match the namespace sent on the request"
            raise _StatusError(400, "BadRequest", message)
        if not metadata.get("name"):
            message = "resource name may not be empty: name or generateName is required"
            raise _StatusError(422, "Invalid", message)
        if metadata.get("resourceVersion"):
            raise _StatusError(500, "InternalError", "resourceVersion should not be set on objects to be created")
        return self._create(namespace, metadata["name"], body, user)

    def _create(self, namespace: str, name: str, body: Json, user: str = "somebody") -> Json:
        with self._lock:
            if (namespace, name) in self._objects:
                raise _StatusError(409, "AlreadyExists", f'leases.coordination.k8s.io "{name}" already exists')
            uid = f"0b1c-{self._version}"
            metadata = {**body.get("metadata", {}), "name": name, "namespace": namespace, "uid": uid}
            return self._store(namespace, name, {**body, "metadata": metadata}, user)

    def _put(self, namespace: str, name: str, body: Json, user: str) -> Json:
        version = body.get("metadata", {}).get("resourceVersion")
        if not version:
            message = f'"{name}" is invalid: metadata.resourceVersion: must be specified for an update'
            raise _StatusError(422, "Invalid", message)
        self._compare(namespace, name, version)
        return self._store(namespace, name, body, user)

    def _patch(self, namespace: str, name: str, present: Json, body: Json, user: str) -> Json:
        version = body.get("metadata", {}).get("resourceVersion")
        if version:
            self._compare(namespace, name, version)
        merged = deepcopy(present)
        merged["spec"] |= body.get("spec", {})
        return self._store(namespace, name, merged, user)

    def _compare(self, namespace: str, name: str, version: str) -> None:
        if version != self._objects[namespace, name]["metadata"]["resourceVersion"]:
            message = (
                f'Operation cannot be fulfilled on "{name}": the object has been modified; please apply your changes'
            )
            raise _StatusError(409, "Conflict", message)

    def _store(self, namespace: str, name: str, body: Json, user: str) -> Json:
        raw = {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", **deepcopy(body)}
        spec = raw["spec"] = self._checked(raw.get("spec") or {}, user)
        before = self._objects.get((namespace, name))
        if before is not None and before["spec"] == spec and _apart(before) == _apart(raw):
            return deepcopy(before)  # nothing has changed, so its version does not
        self._version += 1
        raw["metadata"]["resourceVersion"] = str(self._version)
        self._objects[namespace, name] = raw
        if name == NAME:
            self._history.append(
                Change(
                    time=time.time(),
                    user=user,
                    holder=spec.get("holderIdentity") or "",
                    duration=spec.get("leaseDurationSeconds"),
                    transitions=spec.get("leaseTransitions") or 0,
                    version=str(self._version),
                )
            )
            self._changed.notify_all()
        return deepcopy(raw)

    def _checked(self, spec: Json, user: str) -> Json:
        spec = dict(spec)
        for member in ("renewTime", "acquireTime"):
            if member in spec:
                if not MICRO_TIME.fullmatch(str(spec[member])):
                    raise _StatusError(400, "BadRequest", f'parsing time "{spec[member]}" as "…05.000000Z07:00"')
                instant = datetime.fromisoformat(spec[member]) + self.skews.get(user, timedelta())
                spec[member] = instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if spec.get("leaseDurationSeconds", 1) <= 0:
            raise _StatusError(422, "Invalid", "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0")
        return spec


def _bites(injected: Injected, moment: Moment, method: str, user: str | None) -> bool:
    fault = injected.fault
    return (
        not injected.over.is_set()
        and fault.when is moment
        and fault.method in (None, method)
        and fault.user in (None, user)
        and (fault.times is None or injected.hits < fault.times)
    )


def _apart(raw: Json) -> Json:
    return {name: value for name, value in raw["metadata"].items() if name != "resourceVersion"}


def _json(content: bytes) -> Json | None:
    found = json.loads(content) if content else None
    assert found is None or isinstance(found, dict)
    return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    context: ssl.SSLContext

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is daily life."""


def _handler(kubernetes: Kubernetes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server: _Server

        def setup(self) -> None:
            kubernetes._thawed.wait()  # noqa: SLF001 - the handshake, too, is its work
            raw: socket.socket = self.request
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.settimeout(60)
            self.request = self.server.context.wrap_socket(raw, server_side=True)
            super().setup()

        def finish(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().finish()
            with contextlib.suppress(OSError):
                self.request.close()

        def _serve(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            try:
                status, body = kubernetes.answer(self.command, self.path, token, content)
            except _DropError:
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            answer = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's signature
            """Nothing: there is a journal."""

    return Handler
