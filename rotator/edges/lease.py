"""
The lease as it stands in the Kubernetes API: `coordination.k8s.io/v1`, over `Http`.

Kubernetes' ways that shape this module (measured with 1.36):

- a PUT without `metadata.resourceVersion` is refused, a stale one is 409; a merge
  patch without it overwrites whatever is there, so there is none here;
- `renewTime` without a fraction of a second is refused;
- `create` can't be limited to one name, so the Lease is not created here: it is shipped
  empty, and `get` and `update` on that one name are enough;
- the token in the service account's directory is renewed by the kubelet, and the
  CA may be: both are read again every minute.

A PUT replaces the object, so labels and whatever else stands in it goes back as it came.

Sources: Kubernetes' API reference, Lease v1 coordination.k8s.io; "Accessing the
Kubernetes API from a Pod".
"""

import json
import os
import re
import socket
import ssl
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

from rotator.core.errors import UNTRUSTED, Effect, Failure, FailureKind, RequestError
from rotator.core.lease import Lease
from rotator.edges.http import Answer, Http

AGE = 60.0  # seconds after which token and CA are read again
HOST, PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
MOST_LETTERS = 512  # of an identity; a pod's name has up to 253, and a uuid 36

Json = Mapping[str, Any]


def root(environ: Mapping[str, str] = os.environ) -> str | None:
    """The API's root by the variables that every container of a cluster has; None elsewhere."""
    host = environ.get(HOST)
    if not host:
        return None
    return f"https://{f'[{host}]' if ':' in host else host}:{environ.get(PORT) or '443'}"


def new_identity() -> str:
    """The pod's name, and what makes it unique."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


@dataclass(slots=True)
class _Account:
    """What the service account's directory held when it was read."""

    read: float  # monotonic
    token: str = field(repr=False)
    ca: bytes
    namespace: str
    http: Http

    def url(self, api: str, name: str) -> str:
        """Where a Lease of that name is."""
        return f"{api}/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{name}"


