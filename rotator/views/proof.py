"""Labels and sentences for the results of probes, which status, page and log share."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from rotator.core.findings import Finding, FindingKind
from rotator.core.key_in_use import Method
from rotator.core.proof import KeysetProof, Slot
from rotator.core.proof_events import Probed
from rotator.views.condition import Condition, Level
from rotator.views.phrases import rounded

PROOF = "proof"
"""The label of the results of probes."""

FINDINGS = {
    FindingKind.NOT_PUBLISHED: "relying parties cannot see the next key yet, and it takes over within a day",
    FindingKind.NOT_SIGNING: "B2C still uses the key before, 45 minutes after this one took over",
    FindingKind.ACTIVE_KEY_UNPUBLISHED: "relying parties cannot see the active key, and will reject its tokens",
    FindingKind.WITHDRAWN_EARLY: "relying parties cannot see the key before any more, and its tokens are still valid",
    FindingKind.MODULUS_MISMATCH: "the JWKS lists this kid with another modulus than Graph",
    FindingKind.TOKEN_DOES_NOT_VERIFY: "a token that B2C issued does not verify against the JWKS",
    FindingKind.FOREIGN_KEY: "the JWKS lists a key that no keyset of the tenant has",
    FindingKind.POLICIES_DISAGREE: "the policies of this tenant publish different keysets",
    FindingKind.SIGNING_KEYSET_HAS_USE_ENC: "its keys are published with use enc, which some libraries reject",
    FindingKind.OVERLAP_SHORTER_THAN_TOKENS: "tokens are valid for longer than the overlap",
    FindingKind.ACTIVE_KEY_DIFFERS: "Graph names another active key than rotator expects",
    FindingKind.FUTURE_KEYS_UNLISTED: "the JWKS lists keys only once they are active",
}

_METHODS = {
    Method.TOKEN: "signing confirmed by token",
    Method.JWKS: "active key published",
    Method.ACTIVE_KEY: "active key confirmed by getActiveKey",
    Method.NONE: "nothing proves which key is in use",
}


def proof_sentence(proof: KeysetProof, since: datetime | None = None) -> str:
    """
    The proof as a text: published 13d2h before it takes over; seen in 2 policies; signing confirmed by token.

    since: the first probe. It does not show when a key that it lists was published.
    """
    return "; ".join(_parts(proof, since))


def _parts(proof: KeysetProof, since: datetime | None) -> Iterator[str]:
    is_published = proof.published.get(Slot.UPCOMING, proof.published.get(Slot.ACTIVE))
    is_dated = proof.published_at is not None and proof.published_at != since
    if is_dated and proof.lead is not None and proof.lead.total_seconds() > 0:
        yield f"published {rounded(proof.lead)} before it takes over"
    elif is_published:
        yield "published"
    elif is_published is False:
        yield "not published"
    if proof.policies:
        yield f"seen in {len(proof.policies)} polic{'y' if len(proof.policies) == 1 else 'ies'}"
    yield _METHODS[proof.method]


def probe_failures(probed: Iterable[Probed]) -> Iterator[str]:
    """A sentence for each reason why JWKS could not be read, with the tenant and the policies."""
    for each in probed:
        policies: dict[str, list[str]] = {}
        for policy, failure in each.probe.failures.items():
            policies.setdefault(failure.message, []).append(policy)
        for message, names in policies.items():
            yield f"{each.tenant}, JWKS of {', '.join(names)}: {message}"


def finding_sentence(finding: Finding) -> str:
    """A finding as a sentence, with its key and policies."""
    key = f"key {finding.kid}: " if finding.kid else ""
    where = f" ({', '.join(finding.policies)})" if finding.policies else ""
    return f"{key}{FINDINGS[finding.kind]}{where}"


def finding_conditions(proof: KeysetProof) -> Iterator[Condition]:
    """A condition for each kind of finding, with the severity of its alert as its level."""
    for kind in dict.fromkeys(finding.kind for finding in proof.findings):
        said = [finding_sentence(finding) for finding in proof.findings if finding.kind is kind]
        level, runbook, remedy = _SERIOUS.get(kind, (Level.INFORMATION, "", ""))
        label = kind.value.replace("_", " ")
        yield Condition(level=level, label=label, sentence="; ".join(said), remedy=remedy, runbook=runbook)


_READS = "check what the sign-in host answers, and the status of Azure AD B2C"
_SERIOUS = {
    FindingKind.NOT_PUBLISHED: (Level.WARNING, "B2CKeyNotPublished", _READS),
    FindingKind.NOT_SIGNING: (Level.WARNING, "B2CKeyNotSigning", _READS),
    FindingKind.ACTIVE_KEY_UNPUBLISHED: (Level.CRITICAL, "B2CActiveKeyUnpublished", _READS),
    FindingKind.WITHDRAWN_EARLY: (Level.WARNING, "B2CKeyWithdrawnEarly", _READS),
    FindingKind.TOKEN_DOES_NOT_VERIFY: (Level.CRITICAL, "B2CTokenDoesNotVerify", _READS),
    FindingKind.MODULUS_MISMATCH: (Level.WARNING, "", "find out who answers for the sign-in host, such as a proxy"),
    FindingKind.FOREIGN_KEY: (Level.WARNING, "", "find out which keyset has this key, or had it"),
    FindingKind.ACTIVE_KEY_DIFFERS: (Level.WARNING, "", "compare the keys in the Azure portal, and report it as a bug"),
    FindingKind.OVERLAP_SHORTER_THAN_TOKENS: (Level.WARNING, "", "raise overlap above the lifetime of tokens"),
    FindingKind.SIGNING_KEYSET_HAS_USE_ENC: (Level.WARNING, "", "make a keyset with use sig, and change the policies"),
}
