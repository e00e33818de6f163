"""The report as JSON, for programs. Its members are part of the interface."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from rotator.core.assessment import Assessment
from rotator.core.errors import Failure
from rotator.core.keyset import Key
from rotator.core.outcome import Failed, Held, Outcome, Planned, Rotated, reason_name
from rotator.core.policy import KeySpec, RotationPolicy
from rotator.core.proof import KeysetProof
from rotator.core.proof_events import Probed
from rotator.core.publication import Evidence
from rotator.core.status import KeysetStatus, Name
from rotator.core.text import format_instant

SCHEMA = 1

Json = dict[str, object]


def document(
    outcomes: Sequence[Outcome], now: datetime, *, dry_run: bool, proofs: Mapping[Name, KeysetProof] | None = None
) -> Json:
    """The whole report. *proofs*: the results of the probes, for keysets that are probed."""
    known = proofs or {}
    return {
        "schema": SCHEMA,
        "now": format_instant(now),
        "dry_run": dry_run,
        "keysets": [row(outcome, known.get(outcome.observation.name)) for outcome in outcomes],
    }


def status_document(
    outcomes: Sequence[Outcome], now: datetime, *, dry_run: bool, probed: Sequence[Probed] = ()
) -> Json:
    """
    The whole report, each row with the keys of the keyset.

    dry_run: as configured, since it only reads anyway
    probed:  the probes of the tenants that have a sign-in side
    """
    evidence = {each.tenant_id: each.evidence for each in probed}
    rows = []
    for outcome in outcomes:
        of_tenant = evidence.get(outcome.observation.tenant_id)
        proof = KeysetStatus.after(outcome, of_tenant).proof(now)
        rows.append({**row(outcome, proof), "keys": _keys(outcome, now, of_tenant)})
    found = {**document((), now, dry_run=dry_run), "keysets": rows}
    return {**found, "probes": [*_probes(probed)]} if probed else found


def _probes(probed: Sequence[Probed]) -> Iterator[Json]:
    """Each policy whose JWKS was read, or why it could not be."""
    for each in probed:
        for policy in sorted({*each.probe.listed, *each.probe.failures}):
            failure = each.probe.failures.get(policy)
            yield {"tenant": each.tenant, "policy": policy, "error": _error(failure) if failure else None}


def row(outcome: Outcome, proof: KeysetProof | None = None) -> Json:
    """One keyset; every member exists, and is null if it does not apply. *proof*: the result of its probes."""
    observation = outcome.observation
    # The plan that was carried out is that of the look before the request, not of the look that shows the key.
    assessment = outcome.before.assessment if isinstance(outcome, Rotated) else observation.assessment
    plan = assessment.plan if assessment else None
    return {
        "tenant": observation.tenant,
        "keyset": observation.policy.keyset_id,
        "mode": observation.policy.mode.value,
        "outcome": outcome.name.value,
        "reason": reason_name(outcome),
        "would": outcome.would.value if isinstance(outcome, Held) and outcome.would else None,
        "active_kid": observation.assessment.active.kid
        if observation.assessment and observation.assessment.active
        else None,
        "covered_until": _covered(observation.assessment),
        "cover": observation.assessment.cover.value if observation.assessment else None,
        "renewal_due": format_instant(plan.renewal_due) if plan else None,
        "publish_by": format_instant(plan.publish_by) if plan else None,
        "activation": format_instant(plan.activation) if plan else None,
        "calendar": observation.policy.calendar.name if observation.policy.calendar else None,
        "activation_pulled_by_seconds": int(plan.pulled_by.total_seconds())
        if plan and observation.policy.calendar
        else None,
        "key": _key(outcome),
        "error": _error(outcome.failure) if isinstance(outcome, Failed) else None,
        "notes": [*_notes(assessment, proof)] or None,
        "proof": proof.method.value if proof else None,
    }


def _keys(outcome: Outcome, now: datetime, evidence: Evidence | None) -> list[Json] | None:
    """Each key, in the order in which they become active; None if the keyset was not seen."""
    keyset, assessment = outcome.observation.keyset, outcome.observation.assessment
    if keyset is None or assessment is None:
        return None
    return [
        {
            "kid": key.kid,
            "state": state.value,
            "nbf": format_instant(key.nbf) if key.nbf else None,
            "exp": format_instant(key.exp) if key.exp else None,
            "enabled": key.enabled,
            "use": key.use,
            "kty": key.kty,
            "certificate": _certificate(key),
            "published": evidence.was_listed(keyset.id, key) if evidence is not None else None,
            "notes": [note.kind.value for note in assessment.notes if note.kid == key.kid],
        }
        for key, state in sorted(keyset.states(now), key=lambda pair: pair[0].activates)
    ]


def _certificate(key: Key) -> Json | None:
    """The certificate of a key; None if it has none, and every member null where it cannot be read."""
    found = key.certificate
    if not key.has_certificate:
        return None
    return {
        "subject": found.subject if found else None,
        "issuer": found.issuer if found else None,
        "serial": found.serial if found else None,
        "not_before": format_instant(found.not_before) if found else None,
        "not_after": format_instant(found.not_after) if found else None,
        "chain_not_after": format_instant(found.chain_not_after) if found else None,
    }


def _covered(assessment: Assessment | None) -> str | None:
    if assessment is None or assessment.covered_until is None:
        return None
    return format_instant(assessment.covered_until)


def _key(outcome: Outcome) -> Json | None:
    match outcome:
        case (
            Held(observation=observation, spec=KeySpec() as spec)
            | Planned(observation=observation, spec=spec)
            | Failed(observation=observation, spec=KeySpec() as spec)
        ):
            return _spec(observation.policy, spec, None)
        case Rotated(observation=observation, spec=spec, kid=kid):
            return _spec(observation.policy, spec, kid)
        case _:
            return None


def _spec(policy: RotationPolicy, spec: KeySpec, kid: str | None) -> Json:
    return {
        "use": policy.use,
        "kty": policy.kty,
        "nbf": int(spec.nbf.timestamp()),
        "exp": int(spec.exp.timestamp()),
        "kid": kid,
    }


def _error(failure: Failure) -> Json:
    return {
        "kind": failure.kind.value,
        "message": failure.message,
        "status": failure.status,
        "code": failure.code,
        "request_id": failure.request_id,
    }


def _notes(assessment: Assessment | None, proof: KeysetProof | None) -> Iterator[Json]:
    for note in assessment.notes if assessment else ():
        yield {"kid": note.kid, "note": note.kind.value}
    for finding in proof.findings if proof else ():
        yield {"kid": finding.kid, "note": finding.kind.value}
