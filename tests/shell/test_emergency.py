"""
The guided emergency against a service in memory.

What must always hold is checked by the service itself, at each request to disable a key: another
key signs at that moment, for every node, and a valid key remains.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from core.builders import DAY, HOUR, KEYSET_ID, MINUTE, SECOND, T0, certified, key, policy, tenant_id
from hypothesis import given
from hypothesis import strategies as st

from rotator.core.emergency import Order
from rotator.core.emergency_report import Ending, Report
from rotator.core.errors import Effect, Failure, FailureKind, RequestError
from rotator.core.inventory import Listed
from rotator.core.keyset import Key, Keyset
from rotator.core.outcome import Planned
from rotator.core.policy import KeySpec, Mode
from rotator.core.publication import Probe, PublishedKey, Token
from rotator.core.reasons import Refusal
from rotator.shell.emergency import Emergency

POLICY = policy()
OLD = replace(key("old", T0 - 10 * DAY, T0 - 10 * DAY + POLICY.validity), modulus="old")
NET = key("net", None, None)
BAD = Order(policy=POLICY, replaced=frozenset({"old"}), disables=True)


class KilledError(Exception):
    """The process ended here."""


@dataclass
class Clock:
    """Moves only when somebody sleeps."""

    at: datetime = T0
    is_stopping: bool = False

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - T0).total_seconds()

    def sleep(self, seconds: float) -> bool:
        self.at += timedelta(seconds=seconds)
        return not self.is_stopping

    def sleep_uninterrupted(self, seconds: float) -> None:
        self.sleep(seconds)


@dataclass
class Service:
    """
    Keyset, policy and tokens of one tenant.

    lag:        how much later reads, JWKS and getActiveKey show a change, and tokens are signed with another key
    jwks_lag:   by how much the JWKS comes later than that
    has_token:  whether tokens are fetched; has_active: whether getActiveKey answers
    trouble:    by the number of a request: `before` (it did nothing), `after` (it did, and the answer is lost),
                `killed` (the program ends after it)
    """

    clock: Clock
    keys: tuple[Key, ...] = (OLD,)
    lag: timedelta = timedelta()
    jwks_lag: timedelta = timedelta()
    minimum_lead: timedelta = timedelta()
    born_enabled: bool = True
    has_token: bool = True
    has_active: bool = True
    replaced: frozenset[str] = frozenset({"old"})
    trouble: dict[int, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    history: list[tuple[datetime, tuple[Key, ...]]] = field(default_factory=list)
    policies: tuple[str, ...] = ("signin",)
    probe_interval: timedelta = MINUTE

    @property
    def fetches_tokens(self) -> bool:
        return self.has_token

    def seen(self, lag: timedelta | None = None) -> Keyset:
        """The keyset as reads show it, or as it was *lag* ago."""
        until = self.clock.now() - (self.lag if lag is None else lag)
        keys = next((keys for at, keys in reversed(self.history) if at <= until), None)
        return Keyset(
            id=KEYSET_ID, keys=keys if keys is not None else (self.history[0][1] if self.history else self.keys)
        )

    def signing(self) -> str | None:
        """The kid that tokens have: that of the key which was active a lag ago, in what was seen."""
        active = self.seen().active(self.clock.now() - self.lag)
        return None if active is None else active.kid

    @contextmanager
    def _request(self, name: str) -> Iterator[None]:
        self.requests.append(name)
        self.clock.at += SECOND
        what = self.trouble.get(len(self.requests))
        failure = Failure(kind=FailureKind.NETWORK, message="the connection broke")
        if what == "before":
            raise RequestError(failure, Effect.NONE)
        yield
        if what == "killed":
            raise KilledError
        if what == "after":
            raise RequestError(failure, Effect.UNKNOWN)

    def _change(self, keys: tuple[Key, ...]) -> None:
        if not self.history:
            self.history.append((datetime.min.replace(tzinfo=T0.tzinfo), self.keys))
        self.keys = keys
        self.history.append((self.clock.now(), keys))

    def fetch(self, keyset_id: str) -> Keyset:
        assert keyset_id == KEYSET_ID
        with self._request("fetch"):
            return self.seen()

    def list_keysets(self, wanted: Collection[str], max_others: int = 0) -> Listed:
        raise NotImplementedError((wanted, max_others))

    def prepare(self) -> None:
        return

    def create(self, keyset_id: str) -> None:
        raise AssertionError(keyset_id)

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        assert keyset_id == KEYSET_ID
        kid = f"new {len(self.keys)}"
        with self._request("generate"):
            if spec.nbf < self.clock.now() + self.minimum_lead - MINUTE:
                raise RequestError(Failure(kind=FailureKind.BAD_REQUEST, message="too soon", status=400))
            made = replace(key(kid, spec.nbf, spec.exp, enabled=self.born_enabled), modulus=kid)
            self._change((*self.keys, made))
        return kid

    def enable(self, keyset_id: str, kid: str) -> None:
        assert keyset_id == KEYSET_ID
        with self._request(f"enable {kid}"):
            assert kid.startswith("new"), "a key that may have leaked was enabled"
            self._set(kid, enabled=True)

    def disable(self, keyset_id: str, kid: str) -> None:
        assert keyset_id == KEYSET_ID
        with self._request(f"disable {kid}"):
            assert kid in self.replaced
            signing = self.signing()
            assert signing is not None
            assert signing not in self.replaced, f"{kid} was disabled while {signing} signed"
            self._set(kid, enabled=False)
            assert any(each.is_valid(self.clock.now()) for each in self.keys), "no valid key remains"

    def _set(self, kid: str, *, enabled: bool) -> None:
        self._change(tuple(replace(each, enabled=enabled) if each.kid == kid else each for each in self.keys))

    def active_kid(self, keyset_id: str) -> str | None:
        assert keyset_id == KEYSET_ID
        with self._request("active"):
            if not self.has_active:
                raise RequestError(Failure(kind=FailureKind.SERVICE, message="down"))
            return self.signing()

    def probe(self, *, with_token: bool, ask_active: Collection[str]) -> Probe:
        self.requests.append("probe")
        assert not ask_active
        listed = tuple(
            PublishedKey(kid=each.kid or "", modulus=each.modulus or "")
            for each in self.seen(self.lag + self.jwks_lag).keys
            if each.enabled and each.expires > self.clock.now()
        )
        kid = self.signing()
        token = Token(policy="signin", kid=kid, lifetime=HOUR, is_verified=True) if with_token and kid else None
        return Probe(now=self.clock.now(), listed={"signin": listed}, token=token)

    def all_kids(self) -> frozenset[str] | None:
        return None


def started(service: Service, order: Order = BAD) -> tuple[Emergency, list[Report]]:
    @contextmanager
    def writing(_: Planned) -> Iterator[Refusal | None]:
        yield None

    reports: list[Report] = []
    run = Emergency(
        order,
        tenant=("contoso", tenant_id()),
        keysets=service,
        client=service,
        sign_in=service,
        writing=writing,
        clock=service.clock,
        jitter=lambda: 0.5,
        on_step=reports.append,
    )
    return run, reports


def test_good_path() -> None:
    """Each step once, in order; the compromised key is disabled, and no JWKS lists it."""
    service = Service(Clock(), lag=2 * MINUTE, jwks_lag=5 * MINUTE)
    run, reports = started(service)
    assert run.run() is Ending.DONE
    assert [(each.step, each.kid) for each in reports] == [
        ("generate", None),
        ("wait_for_key", None),
        ("wait_for_signing", None),
        ("disable", "old"),
        ("wait_for_unlisted", None),
        ("done", None),
    ]
    assert [each.enabled for each in service.keys] == [False, True]
    assert [each.safe_to_stop for each in reports if each.step in ("generate", "disable")] == [False, False]


@given(
    lag=st.integers(0, 20 * 60),
    minimum_lead=st.sampled_from([timedelta(), 3 * HOUR]),
    born_enabled=st.booleans(),
    has_token=st.booleans(),
    has_active=st.booleans(),
    others=st.sampled_from(
        [(), (NET,), (key("next", T0 + 9 * DAY, T0 + 99 * DAY),), (key("soon", T0 + HOUR, T0 + 99 * DAY),)]
    ),
    trouble=st.dictionaries(st.integers(1, 40), st.sampled_from(["before", "after", "killed"]), max_size=6),
)
def test_never_without_cover(
    *,
    lag: int,
    minimum_lead: timedelta,
    born_enabled: bool,
    has_token: bool,
    has_active: bool,
    others: tuple[Key, ...],
    trouble: dict[int, str],
) -> None:
    """Under faults and kills at any request, whatever lags, the checks of the service hold; a further call ends it."""
    service = Service(
        Clock(),
        keys=(OLD, *others),
        lag=lag * SECOND,
        minimum_lead=minimum_lead,
        born_enabled=born_enabled,
        has_token=has_token,
        has_active=has_active,
        trouble=trouble,
    )
    for _ in range(12):
        try:
            ending = started(service)[0].run()
        except KilledError:
            service.clock.at += MINUTE
            continue
        if ending is Ending.DONE:
            break
    assert ending is Ending.DONE
    old = next(each for each in service.keys if each.kid == "old")
    assert not old.enabled
    assert not {each.kid for each in service.keys if not each.enabled and each in others}


@pytest.mark.parametrize("number", range(1, 16))
def test_killed_after_each_request(number: int) -> None:
    """The next call goes on from what the keyset shows: never a second key."""
    service = Service(Clock(), trouble={number: "killed"})
    try:
        ending = started(service)[0].run()
    except KilledError:
        ending = started(service)[0].run()
    assert ending is Ending.DONE
    assert [(each.kid, each.enabled) for each in service.keys] == [("old", False), ("new 1", True)]


def test_new_key_that_never_signs() -> None:
    """After 45 minutes the command gives up, and the old key is not disabled: exit code 4."""
    service = Service(Clock(), lag=5 * HOUR)
    run, reports = started(service)
    assert run.run() is Ending.NOT_DISABLED
    assert "disable old" not in service.requests
    assert reports[-1].ending is Ending.NOT_DISABLED
    assert service.clock.now() - T0 < 2 * HOUR


def test_refused_nbf() -> None:
    """Where nbf = now is refused, the key takes over in 3 h 02 min, and until then nothing is disabled."""
    service = Service(Clock(), minimum_lead=3 * HOUR)
    run, reports = started(service)
    assert run.run() is Ending.DONE
    assert any("the old key signs until 2030-01-01T03:02" in (each.message or "") for each in reports)
    assert service.clock.now() >= T0 + 3 * HOUR


def test_undated_safety_net_is_disabled_too() -> None:
    both = replace(BAD, replaced=frozenset({"old", "net"}))
    service = Service(Clock(), keys=(NET, OLD), replaced=both.replaced)
    assert started(service, both)[0].run() is Ending.DONE
    assert [each for each in service.requests if each.startswith("disable")] == ["disable old", "disable net"]


def test_key_to_come_that_is_compromised_is_not_used() -> None:
    soon = key("soon", T0 + 5 * MINUTE, T0 + 99 * DAY)
    both = replace(BAD, replaced=frozenset({"old", "soon"}))
    service = Service(Clock(), keys=(OLD, soon), replaced=both.replaced)
    assert started(service, both)[0].run() is Ending.DONE
    assert [each.enabled for each in service.keys] == [False, False, True]


@pytest.mark.parametrize(
    ("order", "keys", "ending"),
    [
        pytest.param(replace(BAD, replaced=frozenset({"typo"})), (OLD,), Ending.NOTHING_CHANGED, id="not there"),
        pytest.param(replace(BAD, policy=policy(mode=Mode.OBSERVE)), (OLD,), Ending.REFUSED, id="observed"),
        pytest.param(BAD, (certified(OLD),), Ending.REFUSED, id="a certificate"),
        pytest.param(BAD, (replace(OLD, use="enc"),), Ending.REFUSED, id="another use"),
    ],
)
def test_refused(order: Order, keys: tuple[Key, ...], ending: Ending) -> None:
    """Nothing is written."""
    service = Service(Clock(), keys=keys)
    assert started(service, order)[0].run() is ending
    assert {each for each in service.requests if each not in ("fetch", "active", "probe")} == set()


def test_now_disables_nothing() -> None:
    """Without a compromised key the old one stays enabled, and a later upcoming key is not the replacement."""
    soon = key("soon", T0 + HOUR, T0 + 99 * DAY)
    service = Service(Clock(), keys=(OLD, soon))
    assert started(service, replace(BAD, disables=False))[0].run() is Ending.DONE
    assert [each.enabled for each in service.keys] == [True, True, True]
    assert service.signing() == "new 2"


def test_stop_between_steps() -> None:
    """Before the first request nothing was changed: exit code 1."""
    service = Service(Clock(is_stopping=True))
    assert started(service)[0].run() is Ending.NOTHING_CHANGED
    assert service.requests == []
