"""
How a keyset is at the time of reading.

A look may be an hour old. What was seen then is decided upon anew here, so that a key
that has ended since, or an observation that has grown old, is told as what it is now.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.core.keyset import Keyset
from rotator.core.rotation import Decision, decide
from rotator.shell.status_store import Entry, Name
from rotator.views.signs import Level, Sign, calm, signs
from rotator.views.words import about, remaining


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    A keyset at one instant.

    keyset:   as last seen; None where it never was
    decision: what is to be done with it now; None with `keyset`
    signs:    the gravest first, at least one
    """

    entry: Entry
    now: datetime
    keyset: Keyset | None
    decision: Decision | None
    signs: tuple[Sign, ...]

    @property
    def level(self) -> Level:
        """That of the gravest sign."""
        return self.signs[0].level

    @property
    def words(self) -> str:
        """The gravest signs at a glance."""
        return ", ".join(sign.word for sign in self.gravest)

    @property
    def gravest(self) -> tuple[Sign, ...]:
        """The signs than which none is graver."""
        return tuple(sign for sign in self.signs if sign.level is self.level)

    @property
    def has_no_key(self) -> bool:
        """Whether nobody can sign in."""
        return self.decision is not None and self.decision.assessment.active is None

    @property
    def left(self) -> timedelta | None:
        """How long cover lasts; None where it has no end, or nobody knows."""
        if self.decision is None:
            return None
        end = self.decision.assessment.covered_until
        return None if end is None else end - self.now

    def time_left(self) -> str:
        """How long is left, in words that stand on their own."""
        if self.decision is None:
            return "cover is not known: it was never seen"
        if self.decision.assessment.active is None:
            return _ended(self.keyset, self.now)
        if self.left is not None:
            return f"{about(self.left)} left"
        which = "key in use" if self.decision.assessment.active.exp is None else "last of its keys"
        return f"no end: the {which} has no expiry"

    def without_end(self) -> str:
        """Until when it is covered, where no instant says that."""
        return f"no valid key, {self.time_left()}" if self.has_no_key else self.time_left()


def judge(entry: Entry, now: datetime, stale: timedelta, *, dry_run: bool) -> Case:
    """How the keyset of *entry* is at *now*; *stale* is how old an observation may be."""
    keyset = entry.observation.keyset if entry.observation is not None else None
    decision = decide(entry.policy, keyset, now) if keyset is not None else None
    found = sorted(signs(entry, keyset, decision, now, stale, dry_run=dry_run), key=lambda sign: _ORDER[sign.level])
    told = tuple(found) or (calm(entry, now),)
    return Case(entry=entry, now=now, keyset=keyset, decision=decision, signs=told)


_ORDER = {Level.BAD: 0, Level.DUE: 1, Level.GOOD: 2}


def urgency(case: Case) -> tuple[bool, timedelta]:
    """What sorts cases: no valid key first, then by the cover that is left; what nobody knows is last."""
    return not case.has_no_key, timedelta.max if case.left is None else case.left


def troubles(cases: Mapping[Name, Case]) -> list[list[Name]]:
    """What is in trouble, the most urgent first; keysets of one tenant that have the same trouble are together."""
    groups: dict[tuple[str, tuple[Sign, ...]], list[Name]] = {}
    bad = [name for name, case in cases.items() if case.level is Level.BAD]
    for name in sorted(bad, key=lambda name: urgency(cases[name])):
        groups.setdefault((name[0], cases[name].gravest), []).append(name)
    return list(groups.values())


def _ended(keyset: Keyset | None, now: datetime) -> str:
    """When the last valid key was."""
    keys = keyset.keys if keyset is not None else ()
    ends = [key.expires for key in keys if key.is_usable and key.expires <= now]
    if ends:
        return f"the last one expired {remaining(max(ends), now)}"
    return "none of its keys is valid now" if keys else "it has no keys"
