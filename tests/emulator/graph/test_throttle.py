"""The documented limits, on a clock that is moved."""

import pytest

from rotator.emulator.model.seed import WRITE_ROLE, App, Secret


def statuses(bench, times, **options):
    return [bench.graph("GET", "/B2C_1A_Empty", **options).status_code for _ in range(times)]


def test_throttle_per_app(bench):
    """200 requests a minute and app are served, the next is not."""
    assert statuses(bench, 201) == [200] * 200 + [429]


def test_throttle_body(start):
    """A throttled answer says so, and when to come back."""
    bench = start(throttle_per_app=1)
    statuses(bench, 1)
    bench.clock.move(20.5)
    answer = bench.graph("GET")
    assert answer.json()["error"]["code"] == "TooManyRequests"
    assert answer.headers["retry-after"] == "60"


@pytest.mark.parametrize(("seconds", "status"), [(59.9, 429), (60, 200)])
def test_throttle_slides(start, seconds, status):
    """A request no longer counts once it is a window old."""
    bench = start(throttle_per_app=3)
    assert statuses(bench, 3) == [200] * 3
    bench.clock.move(seconds)
    assert statuses(bench, 1) == [status]


def test_throttle_counts_refused(start):
    """Who hammers stays out: refused requests count as well."""
    bench = start(throttle_per_app=2)
    statuses(bench, 2)
    bench.clock.move(30)
    assert statuses(bench, 2) == [429, 429]
    bench.clock.move(30)
    assert statuses(bench, 1) == [429]


def test_throttle_retry_after_is_enough(start):
    """A client that waits as long as Retry-After says is served."""
    bench = start(throttle_per_app=2)
    statuses(bench, 1)
    bench.clock.move(10)
    statuses(bench, 1)
    bench.clock.move(10)
    bench.clock.move(int(bench.graph("GET").headers["retry-after"]))
    assert statuses(bench, 1) == [200]


def test_throttle_per_tenant(start):
    """All apps of a tenant together have a limit, too."""
    bench = start(throttle_per_app=2, throttle_per_tenant=3)
    bench.tenant.register(App(client_id="other", secrets=(Secret(value="s"),), roles=(WRITE_ROLE,)))
    other = bench.ask_token(client_id="other", client_secret="s").json()["access_token"]
    assert statuses(bench, 2) + statuses(bench, 2, token=other) == [200, 200, 200, 429]


@pytest.mark.parametrize("shown", [True, False])
def test_throttle_retry_after(start, shown):
    """Retry-After may be left out."""
    bench = start(throttle_per_app=1, throttle_retry_after=shown)
    statuses(bench, 1)
    assert ("retry-after" in bench.graph("GET").headers) is shown


def test_throttle_off(start):
    """A limit of 0 means no limit."""
    bench = start(throttle_per_app=0, throttle_per_tenant=0)
    assert set(statuses(bench, 310)) == {200}


def test_throttle_changes_nothing(start):
    """A throttled write does nothing."""
    bench = start(throttle_per_app=1)
    statuses(bench, 1)
    assert bench.generate().status_code == 429
    assert bench.kids() == ["first"]


def test_throttle_clock_back(start):
    """A clock that is moved back does not lock anybody out."""
    bench = start(throttle_per_app=1)
    statuses(bench, 1)
    bench.clock.move(-3600)
    token = bench.ask_token().json()["access_token"]
    assert statuses(bench, 1, token=token) == [200]


def test_login_is_not_throttled(start):
    """The limits are Graph's."""
    bench = start(throttle_per_app=1)
    assert {bench.ask_token().status_code for _ in range(3)} == {200}
