"""
The rights of the pod's service account on the lease, as the Kubernetes API sees them.

A SelfSubjectAccessReview is a question that is sent as a POST; nothing is stored. Every service
account may ask it (ClusterRole `system:basic-user`).

Source: Kubernetes' API reference, SelfSubjectAccessReview v1 authorization.k8s.io.
"""

import json
from http import HTTPStatus
from pathlib import Path

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.edges.http import Clock, TransportFactory
from rotator.edges.json_text import parse_json
from rotator.edges.service_account import ServiceAccount
from rotator.edges.transport import direct

REVIEW_TIMEOUT = 5.0  # seconds


class LeaseRights:
    """The rights on one Lease, by its name. For one thread."""

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
        """No request is made, and no file is read yet. The arguments are those of `KubernetesLeases`."""
        self._url = f"{api}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        self._name = name
        self._service_account = ServiceAccount(directory, namespace=namespace, clock=clock, transport=transport)

    def has(self, verb: str) -> bool:
        """
        Whether the service account has *verb* on the lease.

        Raises:
            RequestError: the API does not say.

        """
        account = self._service_account.current()
        attributes = {"group": "coordination.k8s.io", "resource": "leases", "namespace": account.namespace}
        # A right to create cannot be limited to a name.
        named = {} if verb == "create" else {"name": self._name}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {**attributes, **named, "verb": verb}},
        }
        headers = {**account.headers, "Content-Type": "application/json"}
        content = json.dumps(body).encode()
        answer = account.http.send(
            "access_review", "POST", self._url, headers=headers, content=content, timeout=REVIEW_TIMEOUT
        )
        try:
            allowed = parse_json(answer.body)["status"]["allowed"]
        except (ValueError, TypeError, KeyError, RecursionError):
            allowed = None
        if answer.status != HTTPStatus.CREATED or not isinstance(allowed, bool):
            message = (
                f"the Kubernetes API answered {answer.status} to the review of the verb {verb}; "
                "check it with kubectl auth can-i"
            )
            raise RequestError(Failure(kind=FailureKind.UNREADABLE, message=message, status=answer.status))
        return allowed

    def close(self) -> None:
        """Close the connection that is kept open."""
        self._service_account.close()
