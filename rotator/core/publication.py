"""
What relying parties can see of a tenant's keys, according to the probes.

A probe reads the JWKS (RFC 7517, section 5) of each policy that the configuration names. It may
also fetch a token as an application does, and ask Graph for the active key. `Evidence` is what all
probes of a process have shown so far; `observe` adds one probe to it. Findings are in `proof`.

The nodes of Microsoft's endpoints may differ for a while, so a single probe cannot overturn what
is known: what is known of a key changes only after `PROBES` probes in a row say otherwise.
The first probe that lists a key is enough if nothing was known yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rotator.core.errors import Failure
from rotator.core.keyset import Key, Keyset

PROBES = 3
"""How many probes in a row must contradict what is known before it changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedKey:
    """One key of a JWKS. `modulus` is the same digest of `n` as that of a key of a keyset."""

    kid: str
    modulus: str
    use: str | None = None
    nbf: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """
    What is kept of a token that the canary application fetched.

    kid:         which key signed it
    lifetime:    how long it is valid
    is_verified: whether its signature matches the key with that kid in the JWKS that was read just before
    """

    policy: str
    kid: str
    lifetime: timedelta
    is_verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """
    The result of one probe of a tenant.

    listed:      by policy, the keys that its JWKS lists; `caching`: its Cache-Control header. Absent: not known
    token:       None if none was fetched
    active_kids: by keyset, the kid that getActiveKey named; None if it named none
    failures:    by policy, why its JWKS could not be read; `token_failure`: why no token could be fetched
    """

    now: datetime
    listed: Mapping[str, tuple[PublishedKey, ...]] = field(default_factory=dict)
    token: Token | None = None
    active_kids: Mapping[str, str | None] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)
    token_failure: Failure | None = None
    caching: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """
    Whether a statement is true, according to several probes in a row.

    holds:    None while that is unknown
    since:    the first of the probes in a row that showed it; None while that is unknown
    contrary: how many probes in a row, up to the last, say otherwise
    began:    when the first of these was
    has_held: it was known to be true at some time
    """

    holds: bool | None = None
    since: datetime | None = None
    contrary: int = 0
    began: datetime | None = None
    has_held: bool = False

    @property
    def was_seen(self) -> bool:
        """What the last probe showed."""
        return self.holds is not None and self.holds is (self.contrary == 0)

    def seen(self, holds: bool, now: datetime) -> "Known":  # noqa: FBT001 - what was seen is the very subject
        """What is known after a probe at *now* that shows *holds*."""
        if holds is self.holds:
            return replace(self, contrary=0, began=None)
        if self.holds is None and holds:
            return Known(holds=True, since=now, has_held=True)
        began = self.began if self.contrary and self.began is not None else now
        contrary = self.contrary + 1
        if contrary < PROBES:
            return replace(self, contrary=contrary, began=began)
        return Known(holds=holds, since=began, has_held=self.has_held or holds)


