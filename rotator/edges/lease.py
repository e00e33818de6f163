"""
The lease in the Kubernetes API: `coordination.k8s.io/v1`, over `Http`.

Behaviour of Kubernetes that this module depends on (measured with 1.36):

- a PUT without `metadata.resourceVersion` is refused, a stale one is 409; a merge
  patch without it overwrites any version, so patches are not used;
- `renewTime` without a fraction of a second is refused;
- `create` cannot be limited to one name, so it needs a separate rule without
  `resourceNames`; a POST of a name that exists is 409 AlreadyExists;
- for some seconds after its start the API answers 401 or 403 to a valid token;
- a PUT replaces the object, so labels and all other members are sent back unchanged.

Source: Kubernetes' API reference, Lease v1 coordination.k8s.io.
"""

import json
import os
import socket
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from rotator.core.errors import UNTRUSTED, Effect, Failure, FailureKind, RequestError
from rotator.core.lease import Lease
from rotator.edges.http import Answer, Clock, TransportFactory
from rotator.edges.json_text import parse_json
from rotator.edges.service_account import ServiceAccount
from rotator.edges.transport import direct

HOST, PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
MAX_IDENTITY = 512  # characters; a pod's name has up to 253, and a uuid 36

Json = Mapping[str, Any]


def root(environ: Mapping[str, str] = os.environ) -> str | None:
    """The base URL of the API, from the variables that every pod has; None outside of a cluster."""
    host = environ.get(HOST)
    if not host:
        return None
    return f"https://{f'[{host}]' if ':' in host else host}:{environ.get(PORT) or '443'}"


