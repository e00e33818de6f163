"""The series of probe results, computed from the status store at each scrape."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from rotator.core.key_in_use import Method
from rotator.core.proof import KeysetProof, Slot
from rotator.core.publication import Evidence
from rotator.core.status import KeysetStatus, Name
from rotator.edges.exposition import Labels, escaped, gauge, keyset_labels

_Known = list[tuple[Labels, KeysetProof]]


def finding_counts(proof: KeysetProof) -> Iterator[tuple[str, int]]:
    """How many findings of each kind there are, for `keyset_notes`."""
    yield from sorted(Counter(finding.kind.value for finding in proof.findings).items())


def proof_series(
    prefix: str, entries: Mapping[Name, KeysetStatus], found: Mapping[Name, KeysetProof], now: datetime
) -> Iterator[str]:
    """
    The lines, each with its line end, of every metric of probe results; none if nothing is probed.

    found: the result of the probes for the keysets of *entries* that are probed
    """
    if not found:
        return
    labels = {name: keyset_labels(name) for name in found}
    known: _Known = [(labels[name], proof) for name, proof in found.items()]

    def family(name: str, text: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
        return gauge(f"{prefix}{name}", text, samples)

    yield from family("keyset_proof", "What shows which key is in use, in a label; always 1.", _methods(known))
    yield from family(
        "keyset_key_published",
        "1 if every policy that publishes the keyset lists the key; otherwise 0.",
        _published(known),
    )
    yield from family(
        "keyset_published_timestamp_seconds",
        "Unix time in seconds at which the next key, or else the active one, was first seen published.",
        _published_at(known),
    )
    yield from family(
        "keyset_upcoming_activation_timestamp_seconds",
        "Unix time in seconds of the nbf of the first upcoming key; absent if there is none.",
        _upcoming({labels[name]: entries[name] for name in found}, now),
    )
    yield from family(
        "keyset_signing_key_confirmed",
        "1 if the active key is confirmed to be the one in use; 0 if another key is.",
        _confirmed(known),
    )
    evidence = {name[0]: entry.evidence for name, entry in entries.items() if entry.evidence is not None}
    last_success = "Unix time in seconds at which the JWKS of a policy was last read."
    yield from family("policy_jwks_last_success_timestamp_seconds", last_success, _read(evidence))
    yield from family(
        "policy_token_lifetime_seconds", "Seconds for which a token of the policy is valid.", _lifetimes(evidence)
    )


def _methods(known: _Known) -> Iterator[tuple[str, float]]:
    for (keyset, tenant), proof in known:
        for method in Method:
            if proof.method is method:
                yield f'{keyset},method="{method}",{tenant}', 1


def _published(known: _Known) -> Iterator[tuple[str, float]]:
    for (keyset, tenant), proof in known:
        for slot in Slot:
            if slot in proof.published:
                yield f'{keyset},slot="{slot}",{tenant}', proof.published[slot]


def _published_at(known: _Known) -> Iterator[tuple[str, float]]:
    for labels, proof in known:
        if proof.published_at is not None:
            yield ",".join(labels), proof.published_at.timestamp()


def _upcoming(watched: Mapping[Labels, KeysetStatus], now: datetime) -> Iterator[tuple[str, float]]:
    for labels, entry in watched.items():
        keyset = None if entry.observation is None else entry.observation.keyset
        first = None if keyset is None else next(keyset.upcoming(now), None)
        if first is not None and first.nbf is not None:
            yield ",".join(labels), first.nbf.timestamp()


def _confirmed(known: _Known) -> Iterator[tuple[str, float]]:
    for labels, proof in known:
        if proof.confirmed is not None:
            yield ",".join(labels), proof.confirmed


def _read(evidence: Mapping[str, Evidence]) -> Iterator[tuple[str, float]]:
    for tenant, each in evidence.items():
        for policy, at in sorted(each.read.items()):
            yield f'policy="{escaped(policy)}",tenant="{escaped(tenant)}"', at.timestamp()


def _lifetimes(evidence: Mapping[str, Evidence]) -> Iterator[tuple[str, float]]:
    for tenant, each in evidence.items():
        if each.token is not None:
            labels = f'policy="{escaped(each.token.policy)}",tenant="{escaped(tenant)}"'
            yield labels, each.token.lifetime.total_seconds()