UNKNOWN = Known()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    The evidence of all probes of one tenant so far.

    since:        when the first probe was; None before it
    read:         by policy, when its JWKS was last read
    publishes:    pairs of a policy and a keyset: the policy's JWKS was seen to list a key of the keyset
    listed:       by policy and kid, whether a key of such a keyset is listed with its modulus
    altered:      by policy and kid, whether a key of a keyset is listed with another modulus
    foreign:      by policy and kid, whether a listed key belongs to no keyset of the tenant
    lists_future: a key was seen in a JWKS before its nbf
    token:        the last one, fetched at `token_at`; `verifies` is what all tokens have shown
    active_kids:  by keyset, what getActiveKey last named, and when
    """

    since: datetime | None = None
    read: Mapping[str, datetime] = field(default_factory=dict)
    publishes: frozenset[tuple[str, str]] = frozenset()
    listed: Mapping[tuple[str, str], Known] = field(default_factory=dict)
    altered: Mapping[tuple[str, str], Known] = field(default_factory=dict)
    foreign: Mapping[tuple[str, str], Known] = field(default_factory=dict)
    lists_future: bool = False
    token: Token | None = None
    token_at: datetime | None = None
    verifies: Known = UNKNOWN
    active_kids: Mapping[str, tuple[str | None, datetime]] = field(default_factory=dict)

    def policies_of(self, keyset_id: str) -> tuple[str, ...]:
        """The policies that publish a keyset, in alphabetical order."""
        return tuple(sorted(policy for policy, published in self.publishes if published == keyset_id))

    def is_published(self, keyset_id: str, key: Key) -> bool | None:
        """Whether every policy that publishes the keyset lists *key*; None while that is unknown."""
        states = [self.listing(policy, key).holds for policy in self.policies_of(keyset_id)]
        if not states or (None in states and False not in states):
            return None
        return all(states)

    def published_since(self, keyset_id: str, key: Key) -> datetime | None:
        """Since when every policy that publishes the keyset lists *key*; None unless all of them do."""
        if not self.is_published(keyset_id, key):
            return None
        instants = [self.listing(policy, key).since for policy in self.policies_of(keyset_id)]
        return max((instant for instant in instants if instant is not None), default=None)

    def was_listed(self, keyset_id: str, key: Key) -> bool | None:
        """Whether the last probe saw *key* in each policy that publishes the keyset; None if no policy does."""
        states = [self.listing(policy, key) for policy in self.policies_of(keyset_id)]
        if not states or UNKNOWN in states:
            return None
        return all(state.was_seen for state in states)

    def listing(self, policy: str, key: Key) -> Known:
        """What is known of *key* in the JWKS of *policy*."""
        return self.listed.get((policy, key.kid or ""), UNKNOWN)


def observe(evidence: Evidence, probe: Probe, keysets: Mapping[str, Keyset], known_kids: frozenset[str]) -> Evidence:
    """
    The evidence after *probe*.

    keysets:    the tenant's configured keysets, as last seen
    known_kids: the kids of every keyset of the tenant, configured or not
    """
    now, listed, publishes = probe.now, probe.listed, _publishes(evidence, probe, keysets)
    keys = [(keyset_id, key) for keyset_id, keyset in keysets.items() for key in keyset.keys if key.kid and key.modulus]
    states, altered = dict(evidence.listed), dict(evidence.altered)
    for policy, shown in listed.items():
        by_kid = {key.kid: key for key in shown}
        for keyset_id, key in keys:
            found, at = by_kid.get(key.kid or ""), (policy, key.kid or "")
            if (policy, keyset_id) in publishes:
                is_there = found is not None and found.modulus == key.modulus
                states[at] = states.get(at, UNKNOWN).seen(is_there, now)
            if found is not None or at in altered:
                differs = found is not None and found.modulus != key.modulus
                altered[at] = altered.get(at, Known(holds=False)).seen(differs, now)
    kids = {key.kid for _, key in keys}
    return replace(
        _signed(evidence, probe),
        since=evidence.since or now,
        read={**evidence.read, **dict.fromkeys(listed, now)},
        publishes=publishes,
        listed={at: known for at, known in states.items() if at[1] in kids},
        altered={at: known for at, known in altered.items() if at[1] in kids},
        foreign=_foreign(evidence, probe, known_kids),
        lists_future=evidence.lists_future or _lists_future(probe, keysets),
        active_kids={**evidence.active_kids, **{name: (kid, now) for name, kid in probe.active_kids.items()}},
    )


def without(evidence: Evidence, policies: frozenset[str]) -> Evidence:
    """The evidence that remains if only *policies* are probed from now on."""
    return replace(
        evidence,
        read={policy: at for policy, at in evidence.read.items() if policy in policies},
        publishes=frozenset(pair for pair in evidence.publishes if pair[0] in policies),
        listed={at: known for at, known in evidence.listed.items() if at[0] in policies},
        altered={at: known for at, known in evidence.altered.items() if at[0] in policies},
        foreign={at: known for at, known in evidence.foreign.items() if at[0] in policies},
    )


def _publishes(evidence: Evidence, probe: Probe, keysets: Mapping[str, Keyset]) -> frozenset[tuple[str, str]]:
    """Which policy publishes which keyset. A pair is kept until the keyset has none of the keys that were listed."""
    fresh = {
        (policy, keyset_id)
        for policy, shown in probe.listed.items()
        for keyset_id, keyset in keysets.items()
        if {(key.kid, key.modulus) for key in keyset.keys if key.modulus} & {(key.kid, key.modulus) for key in shown}
    }
    kept = {
        (policy, keyset_id)
        for policy, keyset_id in evidence.publishes
        if keyset_id in keysets and any((policy, key.kid) in evidence.listed for key in keysets[keyset_id].keys)
    }
    return frozenset(fresh | kept)


def _foreign(evidence: Evidence, probe: Probe, known_kids: frozenset[str]) -> dict[tuple[str, str], Known]:
    foreign = {at: known for at, known in evidence.foreign.items() if at[0] not in probe.listed}
    for policy, shown in probe.listed.items():
        strange = {key.kid for key in shown} - known_kids
        before = {kid for at, kid in evidence.foreign if at == policy}
        for kid in strange | before:
            known = evidence.foreign.get((policy, kid), Known(holds=False)).seen(kid in strange, probe.now)
            if known.holds or known.contrary:
                foreign[policy, kid] = known
    return foreign


def _lists_future(probe: Probe, keysets: Mapping[str, Keyset]) -> bool:
    kids = {key.kid for keyset in keysets.values() for key in keyset.keys if key.activates > probe.now}
    return any(key.kid in kids for shown in probe.listed.values() for key in shown)


def _signed(evidence: Evidence, probe: Probe) -> Evidence:
    if probe.token is None:
        return evidence
    verifies = evidence.verifies.seen(probe.token.is_verified, probe.now)
    return replace(evidence, token=probe.token, token_at=probe.now, verifies=verifies)
