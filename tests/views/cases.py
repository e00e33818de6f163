"""Keysets and outcomes to draw and to tell of."""

from datetime import UTC, datetime, timedelta

from rotator.board import Entry
from rotator.core.errors import Failure, FailureKind
from rotator.core.keyset import Key, Keyset
from rotator.core.outcome import Failed, Held, Outcome, Planned, Sight
from rotator.core.rotation import Mode, Rotate, RotationPolicy, decide

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


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
    sight = Sight(tenant="contoso", policy=of, now=NOW, keyset=keyset, outlook=decision.outlook)
    if isinstance(decision, Rotate):
        return Planned(sight=sight, reason=decision.reason, spec=decision.spec)
    return Held(sight=sight, reason=decision.reason)


def failed(message: str, of: RotationPolicy | None = None) -> Failed:
    """A keyset that could not be looked at."""
    sight = Sight(tenant="contoso", policy=of or policy(), now=NOW)
    return Failed(sight=sight, failure=Failure(kind=FailureKind.FORBIDDEN, message=message, request_id="r-1"))


def entry(outcome: Outcome) -> Entry:
    """What the board knows after it."""
    sight = outcome.sight if outcome.sight.keyset else None
    return Entry(policy=outcome.sight.policy, outcome=outcome, sight=sight, failures=isinstance(outcome, Failed))
