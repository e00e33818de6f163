"""The events of a probe: a key is published, a key signs, a finding begins or ends."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from rotator.core.findings import Finding
from rotator.core.keyset import Keyset
from rotator.core.policy import RotationPolicy
from rotator.core.proof import KeysetProof, prove
from rotator.core.publication import Evidence, Probe
from rotator.core.tenant import TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A tenant was probed; *evidence*: the evidence of all probes so far."""

    tenant: str
    tenant_id: TenantId
    probe: Probe
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPublished:
    """
    Every policy that publishes the keyset now lists a key that was not listed before.

    lead:  how long that is before its nbf; None if the key has no nbf
    delay: how long after it was generated; None if this process did not generate it
    """

    tenant: str
    keyset: str
    kid: str
    lead: timedelta | None
    delay: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySigning:
    """
    The active key is confirmed to be the one in use; *delay*: how long after its nbf.

    There is no such event for a key that was active before the first probe of this process.
    """

    tenant: str
    keyset: str
    kid: str
    delay: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingChanged:
    """A finding about a keyset begins, or ends."""

    tenant: str
    keyset: str
    finding: Finding
    is_raised: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryCredentialRead:
    """The credential of the canary application was read; *expires*: None if that is unknown."""

    tenant: str
    expires: datetime | None


ProofEvent: TypeAlias = CanaryCredentialRead | Probed | KeyPublished | KeySigning | FindingChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A keyset of a tenant that is probed, as read at *seen*."""

    tenant: str
    policy: RotationPolicy
    keyset: Keyset
    seen: datetime

    def proof(self, evidence: Evidence, now: datetime) -> KeysetProof:
        """The result of the probes for it at *now*, from *evidence*."""
        return prove(self.policy, self.keyset, evidence, now, seen=self.seen)


def proof_events(
    watched: Watched,
    evidence: Evidence,
    earlier: KeysetProof | None,
    later: KeysetProof,
    now: datetime,
    generated: Mapping[str, datetime],
) -> Iterator[ProofEvent]:
    """
    The events for a keyset between two probes.

    evidence:  after the later probe
    earlier:   the proof at the probe before; None if this is the first
    generated: by kid, when this process generated the key

    The first probe of a process yields findings only: what else it shows did not happen now.
    """
    tenant, keyset = watched.tenant, watched.keyset
    if earlier is not None:
        for key in keyset.keys:
            if key.kid in later.kids and key.kid not in earlier.kids:
                at, made = evidence.published_since(keyset.id, key) or now, generated.get(key.kid)
                yield KeyPublished(
                    tenant=tenant,
                    keyset=keyset.id,
                    kid=key.kid,
                    lead=None if key.nbf is None else key.nbf - at,
                    delay=None if made is None else max(at - made, timedelta()),
                )
        active, signing = keyset.active(now), later.signing
        nbf = active.nbf if active is not None else None
        is_new = nbf is not None and evidence.since is not None and nbf >= evidence.since
        if nbf is not None and is_new and signing is not None and signing != earlier.signing:
            yield KeySigning(tenant=tenant, keyset=keyset.id, kid=signing, delay=now - nbf)
    before = () if earlier is None else earlier.findings
    for finding in later.findings:
        if finding not in before:
            yield FindingChanged(tenant=tenant, keyset=keyset.id, finding=finding, is_raised=True)
    for finding in before:
        if finding not in later.findings:
            yield FindingChanged(tenant=tenant, keyset=keyset.id, finding=finding, is_raised=False)
