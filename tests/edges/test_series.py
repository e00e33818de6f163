"""The lines that are written here, and not by prometheus-client: its parsers read them back as they were meant."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from core.builders import DAY, HOUR, POLICY, SECOND, T0, certified, key, keyset, tenant_id
from core.calendars import calendar, window
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from simulation.simulator import SimulatedClock, SimulatedTenant

from rotator.core.errors import Failure, FailureKind
from rotator.core.events import Looked
from rotator.core.hold import PolicyHold
from rotator.core.inventory import Inventory, InventoryKeyset
from rotator.core.keyset import Key
from rotator.core.look import judge
from rotator.core.outcome import Failed, Observation, Outcome, Planned
from rotator.core.policy import KeySpec
from rotator.core.reasons import Reason
from rotator.core.status import KeysetStatus, Name
from rotator.edges.series import keyset_series
from rotator.shell.gates import guarded
from rotator.shell.status_store import StatusStore
from rotator.shell.tenant import Tenant

KEYS = (
    key("old", T0 - 100 * DAY, T0 - 9 * DAY),
    key("now", T0 - 10 * DAY, T0 + 81 * DAY + HOUR),
    key("net", None, None),
)
ACTIVATION = T0 + 80 * DAY
NAMES = st.tuples(st.text(min_size=1), st.text(min_size=1))
FORMATS = pytest.mark.parametrize(
    ("parse", "end"), [(parse_text, ""), (parse_openmetrics, "# EOF\n")], ids=["text", "OpenMetrics"]
)


def seen(*names: Name, keys: Sequence[Key] = KEYS) -> StatusStore:
    """A store in which each has been looked at."""
    tenants = [
        Tenant(
            name=tenant,
            id=tenant_id(tenant),
            policies=(replace(POLICY, keyset_id=keyset_id),),
            keysets=SimulatedTenant(SimulatedClock(T0), ()),
            writing=guarded(()),
        )
        for tenant, keyset_id in names
    ]
    store = StatusStore(lambda _: None, tenants)
    for tenant in tenants:
        for policy in tenant.policies:
            observation = Observation(tenant=tenant.name, tenant_id=tenant.id, policy=policy, now=T0)
            record(store, judge(observation, replace(keyset(*keys), id=policy.keyset_id)))
    return store


def record(store: StatusStore, outcome: Outcome, *, is_preliminary: bool = False, failures: int = 0) -> None:
    store.on_event(Looked(outcome=outcome, is_preliminary=is_preliminary, failures=failures))


def written(store: StatusStore, now: datetime = T0) -> str:
    """The lines."""
    return "".join(keyset_series("x_", store.statuses(), now, 2 * HOUR))


@FORMATS
def test_series_are_read_back(parse: Callable[[str], Any], end: str) -> None:
    """Every series has its name, labels and value, to the second."""
    samples = {
        (sample.name.removeprefix("x_keyset_"), *sorted(set(sample.labels.values()) - {"contoso", "B2C_1A_X"})): (
            sample.value
        )
        for family in parse(written(seen(("contoso", "B2C_1A_X"))) + end)
        for sample in family.samples
        if sample.labels["tenant"] == "contoso"
        if sample.labels["keyset"] == "B2C_1A_X"
    }
    instants = {
        "active_key_expiration": T0 + 81 * DAY + HOUR,
        "coverage_end": T0 + 81 * DAY + HOUR,
        "rotation_due": ACTIVATION - 16 * DAY,
        "publish_by": ACTIVATION - 2 * DAY,
        "next_activation": ACTIVATION,
        "last_observed": T0,
    }
    states = {"active": 1, "upcoming": 0, "retained": 0, "expired": 1, "disabled": 0, "undated": 1}
    expected: dict[tuple[str, ...], float] = {
        ("info", "RSA", "rotate", "sig"): 1,
        **{(f"{name}_timestamp_seconds",): instant.timestamp() for name, instant in instants.items()},
        ("undated",): 0,
        **{("keys", state): count for state, count in states.items()},
        ("outcome", "held", "not_due"): 1,
        ("consecutive_failures",): 0,
    }
    assert samples == expected


@FORMATS
@given(names=st.lists(NAMES, unique=True, min_size=1, max_size=3))
def test_series_of_any_name(parse: Callable[[str], Any], end: str, names: list[Name]) -> None:
    """Whatever a name holds, it is a label's value and no markup."""
    families = {family.name: family for family in parse(written(seen(*names)) + end)}
    for name in ("x_keyset_info", "x_keyset_coverage_end_timestamp_seconds", "x_keyset_consecutive_failures"):
        assert [(each.labels["tenant"], each.labels["keyset"]) for each in families[name].samples] == names


