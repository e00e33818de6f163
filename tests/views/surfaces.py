"""Whole pages as people meet them: what each of them is of."""

from collections.abc import Callable
from dataclasses import replace

from views.cases import DAY, HOUR, NOW, PROCESS, entry, key, looked_at, many, policy, refused

from rotator.core.keyset import Keyset
from rotator.core.publication import Evidence, Probe, PublishedKey, observe
from rotator.core.status import KeysetStatus, Name
from rotator.views.page import page
from rotator.views.process import ProcessStatus, RefusedConfig

AT = replace(PROCESS, place=("pod", "rotator-7c9d8b6f5-x2x4z"), config="/etc/rotator/rotator.yaml")
LONG = "B2C_1A_TokenSigningKeyContainer_OfTheWholeNorthwindGroup"
TENANT = "northwind-production-europe"


def _fine(number: int) -> dict[Name, KeysetStatus]:
    names = [f"B2C_1A_TokenSigningKeyContainer{each}" for each in range(number)]
    return {(TENANT, name): entry(looked_at(key("a", -10, 81), of=policy(name))) for name in names}


def _published() -> dict[Name, KeysetStatus]:
    """Each keyset has a next key, which a later probe than the first one saw published."""
    found: dict[Name, KeysetStatus] = {}
    for name in _fine(3):
        keys = tuple(replace(each, modulus=each.kid) for each in (key("first", -70, 21), key("next", 20, 111)))
        status, evidence = entry(looked_at(*keys, of=policy(name[1]))), Evidence()
        for days, listed in ((30, keys[:1]), (3, keys)):
            shown = tuple(PublishedKey(kid=each.kid or "", modulus=each.modulus or "") for each in listed)
            probe = Probe(now=NOW - days * DAY, listed={"b2c_1a_signup_signin": shown})
            evidence = observe(evidence, probe, {name[1]: Keyset(id=name[1], keys=keys)}, frozenset({"first", "next"}))
        found[name] = replace(status, evidence=evidence)
    return found


def _locked_out() -> dict[Name, KeysetStatus]:
    message = (
        "Graph answered 403 to generate_key: grant the app the application permission it needs, with admin consent"
    )
    lost = refused(looked_at(key("kQ3x9ZtT5uHkF0bYw7Lr2MnPqVs", -100, -9), of=policy(LONG)), message)
    return _fine(5) | {(TENANT, LONG): replace(entry(lost), failures=7, failing_since=NOW - DAY)}


def _everything_wrong() -> ProcessStatus:
    return replace(
        AT,
        refused=RefusedConfig(since=NOW - 2 * HOUR, problems=("tenants[0].keysets[1].overlap: is not a duration",)),
        dry_run=True,
        expiries={TENANT: NOW + 3 * DAY},
        skews={TENANT: -301.0},
        runbook_url="https://wiki.example.com/rotator/runbook.md",
        election="leads as rotator-7c9d8b6f5-x2x4z_4f3b1f0e-0000-4000-8000-1a2b3c4d5e6f",
        election_variables=("ROTATOR_LEADER_ELECTION__ENABLED",),
    )


def _unseen() -> dict[Name, KeysetStatus]:
    return {(TENANT, name): KeysetStatus(policy=policy(name)) for _, name in _fine(4)}


SURFACES: dict[str, Callable[[], str]] = {
    "all fine": lambda: page(_published(), NOW, AT),
    "one lock-out": lambda: page(_locked_out(), NOW, AT),
    "60 keysets": lambda: page(many(60), NOW, AT),
    "1000 keysets": lambda: page(many(1000), NOW, AT),
    "refused configuration": lambda: page(_fine(8), NOW, _everything_wrong()),
    "follower": lambda: page(
        {}, NOW, replace(AT, is_idle=True, leader="rotator-b", election="follows: rotator-b leads")
    ),
    "before the first sweep": lambda: page(_unseen(), NOW, replace(AT, swept=None, began=NOW)),
}
