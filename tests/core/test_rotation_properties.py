"""The promises of `decide`, whatever people did to a keyset. Spans are in seconds; see strategies.py."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.builders import SECOND, T0, extended, key, keyset, policy
from core.strategies import keys, keysets, lived, nothing_to_come, policies, stepped
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rotator.core.assessment import Assessment, Cover, Shortfall
from rotator.core.keyset import NEVER, Key, Keyset
from rotator.core.policy import Mode, RotationPolicy
from rotator.core.reasons import Reason
from rotator.core.rotation import Hold, Rotate, decide

LIFE = range(120)

TIGHT = policy(
    rotate_every=20 * SECOND,
    overlap=4 * SECOND,
    publication_lead=7 * SECOND,
    renewal_window=2 * SECOND,
    minimum_lead=4 * SECOND,
)
NET = key("net", None, None)
AS_LONG_AS_THE_OVERLAP = keyset(NET, key("brief", T0 + 8 * SECOND, T0 + 12 * SECOND))
"""A key to come whose whole life is the overlap: what follows it would activate together with it."""


@given(policies(), keysets())
@example(TIGHT, AS_LONG_AS_THE_OVERLAP)
def test_decide_again_holds(rules: RotationPolicy, found: Keyset) -> None:
    """After a decision was carried out, the next one is to hold."""
    step = stepped(rules, found, T0)
    assert isinstance(decide(rules, step.after, T0), Hold)


@given(policies(), nothing_to_come())
def test_decide_same_key_throughout_the_window(rules: RotationPolicy, found: Keyset) -> None:
    """Once a decision was carried out nothing is called for until the next window, and in that one and the same key."""
    after = stepped(rules, found, T0).after
    plan = decide(rules, after, T0).assessment.plan
    opens, closes = ((instant - T0) // SECOND for instant in (plan.renewal_due, plan.publish_by))
    decided = [decide(rules, after, T0 + second * SECOND) for second in range(closes + 1)]
    assert [decision for decision in decided[:opens] if not isinstance(decision, Hold)] == []
    assert {plan} == {decision.assessment.plan for decision in decided}
    ((reason, spec),) = {(decision.reason, getattr(decision, "spec", None)) for decision in decided[opens:]}
    assert (Reason.RENEWAL_DUE, plan.activation) == (reason, spec and spec.nbf)


@given(policies(), keysets())
def test_decide_never_in_the_past(rules: RotationPolicy, found: Keyset) -> None:
    """A key that is requested activates no sooner than the service takes it, and is valid for turn and overlap."""
    decision = decide(rules, found, T0)
    assume(isinstance(decision, Rotate))
    assert isinstance(decision, Rotate)
    assert decision.spec.nbf >= T0 + rules.minimum_lead
    assert decision.spec.exp - decision.spec.nbf == rules.validity


@given(policies(), nothing_to_come())
def test_decide_overlap_kept_unless_impossible(rules: RotationPolicy, found: Keyset) -> None:
    """The new key overlaps as it should where it can; else it activates after the lead, and by the end of cover."""
    decision = decide(rules, found, T0)
    assume(isinstance(decision, Rotate) and decision.reason is not Reason.UNDATED)
    assert isinstance(decision, Rotate)
    soonest, whole = T0 + rules.minimum_lead, T0 + rules.publication_lead
    overlapping = ends(decision.assessment) - rules.overlap
    if soonest <= overlapping:
        assert decision.spec.nbf <= overlapping
    else:
        assert decision.spec.nbf == max(soonest, min(whole, overlapping + rules.overlap))


@given(policies(), keysets())
def test_decide_lead_kept_or_told(rules: RotationPolicy, found: Keyset) -> None:
    """A key without the whole lead is requested only when that is reported."""
    decision = decide(rules, found, T0)
    assume(isinstance(decision, Rotate))
    assert isinstance(decision, Rotate)
    assert decision.assessment.at_risk or decision.spec.nbf - T0 >= rules.publication_lead


@given(policies(), nothing_to_come())
@example(TIGHT, keyset(key("no exp", T0 - 99 * SECOND, None), key("past", T0 - 60 * SECOND, T0 - 30 * SECOND)))
def test_decide_lead_kept_unless_it_costs_overlap(rules: RotationPolicy, found: Keyset) -> None:
    """Only the overlap, or an end of cover, takes anything away from the lead."""
    decision = decide(rules, found, T0)
    assume(isinstance(decision, Rotate))
    assert isinstance(decision, Rotate)
    whole = decision.spec.nbf - T0 >= rules.publication_lead
    soonest, end = T0 + rules.minimum_lead, ends(decision.assessment)
    latest = end - rules.overlap if soonest <= end - rules.overlap else max(end, soonest)
    assert whole or latest == decision.spec.nbf


@given(policies(), nothing_to_come())
def test_decide_shortfall_is_what_the_key_costs(rules: RotationPolicy, found: Keyset) -> None:
    """What falls short is measured from the key that is requested to the end of cover; without trouble, nothing is."""
    decision = decide(rules, found, T0)
    told = decision.assessment.shortfall
    assert decision.assessment.at_risk or not told
    assume(isinstance(decision, Rotate) and decision.reason is not Reason.UNDATED)
    assert isinstance(decision, Rotate)
    end, none = ends(decision.assessment), timedelta()
    lacking = decision.spec.nbf - (end - rules.overlap)
    overlap = none if decision.assessment.active is None else max(none, min(rules.overlap, lacking))
    assert told == Shortfall(
        lead=max(none, rules.publication_lead - (decision.spec.nbf - T0)),
        overlap=overlap,
        cover=max(none, decision.spec.nbf - end),
    )


def ends(assessment: Assessment) -> datetime:
    """When cover ends, as an instant that can be compared."""
    if assessment.covered_until is not None:
        return assessment.covered_until
    return T0 if assessment.cover is Cover.NONE else NEVER


@given(policies(), keysets())
@example(TIGHT, AS_LONG_AS_THE_OVERLAP)
def test_decide_every_second_leaves_no_gap(rules: RotationPolicy, found: Keyset) -> None:
    """Once there was time to act, there is an active key in every second."""
    gaps = [step.now for step in lived(rules, found, LIFE) if step.after.active(step.now) is None]
    assert [now for now in gaps if now >= T0 + rules.minimum_lead] == []


@given(policies(), keysets())
@example(TIGHT, AS_LONG_AS_THE_OVERLAP)
def test_decide_every_second_adds_no_key_too_many(rules: RotationPolicy, found: Keyset) -> None:
    """Over any time no more keys are added than one a turn, and one for each key that people made."""
    added = sum(step.rotates for step in lived(rules, found, LIFE))
    assert added <= turns(rules) + len(found.keys)


def turns(rules: RotationPolicy) -> int:
    """How many keys the time looked at takes, if nothing else writes: the last may be made ahead of its turn."""
    ahead = rules.publication_lead + rules.renewal_window
    return 1 + (len(LIFE) * SECOND + ahead) // rules.rotate_every


@given(policies(), keysets(), st.integers(1, 6))
def test_decide_seldom_is_enough(rules: RotationPolicy, found: Keyset, step: int) -> None:
    """Sweeps further apart, but not further than the window, cost neither cover nor lead, nor add keys."""
    step = min(step, rules.renewal_window // SECOND)
    decided = list(lived(rules, found, LIFE[::step]))
    assert sum(each.rotates for each in decided) <= turns(rules) + len(found.keys)
    late = T0 + rules.minimum_lead + step * SECOND
    assert [each.now for each in decided if each.now >= late and each.after.active(each.now) is None] == []


@given(policies(), st.integers(1, 6))
def test_decide_undisturbed_is_exact(rules: RotationPolicy, step: int) -> None:
    """If nobody meddles, every key takes over a turn after the last, with its whole lead and overlap."""
    step = min(step, rules.renewal_window // SECOND + 1)
    decided = list(lived(rules, keyset(), LIFE[::step]))
    made = decided[-1].after.keys
    first = T0 + rules.minimum_lead
    assert [first + n * rules.rotate_every for n in range(len(made))] == [each.nbf for each in made]
    assert {rules.validity} == {each.expires - each.activates for each in made}
    rotations = [each for each in decided if each.rotates]
    assert {Reason.RENEWAL_DUE} >= {each.decision.reason for each in rotations[1:]}


MEDDLING = st.dictionaries(st.integers(0, 90), st.integers(0, 9) | keys(first=-20, last=30), max_size=4)
"""At which second a person adds a key (told from that second on), or flips the status of a key by its number."""


@given(policies(), keysets(), MEDDLING)
def test_decide_while_people_meddle(rules: RotationPolicy, found: Keyset, meddling: dict[int, int | Key]) -> None:
    """Keys that come, are disabled or enabled meanwhile lead to one key each at most, and to no gap that lasts."""
    there, added, last_meddled = found, 0, 0
    for second in LIFE:
        if second in meddling:
            there, last_meddled = _meddled(there, meddling[second], second), second
        step = stepped(rules, there, T0 + second * SECOND)
        there = step.after
        added += step.rotates
        assert isinstance(decide(rules, there, step.now), Hold)
        settled = step.now >= T0 + last_meddled * SECOND + rules.minimum_lead
        assert there.active(step.now) is not None or not settled
    assert added <= turns(rules) + len(found.keys) + len(meddling)


def _meddled(before: Keyset, what: int | Key, second: int) -> Keyset:
    if isinstance(what, Key):
        moved = replace(
            what,
            kid=f"theirs at {second}",
            nbf=what.nbf and what.nbf + second * SECOND,
            exp=what.exp and what.exp + second * SECOND,
        )
        return extended(before, moved)
    flipped = (replace(each, enabled=each.enabled != (n == what)) for n, each in enumerate(before.keys))
    return replace(before, keys=tuple(flipped))


@given(policies(), policies(), nothing_to_come(), st.integers(0, 60))
def test_decide_after_the_policy_changed(
    rules: RotationPolicy, others: RotationPolicy, found: Keyset, moment: int
) -> None:
    """Another policy takes the keys as they are: no gap, and no key beyond those that either policy would make."""
    first = list(lived(rules, found, LIFE[:moment]))
    there = first[-1].after if first else found
    second = list(lived(others, there, LIFE[moment:]))
    assert [
        step.now
        for step in second
        if step.now >= T0 + moment * SECOND + others.minimum_lead and step.after.active(step.now) is None
    ] == []
    to_come = sum(1 for _ in there.upcoming(T0 + moment * SECOND))
    assert sum(step.rotates for step in second) <= turns(others) + 1 + to_come


@given(policies(), keysets())
def test_decide_observed_is_the_same_but_held(rules: RotationPolicy, found: Keyset) -> None:
    """What is only observed is judged as what is rotated."""
    observed = decide(replace(rules, mode=Mode.OBSERVE), found, T0)
    rotated = decide(rules, found, T0)
    spec = getattr(rotated, "spec", None)
    assert observed == Hold(assessment=rotated.assessment, reason=Reason.OBSERVE, would=rotated.reason, spec=spec)


@given(policies(), keysets().flatmap(lambda found: st.tuples(st.just(found), st.permutations(found.keys))))
def test_decide_however_keys_are_listed(rules: RotationPolicy, both: tuple[Keyset, Sequence[Key]]) -> None:
    """The order in which the service lists keys decides nothing."""
    found, order = both
    one, other = decide(rules, found, T0), decide(rules, keyset(*order), T0)
    assert (one.reason, one.assessment.plan, one.assessment.covered_until, one.assessment.at_risk) == (
        other.reason,
        other.assessment.plan,
        other.assessment.covered_until,
        other.assessment.at_risk,
    )
    assert getattr(one, "spec", None) == getattr(other, "spec", None)


@given(policies(), keysets())
def test_decide_reason_and_trouble_agree(rules: RotationPolicy, found: Keyset) -> None:
    """Trouble is reported exactly where something is overdue or nothing is valid, and then it is the reason to hold."""
    decision = decide(rules, found, T0)
    broken = decision.assessment.active is None
    assert decision.assessment.at_risk == (broken or decision.reason is Reason.OVERDUE)
    assert not broken or isinstance(decision, Rotate) or decision.reason is Reason.NO_VALID_KEY


@given(policies(), keysets())
def test_decide_cover_ends_with_the_chain(rules: RotationPolicy, found: Keyset) -> None:
    """Cover lasts as long as the chain does; it has no end where the last key has none, or an undated key is active."""
    chain, active = found.chain(T0, rules.overlap), found.active(T0)
    assessment = decide(rules, found, T0).assessment
    end = chain[-1].exp if chain else None
    cover = Cover.DATED if end else Cover.ENDLESS if active else Cover.NONE
    left = end - T0 if end else None if active else timedelta()
    assert (assessment.covered_until, assessment.cover, assessment.cover_left(T0)) == (end, cover, left)


@given(policies(), keysets(), st.integers(-30, 40), st.integers(1, 60), st.sampled_from(Mode))
def test_decide_never_a_generated_key_after_a_certificate(
    rules: RotationPolicy, found: Keyset, nbf: int, life: int, mode: Mode
) -> None:
    """A keyset whose newest key carries a certificate gets no generated key, whatever else is in it."""
    newest = replace(key("certificate", T0 + nbf * SECOND, T0 + (nbf + life) * SECOND), has_certificate=True)
    older = [each for each in found.keys if (each.activates, each.expires) <= (newest.activates, newest.expires)]
    decision = decide(replace(rules, mode=mode), keyset(*older, newest), T0)
    reasons = (Reason.OBSERVE, Reason.CERTIFICATE) if mode is Mode.OBSERVE else (Reason.CERTIFICATE, None)
    assert isinstance(decision, Hold)
    assert (*reasons, None) == (decision.reason, decision.would, decision.spec)


@given(policies(), keysets(), st.sampled_from([{"use": "enc"}, {"kty": "oct"}, {"use": "enc", "kty": "oct"}]))
def test_decide_never_a_key_that_differs(rules: RotationPolicy, found: Keyset, other: dict[str, str]) -> None:
    """Where a key that is enabled and unexpired has another use or type, nothing is requested, and it is noted."""
    differing = {each.kid for each in found.keys if each.enabled and each.expires > T0}
    keys = keyset(*(replace(each, use=other.get("use", "sig"), kty=other.get("kty", "RSA")) for each in found.keys))
    decision, alike = decide(rules, keys, T0), decide(rules, found, T0)
    assert isinstance(decision, Hold) or not differing
    noted = [note for note in decision.assessment.notes if note.kind.is_mismatch]
    assert (len(differing) * len(other), differing) == (len(noted), {note.kid for note in noted})
    assert alike.reason is decision.reason


@given(policies(), keysets(), st.integers(1, 200))
def test_decide_key_without_nbf(rules: RotationPolicy, found: Keyset, life: int) -> None:
    """A key of unknown age that has more left than a generated one ever has is due at once, and followed by one key."""
    half = key("half", None, T0 + life * SECOND)
    disabled = [replace(each, enabled=False) for each in found.keys]
    decision = decide(rules, keyset(half, *disabled), T0)
    is_over = life * SECOND > rules.validity
    assert is_over == (decision.reason is Reason.UNDATED)
    if is_over:
        assert isinstance(decision, Rotate)
        assert T0 + rules.publication_lead == decision.spec.nbf
        assert not decision.assessment.at_risk
    decided = list(lived(rules, keyset(half, *disabled), range(rules.publication_lead // SECOND + 1)))
    assert sum(step.rotates for step in decided if is_over) == is_over
