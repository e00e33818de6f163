"""
The directory of each tenant of a configuration, as its access tokens name it.

A directory has several names: its GUID, and each of its domains. If a configuration lists one directory
under two names, rotator would generate two keys instead of one. The token of the first look at a tenant shows
its directory. From then on, each look at a keyset that two tenants share fails, and no key is generated.
`OneDirectory` checks the looks. The gate checks again right before a write, since the other tenant's token may
arrive between the two.
"""

import threading
from collections.abc import Collection, Mapping
from dataclasses import replace

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.inventory import Listed
from rotator.core.keyset import Keyset
from rotator.core.outcome import Planned
from rotator.core.policy import KeySpec
from rotator.shell.tenant import Keysets


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
        return self.conflict(planned.observation.tenant, planned.observation.policy.keyset_id)

    def conflict(self, name: str, keyset_id: str) -> Failure | None:
        """The failure of a keyset of the tenant *name* that another tenant has too; None if there is no other."""
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


class OneDirectory:
    """The keysets of the tenant *name*, where no other tenant of the configuration has them under another name."""

    def __init__(self, keysets: Keysets, directories: Directories, name: str) -> None:
        self._keysets = keysets
        self._directories = directories
        self._name = name

    def list_keysets(self, wanted: Collection[str], max_others: int = 0) -> Listed:
        """As the protocol says; a keyset that another tenant has, too, is an error."""
        listed = self._keysets.list_keysets(wanted, max_others)
        conflicts = {
            keyset_id: RequestError(failure)
            for keyset_id in wanted
            if (failure := self._directories.conflict(self._name, keyset_id)) is not None
        }
        return replace(listed, wanted={**listed.wanted, **conflicts}) if conflicts else listed

    def fetch(self, keyset_id: str) -> Keyset:
        """As the protocol says; a keyset that another tenant has, too, is an error."""
        found = self._keysets.fetch(keyset_id)
        failure = self._directories.conflict(self._name, keyset_id)
        if failure is not None:
            raise RequestError(failure)
        return found

    def prepare(self) -> None:
        """As the protocol says."""
        self._keysets.prepare()

    def create(self, keyset_id: str) -> None:
        """As the protocol says."""
        self._keysets.create(keyset_id)

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        """As the protocol says."""
        return self._keysets.generate(keyset_id, spec)

    def enable(self, keyset_id: str, kid: str) -> None:
        """As the protocol says."""
        self._keysets.enable(keyset_id, kid)
