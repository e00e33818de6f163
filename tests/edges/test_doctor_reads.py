"""What only `doctor` reads: the permissions in a token, the list of keys_v2, replies, and rights on the lease."""

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from kubernetes.fake_api import NAMESPACE, Fault, Kind, Kubernetes

from rotator.core.checkup import Reply
from rotator.core.errors import RequestError
from rotator.edges.jose import permissions_of
from rotator.edges.lease_rights import LeaseRights
from rotator.edges.listing import key_ids
from rotator.edges.observed_transport import ObservedTransport
from rotator.shell.clock import SystemClock

NOW = datetime(2026, 11, 28, 12, 0, 30, 500_000, tzinfo=UTC)


def token(payload: object) -> str:
    part = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return f"e30.{part}.c2ln"


@pytest.mark.parametrize(
    ("text", "permissions"),
    [
        (token({"tid": "t", "roles": ["B", "A", "A"]}), ("A", "B")),
        (token({"tid": "t"}), ()),
        (token({"tid": "t", "roles": ["A", 1, None, "B\n"]}), ("A",)),
        (token({"tid": "t", "roles": "A"}), None),
        (token(["roles"]), None),
        ("opaque", None),
        ("a.b.c", None),
    ],
)
def test_permissions_in_a_token(text: str, permissions: tuple[str, ...] | None) -> None:
    assert permissions_of(text) == permissions


def test_kids_of_a_list() -> None:
    """Keys without a kid are left out; anything but a list of objects is an error."""
    assert key_ids({"value": [{"kid": "a"}, {"kid": 1}, {}]}) == {"a"}
    for page in ({}, {"value": "a"}, {"value": ["a"]}):
        with pytest.raises(RequestError):
            key_ids(page)


class Clock:
    """Half a second passes at each look at it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def exact(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        self.seconds += 0.5
        return self.seconds


def test_replies_are_noted_by_origin() -> None:
    """With status, duration and skew; a request without an answer, too."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "gone.example":
            raise httpx.ConnectError("refused")
        return httpx.Response(401, headers={"Date": "Sat, 28 Nov 2026 12:00:00 GMT"})

    found: list[object] = []
    inner = httpx.MockTransport(answer)
    with httpx.Client(transport=ObservedTransport(inner, Clock(), lambda *reply: found.append(reply))) as client:
        assert client.get("https://graph.example/beta").status_code == 401
        with pytest.raises(httpx.ConnectError):
            client.get("https://gone.example:8443/")
    assert found == [
        (("https", "graph.example", None), Reply(seconds=0.5, status=401, skew=30.25)),
        (("https", "gone.example", 8443), Reply(seconds=0.5)),
    ]


@pytest.fixture
def api() -> Iterator[Kubernetes]:
    with Kubernetes() as api:
        api.ship()
        yield api


def rights(api: Kubernetes, directory: Path) -> LeaseRights:
    return LeaseRights(api.url, directory, name="rotator", namespace=None, clock=SystemClock())


@pytest.mark.parametrize("verb", ["get", "update", "create", "delete"])
def test_right_on_the_lease(api: Kubernetes, tmp_path: Path, verb: str) -> None:
    """The review names the lease, except for `create`, which cannot be limited to a name."""
    directory = api.mount(tmp_path / "account", "pod", verbs=("get",), may_create=True)
    with closing(rights(api, directory)) as asked:
        assert asked.has(verb) is (verb in ("get", "create"))
    (seen,) = api.seen
    assert seen.body is not None
    attributes = {"group": "coordination.k8s.io", "resource": "leases", "namespace": NAMESPACE, "verb": verb}
    named = {} if verb == "create" else {"name": "rotator"}
    assert seen.body["spec"] == {"resourceAttributes": {**attributes, **named}}


def test_review_that_fails(api: Kubernetes, tmp_path: Path) -> None:
    """The message says how to check the right by hand, and has no body of an answer."""
    api.inject(Fault(what=Kind.STATUS, status=403))
    directory = api.mount(tmp_path / "account", "pod")
    with closing(rights(api, directory)) as asked, pytest.raises(RequestError) as raised:
        asked.has("update")
    assert raised.value.failure.message == (
        "the Kubernetes API answered 403 to the review of the verb update; check it with kubectl auth can-i"
    )
