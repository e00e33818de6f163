"""What a probe changes, as events: keys that can be seen, keys that sign, findings that begin or end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from rotator.core.keyset import Keyset
from rotator.core.policy import RotationPolicy
from rotator.core.proof import Finding, prove
from rotator.core.publication import Evidence, Probe
from rotator.core.tenant import TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A tenant was probed; *evidence*: what all probes have shown by now."""

    tenant: str
    tenant_id: TenantId
    probe: Probe
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPublished:
    """
    Every policy that publishes the keyset now lists a key that was not listed before.

    lead:  how long that is before its nbf; None without nbf
    delay: how long after it was generated; None where this process did not generate it
    """

    tenant: str
    keyset: str
    kid: str
    lead: timedelta | None
    delay: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySigning:
    """The active key is confirmed to be the one in use; *delay*: how long after its nbf."""

    tenant: str
    keyset: str
    kid: str
    delay: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingChanged:
    """A finding on a keyset begins, or ends."""

    tenant: str
    keyset: str
    finding: Finding
    is_raised: bool


ProofEvent: TypeAlias = Probed | KeyPublished | KeySigning | FindingChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A keyset of a tenant that is probed, as last seen."""

    tenant: str
    policy: RotationPolicy
    keyset: Keyset


def proof_events(
    watched: Watched, before: Evidence, after: Evidence, now: datetime, generated: Mapping[str, datetime]
) -> Iterator[ProofEvent]:
    """
    What the probe between *before* and *after* has changed for a keyset.

    generated: by kid, when this process generated the key

    The first probe of a process shows what has been so for long: it makes no event but findings.
    """
    tenant, keyset = watched.tenant, watched.keyset
    earlier = prove(watched.policy, keyset, before, now)
    later = prove(watched.policy, keyset, after, now)
    if before.policies_of(keyset.id) or before.read:
        for key in keyset.keys:
            if key.kid and after.is_published(keyset.id, key) and not before.is_published(keyset.id, key):
                at, made = after.published_since(keyset.id, key) or now, generated.get(key.kid)
                yield KeyPublished(
                    tenant=tenant,
                    keyset=keyset.id,
                    kid=key.kid,
                    lead=None if key.nbf is None else key.nbf - at,
                    delay=None if made is None else max(at - made, timedelta()),
                )
        active = keyset.active(now)
        if active is not None and active.kid and later.confirmed and not earlier.confirmed:
            delay = None if active.nbf is None else now - active.nbf
            yield KeySigning(tenant=tenant, keyset=keyset.id, kid=active.kid, delay=delay)
    for finding in later.findings:
        if finding not in earlier.findings:
            yield FindingChanged(tenant=tenant, keyset=keyset.id, finding=finding, is_raised=True)
    for finding in earlier.findings:
        if finding not in later.findings:
            yield FindingChanged(tenant=tenant, keyset=keyset.id, finding=finding, is_raised=False)
