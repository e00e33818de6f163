"""When a tenant is probed again, and when a probe fetches a token: pure functions of the evidence so far."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from rotator.core.findings import SIGNING_GRACE, is_long_unlisted
from rotator.core.keyset import Keyset
from rotator.core.publication import Evidence

TOKEN_INTERVAL = timedelta(days=1)
"""How often a token is fetched if nothing has changed."""


def is_token_due(evidence: Evidence, keysets: Mapping[str, Keyset], now: datetime) -> bool:
    """True if the probe must fetch a token: first, once a day, and after an activation until the key is confirmed."""
    token, at = evidence.token, evidence.token_at
    if token is None or at is None or now - at >= TOKEN_INTERVAL:
        return True
    if evidence.verifies.holds is not True or evidence.verifies.contrary:
        return True
    signer = next((keyset for keyset in keysets.values() if token.kid in keyset.kids), None)
    active = None if signer is None else signer.active(now)
    return active is not None and active.kid != token.kid


def probe_pause(
    evidence: Evidence,
    keysets: Mapping[str, Keyset],
    now: datetime,
    *,
    policies: frozenset[str],
    probe_interval: timedelta,
    check_interval: timedelta,
) -> timedelta:
    """
    How long until the next probe.

    `probe_interval` near a generation or an activation, and while something is unknown or
    contradicted; otherwise the longer of it and `check_interval`.
    """
    slow = max(probe_interval, check_interval)
    if not policies <= evidence.read.keys():
        return probe_interval
    if any(known.contrary for known in (*evidence.listed.values(), *evidence.foreign.values(), evidence.verifies)):
        return probe_interval
    for keyset in keysets.values():
        for key in keyset.keys:
            if key.enabled and key.nbf is not None and -slow <= now - key.nbf <= SIGNING_GRACE + 2 * probe_interval:
                return probe_interval
        if evidence.policies_of(keyset.id) and any(
            evidence.is_published(keyset.id, key) is not True for key in keyset.upcoming(now)
        ):
            return slow if not evidence.lists_future and is_long_unlisted(keyset, evidence, now) else probe_interval
    return slow
