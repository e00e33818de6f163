"""The Lease over HTTP: the requests, the parsing of the answers, and the messages for people."""

import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from kubernetes.fake_api import MICRO_TIME, NAMESPACE, Fault, Kind, Kubernetes, Moment

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.lease import Lease
from rotator.edges import lease
from rotator.edges.lease import KubernetesLeases
from rotator.edges.proxies import Proxies
from rotator.edges.transport import ProxiedTransport, transport
from rotator.emulator.http.certificates import make_authority

ABSENT = Lease(holder="", duration=None, transitions=0, version="")


class Clock:
    """The system's wall clock unless another instant is set, and monotonic seconds that are moved by hand."""

    def __init__(self) -> None:
        self.time = 5.0
        self.instant: datetime | None = None

    def exact(self) -> datetime:
        return self.instant or datetime.now(UTC)

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Recorded(ProxiedTransport):
    """A transport that remembers what it trusts, the headers that it sent, and whether it was closed."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context, Proxies())
        self.context = context
        self.sent: list[Any] = []
        self.is_closed = False
        self.forged: tuple[bytes, bytes] | None = None  # what in answers to a PUT is replaced, and by what

    def handle_request(self, request: Any) -> Any:
        self.sent.append(request.headers)
        response = super().handle_request(request)
        if request.method != "PUT" or self.forged is None:
            return response
        with closing(response):
            return httpx.Response(200, stream=httpx.ByteStream(response.read().replace(*self.forged)))

    def close(self) -> None:
        self.is_closed = True
        super().close()


class Recorder:
    """Makes transports, and remembers them."""

    def __init__(self) -> None:
        self.made: list[Recorded] = []

    def __call__(self, context: ssl.SSLContext) -> Recorded:
        self.made.append(Recorded(context))
        return self.made[-1]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def account(api: Kubernetes, tmp_path: Path) -> Path:
    """What is mounted into the pod."""
    return api.mount(tmp_path / "account", "pod")


@pytest.fixture
def leases(api: Kubernetes, account: Path, clock: Clock, recorder: Recorder) -> Iterator[KubernetesLeases]:
    leases = KubernetesLeases(api.url, account, name="rotator", namespace=None, clock=clock, transport=recorder)
    with closing(leases):
        yield leases


def failure(act: Callable[[], object]) -> Failure:
    """Why it fails."""
    with pytest.raises(RequestError) as raised:
        act()
    return raised.value.failure


def read(leases: KubernetesLeases) -> Lease:
    return leases.read(5.0)


def hold(leases: KubernetesLeases, holder: str = "pod_1", **members: Any) -> Lease:
    return leases.write(replace(read(leases), **{"holder": holder, "duration": 60.0, **members}), 5.0)


# --- what is asked, and read


def test_read_an_empty_lease(leases: KubernetesLeases) -> None:
    """As it is shipped, nobody holds it, and it says nothing else."""
    assert read(leases) == Lease(holder="", duration=None, transitions=0, version="101")


def test_write_then_read(leases: KubernetesLeases) -> None:
    """What is written is there, with the version that the answer gave."""
    written = hold(leases, transitions=3)
    assert written == Lease(holder="pod_1", duration=60.0, transitions=3, version="102")
    assert read(leases) == written


def test_create_then_write(api: Kubernetes, leases: KubernetesLeases, tmp_path: Path) -> None:
    """A Lease that is missing is created as it is to be, and written to by the version that the answer gave."""
    api.delete()
    api.mount(tmp_path / "account", "pod", may_create=True)
    created = leases.create(replace(ABSENT, holder="pod_1", duration=60.0, transitions=1), 5.0)
    assert created == Lease(holder="pod_1", duration=60.0, transitions=1, version=created.version)
    assert leases.write(replace(created, transitions=2), 5.0).transitions == 2
    assert api.lease()["kind"] == "Lease"
    assert api.spec()["acquireTime"] < api.spec()["renewTime"]


def test_create_after_it_was_deleted(api: Kubernetes, leases: KubernetesLeases, tmp_path: Path) -> None:
    """What is created has nothing of the one that was read before: another uid, and no version."""
    before = read(leases)
    api.delete()
    api.mount(tmp_path / "account", "pod", may_create=True)
    created = leases.create(replace(ABSENT, holder="pod_1", duration=60.0), 5.0)
    assert created.version != before.version
    assert api.lease()["metadata"].keys() == {"name", "namespace", "uid", "resourceVersion"}


def test_create_of_what_exists(api: Kubernetes, leases: KubernetesLeases, tmp_path: Path) -> None:
    """If another replica has created it, nothing is written: `conflict`."""
    api.mount(tmp_path / "account", "pod", may_create=True)
    told = failure(lambda: leases.create(replace(ABSENT, holder="pod_1", duration=60.0), 5.0))
    assert (told.kind, told.status) == (FailureKind.CONFLICT, 409)
    assert api.spec() == {}


def test_create_without_the_right(api: Kubernetes, leases: KubernetesLeases) -> None:
    """Both ways out are named: an empty Lease, or the rule that is missing."""
    api.delete()
    told = failure(lambda: leases.create(replace(ABSENT, holder="pod_1", duration=60.0), 5.0))
    assert (told.kind, told.status) == (FailureKind.FORBIDDEN, 403)
    assert told.message == "the Kubernetes API answered 403 to create of lease rotator; rotator tries again"
    words = ["lacks the verb create", "apply an empty Lease (spec: {})", "namespace b2c", "verbs [create]"]
    assert [word for word in words if word not in (told.if_it_lasts or "")] == []


def test_write_asks_for_nothing_but_get_and_put(api: Kubernetes, leases: KubernetesLeases) -> None:
    """No patch, no create, no watch; and every PUT has a version."""
    hold(leases)
    hold(leases, "")
    assert {"GET", "PUT"} == {seen.method for seen in api.seen}
    assert all(seen.body["metadata"]["resourceVersion"] for seen in api.seen if seen.method == "PUT" and seen.body)


def test_write_says_that_it_is_json(recorder: Recorder, leases: KubernetesLeases) -> None:
    """What has a body says of what kind it is."""
    hold(leases)
    (client,) = recorder.made
    assert [headers.get("Content-Type") for headers in client.sent] == [None, "application/json"]


def test_lease_without_a_spec(api: Kubernetes, leases: KubernetesLeases) -> None:
    """A Lease whose spec is nothing at all is an empty one, and can be taken."""
    api._objects[NAMESPACE, "rotator"] = api.lease() | {"spec": None}  # noqa: SLF001 - as it was applied
    assert read(leases) == Lease(holder="", duration=None, transitions=0, version="101")
    assert hold(leases).holder == "pod_1"


def test_write_keeps_what_else_there_is(api: Kubernetes, leases: KubernetesLeases) -> None:
    """Labels, and members of the spec that we know nothing of, go back as they came."""
    api.tamper(strategy="OldestEmulationVersion")
    hold(leases)
    assert api.lease()["metadata"]["labels"] == {"app": "rotator"}
    assert api.spec()["strategy"] == "OldestEmulationVersion"


def test_write_times(api: Kubernetes, leases: KubernetesLeases) -> None:
    """Times have six digits and Z; acquireTime changes with the holder alone, renewTime with every write."""
    began = datetime.now(UTC)
    specs = []
    for holder in ("pod_1", "pod_1", "pod_2"):
        hold(leases, holder)
        specs.append(api.spec())
    one, same, other = specs
    assert MICRO_TIME.fullmatch(one["renewTime"])
    assert one["renewTime"].endswith("Z")
    assert began <= datetime.fromisoformat(one["renewTime"]) <= datetime.now(UTC)
    assert one["acquireTime"] == one["renewTime"] < same["renewTime"]
    assert one["acquireTime"] == same["acquireTime"] < other["acquireTime"]


def test_write_at_a_full_second(api: Kubernetes, leases: KubernetesLeases, clock: Clock) -> None:
    """An instant without microseconds has its six digits nevertheless: without them the API refuses it."""
    clock.instant = datetime(2030, 1, 1, tzinfo=UTC)
    hold(leases)
    assert api.spec()["renewTime"] == "2030-01-01T00:00:00.000000Z"


def test_write_a_release(api: Kubernetes, leases: KubernetesLeases) -> None:
    """A lease that is handed back has no holder, one second, and its transitions."""
    hold(leases, transitions=4)
    acquired = api.spec()["acquireTime"]
    hold(leases, "", duration=1.0)
    spec = api.spec()
    assert spec["acquireTime"] == acquired
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("", 1, 4)


def test_write_of_another_version(api: Kubernetes, leases: KubernetesLeases) -> None:
    """Where the record has another version by now, nothing is written: `conflict`."""
    seen = read(leases)
    api.tamper(holderIdentity="other")
    assert failure(lambda: leases.write(replace(seen, holder="pod_1", duration=60.0), 5.0)).kind is FailureKind.CONFLICT
    assert api.spec()["holderIdentity"] == "other"


def test_namespace_that_is_configured(api: Kubernetes, account: Path, clock: Clock) -> None:
    """A configured namespace goes before the pod's own, which need not be mounted then."""
    (account / "namespace").unlink()
    leases = KubernetesLeases(api.url, account, name="rotator", namespace=NAMESPACE, clock=clock, transport=transport)
    with closing(leases):
        assert read(leases).holder == ""


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_api_is_asked_without_a_proxy(
    api: Kubernetes, account: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The API of the cluster is never asked through a proxy, whatever NO_PROXY says or leaves out."""
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "fe80::/10,192.0.2.0/24")
    leases = KubernetesLeases(api.url, account, name="rotator", namespace=None, clock=clock)
    with closing(leases):
        assert read(leases).holder == ""


# --- what goes wrong


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        pytest.param({"verbs": ("update",)}, ["to get", "verb get", "namespace b2c"], id="no get"),
        pytest.param({"verbs": ("get",)}, ["to update", "verb update", "verbs [get, update]"], id="no update"),
        pytest.param({"names": ("another",)}, ["to get", "resourceNames [rotator]"], id="another name"),
    ],
)
def test_forbidden(api: Kubernetes, leases: KubernetesLeases, tmp_path: Path, setting: Any, words: list[str]) -> None:
    """
    A missing rule is named so that it can be written down, if it lasts.

    An API server that has just started answers 403 to a good token: the first message blames nobody.
    """
    api.mount(tmp_path / "account", "pod", **setting)
    told = failure(lambda: hold(leases))
    assert (told.kind, told.status) == (FailureKind.FORBIDDEN, 403)
    assert told.message.endswith("of lease rotator; rotator tries again")
    assert [word for word in [*words, "coordination.k8s.io"] if word not in (told.if_it_lasts or "")] == []


def test_token_that_is_unknown(leases: KubernetesLeases, account: Path) -> None:
    """401 says where the token came from, if it lasts, and never what it is."""
    (account / "token").write_text("no-such-token")
    told = failure(lambda: read(leases))
    assert (told.kind, told.status) == (FailureKind.AUTH, 401)
    assert str(account) not in told.message
    assert str(account) in (told.if_it_lasts or "")
    assert "no-such-token" not in f"{told.message} {told.if_it_lasts}"


def test_lease_that_is_not_there(api: Kubernetes, leases: KubernetesLeases) -> None:
    """404 says what there is not."""
    api.delete()
    told = failure(lambda: read(leases))
    assert (told.kind, told.status, told.if_it_lasts) == (FailureKind.NOT_FOUND, 404, None)
    assert "there is no such Lease, or no namespace b2c" in told.message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, FailureKind.THROTTLED),
        (500, FailureKind.SERVICE),
        (503, FailureKind.SERVICE),
        (400, FailureKind.BAD_REQUEST),
        (422, FailureKind.BAD_REQUEST),
        (301, FailureKind.BAD_REQUEST),
    ],
)
def test_other_answers(api: Kubernetes, leases: KubernetesLeases, status: int, kind: FailureKind) -> None:
    """Whatever is not 200 is a failure of its kind."""
    api.inject(Fault(what=Kind.STATUS, status=status))
    told = failure(lambda: read(leases))
    assert (kind, status) == (told.kind, told.status)


def test_timeout_is_that_of_the_call(api: Kubernetes, leases: KubernetesLeases) -> None:
    """A request ends with the time that it was given, also in a handshake; and the next one may go well."""
    api.freeze()
    began = time.monotonic()
    assert failure(lambda: leases.read(0.2)).kind is FailureKind.TIMEOUT
    api.thaw()
    read(leases)
    hang = api.inject(Fault(what=Kind.HANG))
    assert failure(lambda: leases.read(0.2)).kind is FailureKind.TIMEOUT
    assert time.monotonic() - began < 5
    hang.remove()
    assert read(leases).holder == ""


@pytest.mark.parametrize("when", Moment)
def test_connection_that_breaks(api: Kubernetes, leases: KubernetesLeases, when: Moment) -> None:
    """A connection that is cut is `network`, whether it was done or not."""
    seen = read(leases)
    api.inject(Fault(what=Kind.RESET, when=when, times=1))
    assert failure(lambda: leases.write(replace(seen, holder="me"), 5.0)).kind is FailureKind.NETWORK
    assert ("me" if when is Moment.AFTER_COMMIT else "") == read(leases).holder


def test_api_that_is_not_there(account: Path, clock: Clock) -> None:
    """A port on which there is no listener is `network`."""
    nowhere = KubernetesLeases(
        "https://127.0.0.1:9", account, name="rotator", namespace=None, clock=clock, transport=transport
    )
    with closing(nowhere):
        assert failure(lambda: read(nowhere)).kind is FailureKind.NETWORK


@pytest.mark.parametrize(
    "spec",
    [
        {"holderIdentity": 7},
        {"holderIdentity": "x" * 513},
        {"leaseDurationSeconds": "60"},
        {"leaseDurationSeconds": True},
        {"leaseTransitions": -1},
        {"leaseTransitions": 2**31},
        [],
        "text",
    ],
    ids=str,
)
def test_answer_that_is_no_lease(api: Kubernetes, leases: KubernetesLeases, spec: Any) -> None:
    """A member of another type or size is no Lease, and never half of one."""
    raw = api.lease() | {"spec": spec or ["x"]}
    api._objects[NAMESPACE, "rotator"] = raw  # noqa: SLF001 - what a real one would refuse to keep
    assert failure(lambda: read(leases)).kind is FailureKind.UNREADABLE


@pytest.mark.parametrize("raw", [{}, {"metadata": {}}, {"metadata": {"resourceVersion": 7}}, {"metadata": None}])
def test_answer_without_a_version(api: Kubernetes, leases: KubernetesLeases, raw: Any) -> None:
    """What has no version can't be replaced by it."""
    api._objects[NAMESPACE, "rotator"] = raw  # noqa: SLF001 - as above
    assert failure(lambda: read(leases)).kind is FailureKind.UNREADABLE


@pytest.mark.parametrize("holder", ["somebody-else", ""])
def test_write_that_shows_another_holder(leases: KubernetesLeases, recorder: Recorder, holder: str) -> None:
    """A write that is answered as done, with another holder, is a conflict: nothing was acquired."""
    lease = replace(read(leases), holder="me", duration=60.0)
    recorder.made[-1].forged = b'"me"', f'"{holder}"'.encode()
    found = failure(lambda: leases.write(lease, 5.0))
    assert (found.kind, found.status) == (FailureKind.CONFLICT, 200)
    assert "shows another holder of lease rotator" in found.message


# --- the service account


def test_token_and_ca_are_read_again(api: Kubernetes, leases: KubernetesLeases, account: Path, clock: Clock) -> None:
    """Both are used for a minute, and then read again; a new CA is trusted, and the old one no more."""
    read(leases)
    first = dict(api.accounts)
    api.accounts.clear()
    api.accounts["renewed"] = first["token-of-pod"]
    (account / "token").write_text("renewed\n")
    clock.time += 60.0
    assert read(leases).holder == ""
    good = (account / "ca.crt").read_text()
    (account / "ca.crt").write_text(make_authority().certificate_pem)
    clock.time += 59.0
    read(leases)
    clock.time += 1.0
    told = failure(lambda: read(leases))
    assert (told.kind, "does not verify" in told.message) == (FailureKind.AUTH, True)
    (account / "ca.crt").write_text(good)
    assert read(leases).holder == "", "after a failure they are read again at once"


def test_connection_is_kept_while_the_ca_is_the_same(
    recorder: Recorder, leases: KubernetesLeases, account: Path, clock: Clock
) -> None:
    """What is read again costs no new connection, unless the CA is another one; then the old one is closed."""
    read(leases)
    clock.time += 60.0
    read(leases)
    assert [client.is_closed for client in recorder.made] == [False]
    (account / "ca.crt").write_text(f"{(account / 'ca.crt').read_text()}\n")
    clock.time += 60.0
    read(leases)
    assert [client.is_closed for client in recorder.made] == [True, False]


def test_only_the_ca_of_the_cluster_is_trusted(recorder: Recorder, leases: KubernetesLeases) -> None:
    """What else the machine trusts does not count here; and what CAs of clusters lack is not asked of them."""
    read(leases)
    (client,) = recorder.made
    context = client.context
    assert len(context.get_ca_certs()) == 1
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("token", None),
        ("token", b""),
        ("token", b"two words"),
        ("token", b"line\nline"),
        ("token", b"\xff\xfe"),
        ("ca.crt", None),
        ("ca.crt", b"no certificate"),
        ("ca.crt", b"\xff"),
        ("namespace", None),
        ("namespace", b"a/b"),
    ],
)
def test_account_that_is_broken(leases: KubernetesLeases, account: Path, name: str, content: bytes | None) -> None:
    """A file that is missing or is invalid is named, and what stands in it is not told."""
    if content is None:
        (account / name).unlink()
    else:
        (account / name).write_bytes(content)
    told = failure(lambda: read(leases))
    assert told.kind is FailureKind.AUTH
    assert str(account / name) in told.message
    assert "words" not in told.message


# --- where, and who


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}, "https://10.0.0.1:6443"),
        ({"KUBERNETES_SERVICE_HOST": "fd00::1"}, "https://[fd00::1]:443"),
        ({"KUBERNETES_SERVICE_HOST": ""}, None),
        ({}, None),
    ],
)
def test_root(environ: dict[str, str], root: str | None) -> None:
    """Where the API is, by what every container of a cluster has."""
    assert lease.root(environ) == root


def test_identity_is_never_used_twice() -> None:
    """The pod's name is for people; what follows makes it unique, so that a restarted container is somebody else."""
    one, other = lease.new_identity(), lease.new_identity()
    assert one != other
    assert one.rpartition("_")[0] == other.rpartition("_")[0]
    assert re.fullmatch(r".+_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one)


def test_clock_of_the_holder_counts_for_nothing(api: Kubernetes, leases: KubernetesLeases) -> None:
    """A record whose times are an hour off, either way, is read as any other."""
    for hours in (-1, 1):
        api.skews["pod"] = timedelta(hours=hours)
        hold(leases, f"pod_{hours}")
        assert (read(leases).holder, read(leases).duration) == (f"pod_{hours}", 60.0)
