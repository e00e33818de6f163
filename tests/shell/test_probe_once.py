from collections.abc import Collection
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from rotator.core.errors import Failure, FailureKind
from rotator.core.keyset import Key, Keyset
from rotator.core.publication import Probe, PublishedKey
from rotator.core.tenant import TenantId
from rotator.shell.probe_budget import BUDGET_PERIOD, MAX_REQUESTS, ProbeBudget
from rotator.shell.probe_once import probe_once
from rotator.shell.tenant import Tenant

NOW = datetime(2030, 1, 1, tzinfo=UTC)
POLICY = "b2c_1a_signin"


def keyset(keyset_id: str, kid: str) -> Keyset:
    return Keyset(id=keyset_id, keys=(Key(kid=kid, nbf=None, exp=None, use="sig", kty="RSA", modulus=kid),))


class SignIn:
    """A sign-in side whose JWKS lists the key `a`, until *failure*; *together*: probes that must run at once."""

    policies = (POLICY,)
    probe_interval = timedelta(minutes=10)
    fetches_tokens = True

    def __init__(self, *, failure: Failure | Exception | None = None, together: Barrier | None = None) -> None:
        self.failure, self.together = failure, together
        self.asked: list[tuple[str, ...]] = []

    def probe(self, *, with_token: bool, ask_active: Collection[str]) -> Probe:
        assert not with_token
        self.asked.append(tuple(ask_active))
        if self.together is not None:
            self.together.wait(60)
        if isinstance(self.failure, Exception):
            raise self.failure
        if self.failure is not None:
            return Probe(now=NOW, failures={POLICY: self.failure})
        listed = (PublishedKey(kid="a", modulus="a"),)
        return Probe(now=NOW, listed={POLICY: listed}, active_kids=dict.fromkeys(ask_active, "b"))

    def all_kids(self) -> frozenset[str] | None:
        return None


@pytest.fixture
def pool() -> Executor:
    return ThreadPoolExecutor(2)


def tenant(name: str, sign_in: SignIn | None) -> Tenant:
    identity = TenantId(graph="https://graph", login="https://login", directory=name)
    return Tenant(name=name, id=identity, policies=(), keysets=None, writing=None, sign_in=sign_in)  # type: ignore[arg-type]


def test_keyset_that_no_policy_publishes_is_asked_for(pool: Executor) -> None:
    """The second step calls getActiveKey for it, once the JWKS has shown that it is in none."""
    sign_in = SignIn()
    known = tenant("contoso", sign_in)
    keysets = {known.id: {"A": keyset("A", "a"), "B": keyset("B", "b")}}
    budget = ProbeBudget(lambda: 0.0)
    (found,) = probe_once([known, tenant("quiet", None)], keysets, now=NOW, pool=pool, budget=budget)
    assert sign_in.asked == [(), ("B",)]
    assert found.evidence.policies_of("A") == (POLICY,)
    assert found.evidence.active_kids == {"B": ("b", NOW)}
    assert [found.evidence.was_listed(name, keyset(name, name.lower()).keys[0]) for name in "AB"] == [True, None]


def test_probes_of_tenants_run_in_parallel(pool: Executor) -> None:
    together = Barrier(2)
    tenants = [tenant(name, SignIn(together=together)) for name in ("contoso", "fabrikam")]
    found = probe_once(tenants, {}, now=NOW, pool=pool, budget=ProbeBudget(lambda: 0.0))
    assert [(each.tenant, dict(each.probe.failures)) for each in found] == [("contoso", {}), ("fabrikam", {})]


def test_failures_are_results(pool: Executor) -> None:
    """Neither a host that fails nor a bug is raised, and the other tenants are probed."""
    down = Failure(kind=FailureKind.SERVICE, message="the sign-in host has a problem")
    tenants = [
        tenant("down", SignIn(failure=down)),
        tenant("bug", SignIn(failure=KeyError("x"))),
        tenant("up", SignIn()),
    ]
    found = probe_once(tenants, {}, now=NOW, pool=pool, budget=ProbeBudget(lambda: 0.0))
    messages = [[failure.message for failure in each.probe.failures.values()] for each in found]
    assert messages == [["the sign-in host has a problem"], ["the probe ended with KeyError"], []]


def test_budget(pool: Executor) -> None:
    """What does not fit in the budget is not probed, and says so; it fits when the requests are old enough."""
    seconds = [0.0]
    budget = ProbeBudget(lambda: seconds[0])
    tenants = [tenant(f"t{number}", SignIn()) for number in range(MAX_REQUESTS // 3 + 5)]
    found = probe_once(tenants, {}, now=NOW, pool=pool, budget=budget)
    assert [bool(each.probe.failures) for each in found] == [False] * (MAX_REQUESTS // 3) + [True] * 5
    assert "select fewer tenants" in found[-1].probe.failures[POLICY].message
    seconds[0] = BUDGET_PERIOD
    assert not probe_once(tenants[-1:], {}, now=NOW, pool=pool, budget=budget)[0].probe.failures