@pytest.mark.parametrize(("age", "is_shown"), [(2 * HOUR - SECOND, True), (2 * HOUR, True), (2 * HOUR + SECOND, False)])
def test_series_of_what_was_not_seen_for_long(age: Any, is_shown: bool) -> None:  # noqa: FBT001
    """An observation that is older than it may be leaves the name, and the result of the last look."""
    text = written(seen(("contoso", "B2C_1A_X")), T0 + age)
    assert ("x_keyset_coverage_end_timestamp_seconds{" in text) == is_shown
    assert ("x_keyset_keys{" in text) == is_shown
    assert "x_keyset_info{" in text
    assert "x_keyset_outcome{" in text


@pytest.mark.parametrize(("enabled", "active"), [(True, "1.0"), (False, "0.0")])
def test_series_of_an_undated_key(*, enabled: bool, active: str) -> None:
    """Cover that has no end has no instant, nor has cover that is not there: then no key is active."""
    text = written(seen(("contoso", "B2C_1A_X"), keys=[key("net", None, None, enabled=enabled)]))
    assert re.findall(r'x_keyset_keys\{.*state="active".*\} (.*)', text) == [active]
    assert "x_keyset_coverage_end_timestamp_seconds{" not in text


def test_series_of_certificates() -> None:
    """The certificate that is valid longest counts, with its chain; one that is disabled or cannot be read does not."""
    keys = (
        certified(key("old", T0 - 300 * DAY, T0 + 65 * DAY)),
        certified(key("next", T0 - DAY, T0 + 364 * DAY), chain=T0 + 90 * DAY),
        certified(key("off", T0, T0 + 999 * DAY, enabled=False)),
        replace(key("odd", T0, T0 + 900 * DAY), has_certificate=True),
    )
    text = written(seen(("contoso", "B2C_1A_X"), keys=keys))
    (found,) = re.findall(r"x_keyset_certificate_expiration_timestamp_seconds\{.*\} (.*)", text)
    assert float(found) == (T0 + 90 * DAY).timestamp()
    unread = written(seen(("contoso", "B2C_1A_X"), keys=keys[2:]))
    assert "x_keyset_certificate_expiration_timestamp_seconds{" not in unread


def test_series_of_keys_as_they_are_now() -> None:
    """A key that has ended since the last look is in use no more, and nothing says when it ends."""
    now = T0 + 81 * DAY + HOUR
    text = "".join(keyset_series("x_", seen(("contoso", "B2C_1A_X")).statuses(), now, 100 * DAY))
    counts = dict(re.findall(r'x_keyset_keys\{.*state="(\w+)".*\} (.*)', text))
    assert {state for state, count in counts.items() if count != "0.0"} == {"active", "expired"}
    assert counts["expired"] == "2.0"
    assert "x_keyset_active_key_expiration_timestamp_seconds{" not in text


def test_series_of_a_failure_while_a_plan_is_open() -> None:
    """Throughout the time between two looks the outcome is the failure that still counts."""
    store = seen(("contoso", "B2C_1A_X"))
    (entry,) = store.statuses().values()
    assert entry.observation is not None
    unseen = replace(entry.observation, keyset=None, assessment=None)
    record(store, Failed(observation=unseen, failure=Failure(kind=FailureKind.FORBIDDEN, message="no")))
    spec = KeySpec(use="sig", kty="RSA", nbf=T0, exp=T0 + DAY)
    record(store, Planned(observation=entry.observation, reason=Reason.OVERDUE, spec=spec), is_preliminary=True)
    assert re.findall(r"x_keyset_outcome\{(.*)\}", written(store)) == [
        'keyset="B2C_1A_X",outcome="failed",reason="forbidden",tenant="contoso"'
    ]