class KubernetesLeases:
    """One Lease by its name. For one thread."""

    def __init__(
        self, api: str, directory: Path, *, name: str, namespace: str | None, monotonic: Callable[[], float]
    ) -> None:
        """
        Nothing is asked or read yet.

        api:       its root
        directory: the service account's, with `token`, `ca.crt` and `namespace`
        namespace: in place of the one in there
        """
        self._api = api
        self._directory = directory
        self._name = name
        self._namespace = namespace
        self._monotonic = monotonic
        self._account: _Account | None = None
        self._timeout = 0.0
        self._object: Json = {}

    def read(self, timeout: float) -> Lease:
        """
        The Lease as it is now.

        Raises:
            RequestError: it can't be had; the message says what to do.

        """
        return self._ask("GET", None, timeout)

    def write(self, lease: Lease, timeout: float) -> Lease:
        """
        Replace the Lease, if its version is still that of *lease*.

        Raises:
            RequestError: `conflict` where it is not; else as above.

        """
        return self._ask("PUT", json.dumps(self._rendered(lease)).encode(), timeout)

    def close(self) -> None:
        """Close the connection that is kept open."""
        if self._account is not None:
            self._account.http.close()

    def _ask(self, method: str, content: bytes | None, timeout: float) -> Lease:
        account = self._current()
        self._timeout = timeout
        headers = {"Authorization": f"Bearer {account.token}", "Accept": "application/json"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            answer = account.http.send(
                "lease", method, account.url(self._api, self._name), headers=headers, content=content
            )
            if answer.status != HTTPStatus.OK:
                raise self._refused(answer, method, account)
            self._object, lease = _parse(answer)
        except RequestError as error:
            account.read = -AGE  # token or CA may have been renewed since
            if error.failure.code == UNTRUSTED:
                _fail(f"the certificate of the Kubernetes API is not trusted by {self._file('ca.crt')}", cause=error)
            raise
        return lease

    def _rendered(self, lease: Lease) -> Json:
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        spec = dict(self._object.get("spec") or {})
        if lease.holder and lease.holder != spec.get("holderIdentity"):
            spec["acquireTime"] = now
        spec |= {
            "holderIdentity": lease.holder,
            "leaseDurationSeconds": round(lease.duration or 1),
            "leaseTransitions": lease.transitions,
            "renewTime": now,
        }
        metadata = {**self._object.get("metadata", {}), "resourceVersion": lease.version}
        return {**self._object, "metadata": metadata, "spec": spec}

    def _current(self) -> _Account:
        """What the service account's directory holds, at most a minute old."""
        before, now = self._account, self._monotonic()
        if before is not None and now - before.read < AGE:
            return before
        token, ca = self._word("token"), self._content("ca.crt")
        namespace = self._namespace or self._word("namespace")
        if before is not None and before.ca == ca:
            http = before.http
        else:
            http = Http(
                self._trust(ca), timeout=lambda: self._timeout, clock=lambda: datetime.now(UTC), observe=lambda _: None
            )
            if before is not None:
                before.http.close()
        self._account = _Account(read=now, token=token, ca=ca, namespace=namespace, http=http)
        return self._account

    def _file(self, name: str) -> Path:
        return self._directory / name

    def _content(self, name: str) -> bytes:
        try:
            return self._file(name).read_bytes()
        except OSError as error:
            message = f"cannot read {self._file(name)}: {error.strerror}; mount the service account's token there"
            _fail(message, cause=error)

    def _word(self, name: str) -> str:
        """A file that holds one word; what else it could be would not fit into a request."""
        word = self._content(name).decode("latin-1").strip()
        if not re.fullmatch(r"[\w.-]+", word, re.ASCII):
            _fail(f"{self._file(name)} is not what a cluster mounts there; mount the service account's token")
        return word

    def _trust(self, ca: bytes) -> ssl.SSLContext:
        """TLS that trusts the cluster's CA, and nobody else."""
        try:
            context = ssl.create_default_context(cadata=ca.decode("ascii"))
        except (OSError, ValueError) as error:
            _fail(f"{self._file('ca.crt')} holds no certificate that can be read", cause=error)
        # From Python 3.13 on it wants what CAs of clusters often lack: kubernetes-client/python, issue 2394.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    def _refused(self, answer: Answer, method: str, account: _Account) -> RequestError:
        verb = "get" if method == "GET" else "update"
        kind, advice = _STATUSES.get(answer.status, _SERVICE if answer.status >= 500 else _UNKNOWN)
        advice = advice.format(directory=self._directory, verb=verb, name=self._name, namespace=account.namespace)
        message = f"the Kubernetes API answered {answer.status} to {verb} of lease {self._name}: {advice}"
        failure = Failure(kind=kind, message=message, status=answer.status, client_request_id=answer.client_request_id)
        return RequestError(failure, Effect.UNKNOWN if kind is FailureKind.SERVICE else Effect.NONE)


_SERVICE = (FailureKind.SERVICE, "it has a problem; it is tried again")
_UNKNOWN = (FailureKind.BAD_REQUEST, "it does not take this request")
_STATUSES = {
    401: (
        FailureKind.AUTH,
        "it does not know the token in {directory}; mount a token of this pod's service account for the API there",
    ),
    403: (
        FailureKind.FORBIDDEN,
        (
            "its service account lacks the verb {verb}; bind it, in namespace {namespace}, to a Role with apiGroups "
            "[coordination.k8s.io], resources [leases], resourceNames [{name}], verbs [get, update]"
        ),
    ),
    404: (
        FailureKind.NOT_FOUND,
        "namespace {namespace} has none; apply an empty one (spec: {{}}), since `create` can't be granted for one name",
    ),
    409: (FailureKind.CONFLICT, "somebody else has replaced it"),
    429: (FailureKind.THROTTLED, "too many requests; it is tried again"),
}


def _parse(answer: Answer) -> tuple[Json, Lease]:
    try:
        raw = json.loads(answer.body)
        spec = raw.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
        version = raw["metadata"]["resourceVersion"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _unreadable(answer) from error
    texts = isinstance(holder, str) and len(holder) <= MOST_LETTERS and isinstance(version, str) and version
    if not (texts and _is_count(duration) and _is_count(transitions)):
        raise _unreadable(answer)
    lease = Lease(
        holder=holder,
        duration=None if duration is None else float(duration),
        transitions=transitions or 0,
        version=version,
    )
    return raw, lease


def _is_count(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31)


def _unreadable(answer: Answer) -> RequestError:
    message = "the Kubernetes API's answer is no Lease; check what stands between"
    return RequestError(Failure(kind=FailureKind.UNREADABLE, message=message, status=answer.status), Effect.UNKNOWN)


def _fail(message: str, *, cause: Exception | None = None) -> NoReturn:
    raise RequestError(Failure(kind=FailureKind.AUTH, message=message)) from cause
