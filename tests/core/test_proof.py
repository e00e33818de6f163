"""Each finding once where it must be made and once where it nearly must; flapping, and a restart, make none."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from core.builders import DAY, HOUR, MINUTE, T0, policy
from hypothesis import given
from hypothesis import strategies as st

from rotator.core.findings import Finding, FindingKind
from rotator.core.key_in_use import Method
from rotator.core.keyset import Key, Keyset
from rotator.core.proof import Slot, prove
from rotator.core.publication import Evidence, Probe, PublishedKey, Token, observe

PROBE = 10 * MINUTE
SIG, OTHER = "B2C_1A_Sig", "B2C_1A_Other"
IN, UP = "b2c_1a_signin", "b2c_1a_signup"

OLD = Key(kid="old", nbf=T0 - 80 * DAY, exp=T0 + 12 * DAY, use="sig", kty="RSA", modulus="n-old")
NEW = Key(kid="new", nbf=T0 + 10 * DAY, exp=T0 + 100 * DAY, use="sig", kty="RSA", modulus="n-new")
BOTH = Keyset(id=SIG, keys=(OLD, NEW))
POLICY = policy(keyset_id=SIG, overlap=25 * HOUR)
SWITCH = NEW.activates


def shown(*keys: Key) -> tuple[PublishedKey, ...]:
    return tuple(PublishedKey(kid=key.kid or "", modulus=key.modulus or "", use=key.use, nbf=key.nbf) for key in keys)


def probes(
    *listed: Mapping[str, Iterable[Key]], begin: datetime = T0, keysets: Iterable[Keyset] = (BOTH,), known: str = ""
) -> Evidence:
    """The evidence after a probe each `PROBE` that showed these keys, by policy."""
    evidence = Evidence()
    for number, each in enumerate(listed):
        probe = Probe(now=begin + number * PROBE, listed={name: shown(*keys) for name, keys in each.items()})
        evidence = seen(evidence, probe, keysets, known)
    return evidence


def seen(evidence: Evidence, probe: Probe, keysets: Iterable[Keyset] = (BOTH,), known: str = "") -> Evidence:
    by_id = {keyset.id: keyset for keyset in keysets}
    kids = frozenset(key.kid for keyset in by_id.values() for key in keyset.keys if key.kid)
    return observe(evidence, probe, by_id, kids | frozenset(known.split()))


def kinds(evidence: Evidence, now: datetime, keyset: Keyset = BOTH) -> set[FindingKind]:
    return {finding.kind for finding in prove(POLICY, keyset, evidence, now, seen=now).findings}


def token(kid: str, *, lifetime: timedelta = HOUR, is_verified: bool = True) -> Token:
    return Token(policy=IN, kid=kid, lifetime=lifetime, is_verified=is_verified)


# --- whether a key is published


def test_published_with_the_first_probe_that_lists_it() -> None:
    """After a restart one probe is enough to know that a key can be seen."""
    proof = prove(POLICY, BOTH, probes({IN: (OLD, NEW)}), T0, seen=T0)
    assert proof.published == {Slot.ACTIVE: True, Slot.UPCOMING: True}
    assert (proof.published_at, proof.lead) == (T0, SWITCH - T0)
    assert Method.JWKS is proof.method


def test_published_only_where_every_policy_lists_it() -> None:
    evidence = probes(*[{IN: (OLD, NEW), UP: (OLD,)}] * 3)
    proof = prove(POLICY, BOTH, evidence, T0, seen=T0)
    assert proof.published == {Slot.ACTIVE: True, Slot.UPCOMING: False}
    assert proof.policies == (IN, UP)
    assert proof.published_at is None


def test_unpublished_after_three_probes_in_a_row() -> None:
    """What was published is not any more, as soon as three probes in a row do not list it."""
    with_new, without_new = {IN: (OLD, NEW)}, {IN: (OLD,)}
    two = probes(with_new, without_new, without_new)
    assert prove(POLICY, BOTH, two, T0, seen=T0).published[Slot.UPCOMING]
    three = probes(with_new, without_new, without_new, without_new)
    assert not prove(POLICY, BOTH, three, T0, seen=T0).published[Slot.UPCOMING]


def test_published_again_after_three_probes_in_a_row() -> None:
    """Once a key is known to be missing, one node that lists it proves nothing; the row counts from its first probe."""
    missing, there = {IN: (OLD,)}, {IN: (OLD, NEW)}
    assert not prove(POLICY, BOTH, probes(*[missing] * 3, there, there), T0, seen=T0).published[Slot.UPCOMING]
    proof = prove(POLICY, BOTH, probes(*[missing] * 3, there, there, there), T0, seen=T0)
    assert proof.published[Slot.UPCOMING]
    assert proof.published_at == T0 + 3 * PROBE


def test_nothing_is_known_of_a_keyset_that_no_policy_publishes() -> None:
    proof = prove(POLICY, BOTH, probes(*[{IN: ()}] * 5), SWITCH + DAY, seen=SWITCH + DAY)
    assert (proof.published, proof.method, proof.confirmed, proof.findings) == ({}, Method.NONE, None, ())


# --- findings


def test_not_published() -> None:
    """A key that is missing a day before it takes over, from a tenant that lists such keys."""
    evidence = replace(probes(*[{IN: (OLD,)}] * 3, begin=SWITCH - 2 * DAY), lists_future=True)
    assert FindingKind.NOT_PUBLISHED in kinds(evidence, SWITCH - DAY)
    assert FindingKind.NOT_PUBLISHED not in kinds(evidence, SWITCH - DAY - timedelta(seconds=1))
    twice = replace(probes(*[{IN: (OLD,)}] * 2, begin=SWITCH - DAY), lists_future=True)
    assert not kinds(twice, SWITCH - HOUR)


def test_future_keys_unlisted() -> None:
    """A tenant that was never seen to list a key before its time is expected to do so after it."""
    evidence = probes(*[{IN: (OLD,)}] * 8, begin=SWITCH - 2 * HOUR)
    assert {FindingKind.FUTURE_KEYS_UNLISTED} == kinds(evidence, SWITCH - MINUTE)
    assert not kinds(probes(*[{IN: (OLD,)}] * 5, begin=SWITCH - HOUR), SWITCH - 20 * MINUTE)
    assert not kinds(evidence, SWITCH + 29 * MINUTE)
    assert {FindingKind.ACTIVE_KEY_UNPUBLISHED} == kinds(evidence, SWITCH + 30 * MINUTE)


def test_active_key_unpublished() -> None:
    there, gone = {IN: (OLD, NEW)}, {IN: (NEW,)}
    now = T0 + HOUR
    assert not kinds(probes(there, gone, gone), now)
    evidence = probes(there, gone, gone, gone)
    found = prove(POLICY, BOTH, evidence, now, seen=now).findings
    assert (Finding(FindingKind.ACTIVE_KEY_UNPUBLISHED, "old", (IN,)),) == found
    # The keyset may have changed since it was last seen: nothing is found before another look.
    assert not prove(POLICY, BOTH, evidence, now, seen=T0).findings


def test_withdrawn_early() -> None:
    """The key before leaves the JWKS while its tokens still have to verify."""
    there, gone = {IN: (OLD, NEW)}, {IN: (NEW,)}
    evidence = probes(there, gone, gone, gone, begin=SWITCH + HOUR)
    assert {FindingKind.WITHDRAWN_EARLY} == kinds(evidence, SWITCH + 2 * HOUR)
    assert not kinds(evidence, OLD.expires)
    disabled = Keyset(id=SIG, keys=(replace(OLD, enabled=False), NEW))
    assert not kinds(evidence, SWITCH + 2 * HOUR, disabled)
    never_seen = probes(gone, gone, gone, begin=SWITCH + HOUR)
    assert not kinds(never_seen, SWITCH + 2 * HOUR)


def test_modulus_mismatch() -> None:
    altered = {IN: (replace(OLD, modulus="n-other"), NEW)}
    assert FindingKind.MODULUS_MISMATCH not in kinds(probes(altered, altered), T0)
    assert FindingKind.MODULUS_MISMATCH in kinds(probes(altered, altered, altered), T0)


def test_token_does_not_verify() -> None:
    evidence = probes({IN: (OLD, NEW)})
    for number in range(3):
        assert FindingKind.TOKEN_DOES_NOT_VERIFY not in kinds(evidence, T0)
        now = T0 + number * PROBE
        evidence = seen(evidence, Probe(now=now, token=token("old", is_verified=False)))
    assert FindingKind.TOKEN_DOES_NOT_VERIFY in kinds(evidence, T0)


def test_foreign_key() -> None:
    """A kid that no keyset of the tenant has; a keyset that is not configured has kids, too."""
    foreign = Key(kid="foreign", nbf=None, exp=None, modulus="n-foreign")
    listed = [{IN: (OLD, foreign)}] * 3
    assert FindingKind.FOREIGN_KEY not in kinds(probes(*listed[:2]), T0)
    assert FindingKind.FOREIGN_KEY in kinds(probes(*listed), T0)
    assert FindingKind.FOREIGN_KEY not in kinds(probes(*listed, known="foreign"), T0)


def test_policies_disagree() -> None:
    other = Keyset(id=OTHER, keys=(replace(OLD, kid="other", modulus="n-other"),))
    disagreeing = probes({IN: BOTH.keys, UP: other.keys}, keysets=(BOTH, other))
    assert {FindingKind.POLICIES_DISAGREE} == kinds(disagreeing, T0)
    both = probes({IN: (*BOTH.keys, *other.keys), UP: (*BOTH.keys, *other.keys)}, keysets=(BOTH, other))
    assert not kinds(both, T0)


def test_signing_keyset_has_use_enc() -> None:
    enc = Keyset(id=SIG, keys=tuple(replace(key, use="enc") for key in BOTH.keys))
    assert {FindingKind.SIGNING_KEYSET_HAS_USE_ENC} == kinds(probes({IN: enc.keys}, keysets=(enc,)), T0, enc)
    assert not kinds(Evidence(), T0, enc)


@pytest.mark.parametrize(("lifetime", "is_found"), [(25 * HOUR - 5 * MINUTE, False), (25 * HOUR, True)])
def test_overlap_shorter_than_tokens(lifetime: timedelta, *, is_found: bool) -> None:
    evidence = seen(probes({IN: BOTH.keys}), Probe(now=T0, token=token("old", lifetime=lifetime)))
    assert is_found is (FindingKind.OVERLAP_SHORTER_THAN_TOKENS in kinds(evidence, T0))


@pytest.mark.parametrize("is_token", [True, False], ids=["token", "getActiveKey"])
def test_not_signing(*, is_token: bool) -> None:
    """Three quarters of an hour after its nbf, what is asked then still names the key before."""
    late = SWITCH + 45 * MINUTE

    def evidence(kid: str, at: datetime) -> Evidence:
        witness = Probe(now=at, token=token(kid)) if is_token else Probe(now=at, active_kids={SIG: kid})
        return seen(probes({IN: BOTH.keys}), witness)

    assert {FindingKind.NOT_SIGNING} == kinds(evidence("old", late), late)
    assert not kinds(evidence("old", late - timedelta(seconds=1)), late + HOUR)  # it was too early to say
    assert not kinds(evidence("new", late), late)
    assert prove(POLICY, BOTH, evidence("new", late), late, seen=late).confirmed is True
    assert prove(POLICY, BOTH, evidence("old", late), late, seen=late).confirmed is False


def test_active_key_differs() -> None:
    """Graph names another key than the rule of this program does, and not the one before."""
    late = SWITCH + HOUR
    evidence = seen(probes({IN: BOTH.keys}), Probe(now=late, active_kids={SIG: "strange"}))
    assert {FindingKind.ACTIVE_KEY_DIFFERS} == kinds(evidence, late)
    none = seen(probes({IN: BOTH.keys}), Probe(now=late, active_kids={SIG: None}))
    assert not kinds(none, late)


@pytest.mark.parametrize(
    ("probe", "listed", "method"),
    [
        (Probe(now=T0, token=token("old")), BOTH.keys, Method.TOKEN),
        (Probe(now=T0, token=token("old", is_verified=False)), BOTH.keys, Method.JWKS),
        (Probe(now=T0, active_kids={SIG: "old"}), (), Method.ACTIVE_KEY),
        (Probe(now=T0, active_kids={SIG: None}), (), Method.NONE),
    ],
)
def test_method(probe: Probe, listed: tuple[Key, ...], method: Method) -> None:
    assert method is prove(POLICY, BOTH, seen(probes({IN: listed}), probe), T0, seen=T0).method


def test_a_token_of_before_the_activation_proves_nothing_after_it() -> None:
    evidence = seen(probes({IN: BOTH.keys}), Probe(now=SWITCH - DAY, token=token("old")))
    proof = prove(POLICY, BOTH, evidence, SWITCH, seen=SWITCH)
    assert (proof.method, proof.confirmed) == (Method.JWKS, None)


# --- whatever the nodes answer


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60),
    st.integers(min_value=0, max_value=150),
)
def test_flapping_makes_no_finding(answers: list[tuple[bool, bool]], begin: int) -> None:
    """Nodes that know a key and nodes that do not, by turns: as long as one of three probes lists it, all is well."""
    evidence, misses = Evidence(), {"old": 0, "new": 0}
    start = SWITCH - timedelta(hours=begin)
    for number, answer in enumerate(answers):
        now, listed = start + number * PROBE, []
        for key, is_listed in zip((OLD, NEW), answer, strict=True):
            must = misses[key.kid or ""] == 2
            if is_listed or must or number == 0:
                listed.append(key)
            misses[key.kid or ""] = 0 if key in listed else misses[key.kid or ""] + 1
        evidence = seen(evidence, Probe(now=now, listed={IN: shown(*listed)}))
        assert not kinds(evidence, now)


@given(st.integers(min_value=0, max_value=40), st.integers(min_value=0, max_value=40))
def test_found_within_three_probes(before: int, after: int) -> None:
    """A key that is listed from some instant on is found published within three probes."""
    evidence = probes(*[{IN: (OLD,)}] * before, *[{IN: (OLD, NEW)}] * (3 + after), begin=T0)
    proof = prove(POLICY, BOTH, evidence, T0, seen=T0)
    assert proof.published[Slot.UPCOMING]
    assert T0 + before * PROBE == proof.published_at


@given(
    st.lists(st.sampled_from([(OLD,), (NEW,), (OLD, NEW), ()]), min_size=2, max_size=30),
    st.data(),
)
def test_a_restart_finds_nothing_that_a_continuous_run_does_not(
    listed: list[tuple[Key, ...]], data: st.DataObject
) -> None:
    """What a process finds that began later, one that ran all the time has found as well, or knows to be over."""
    restart = data.draw(st.integers(min_value=1, max_value=len(listed) - 1))
    begin = SWITCH - 2 * HOUR
    now = begin + (len(listed) - 1) * PROBE
    continuous = probes(*({IN: keys} for keys in listed), begin=begin)
    restarted = probes(*({IN: keys} for keys in listed[restart:]), begin=begin + restart * PROBE)
    quiet = {FindingKind.FUTURE_KEYS_UNLISTED}  # it may have forgotten that the tenant lists such keys
    assert kinds(restarted, now) - quiet <= kinds(continuous, now)
