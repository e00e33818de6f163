"""
A keyset drawn against time: what is, what was, and what is planned.

    key A      |=================----|            = active, - valid
    key B            |::::::::::::|=================----|
    planned                               |:::|=========...

The plan is not drawn from a formula of its own: it is what `decide` will say, asked
again and again with its own answers carried out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from rotator.core.assessment import Plan
from rotator.core.keyset import Key, Keyset, KeyState
from rotator.core.policy import RotationPolicy
from rotator.core.rotation import Hold, Rotate, decide

LONGEST = timedelta(days=365)
MOST_PLANNED = 24  # rotations: where they are shorter than a year together, no more is shown
MOST_BARS = 40

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """
    One key. Instants may lie outside of what is shown.

    state:  None for a key that is only planned
    active: when B2C uses it
    """

    key: Key
    state: KeyState | None
    active: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """
    What is shown, from *start* to *end*.

    plan:     of the next key
    overlaps: when a key is still valid whose successor is active already
    left_out: how many keys there is no room for
    """

    start: datetime
    end: datetime
    now: datetime
    bars: tuple[Bar, ...]
    plan: Plan
    overlaps: tuple[Span, ...]
    left_out: int


def draw(policy: RotationPolicy, keyset: Keyset, now: datetime) -> Timeline:
    """The timeline of *keyset*, from a little before *now* to a year after it, or to so many rotations."""
    ahead = min(LONGEST, policy.rotate_every * MOST_PLANNED)
    start, end = now - ahead / 6, now + ahead
    shown = [key for key in keyset.keys if key.activates < end and key.expires > start]
    shown.sort(key=lambda key: key.activates)
    kept = shown[-MOST_BARS:]
    planned = [key for key in forecast(policy, keyset, now, end) if key.activates < end]
    reigns = _reigns(Keyset(id=keyset.id, keys=(*kept, *planned)), start, end)
    states = {id(key): state for key, state in keyset.states(now)}
    bars = [Bar(key=key, state=states[id(key)], active=_spans(reigns, key)) for key in kept]
    bars += [Bar(key=key, state=None, active=_spans(reigns, key)) for key in planned]
    return Timeline(
        start=start,
        end=end,
        now=now,
        bars=tuple(bars),
        plan=decide(policy, keyset, now).assessment.plan,
        overlaps=tuple(_overlaps(reigns)),
        left_out=len(shown) - len(kept),
    )


def rows(bars: Iterable[Bar]) -> list[list[Bar]]:
    """*bars* one below the other: each key for itself, what is planned on as few rows as it needs not to touch."""
    own: list[list[Bar]] = []
    shared: list[list[Bar]] = []
    for bar in bars:
        if bar.state is not None:
            own.append([bar])
            continue
        free = next((row for row in shared if row[-1].key.expires <= bar.key.activates), None)
        if free is None:
            shared.append([bar])
        else:
            free.append(bar)
    return own + shared


def forecast(policy: RotationPolicy, keyset: Keyset, now: datetime, until: datetime) -> Iterator[Key]:
    """The keys that will be asked for before *until*, if nothing changes; none where nothing may be written."""
    at, planned = now, 0
    while planned < MOST_PLANNED:
        match decide(policy, keyset, at):
            case Rotate(spec=spec):
                key = Key(kid=None, nbf=spec.nbf, exp=spec.exp, use=spec.use, kty=spec.kty)
                # What has ended by then changes no decision any more.
                keyset = Keyset(id=keyset.id, keys=(*(known for known in keyset.keys if known.expires > at), key))
                planned += 1
                yield key
            case Hold(assessment=assessment):
                if not at < assessment.plan.renewal_due < until:
                    return
                at = assessment.plan.renewal_due


def _reigns(keyset: Keyset, start: datetime, end: datetime) -> list[tuple[Key, Span]]:
    """Which key is active when: B2C's choice can only change where a key begins or ends."""
    changes = {date for key in keyset.keys for date in (key.nbf, key.exp) if date is not None and start < date < end}
    lives = [(key.activates, key.expires, key) for key in keyset.keys]
    reigns = []
    for begin, finish in pairwise([start, *sorted(changes), end]):
        alive = tuple(key for activates, expires, key in lives if activates <= begin < expires)
        active = Keyset(id=keyset.id, keys=alive).active(begin)
        if active is not None:
            reigns.append((active, (begin, finish)))
    return reigns


def _spans(reigns: list[tuple[Key, Span]], key: Key) -> tuple[Span, ...]:
    spans: list[Span] = []
    for reigning, (begin, finish) in reigns:
        if reigning is not key:
            continue
        if spans and spans[-1][1] == begin:
            begin = spans.pop()[0]  # noqa: PLW2901 - two stretches that touch are one
        spans.append((begin, finish))
    return tuple(spans)


def _overlaps(reigns: list[tuple[Key, Span]]) -> Iterator[Span]:
    for (before, _), (after, (begin, _)) in pairwise(reigns):
        if after is not before and before.is_dated and before.expires > begin:
            yield begin, before.expires
