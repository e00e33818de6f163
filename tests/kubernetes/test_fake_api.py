"""The fake API answers as the real one was seen to."""

import ssl
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from kubernetes.fake_api import NAME, Fault, Kind, Kubernetes, Moment

ALL = ("get", "update", "create", "patch", "delete")
LEASES = "/apis/coordination.k8s.io/v1/namespaces/b2c/leases"
LEASE = f"{LEASES}/{NAME}"
TIME = "2030-01-01T02:00:00.000000Z"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Kubernetes]:
    with Kubernetes() as api:
        api.ship()
        api.mount(tmp_path / "admin", "admin", verbs=ALL, names=None)
        api.mount(tmp_path / "pod", "pod")
        api.mount(tmp_path / "reader", "reader", verbs=("get",))
        api.mount(tmp_path / "creator", "creator", may_create=True)
        api.mount(tmp_path / "named", "named", verbs=("create",))
        yield api


@pytest.fixture
def client(api: Kubernetes, tmp_path: Path) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=tmp_path / "pod" / "ca.crt")
    with httpx.Client(verify=context, base_url=api.url, trust_env=False, timeout=5) as client:
        yield client


def bearer(user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer token-of-{user}"}


def ask(client: httpx.Client, method: str, body: Any = None, path: str = LEASE, user: str = "admin") -> Any:
    return client.request(method, path, json=body, headers=bearer(user))


def body(version: str | None, **spec: object) -> dict[str, Any]:
    metadata = {"name": NAME} | ({} if version is None else {"resourceVersion": version})
    return {"metadata": metadata, "spec": spec}


def current(client: httpx.Client) -> str:
    version: str = ask(client, "GET").json()["metadata"]["resourceVersion"]
    return version


def test_fake_put_current(client: httpx.Client) -> None:
    """A PUT of the current version is 200, and gives another version."""
    before = current(client)
    answer = ask(client, "PUT", body(before, holderIdentity="a"))
    assert (answer.status_code, answer.json()["spec"]["holderIdentity"]) == (200, "a")
    assert before != answer.json()["metadata"]["resourceVersion"] == current(client)


def test_fake_put_of_what_is_there(client: httpx.Client) -> None:
    """A PUT that changes nothing gives no other version."""
    answer = ask(client, "PUT", ask(client, "GET").json())
    assert (200, current(client)) == (answer.status_code, answer.json()["metadata"]["resourceVersion"])


@pytest.mark.parametrize(
    ("method", "version", "spec", "status", "reason"),
    [
        pytest.param("PUT", None, {}, 422, "Invalid", id="no version"),
        pytest.param("PUT", "7", {}, 409, "Conflict", id="stale version"),
        pytest.param("PATCH", "7", {}, 409, "Conflict", id="patch of a stale version"),
        pytest.param("PUT", "", {"renewTime": TIME}, 200, None, id="six digits"),
        pytest.param("PUT", "", {"renewTime": "2030-01-01T02:00:00.000000+00:00"}, 200, None, id="six digits, offset"),
        pytest.param("PUT", "", {"renewTime": "2030-01-01T02:00:00Z"}, 400, "BadRequest", id="no fraction"),
        pytest.param("PUT", "", {"acquireTime": "2030-01-01T02:00:00Z"}, 400, "BadRequest", id="no fraction there"),
        pytest.param("PUT", "", {"holderIdentity": ""}, 200, None, id="empty holder"),
        pytest.param("PUT", "", {"leaseDurationSeconds": 0}, 422, "Invalid", id="no duration"),
    ],
)
def test_fake_answers(
    client: httpx.Client, method: str, version: str | None, spec: dict[str, Any], status: int, reason: str | None
) -> None:
    """Each request is answered as measured, an error with a Status body; version "" stands for the current one."""
    version = current(client) if version == "" else version
    answer = ask(client, method, body(version, **spec))
    assert (status, reason) == (answer.status_code, answer.json().get("reason"))
    assert ("Lease" if reason is None else "Status") == answer.json()["kind"]


def test_fake_normalises_offsets(client: httpx.Client) -> None:
    """A time with an offset is kept with Z."""
    spec = {"renewTime": "2030-01-01T02:00:00.000000+00:00"}
    assert ask(client, "PUT", body(current(client), **spec)).json()["spec"] == {"renewTime": TIME}


def test_fake_patch_without_version(client: httpx.Client) -> None:
    """A merge patch without a version overwrites whatever is there: never use it."""
    ask(client, "PUT", body(current(client), holderIdentity="a"))
    answer = ask(client, "PATCH", body(None, holderIdentity="b"))
    assert (answer.status_code, answer.json()["spec"]["holderIdentity"]) == (200, "b")


def test_fake_post(client: httpx.Client) -> None:
    """A POST of a new name is 201, of an existing one 409 AlreadyExists."""
    new = {"metadata": {"name": "another"}, "spec": {}}
    assert ask(client, "POST", new, LEASES).status_code == 201
    answer = ask(client, "POST", new, LEASES)
    assert (answer.status_code, answer.json()["reason"]) == (409, "AlreadyExists")


def test_fake_post_by_a_rule_of_its_own(api: Kubernetes, client: httpx.Client) -> None:
    """An account that may create, and get and update one name, creates that one; it is the new one's author."""
    api.delete()
    assert ask(client, "POST", body(None, holderIdentity="a"), LEASES, "creator").status_code == 201
    assert (api.history[-1].user, api.history[-1].holder) == ("creator", "a")
    assert ask(client, "PUT", ask(client, "GET", user="creator").json(), user="creator").status_code == 200


def test_fake_post_gives_another_uid(api: Kubernetes, client: httpx.Client) -> None:
    """What was created again is not what was there: a PUT of that is 409."""
    there = ask(client, "GET").json()
    api.delete()
    anew = ask(client, "POST", body(None), LEASES).json()
    assert there["metadata"]["uid"] != anew["metadata"]["uid"]
    assert ask(client, "PUT", there).status_code == 409


@pytest.mark.parametrize(
    ("metadata", "path", "status", "reason"),
    [
        pytest.param({"name": "new", "namespace": "b2c"}, LEASES, 201, None, id="the namespace of the path"),
        pytest.param({"name": "new", "namespace": "other"}, LEASES, 400, "BadRequest", id="another namespace"),
        pytest.param({}, LEASES, 422, "Invalid", id="no name"),
        pytest.param({"name": "new", "resourceVersion": "1"}, LEASES, 500, "InternalError", id="a version"),
        pytest.param({"name": "new"}, f"{LEASES}/new", 405, "MethodNotAllowed", id="a name in the path"),
    ],
)
def test_fake_post_answers(
    client: httpx.Client, metadata: dict[str, str], path: str, status: int, reason: str | None
) -> None:
    """Each POST is answered as the API's reference says, an error with a Status body."""
    answer = ask(client, "POST", {"metadata": metadata, "spec": {}}, path)
    assert (status, reason) == (answer.status_code, answer.json().get("reason"))


def test_fake_delete(client: httpx.Client) -> None:
    """A DELETE is 200, a GET after it 404, and a PUT of what was there 409, since a new one would have another uid."""
    there = ask(client, "GET").json()
    assert [ask(client, method).status_code for method in ("DELETE", "GET")] == [200, 404]
    assert ask(client, "PUT", there).status_code == 409


@pytest.mark.parametrize(
    ("user", "method", "path", "status"),
    [
        ("nobody", "GET", LEASE, 401),
        ("pod", "GET", LEASE, 200),
        ("pod", "GET", f"{LEASES}/another", 403),
        ("pod", "POST", LEASES, 403),
        ("named", "POST", LEASES, 403),
        ("creator", "GET", f"{LEASES}/another", 403),
        ("pod", "DELETE", LEASE, 403),
        ("pod", "GET", LEASES, 403),
        ("reader", "GET", LEASE, 200),
        ("reader", "PUT", LEASE, 403),
    ],
)
def test_fake_access(client: httpx.Client, user: str, method: str, path: str, status: int) -> None:
    """A wrong token is 401, a verb or a name outside of the Role 403, each with a Status body."""
    answer = ask(client, method, body(current(client)) if method == "PUT" else None, path, user)
    assert (status, "Lease" if status == 200 else "Status") == (answer.status_code, answer.json()["kind"])


def test_fake_status(api: Kubernetes, client: httpx.Client) -> None:
    """A fault before the commit changes nothing, one after it does, and neither bites more often than it was to."""
    api.inject(Fault(what=Kind.STATUS, status=503, method="PUT", times=1))
    api.inject(Fault(what=Kind.STATUS, method="PUT", times=1, when=Moment.AFTER_COMMIT))
    version = current(client)
    assert ask(client, "PUT", body(version, holderIdentity="a")).status_code == 503
    assert version == current(client)
    assert ask(client, "PUT", body(version, holderIdentity="a")).status_code == 500
    assert api.spec()["holderIdentity"] == "a"
    assert ask(client, "PUT", body(version, holderIdentity="b")).status_code == 409


def test_fake_reset(api: Kubernetes, client: httpx.Client) -> None:
    """A reset connection has no answer."""
    api.inject(Fault(what=Kind.RESET, times=1))
    with pytest.raises(httpx.TransportError):
        ask(client, "GET")
    assert ask(client, "GET").status_code == 200
    assert [seen.status for seen in api.seen] == [None, 200]


def test_fake_hang(api: Kubernetes, client: httpx.Client) -> None:
    """A request that hangs is carried out when it goes on, though its client has left."""
    version = current(client)
    hang = api.inject(Fault(what=Kind.HANG, method="PUT"))
    with pytest.raises(httpx.ReadTimeout):
        client.put(LEASE, json=body(version, holderIdentity="late"), headers=bearer("pod"), timeout=0.2)
    assert api.spec() == {}
    hang.remove()
    assert api.wait(lambda change: change.holder == "late").user == "pod"


def test_fake_freeze(api: Kubernetes, client: httpx.Client) -> None:
    """While it is frozen nothing is answered, not even a handshake; then everything that came is."""
    ask(client, "GET")
    api.freeze()
    with pytest.raises(httpx.ReadTimeout):  # on the connection that there is
        client.get(LEASE, headers=bearer("pod"), timeout=0.2)
    with pytest.raises(httpx.ConnectTimeout):  # on a new one, in its handshake
        client.get(LEASE, headers=bearer("pod"), timeout=0.2)
    threading.Timer(0.2, api.thaw).start()
    assert ask(client, "GET").status_code == 200


def test_fake_split(api: Kubernetes, client: httpx.Client) -> None:
    """The packets of one client are lost for good, and nobody else's."""
    version = current(client)
    api.split("pod")
    with pytest.raises(httpx.ReadTimeout):
        client.put(LEASE, json=body(version, holderIdentity="lost"), headers=bearer("pod"), timeout=0.2)
    assert ask(client, "GET").status_code == 200
    api.heal("pod")
    assert ask(client, "GET", user="pod").status_code == 200
    assert api.spec() == {}


def test_fake_skew(api: Kubernetes, client: httpx.Client) -> None:
    """Times are kept as a client with another clock would have written them."""
    api.skews["pod"] = timedelta(hours=-1)
    ask(client, "PUT", body(current(client), renewTime=TIME), user="pod")
    assert api.spec()["renewTime"] == "2030-01-01T01:00:00.000000Z"


def test_fake_history(api: Kubernetes, client: httpx.Client) -> None:
    """Whoever held the lease, at each instant, can be told afterwards."""
    began = time.time()
    ask(client, "PUT", body(current(client), holderIdentity="a", leaseTransitions=3), user="pod")
    assert tuple(api.holder_at(instant).holder for instant in (began, time.time())) == ("", "a")
    assert (api.history[-1].user, api.history[-1].transitions) == ("pod", 3)
