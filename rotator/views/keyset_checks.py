"""The checks of the configured keysets of a tenant."""

from collections.abc import Iterator
from datetime import datetime

from rotator.core.assessment import Assessment
from rotator.core.checkup import MAX_ASKED, Check, KeysetFindings, Level, TenantFindings
from rotator.core.errors import Failure, FailureKind
from rotator.core.keyset import Keyset
from rotator.core.outcome import Failed, reason_name
from rotator.core.policy import Mode
from rotator.core.reasons import Reason
from rotator.core.text import format_instant
from rotator.views.phrases import NOTES, count, what_and_advice, which_key


def keyset_checks(found: TenantFindings) -> Iterator[Check]:
    """Of each keyset: what the decision sees, getActiveKey, and keys_v2."""
    for each in found.keysets:
        yield _keyset(found, each)
        if each.is_asked:
            yield _active_key(found, each)
            yield _keys_v2(found, each)
    left_out = len(found.keysets) - MAX_ASKED
    if left_out > 0:
        yield Check(
            tenant=found.tenant,
            name="active_key",
            level=Level.OK,
            result=f"not asked for the last {count(left_out)}, nor is keys_v2: Graph limits requests",
        )


def _keyset(found: TenantFindings, each: KeysetFindings) -> Check:
    look, observation = each.look, each.look.observation
    level, advice = Level.OK, ""
    if isinstance(look, Failed):
        level, result, advice = Level.WRONG, *what_and_advice(look.failure.message)
    elif observation.keyset is None or observation.assessment is None:
        result = "not there; rotator creates it"
    else:
        result = _seen(observation.keyset, observation.assessment, reason_name(look))
        level, advice = _verdict(each, observation.assessment)
    return Check(
        tenant=found.tenant,
        name="keyset",
        subject=observation.policy.keyset_id,
        level=level,
        result=result,
        advice=advice,
    )


def _seen(keyset: Keyset, assessment: Assessment, reason: str) -> str:
    uses = "/".join(sorted({key.use or "-" for key in keyset.keys}))
    types = "/".join(sorted({key.kty or "-" for key in keyset.keys}))
    parts = [f"{count(len(keyset.keys), 'key')}, use {uses or '-'}, kty {types or '-'}"]
    active = assessment.active
    if active is None:
        parts.append("no valid key")
    else:
        parts.append(f"active since {_date(active.nbf)} until {_date(active.exp)}")
    if assessment.covered_until is not None and (active is None or assessment.covered_until != active.exp):
        parts.append(f"covered until {_date(assessment.covered_until)}")
    certified = keyset.certified
    if certified is not None and certified.certificate is not None:
        parts.append(f"certificate until {_date(certified.certificate.chain_not_after)}")
    return "; ".join([*parts, reason])


def _verdict(each: KeysetFindings, assessment: Assessment) -> tuple[Level, str]:
    policy = each.look.observation.policy
    mismatch = next((note for note in assessment.notes if note.kind.is_mismatch), None)
    if assessment.active is None:
        return Level.WRONG, "users cannot sign in: see the runbook, B2CKeysetWithoutValidKey"
    if assessment.at_risk:
        return Level.WRONG, "lead, overlap or cover is or will be too short: see rotator status, and generate the key"
    if mismatch is not None:
        level = Level.WOULD_FAIL if policy.mode is Mode.ROTATE else Level.WARNING
        return level, f"{which_key(mismatch)} {NOTES[mismatch.kind]}: correct the configuration"
    if reason_name(each.look) == Reason.CERTIFICATE.value:
        return Level.WARNING, "a person uploads its next certificate: rotator does not rotate it"
    return Level.OK, ""


def _active_key(found: TenantFindings, each: KeysetFindings) -> Check:
    keyset_id, named = each.look.observation.policy.keyset_id, each.active_kid
    assessment = each.look.observation.assessment
    expected = assessment.active if assessment is not None else None
    level, advice = Level.OK, ""
    if isinstance(named, Failure):
        level, result, advice = Level.WARNING, *what_and_advice(named.message)
    elif named is None:
        result = "names no key"
        if expected is not None:
            level, advice = Level.WARNING, "compare the keys in the Azure portal"
    else:
        result = f"names {named}"
        if expected is not None and expected.kid != named:
            level, advice = Level.WARNING, f"rotator expects {expected.kid}: compare the keys in the Azure portal"
    return Check(tenant=found.tenant, name="active_key", subject=keyset_id, level=level, result=result, advice=advice)


def _keys_v2(found: TenantFindings, each: KeysetFindings) -> Check:
    observation, listed = each.look.observation, each.keys_v2
    level, advice = Level.OK, ""
    if isinstance(listed, Failure):
        level, result, advice = Level.WARNING, *what_and_advice(listed.message)
        if listed.kind is FailureKind.FORBIDDEN and not found.may_write:
            level, advice = Level.OK, ""  # only needed to enable a key
        elif listed.kind is not FailureKind.FORBIDDEN:
            advice = "a key that is created disabled could not be enabled: enable it in the Azure portal"
    else:
        kids = frozenset(listed or ())
        result = f"lists {count(len(kids), 'key')}"
        if observation.keyset is not None and kids != observation.keyset.kids - {None}:
            level, advice = Level.WARNING, "it differs from the keyset: run it again, and report it if it stays so"
    return Check(
        tenant=found.tenant,
        name="keys_v2",
        subject=observation.policy.keyset_id,
        level=level,
        result=result,
        advice=advice,
    )


def _date(instant: datetime | None) -> str:
    return "no date" if instant is None else format_instant(instant)
