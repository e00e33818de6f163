"""
Policies and keysets of all kinds, in spans of a few seconds.

The rules know no unit of time but the second, so small numbers lose nothing:
they make edges meet, keys tie and windows touch all the time, and a whole
keyset's life short enough to look at every second of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.builders import SECOND, T0, extended, keyset, made, policy
from hypothesis import strategies as st

from rotator.core.keyset import Key, Keyset
from rotator.core.policy import RotationPolicy
from rotator.core.rotation import Decision, Rotate, decide


def spans() -> st.SearchStrategy[timedelta]:
    """Every span that a configuration may have."""
    return st.integers(0, 36_500 * 86_400).map(lambda seconds: seconds * SECOND)


@st.composite
def policies(draw: st.DrawFn) -> RotationPolicy:
    """Every feasible policy whose spans are short."""
    lead = draw(st.integers(1, 8))
    window = draw(st.integers(1, 6))
    room = draw(st.integers(1, 15))
    return policy(
        rotate_every=(lead + window + room) * SECOND,
        overlap=draw(st.integers(1, 12)) * SECOND,
        publication_lead=lead * SECOND,
        renewal_window=window * SECOND,
        minimum_lead=draw(st.integers(0, lead)) * SECOND,
    )


@st.composite
def keys(draw: st.DrawFn, *, first: int = -30, last: int = 40, kid: str = "theirs") -> Key:
    """A key as a person may have made it: any date may be missing, dates may cross, it may be disabled."""
    nbf = draw(st.none() | st.integers(first, last))
    life = draw(st.none() | st.integers(-2, 10) | st.integers(-2, 60))
    return Key(
        kid=kid,
        nbf=None if nbf is None else T0 + nbf * SECOND,
        exp=None if life is None else T0 + ((nbf or 0) + life) * SECOND,
        enabled=draw(st.booleans() | st.just(value=True)),
        use="sig",
        kty="RSA",
    )


def keysets(*, last: int = 40) -> st.SearchStrategy[Keyset]:
    """Keysets as people may leave them, whose keys activate by *last* seconds after T0."""
    return st.lists(keys(last=last), max_size=5).map(_numbered)


def nothing_to_come() -> st.SearchStrategy[Keyset]:
    """Keysets all of whose keys have activated by T0."""
    return keysets(last=0)


def _numbered(people_s: Sequence[Key]) -> Keyset:
    return keyset(*(replace(key, kid=f"theirs {number}") for number, key in enumerate(people_s)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One second of a keyset's life: what was there, what was decided, and what is there now."""

    now: datetime
    before: Keyset
    decision: Decision
    after: Keyset

    @property
    def rotates(self) -> bool:
        """Whether a key was requested."""
        return isinstance(self.decision, Rotate)


def lived(rules: RotationPolicy, start: Keyset, seconds: range) -> Iterator[Step]:
    """Decide in each of *seconds* after T0, and carry out what was decided."""
    now_there = start
    for second in seconds:
        yield (step := stepped(rules, now_there, T0 + second * SECOND))
        now_there = step.after


def stepped(rules: RotationPolicy, before: Keyset, now: datetime) -> Step:
    """Decide at *now*, and carry out what was decided."""
    decision = decide(rules, before, now)
    after = before
    if isinstance(decision, Rotate):
        after = extended(before, made(decision.spec, f"ours {now:%H:%M:%S}"))
    return Step(now=now, before=before, decision=decision, after=after)
