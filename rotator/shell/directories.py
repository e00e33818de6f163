"""
The directory of each tenant of a configuration, as its access tokens name it.

A directory has several names: its GUID, and each of its domains. If a configuration lists one directory
under two names, rotator would generate two keys instead of one. The token shows this before the first write.
"""

import threading
from collections.abc import Collection, Mapping

from rotator.core.errors import Failure, FailureKind
from rotator.core.outcome import Planned


class Directories:
    """The directories of the tenants of one configuration. Thread-safe; a reload replaces it."""

    def __init__(self, keysets: Mapping[str, Collection[str]]) -> None:
        """
        Start without a known directory.

        keysets: the ids of the keysets of each tenant, by the tenant's name
        """
        self._keysets = {name: frozenset(each.lower() for each in ids) for name, ids in keysets.items()}
        self._lock = threading.Lock()
        self._found: dict[str, str] = {}  # by name

    def note(self, name: str, directory: str) -> None:
        """Store the GUID of the directory that issued the token of the tenant *name*."""
        with self._lock:
            self._found[name] = directory

    def __call__(self, planned: Planned) -> Failure | None:
        """Refuse if another tenant of the configuration is the same directory and has the same keyset."""
        name, keyset_id = planned.observation.tenant, planned.observation.policy.keyset_id
        with self._lock:
            directory = self._found.get(name)
            others = [
                other
                for other, found in self._found.items()
                if other != name and found == directory and keyset_id.lower() in self._keysets[other]
            ]
        if directory is None or not others:
            return None
        message = (
            f"tenant {others[0]} is the same directory ({directory}) and has this keyset too; "
            "no key is generated until one of the two is removed from the configuration"
        )
        return Failure(kind=FailureKind.CONFLICT, message=message)
