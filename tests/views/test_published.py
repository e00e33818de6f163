"""What the page and the status say of a key that relying parties can see."""

import re
from dataclasses import replace
from datetime import timedelta

from views.cases import DAY, NOW, PROCESS, entry, key, looked_at

from rotator.core.keyset import Key, Keyset
from rotator.core.outcome import Observation
from rotator.core.publication import Evidence, Probe, PublishedKey, observe
from rotator.core.status import KeysetStatus
from rotator.views.assessment import assess
from rotator.views.page import page
from rotator.views.style import STYLE

OLD, NEW = (replace(each, modulus=each.kid) for each in (key("old", -80, 11), key("new", 9, 100)))
POLICY, SEEN = "b2c_1a_signin", NOW - 3 * DAY


def published(*listed: tuple[Key, ...]) -> KeysetStatus:
    """The keyset after a probe each day that saw these keys, the last one at `SEEN`."""
    found = entry(looked_at(OLD, NEW))
    assert isinstance(found.observation, Observation)
    assert isinstance(found.observation.keyset, Keyset)
    keysets, evidence = {found.policy.keyset_id: found.observation.keyset}, Evidence()
    for days, keys in enumerate(reversed(listed)):
        now = SEEN - (len(listed) - 1 - days) * timedelta(days=1)
        shown = tuple(PublishedKey(kid=each.kid or "", modulus=each.modulus or "") for each in reversed(keys))
        evidence = observe(evidence, Probe(now=now, listed={POLICY: shown}), keysets, frozenset({"old", "new"}))
    return replace(found, evidence=evidence)


def test_marker_of_the_publication() -> None:
    """It is at the bar of the key, at the instant of the first probe that saw it, and explained in the legend."""
    shown = page({("contoso", "B2C_1A_X"): published((OLD, NEW), (OLD,))}, NOW, PROCESS)
    (title,) = re.findall(r"<title>(first seen [^<]*)</title><circle class=\"published\" cx=\"[\d.]+%\"", shown)
    assert title == f"first seen published, {SEEN:%Y-%m-%dT%H:%M:%SZ}"
    assert '<circle class="published" cx="50%" cy="50%" r="4"/></svg>first seen published</li>' in shown
    assert ".published{" in STYLE


def test_no_marker_for_what_the_first_probe_saw() -> None:
    """It does not show since when the keys are published, neither in the drawing nor in words."""
    found = published((OLD, NEW))
    assert "<title>first seen" not in page({("contoso", "B2C_1A_X"): found}, NOW, PROCESS)
    (proof,) = assess(found, NOW, timedelta.max, dry_run=False).proof()
    assert proof.text == "published; seen in 1 policy; active key published"


def test_words_for_the_publication() -> None:
    (proof,) = assess(published((OLD, NEW), (OLD,)), NOW, timedelta.max, dry_run=False).proof()
    assert proof.text == "published 12d before it takes over; seen in 1 policy; active key published"
