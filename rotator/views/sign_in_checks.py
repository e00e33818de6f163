"""The checks of the sign-in side of a tenant: what its policies publish, and the canary's token."""

from collections.abc import Iterator
from dataclasses import dataclass

from rotator.core.checkup import Check, Level, TenantFindings
from rotator.core.keyset import Key, Keyset, KeyState
from rotator.core.publication import Probe, PublishedKey, Token
from rotator.core.text import format_span
from rotator.views.phrases import count, failed_check, what_and_advice

_SHOWN = (KeyState.ACTIVE, KeyState.RETAINED, KeyState.UPCOMING, KeyState.UNDATED, KeyState.DISABLED, KeyState.EXPIRED)
_WAIT = "caches of B2C may take 30 minutes: run it again later"


@dataclass(frozen=True, slots=True)
class _Listing:
    """By state, how many keys of a keyset there are, and how many of them a JWKS lists."""

    keyset_id: str
    counts: dict[KeyState, tuple[int, int]]

    def text(self) -> str:
        states = (f"{listed} of {there} {state.value}" for state, (there, listed) in self.counts.items() if there)
        return f"{self.keyset_id}: {', '.join(states)}"

    def misses(self, state: KeyState) -> bool:
        there, listed = self.counts[state]
        return listed < there


def sign_in_checks(found: TenantFindings) -> Iterator[Check]:
    """Of each policy: its JWKS, and which keys of the configured keysets it lists. Of the canary: its token."""
    probe = found.probe
    if probe is None:
        yield Check(
            tenant=found.tenant,
            name="sign_in",
            level=Level.OK,
            result="not configured, so nothing shows whether relying parties see the keys",
            advice="set sign_in with the policies that use these keysets",
        )
        return
    for policy, failure in probe.failures.items():
        yield failed_check(found.tenant, "policy", failure, subject=policy)
    keysets = [each.look.observation.keyset for each in found.keysets]
    known = [each for each in keysets if each is not None]
    for policy, listed in probe.listed.items():
        yield _policy(found, policy, listed, known)
    if found.canary is not None:
        yield _canary(found, probe)


def _policy(found: TenantFindings, policy: str, listed: tuple[PublishedKey, ...], known: list[Keyset]) -> Check:
    shown = {(each.kid, each.modulus) for each in listed}
    listings = [
        _listing(keyset, shown, found)
        for keyset in known
        if any((key.kid, key.modulus) in shown for key in keyset.keys)
    ]
    caching = (found.probe.caching if found.probe else {}).get(policy, "not set")
    texts = "; ".join(each.text() for each in listings) or "no key of the configured keysets"
    level, advice = Level.OK, ""
    if not listings:
        level, advice = Level.WARNING, "check that this policy uses one of the configured keysets"
    elif any(each.misses(KeyState.ACTIVE) for each in listings):
        level, advice = Level.WARNING, f"relying parties do not see the active key; {_WAIT}"
    elif any(each.misses(KeyState.UPCOMING) for each in listings):
        level, advice = Level.WARNING, f"relying parties do not see the next key before it takes over; {_WAIT}"
    return Check(
        tenant=found.tenant,
        name="policy",
        subject=policy,
        level=level,
        result=f"JWKS lists {count(len(listed), 'key')}, of {texts}; Cache-Control: {caching}",
        advice=advice,
    )


def _listing(keyset: Keyset, shown: set[tuple[str, str]], found: TenantFindings) -> _Listing:
    counts = dict.fromkeys(_SHOWN, (0, 0))
    for key, state in keyset.states(found.now):
        there, listed = counts[state]
        counts[state] = (there + 1, listed + ((key.kid, key.modulus) in shown))
    return _Listing(keyset.id, counts)


def _canary(found: TenantFindings, probe: Probe) -> Check:
    if probe.token_failure is not None:
        level, result, advice = Level.WRONG, *what_and_advice(probe.token_failure.message)
    elif probe.token is None:
        level, result, advice = Level.WARNING, "no token was fetched", "see the check of the policy"
    else:
        level, advice = _verdict(found, probe.token)
        verified = "verifies" if probe.token.is_verified else "does not verify"
        result = f"signed with {probe.token.kid}, {verified}, valid for {format_span(probe.token.lifetime)}"
    return Check(tenant=found.tenant, name="canary", level=level, result=result, advice=advice)


def _verdict(found: TenantFindings, token: Token) -> tuple[Level, str]:
    if not token.is_verified:
        return Level.WRONG, "relying parties reject such tokens: compare the JWKS of the policy with the keyset"
    signer = next(
        (each for each in found.keysets if (seen := each.look.observation.keyset) and token.kid in seen.kids), None
    )
    if signer is None:
        return Level.WARNING, "the key is in none of the configured keysets: configure the keyset that signs"
    observation = signer.look.observation
    active: Key | None = observation.assessment.active if observation.assessment else None
    if active is None or active.kid != token.kid:
        return Level.WARNING, f"it is not the active key of {observation.policy.keyset_id}; {_WAIT}"
    if token.lifetime > observation.policy.overlap:
        return Level.WARNING, f"tokens outlive the overlap of {observation.policy.keyset_id}: raise overlap"
    return Level.OK, ""
