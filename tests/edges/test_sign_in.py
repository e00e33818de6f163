"""The sign-in side of a tenant, against emulated policies: JWKS, tokens, the active key, and whatever goes wrong."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from edges.harness import TENANT, Line, connected

from rotator.core.errors import FailureKind
from rotator.core.publication import Probe
from rotator.edges.answers import modulus_digest
from rotator.edges.sign_in import SignIn
from rotator.edges.tokens import Tokens
from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import DEMO_CLIENT_ID, KeySeed, KeysetSeed, Seed, TenantSeed
from rotator.emulator.model.switches import Status
from rotator.emulator.server import Emulator
from rotator.shell.clock import SystemClock

SIG, ENC = "B2C_1A_Sig", "B2C_1A_Enc"
SIGN_IN, SIGN_UP = "B2C_1A_signin", "B2C_1A_signup"
DAY = 86_400


@dataclass
class Side:
    """A sign-in side, and the service behind it."""

    line: Line
    sign_in: SignIn

    def probe(self, *ask_active: str, with_token: bool = False) -> Probe:
        return self.sign_in.probe(with_token=with_token, ask_active=ask_active)

    def fault(self, where: Operation, what: Kind, **parameters: object) -> None:
        self.line.emulator.inject(Fault(what=what, where=where, **parameters))  # type: ignore[arg-type]

    def failure(self, *, with_token: bool = False) -> tuple[FailureKind, str]:
        """What a probe says of the first policy, or of its token."""
        probe = self.probe(with_token=with_token)
        failure = probe.token_failure if with_token else probe.failures[SIGN_IN.lower()]
        assert failure is not None
        return failure.kind, failure.message


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Side]]:
    """Starts a tenant with two policies, and its sign-in side."""
    emulator = Emulator(Seed(tenants=(_tenant(),)))
    with emulator, connected(emulator, tmp_path) as line:

        def start(*policies: str, scope: str = f"https://{TENANT}/canary/.default", **switches: object) -> Side:
            line.emulator.switch(**switches)
            http = line.http()
            issuer = Tokens(
                http,
                authority=f"{emulator.url}/{TENANT}/{SIGN_IN}",
                scope=scope,
                client_id=DEMO_CLIENT_ID,
                credential=line.secret(),
                clock=line.clock,
                on_attempt=line.attempts.append,
                on_secret=lambda value, permanent: line.learnt.append(value),  # noqa: ARG005
                on_expiry=line.expiries.append,
            )
            sign_in = SignIn(
                emulator.url,
                TENANT,
                policies or (SIGN_IN, SIGN_UP),
                http,
                probe_interval=timedelta(minutes=10),
                clock=SystemClock(),
                directory=line.graph(),
                issuer=issuer,
            )
            return Side(line, sign_in)

        yield start
        assert not emulator.errors, emulator.errors[0]


def _tenant() -> TenantSeed:
    now = int(SystemClock().now().timestamp())
    sig = (
        KeySeed(kid="old", nbf=now - 2 * DAY, exp=now + DAY),
        KeySeed(kid="active", nbf=now - DAY, exp=now + 90 * DAY),
        KeySeed(kid="next", nbf=now + DAY, exp=now + 180 * DAY),
        KeySeed(kid="off", nbf=now, exp=now + DAY, status=Status.DISABLED),
    )
    enc = (KeySeed(kid="enc", use="enc", nbf=now - DAY, exp=now + 90 * DAY),)
    return TenantSeed(
        domain=TENANT,
        keysets=(KeysetSeed(id=SIG, keys=sig), KeysetSeed(id=ENC, keys=enc)),
        policies={SIGN_IN: (SIG, ENC), SIGN_UP: (SIG,)},
    )


def test_listed_keys_are_those_of_the_keyset(begin: Callable[..., Side]) -> None:
    """Each policy's JWKS, with kid and modulus as Graph shows them."""
    side = begin()
    probe = side.probe()
    keyset = side.line.graph().fetch(SIG)
    known = {(key.kid, key.modulus) for key in keyset.keys if key.enabled}
    assert known == {(key.kid, key.modulus) for key in probe.listed[SIGN_UP.lower()]}
    assert {"old", "active", "next", "enc"} == {key.kid for key in probe.listed[SIGN_IN.lower()]}
    assert not probe.failures


def test_discovery_is_read_once_a_day(begin: Callable[..., Side]) -> None:
    side = begin()
    for _ in range(3):
        side.probe()
    assert (side.line.count(Operation.POLICY_DISCOVERY), side.line.count(Operation.JWKS)) == (2, 6)


def test_requests_are_not_answered_by_a_cache(begin: Callable[..., Side]) -> None:
    """Intermediate caches must not answer; policies are compared without case."""
    side = begin(SIGN_UP.upper(), SIGN_UP)
    side.probe()
    assert (SIGN_UP.lower(),) == side.sign_in.policies
    assert side.line.count(Operation.JWKS) == 1


