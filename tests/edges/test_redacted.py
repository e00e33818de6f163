"""What a service says that quotes a secret: struck before anything is cut, wrapped or encoded."""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotator.core.certificate import Certificate
from rotator.core.errors import Effect, Failure, FailureKind, RequestError
from rotator.core.inventory import Listed
from rotator.core.keyset import Key, Keyset
from rotator.core.policy import KeySpec
from rotator.core.publication import Probe, PublishedKey, Token
from rotator.edges.redacted import RedactedKeysets, RedactedSignIn, redacted
from rotator.edges.redactor import Redactor

SECRET = "wR0~nG-secret-that-opens-nothing.zZ9"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
CERTIFICATE = Certificate(
    subject=f"CN={SECRET}",
    issuer="CN=Contoso CA",
    serial="C0FFEE",
    not_before=NOW,
    not_after=NOW,
    chain_not_after=NOW,
)
KEY = Key(kid=f"kid-{SECRET}", nbf=NOW, exp=None, use=SECRET, kty="RSA", certificate=CERTIFICATE, has_certificate=True)
ERROR = RequestError(
    Failure(kind=FailureKind.SERVICE, message=f"no: {SECRET}", code=SECRET, request_id=SECRET), Effect.UNKNOWN
)
HEALTHY = Keyset(id="B2C_1A_Y", keys=(Key(kid="y", nbf=NOW, exp=None),))
LISTED = Listed(
    wanted={"B2C_1A_X": Keyset(id="B2C_1A_X", keys=(KEY,)), "B2C_1A_Y": HEALTHY, "B2C_1A_Z": ERROR},
    others={f"B2C_1A_{SECRET}": replace(HEALTHY, id=f"B2C_1A_{SECRET}")},
    backups=(f"B2C_1A_{SECRET}.bak",),
)
PROBE = Probe(
    now=NOW,
    listed={"b2c_1a_signin": (PublishedKey(kid=SECRET, modulus="n", use=SECRET),)},
    token=Token(policy="b2c_1a_signin", kid=SECRET, lifetime=timedelta(hours=1), is_verified=True),
    active_kids={"B2C_1A_X": SECRET, "B2C_1A_Y": None},
    failures={"b2c_1a_other": ERROR.failure},
    token_failure=ERROR.failure,
)


@pytest.fixture
def redact() -> Callable[[str], str]:
    redactor = Redactor()
    redactor.register(SECRET, permanent=True)
    return redactor.redact


class Quoting:
    """A service that quotes a secret wherever it can."""

    policies = ("b2c_1a_signin",)
    probe_interval = timedelta(minutes=1)
    fetches_tokens = True

    def list_keysets(self, wanted: Collection[str], max_others: int = 0) -> Listed:
        assert (list(wanted), max_others) == (["B2C_1A_X"], 7)
        return LISTED

    def fetch(self, keyset_id: str) -> Keyset:
        assert keyset_id == "B2C_1A_X"
        return Keyset(id=keyset_id, keys=(KEY,))

    def prepare(self) -> None:
        raise ERROR

    def create(self, keyset_id: str) -> None:
        assert keyset_id == "B2C_1A_X"
        raise ERROR

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        assert keyset_id
        assert spec.kty == "RSA"
        return SECRET

    def enable(self, keyset_id: str, kid: str) -> None:
        assert (keyset_id, kid) == ("B2C_1A_X", "kid")
        raise ERROR

    def probe(self, *, with_token: bool, ask_active: Collection[str]) -> Probe:
        assert (with_token, list(ask_active)) == (True, ["B2C_1A_X"])
        return PROBE

    def all_kids(self) -> frozenset[str] | None:
        return frozenset((SECRET, "kid"))


def test_values_without_a_secret_stay_as_they_are(redact: Callable[[str], str]) -> None:
    """Nothing is copied where there is nothing to redact."""
    for value in (HEALTHY, Listed(wanted={"B2C_1A_Y": HEALTHY}), None, (HEALTHY,), FailureKind.SERVICE, "text"):
        assert redacted(value, redact) is value


def test_keysets(redact: Callable[[str], str]) -> None:
    """Every text in what is read, and in every failure; dates, kinds and effects are as they were."""
    keysets = RedactedKeysets(Quoting(), redact)
    listed = keysets.list_keysets(["B2C_1A_X"], 7)
    assert SECRET not in repr(listed)
    assert listed.wanted["B2C_1A_Y"] is HEALTHY
    assert list(listed.others) == ["B2C_1A_[secret]"]
    error = listed.wanted["B2C_1A_Z"]
    assert isinstance(error, RequestError)
    assert (error.failure.message, error.failure.code, error.effect) == ("no: [secret]", "[secret]", Effect.UNKNOWN)
    (key,) = keysets.fetch("B2C_1A_X").keys
    assert (key.kid, key.nbf, key.use) == ("kid-[secret]", NOW, "[secret]")
    assert key.certificate is not None
    assert key.certificate.subject == "CN=[secret]"
    assert keysets.generate("B2C_1A_X", KeySpec(use="sig", kty="RSA", nbf=NOW, exp=NOW)) == "[secret]"
    for call in (keysets.prepare, lambda: keysets.create("B2C_1A_X"), lambda: keysets.enable("B2C_1A_X", "kid")):
        with pytest.raises(RequestError) as raised:
            call()
        assert SECRET not in repr((raised.value, raised.value.failure, raised.value.__cause__))
        assert raised.value.effect is Effect.UNKNOWN


def test_secret_that_is_a_part_of_a_configured_name() -> None:
    """A passphrase that is a word of a keyset's id costs that keyset nothing."""
    redactor = Redactor()
    redactor.register("TokenSigning", permanent=True)
    keyset = Keyset(id="B2C_1A_TokenSigning", keys=(KEY,))

    class Service(Quoting):
        def list_keysets(self, wanted: Collection[str], max_others: int = 0) -> Listed:
            assert (list(wanted), max_others) == ([keyset.id], 0)
            return Listed(wanted={keyset.id: keyset})

    assert RedactedKeysets(Service(), redactor.redact).list_keysets([keyset.id]).wanted == {keyset.id: keyset}


def test_sign_in(redact: Callable[[str], str]) -> None:
    """What relying parties see, and why it could not be read."""
    sign_in = RedactedSignIn(Quoting(), redact)
    probe = sign_in.probe(with_token=True, ask_active=["B2C_1A_X"])
    assert SECRET not in repr(probe)
    assert (probe.now, probe.active_kids) == (NOW, {"B2C_1A_X": "[secret]", "B2C_1A_Y": None})
    assert sign_in.all_kids() == frozenset(("[secret]", "kid"))
    assert (sign_in.policies, sign_in.probe_interval, sign_in.fetches_tokens) == (
        Quoting.policies,
        Quoting.probe_interval,
        True,
    )