# --- calendars and holds


def lines(now: datetime, **changes: Any) -> list[str]:
    """The samples about calendars and holds, of a keyset with a policy that has *changes*."""
    status = KeysetStatus(policy=replace(POLICY, **changes))
    found = "".join(keyset_series("", {("contoso", "B2C_1A_X"): status}, now, DAY))
    return [line for line in found.splitlines() if re.match("calendar_open|keyset_hold", line)]


def test_series_of_a_calendar() -> None:
    """Whether it is open at the instant of the scrape; absent if no keyset has one."""
    office = calendar(window("tue", "09:00-16:00"), zone="UTC")
    opens = T0 + 9 * HOUR  # the first of January 2030 is a Tuesday
    assert lines(opens - SECOND, calendar=office) == ['calendar_open{calendar="office"} 0.0']
    assert lines(opens, calendar=office) == ['calendar_open{calendar="office"} 1.0']
    assert lines(opens) == []


def test_series_of_a_hold() -> None:
    """When it ends, until it has ended."""
    hold = PolicyHold(until=T0.date())
    expected = [f'keyset_hold_until_timestamp_seconds{{keyset="B2C_1A_X",tenant="contoso"}} {hold.ends.timestamp()}']
    assert lines(hold.ends - SECOND, hold=hold) == expected
    assert lines(hold.ends, hold=hold) == []


@FORMATS
def test_series_of_an_inventory(parse: Callable[[str], Any], end: str) -> None:
    """Keysets that are not configured have their ends; what cannot be read, or was not seen for long, has nothing."""
    certificate = certified(key("c", T0 - DAY, T0 + 364 * DAY))
    keysets = (
        InventoryKeyset(id="B2C_1A_Saml", keyset=keyset(certificate)),
        InventoryKeyset(id='B2C_1A_"net"', keyset=keyset(replace(key("net", None, None), kty="OCT", use=None))),
        InventoryKeyset(id="B2C_1A_Odd", keyset=None, problem="keys is not a list"),
    )
    taken = Inventory(tenant="contoso", tenant_id=tenant_id(), now=T0, keysets=keysets, left_out=0, backups=0)

    def samples(now: datetime) -> dict[tuple[str, ...], float]:
        text = "".join(keyset_series("x_", {}, now, 2 * HOUR, [taken]))
        found = {}
        for family in parse(text + end):
            for sample in family.samples:
                labels = [value for name, value in sorted(sample.labels.items()) if name != "tenant"]
                found[sample.name.removeprefix("x_keyset_"), *labels] = sample.value
        return found

    year = (T0 + 364 * DAY).timestamp()
    assert samples(T0) == {
        ("info", "B2C_1A_Saml", "RSA", "inventory", "sig"): 1,
        ("info", 'B2C_1A_"net"', "oct", "inventory", ""): 1,
        ("coverage_end_timestamp_seconds", "B2C_1A_Saml"): year,
        ("certificate_expiration_timestamp_seconds", "B2C_1A_Saml"): year,
        ("last_observed_timestamp_seconds", "B2C_1A_Saml"): T0.timestamp(),
        ("last_observed_timestamp_seconds", 'B2C_1A_"net"'): T0.timestamp(),
        ("undated", "B2C_1A_Saml"): 0,
        ("undated", 'B2C_1A_"net"'): 1,
    }
    assert samples(T0 + 2 * HOUR + SECOND) == {}


def test_series_of_an_end_that_is_configured() -> None:
    """It is there whether the keyset was seen or not."""
    tenant = Tenant(
        name="contoso",
        id=tenant_id(),
        policies=(replace(POLICY, expires=T0 + DAY), replace(POLICY, keyset_id="B2C_1A_Other")),
        keysets=SimulatedTenant(SimulatedClock(T0), ()),
        writing=guarded(()),
    )
    text = written(StatusStore(lambda _: None, [tenant]))
    (found,) = re.findall(r"x_keyset_expires_timestamp_seconds\{.*\} (.*)", text)
    assert float(found) == (T0 + DAY).timestamp()
