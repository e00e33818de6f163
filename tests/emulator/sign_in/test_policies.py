# mypy: disable-error-code="arg-type"
# Texts are given for enums, as users may.
"""What relying parties see of a policy's keys."""

import pytest
from emulator.harness import DAY, NOW

from rotator.emulator.faults.fault import Fault
from rotator.emulator.model.seed import KeySeed, KeysetSeed, TenantSeed
from rotator.emulator.model.switches import Status

URL = "/contoso.onmicrosoft.com/B2C_1A_signin/discovery/v2.0/keys"


@pytest.fixture
def policy(start):
    """A policy with a key of each state."""

    def begin(**switches):
        keys = (
            KeySeed(kid="expired", nbf=NOW - DAY, exp=NOW),
            KeySeed(kid="valid", nbf=NOW - DAY, exp=NOW + DAY),
            KeySeed(kid="future", nbf=NOW + DAY, exp=NOW + 2 * DAY),
            KeySeed(kid="disabled", nbf=NOW, exp=NOW + DAY, status=Status.DISABLED),
            KeySeed(kid="undated"),
        )
        tenant = TenantSeed(
            keysets=(
                KeysetSeed(id="B2C_1A_Sig", keys=keys),
                KeysetSeed(id="B2C_1A_Oct", keys=(KeySeed(kty="oct"),)),
            ),
            policies={"B2C_1A_signin": ("B2C_1A_Sig", "B2C_1A_Oct")},
        )
        bench = start(tenant)
        bench.emulator.switch(**switches)
        return bench

    return begin


def kids(bench, url=URL):
    return [key["kid"] for key in bench.http.get(url).json()["keys"]]


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({}, ["valid", "future", "undated"]),
        ({"jwks_future": False}, ["valid", "undated"]),
        ({"jwks_expired": True}, ["expired", "valid", "future", "undated"]),
        ({"jwks_disabled": True}, ["valid", "future", "disabled", "undated"]),
    ],
)
def test_published(policy, switches, expected):
    """Valid and future keys are published, expired and disabled ones only if switched so."""
    assert kids(policy(**switches)) == expected


def test_key_shape(policy):
    """A published key has these members, and nbf only if it has one."""
    bench = policy()
    keys = {key["kid"]: key for key in bench.http.get(URL).json()["keys"]}
    assert keys["valid"].keys() == {"kid", "use", "kty", "nbf", "e", "n"}
    assert keys["undated"].keys() == {"kid", "use", "kty", "e", "n"}
    assert bench.graph("GET", "/B2C_1A_Sig").json()["keys"][1]["n"] == keys["valid"]["n"]


def test_exp_member(policy):
    """Whether exp is published is a switch."""
    keys = policy(jwks_exp_member=True).http.get(URL).json()["keys"]
    assert keys[0]["exp"] == NOW + DAY


@pytest.mark.parametrize(
    "url",
    [
        "/contoso.onmicrosoft.com/discovery/v2.0/keys?p=B2C_1A_signin",
        "/contoso.onmicrosoft.com/b2c_1a_SIGNIN/discovery/v2.0/keys",
    ],
)
def test_spellings(policy, url):
    """The policy may be a parameter, and has no case."""
    assert kids(policy(), url) == ["valid", "future", "undated"]


@pytest.mark.parametrize(
    "spelling",
    ["/B2C_1A_signin/v2.0/.well-known/openid-configuration", "/v2.0/.well-known/openid-configuration?p=b2c_1a_signin"],
)
def test_discovery(policy, spelling):
    """The policy's configuration leads to its keys."""
    bench = policy()
    config = bench.http.get(f"/contoso.onmicrosoft.com{spelling}").json()
    assert kids(bench, config["jwks_uri"]) == ["valid", "future", "undated"]


def test_expiry(policy):
    """A key is gone from the second at which it expires."""
    bench = policy()
    bench.clock.move(DAY - 1)
    assert "valid" in kids(bench)
    bench.clock.move(1)
    assert "valid" not in kids(bench)


def test_delay(policy):
    """Nodes cache: a new key, and an expiry, show only after the delay."""
    bench = policy(jwks_delay=1800)
    made = bench.tenant.add_key("B2C_1A_Sig", KeySeed(nbf=NOW + DAY)).kid
    assert made not in kids(bench)
    assert "expired" in kids(bench)
    bench.clock.move(1800)
    assert made in kids(bench)
    assert "expired" not in kids(bench)


@pytest.mark.parametrize(
    "url", ["/contoso.onmicrosoft.com/no/discovery/v2.0/keys", "/nobody/B2C_1A_signin/discovery/v2.0/keys"]
)
def test_unknown(policy, url):
    """A policy that is not there is not found."""
    assert policy().http.get(url).status_code == 404


def test_deleted_keyset(policy):
    """A policy whose keyset was deleted publishes nothing of it."""
    bench = policy()
    bench.tenant.delete("B2C_1A_Sig")
    assert kids(bench) == []


def test_fault(policy):
    """JWKS can fail like anything else."""
    bench = policy()
    bench.emulator.inject(Fault(what="html", where="jwks"))
    assert bench.http.get(URL).status_code == 502
