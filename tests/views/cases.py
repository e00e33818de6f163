"""Keysets and outcomes to draw and to tell of."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rotator.core.errors import Failure, FailureKind
from rotator.core.keyset import Key, Keyset
from rotator.core.outcome import Failed, Held, Observation, Outcome, Planned
from rotator.core.policy import Mode, RotationPolicy
from rotator.core.rotation import Rotate, decide
from rotator.core.status import KeysetStatus, Name
from rotator.core.tenant import TenantId
from rotator.views.process import ProcessStatus

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
CONTOSO = TenantId(graph="https://graph", login="https://login", directory="contoso")
PROCESS = ProcessStatus(version="1.2.3", refresh=60, stale=2.5 * HOUR, began=NOW - DAY, swept=NOW - HOUR / 2)


def policy(keyset_id: str = "B2C_1A_X", mode: Mode = Mode.ROTATE) -> RotationPolicy:
    """Ninety days, a day of overlap."""
    return RotationPolicy(
        keyset_id=keyset_id,
        use="sig",
        kty="RSA",
        mode=mode,
        rotate_every=90 * DAY,
        overlap=DAY,
        publication_lead=2 * DAY,
        renewal_window=14 * DAY,
    )


def key(kid: str | None, begin: float | None, end: float | None, *, enabled: bool = True) -> Key:
    """A key from *begin* to *end*, in days from now."""
    nbf, exp = (None if days is None else NOW + days * DAY for days in (begin, end))
    return Key(kid=kid, nbf=nbf, exp=exp, enabled=enabled, use="sig", kty="RSA")


def looked_at(*keys: Key, of: RotationPolicy | None = None) -> Outcome:
    """What a first look makes of a keyset with *keys*."""
    of = of or policy()
    keyset = Keyset(id=of.keyset_id, keys=keys)
    decision = decide(of, keyset, NOW)
    observation = Observation(
        tenant="contoso", tenant_id=CONTOSO, policy=of, now=NOW, keyset=keyset, assessment=decision.assessment
    )
    if isinstance(decision, Rotate):
        return Planned(observation=observation, reason=decision.reason, spec=decision.spec)
    return Held(observation=observation, reason=decision.reason, would=decision.would, spec=decision.spec)


def failed(message: str, of: RotationPolicy | None = None) -> Failed:
    """A keyset that could not be looked at."""
    observation = Observation(tenant="contoso", tenant_id=CONTOSO, policy=of or policy(), now=NOW)
    return Failed(
        observation=observation, failure=Failure(kind=FailureKind.FORBIDDEN, message=message, request_id="r-1")
    )


def entry(outcome: Outcome) -> KeysetStatus:
    """What the board knows after it."""
    observation = outcome.observation if outcome.observation.keyset else None
    return KeysetStatus(
        policy=outcome.observation.policy,
        outcome=outcome,
        effective_outcome=outcome,
        observation=observation,
        failures=int(isinstance(outcome, Failed)),
    )


def refused(outcome: Outcome, message: str, kind: FailureKind = FailureKind.FORBIDDEN) -> Failed:
    """A keyset that was seen as in *outcome*, and got no key."""
    return Failed(observation=outcome.observation, failure=Failure(kind=kind, message=message))


def monthly(keyset_id: str) -> RotationPolicy:
    """Thirty days, a day of overlap."""
    return replace(policy(keyset_id), rotate_every=30 * DAY, renewal_window=7 * DAY)


def hourly(keyset_id: str) -> RotationPolicy:
    """An hour, ten minutes of overlap."""
    return replace(
        policy(keyset_id), rotate_every=HOUR, overlap=HOUR / 6, publication_lead=HOUR / 12, renewal_window=HOUR / 4
    )


def many(count: int) -> dict[Name, KeysetStatus]:
    """*count* keysets in four tenants, some of them in trouble, one tenant without a token."""
    names = ("contoso", "fabrikam eu", "northwind-production", "locked")
    found: dict[Name, KeysetStatus] = {}
    for number in range(count):
        tenant, name = names[number * 4 // count], f"B2C_1A_Keyset{number}"
        outcome = failed("the client secret is wrong", policy(name)) if tenant == "locked" else _one_of(number, name)
        found[tenant, name] = entry(outcome)
    return found


def _one_of(number: int, name: str) -> Outcome:
    kid = f"{number:03}kQ3x9ZtT5uHkF0bYw7Lr2MnPqVsXyZaBcDeFgHiJk"
    kinds = (
        looked_at(key(kid, -10, 81), of=policy(name)),
        looked_at(key(kid, -80, 11), of=policy(name)),
        looked_at(key(kid, -90.5, 0.5), key(f"off{kid}", 30, 100, enabled=False), of=policy(name)),
        looked_at(key(kid, -5, 26), of=monthly(name)),
        looked_at(key(kid, -0.01, 0.04), of=hourly(name)),
        refused(looked_at(key(kid, -100, -9), of=policy(name)), "grant the app what it needs"),
        looked_at(key(kid, None, None), of=policy(name, Mode.OBSERVE)),
    )
    return kinds[number % len(kinds)]
