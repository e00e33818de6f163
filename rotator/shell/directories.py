"""
Which directory each tenant of a configuration is, by its access tokens.

A directory has several names: its GUID, and each of its domains. A configuration that has one under
two names would get two keys where one is due. What a token says is known before the first write.
"""

import threading
from collections.abc import Collection, Mapping

from rotator.core.errors import Failure, FailureKind
from rotator.core.outcome import Planned


class Directories:
    """The directories of the tenants of one configuration. For any thread; goes with the configuration."""

    def __init__(self, keysets: Mapping[str, Collection[str]]) -> None:
        """
        No directory is known yet.

        keysets: the ids of the keysets of each tenant, by the tenant's name
        """
        self._keysets = {name: frozenset(each.lower() for each in ids) for name, ids in keysets.items()}
        self._lock = threading.Lock()
        self._found: dict[str, str] = {}  # by name

    def note(self, name: str, directory: str) -> None:
        """Take note of the GUID of the directory that the token of a tenant is for."""
        with self._lock:
            self._found[name] = directory

    def __call__(self, planned: Planned) -> Failure | None:
        """Refuse where another tenant of the configuration is the same directory, and has the same keyset."""
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
            f"tenant {others[0]} is the same directory ({directory}) and has this keyset, too; "
            "no key is generated until one of the two is removed from the configuration"
        )
        return Failure(kind=FailureKind.CONFLICT, message=message)
