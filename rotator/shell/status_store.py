"""
The last outcome of every keyset: what metrics, status and pace read.

Written by one side, read by others at any time; every read is a copy.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from rotator.core.outcome import Failed, Held, Observation, Outcome
from rotator.core.policy import RotationPolicy
from rotator.core.reasons import Refusal

Name = tuple[str, str]  # tenant and keyset, as configured


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    What is known of one keyset.

    policy:   as configured now
    outcome:  of the last look; None before the first
    standing: what to go by: the outcome or, while a plan is open, the trouble that it may not have ended
    observation:    the last one that showed the keyset, however long ago; None before that
    failures: how many looks in a row have failed
    """

    policy: RotationPolicy
    outcome: Outcome | None = None
    standing: Outcome | None = None
    observation: Observation | None = None
    failures: int = 0


class Board:
    """Entries by name, in the order of the configuration."""

    def __init__(self, policies: Sequence[tuple[str, RotationPolicy]]) -> None:
        """*policies* are the tenants' names with their rotation policies; nothing is known yet."""
        self._lock = threading.Lock()
        self._entries: dict[Name, Entry] = {}
        self.configure(policies)

    def configure(self, policies: Sequence[tuple[str, RotationPolicy]], *, anew: Collection[str] = ()) -> None:
        """
        Take another configuration: what is known of keysets that stay is kept, the rest forgotten.

        anew: the names of tenants that are others now, of which nothing is known
        """
        with self._lock:
            known = self._entries
            self._entries = {}
            for tenant, policy in policies:
                name = (tenant, policy.keyset_id)
                entry = Entry(policy=policy) if tenant in anew else known.get(name, Entry(policy=policy))
                self._entries[name] = replace(entry, policy=policy)

    def record(self, outcome: Outcome, *, is_open: bool = False) -> Entry:
        """
        Take note of *outcome*, if its keyset is still configured; what is known of the keyset now.

        is_open: it is not the end of it, since the look that may write is still to come.
            It neither begins nor ends a row of failures, nor what a guard holds back.
        """
        observation = outcome.observation
        name = observation.name
        with self._lock:
            entry = self._entries.get(name, Entry(policy=observation.policy))
            entry = replace(
                entry,
                outcome=outcome,
                standing=entry.standing if is_open and _is_trouble(entry.standing) else outcome,
                observation=observation if observation.keyset is not None else entry.observation,
                failures=entry.failures + 1 if isinstance(outcome, Failed) else entry.failures if is_open else 0,
            )
            if name in self._entries:
                self._entries[name] = entry
        return entry

    def entries(self) -> dict[Name, Entry]:
        """A copy of everything."""
        with self._lock:
            return dict(self._entries)

    def outcomes(self) -> list[Outcome]:
        """The last outcome of each keyset that was looked at."""
        return [entry.outcome for entry in self.entries().values() if entry.outcome is not None]


def _is_trouble(outcome: Outcome | None) -> bool:
    """Whether only a look that has an end can tell that it is over."""
    match outcome:
        case Failed() | Held(reason=Refusal.RUNAWAY_GUARD):
            return True
        case _:
            return False
