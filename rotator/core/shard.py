"""
Which of several processes looks after which tenant.

Rendezvous hashing: each shard has a number for each directory, and the shard with the highest number has the
directory. A shard that is added takes over the directories for which its number is the highest, and no other
directory moves. If the last shard is removed, only its own directories move.

Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998).
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One share of the tenants: *index* counts from 0."""

    index: int = 0
    total: int = 1

    def __str__(self) -> str:
        """Such as `0 of 4`."""
        return f"{self.index} of {self.total}"

    def has(self, directory: str) -> bool:
        """True if the tenant with this directory, a GUID or a domain, is in this share."""
        return owner(directory, self.total) == self.index


INDEX_PLACEHOLDER = "{shard}"
"""Stands for the index of a shard in the address of its page."""

WHOLE = Shard()
"""All tenants."""


def owner(directory: str, total: int) -> int:
    """The index of the shard, of *total*, that has *directory*; the case of its letters does not matter."""
    name = directory.lower()
    return max(range(total), key=lambda index: hashlib.sha256(f"{index}/{name}".encode()).digest())