def test_token(begin: Callable[..., Side]) -> None:
    """A token names the active key, verifies against the JWKS, and says how long tokens live."""
    side = begin(policy_token_lifetime=5400)
    token = side.probe(with_token=True).token
    assert token is not None
    assert ("active", timedelta(seconds=5400), True) == (token.kid, token.lifetime, token.is_verified)
    assert side.line.learnt  # redacted from now on, wherever it shows up


def test_token_of_a_signer_that_lags(begin: Callable[..., Side]) -> None:
    token = begin(signing_delay=1.5 * DAY).probe(with_token=True).token
    assert token is not None
    assert token.kid == "old"


def test_token_is_fetched_anew(begin: Callable[..., Side]) -> None:
    side = begin()
    for _ in range(2):
        side.probe(with_token=True)
    assert side.line.count(Operation.POLICY_TOKEN) == 2


def test_token_does_not_verify(begin: Callable[..., Side]) -> None:
    """The JWKS lists the kid with another modulus."""
    side = begin()
    other = side.line.emulator.tenant(TENANT).keyset(ENC).keys[0].rsa
    assert other is not None
    side.fault(Operation.JWKS, Kind.FORGED_MEMBER, member="n", value=other.n)
    token = side.probe(with_token=True).token
    assert token is not None
    assert not token.is_verified


@pytest.mark.parametrize("switches", [{}, {"single_key_wrapped": True}])
def test_active_key(begin: Callable[..., Side], switches: dict[str, object]) -> None:
    assert begin(**switches).probe(SIG, ENC).active_kids == {SIG: "active", ENC: "enc"}


def test_active_key_without_a_kid(begin: Callable[..., Side]) -> None:
    assert begin(active_key_without_kid=True).probe(SIG).active_kids == {SIG: None}


@pytest.mark.parametrize("status", [204, 400, 404])
def test_active_key_where_none_is_valid(begin: Callable[..., Side], status: int) -> None:
    side = begin(no_active_key_status=status)
    for keyset in (SIG, ENC):
        for key in side.line.emulator.tenant(TENANT).keyset(keyset).keys:
            side.line.emulator.tenant(TENANT).set_status(keyset, key.kid, Status.DISABLED)
    assert side.probe(ENC).active_kids == {ENC: None}


def test_all_kids(begin: Callable[..., Side]) -> None:
    side = begin()
    assert frozenset({"old", "active", "next", "off", "enc"}) == side.sign_in.all_kids()
    side.fault(Operation.LIST_KEYSETS, Kind.STATUS, status=400)
    assert side.sign_in.all_kids() is None


def test_unknown_policy(begin: Callable[..., Side]) -> None:
    """A policy that is not there costs the others nothing."""
    probe = begin("B2C_1A_gone", SIGN_UP).probe()
    assert {name: each.kind for name, each in probe.failures.items()} == {"b2c_1a_gone": FailureKind.NOT_FOUND}
    assert [SIGN_UP.lower()] == list(probe.listed)


@pytest.mark.parametrize("where", [Operation.POLICY_DISCOVERY, Operation.JWKS])
@pytest.mark.parametrize(
    ("what", "parameters", "kind"),
    [
        (Kind.STATUS, {"status": 429}, FailureKind.THROTTLED),
        (Kind.STATUS, {"status": 503}, FailureKind.SERVICE),
        (Kind.HTML, {"status": 200}, FailureKind.UNREADABLE),
        (Kind.HUGE, {"size": 10 * 1024 * 1024}, FailureKind.UNREADABLE),
        (Kind.REDIRECT, {"status": 302, "url": "https://localhost:1/"}, FailureKind.UNREADABLE),
        (Kind.TRUNCATED, {}, FailureKind.NETWORK),
        (Kind.CUT_JSON, {}, FailureKind.UNREADABLE),
        (Kind.RESET, {}, FailureKind.NETWORK),
        (Kind.LIST, {}, FailureKind.UNREADABLE),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, Kind) else None,
)
def test_trouble(
    begin: Callable[..., Side], where: Operation, what: Kind, parameters: dict[str, object], kind: FailureKind
) -> None:
    """Whatever the sign-in host answers, a probe ends with a failure that says what it was."""
    side = begin()
    side.fault(where, what, **parameters)
    assert kind is side.failure()[0]


def test_hanging_host(begin: Callable[..., Side]) -> None:
    side = begin(SIGN_IN)
    side.line.timeout = 0.3
    side.fault(Operation.JWKS, Kind.HANG)
    assert FailureKind.TIMEOUT is side.failure()[0]


