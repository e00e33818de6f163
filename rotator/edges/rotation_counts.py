"""
The counter of the keys that were asked for, of every keyset.

A child of a counter of prometheus-client takes about 600 bytes. There are two for each keyset, and most of them
stay at 0, so what is kept here of such a keyset is its name.
"""

from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet

from rotator.core.status import Name
from rotator.edges.exposition import counter, keyset_labels

ROTATIONS = ("rotated", "failed")
"""The values of the label `outcome`."""


class RotationCounts:
    """How many keys were asked for, by keyset and outcome. The caller holds a lock."""

    def __init__(self) -> None:
        """No keyset is counted."""
        self._names: frozenset[Name] = frozenset()
        self._counts: dict[Name, dict[str, int]] = {}  # without keysets of which all counts are 0

    def follow(self, names: Collection[Name]) -> frozenset[Name]:
        """Count these keysets, and no other; those that were counted before, and are no longer."""
        gone, self._names = self._names.difference(names), frozenset(names)
        for name in gone:
            self._counts.pop(name, None)
        return gone

    def __contains__(self, name: object) -> bool:
        """True if this keyset is counted."""
        return name in self._names

    def add(self, name: Name, outcome: str) -> None:
        """Count one key; that of a keyset that is not counted leaves no series."""
        if name in self._names:
            counts = self._counts.setdefault(name, dict.fromkeys(ROTATIONS, 0))
            counts[outcome] += 1

    def lines(self, prefix: str, shown: AbstractSet[Name], *, is_openmetrics: bool) -> Iterator[str]:
        """
        The lines of the exposition, each with its end.

        shown: the keysets that have series; those of which a key was asked for have them anyway, since a counter
            that goes away and comes back looks as if it had increased
        """
        text = "Number of keys that were requested, by outcome."
        yield from counter(f"{prefix}rotations", text, self._samples(shown), is_openmetrics=is_openmetrics)

    def _samples(self, shown: AbstractSet[Name]) -> Iterator[tuple[str, float]]:
        for name in sorted(self._names & (shown | self._counts.keys())):
            keyset, tenant = keyset_labels(name)
            counts = self._counts.get(name, {})
            for outcome in ROTATIONS:
                yield f'{keyset},outcome="{outcome}",{tenant}', counts.get(outcome, 0)