def new_identity() -> str:
    """The pod's name with a unique suffix."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


class KubernetesLeases:
    """One Lease, by its name. For one thread."""

    def __init__(
        self,
        api: str,
        directory: Path,
        *,
        name: str,
        namespace: str | None,
        clock: Clock,
        transport: TransportFactory = direct,
    ) -> None:
        """
        No request is made, and no file is read yet.

        api:       the base URL of the API
        directory: of the service account, with `token`, `ca.crt` and `namespace`
        namespace: of the Lease; None: the one in *directory*
        transport: carries the requests; by default without a proxy, because the API is inside the cluster
            and NO_PROXY often does not name it
        """
        self._api = api
        self._name = name
        self._clock = clock
        self._service_account = ServiceAccount(directory, namespace=namespace, clock=clock, transport=transport)
        self._object: Json = {}

    def read(self, timeout: float) -> Lease:
        """
        Read the Lease.

        Raises:
            RequestError: the request failed; the message says what to do.

        """
        return self._ask("GET", None, timeout)

    def create(self, lease: Lease, timeout: float) -> Lease:
        """
        Create the Lease, which does not exist yet.

        Raises:
            RequestError: `conflict` where it exists by now; else as above.

        """
        self._object = {}
        return self._ask("POST", lease, timeout)

    def write(self, lease: Lease, timeout: float) -> Lease:
        """
        Replace the Lease, if its version is still that of *lease*.

        Raises:
            RequestError: `conflict` if it has another version; else as in `read`.

        """
        return self._ask("PUT", lease, timeout)

    def close(self) -> None:
        """Close the connection that is kept open."""
        self._service_account.close()

    def _ask(self, method: str, lease: Lease | None, timeout: float) -> Lease:
        account = self._service_account.current()
        headers = account.headers
        url = f"{self._api}/apis/coordination.k8s.io/v1/namespaces/{account.namespace}/leases"
        content = None
        if lease is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(self._rendered(lease, account.namespace)).encode()
        if method != "POST":
            url = f"{url}/{self._name}"
        try:
            answer = account.http.send("lease", method, url, headers=headers, content=content, timeout=timeout)
            if answer.status != (HTTPStatus.CREATED if method == "POST" else HTTPStatus.OK):
                raise self._refused(answer, method, account.namespace)
            self._object, found = _parse(answer)
            if lease is not None and found.holder != lease.holder:
                raise self._taken(answer)
        except RequestError as error:
            self._service_account.expire()
            if error.failure.code == UNTRUSTED:
                ca_file = self._service_account.file("ca.crt")
                message = (
                    f"{ca_file} does not verify the certificate of the Kubernetes API; mount the cluster's CA there"
                )
                raise RequestError(Failure(kind=FailureKind.AUTH, message=message)) from error
            raise
        return found

    def _rendered(self, lease: Lease, namespace: str) -> Json:
        """The object as it is sent: *lease* in what was read last, or in a new one where its version is empty."""
        now = f"{self._clock.exact():%Y-%m-%dT%H:%M:%S.%f}Z"
        spec = dict(self._object.get("spec") or {})
        if lease.holder and lease.holder != spec.get("holderIdentity"):
            spec["acquireTime"] = now
        spec |= {
            "holderIdentity": lease.holder,
            "leaseDurationSeconds": round(lease.duration or 1),
            "leaseTransitions": lease.transitions,
            "renewTime": now,
        }
        if not lease.version:
            return {**_KIND, "metadata": {"name": self._name, "namespace": namespace}, "spec": spec}
        metadata = {**self._object.get("metadata", {}), "resourceVersion": lease.version}
        return {**self._object, "metadata": metadata, "spec": spec}

    def _taken(self, answer: Answer) -> RequestError:
        """The error for an answer that accepts a write but shows another holder."""
        message = f"the Kubernetes API shows another holder of lease {self._name} than was written; it is read again"
        return RequestError(
            Failure(
                kind=FailureKind.CONFLICT,
                message=message,
                status=answer.status,
                client_request_id=answer.client_request_id,
            )
        )

    def _refused(self, answer: Answer, method: str, namespace: str) -> RequestError:
        verb = _VERBS[method]
        kind, advice = _STATUSES.get(answer.status, _SERVICE if answer.status >= 500 else _UNKNOWN)
        if answer.status == HTTPStatus.FORBIDDEN and method == "POST":
            advice = _MAY_NOT_CREATE
        directory = self._service_account.directory
        advice = advice.format(directory=directory, verb=verb, name=self._name, namespace=namespace)
        message = f"the Kubernetes API answered {answer.status} to {verb} of lease {self._name}"
        is_passing = answer.status in _REFUSED_AFTER_A_START
        failure = Failure(
            kind=kind,
            message=f"{message}; rotator tries again" if is_passing else f"{message}: {advice}",
            status=answer.status,
            client_request_id=answer.client_request_id,
            if_it_lasts=f"{message} for longer than lease_duration: {advice}" if is_passing else None,
        )
        return RequestError(failure, Effect.UNKNOWN if kind is FailureKind.SERVICE else Effect.NONE)


_KIND = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
_VERBS = {"GET": "get", "PUT": "update", "POST": "create"}
_REFUSED_AFTER_A_START = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_SERVICE = (FailureKind.SERVICE, "the API has a problem; rotator tries again")
_UNKNOWN = (FailureKind.BAD_REQUEST, "the API refuses this request; check the version of Kubernetes")
_MAY_NOT_CREATE = (
    "there is no such Lease in namespace {namespace}, and the service account lacks the verb create; apply an empty "
    "Lease (spec: {{}}), or bind the account there to a Role with apiGroups [coordination.k8s.io], resources [leases], "
    "verbs [create]"
)
_STATUSES = {
    401: (
        FailureKind.AUTH,
        "the API refuses the token in {directory}; mount a token of this pod's service account there",
    ),
    403: (
        FailureKind.FORBIDDEN,
        (
            "the service account lacks the verb {verb}; bind it, in namespace {namespace}, to a Role with apiGroups "
            "[coordination.k8s.io], resources [leases], resourceNames [{name}], verbs [get, update]"
        ),
    ),
    404: (FailureKind.NOT_FOUND, "there is no such Lease, or no namespace {namespace}"),
    409: (FailureKind.CONFLICT, "another client has replaced or created it"),
    429: (FailureKind.THROTTLED, "too many requests; rotator tries again"),
}


def _parse(answer: Answer) -> tuple[Json, Lease]:
    try:
        raw = parse_json(answer.body)
        spec = raw.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
        version = raw["metadata"]["resourceVersion"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _unreadable(answer) from error
    texts = isinstance(holder, str) and len(holder) <= MAX_IDENTITY and isinstance(version, str) and version
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
    message = "the Kubernetes API's answer is not a Lease; check any proxy in between"
    return RequestError(Failure(kind=FailureKind.UNREADABLE, message=message, status=answer.status), Effect.UNKNOWN)