def test_jwks_uri_at_another_host(begin: Callable[..., Side]) -> None:
    """Nothing is asked of a host that the configuration does not name."""
    side = begin(SIGN_IN)
    side.fault(
        Operation.POLICY_DISCOVERY, Kind.BODY, status=200, body='{"jwks_uri": "https://example.invalid/discovery/keys"}'
    )
    assert FailureKind.UNREADABLE is side.failure()[0]
    assert side.line.count(Operation.JWKS) == 0


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"keys": [{"kid": "x"}] * 1001}),
        json.dumps({"keys": [{"kid": f"{n}", "kty": "RSA", "n": "A" * 342, "e": "AQAB"} for n in range(10_000)]}),
        '{"keys": [1]}',
        '{"keys": {}}',
        "{}",
        '{"keys": [], "keys": [1]}',
        '{"keys": ' + "[" * 100_000,
        '{"keys": [{"kid": "k", "nbf": ' + "9" * 5000 + "}]}",
        '{"keys": [' + "{}," * 200_000 + "{}]}",
        '{"keys": NaN}',
        '{"keys": [], "more": "' + "x" * 5_000_000 + '"}',
        json.dumps({"keys": [], "more": "\U0001f600" * 500_000}),
    ],
    ids=[
        "too many",
        "10,000 keys",
        "no object",
        "no list",
        "nothing",
        "twice",
        "deep",
        "long number",
        "many elements",
        "NaN",
        "5 MB",
        "wide",
    ],
)
def test_hostile_jwks(begin: Callable[..., Side], body: str) -> None:
    side = begin(SIGN_IN)
    side.fault(Operation.JWKS, Kind.BODY, status=200, body=body)
    assert FailureKind.UNREADABLE is side.failure()[0]


def test_jwks_with_keys_that_are_no_rsa_keys(begin: Callable[..., Side]) -> None:
    """Keys that nothing can be done with are left out, and cost the others nothing."""
    odd = '{"kty":"EC","kid":"e","crv":"P-256","x":"AA","y":"AA"},{"kid":7,"n":"AA","e":"AQAB"},{"kid":"n","n":5,"e":5}'
    side = begin(SIGN_IN)
    good = '{"kid":"k","kty":"RSA","n":"AQAB==","e":"AQAB","nbf":1e300},{"kid":"k","n":"AA","e":"AQ"}'
    body = f'{{"keys":[{odd},{good}]}}'
    side.fault(Operation.JWKS, Kind.BODY, status=200, body=body)
    listed = side.probe().listed[SIGN_IN.lower()]
    assert [(key.kid, key.modulus, key.nbf) for key in listed] == [("k", modulus_digest("AQAB"), None)]


def test_jwks_with_odd_members(begin: Callable[..., Side]) -> None:
    """Much that nobody reads, lone surrogates, NaN and members that come twice cost the good key nothing."""
    surrogate = '{"kid":"\\ud800","n":"AA","e":"AQAB"}'
    endless = f'{{"kid":"{"k" * 600}","n":"AA","e":"AQAB"}},{{"kid":"x","n":"{"A" * 3000}","e":"AQAB"}}'
    twice = '{"kid":"first","kid":"k","n":"AA","n":"AQAB","e":"AQAB","nbf":NaN,"use":"\\udfff","x5c":NaN}'
    side = begin(SIGN_IN)
    body = f'{{"keys":[{surrogate},{endless},{twice}],"more":"{"x" * 200_000}"}}'
    side.fault(Operation.JWKS, Kind.BODY, status=200, body=body)
    listed = side.probe().listed[SIGN_IN.lower()]
    assert [(key.kid, key.modulus, key.nbf, key.use) for key in listed] == [("k", modulus_digest("AQAB"), None, None)]


@pytest.mark.parametrize(
    ("token", "kind"),
    [("a.b.c", FailureKind.UNREADABLE), ("e30.e30.AA", FailureKind.UNREADABLE), ("x", FailureKind.UNREADABLE)],
)
def test_hostile_token(begin: Callable[..., Side], token: str, kind: FailureKind) -> None:
    side = begin(SIGN_IN)
    body = f'{{"access_token": "{token}", "token_type": "Bearer", "expires_in": 3600}}'
    side.fault(Operation.POLICY_TOKEN, Kind.BODY, status=200, body=body)
    found, message = side.failure(with_token=True)
    assert kind is found
    assert token not in message.replace("a JWT with a kid", "")


def test_wrong_scope(begin: Callable[..., Side]) -> None:
    """The failure has B2C's own code, and says what to do."""
    kind, message = begin(SIGN_IN, scope="https://other.example/.default").failure(with_token=True)
    assert FailureKind.AUTH is kind
    assert "AADB2C90117" in message


def test_wrong_secret(begin: Callable[..., Side]) -> None:
    side = begin(SIGN_IN)
    (side.line.folder / "client-secret").write_text("wrong")
    kind, message = side.failure(with_token=True)
    assert FailureKind.AUTH is kind
    assert "AADB2C90081" in message


def test_flapping_nodes(begin: Callable[..., Side]) -> None:
    """Every other answer comes from a node whose cache is older than the next key."""
    side = begin(SIGN_UP)
    side.line.emulator.tenant(TENANT).add_key(SIG, KeySeed(kid="new", nbf=2_000_000_000, exp=2_100_000_000))
    side.line.emulator.switch(jwks_delay=3600, jwks_flapping=True)
    shown = ["new" in {key.kid for key in side.probe().listed[SIGN_UP.lower()]} for _ in range(4)]
    assert shown in ([False, True, False, True], [True, False, True, False])
