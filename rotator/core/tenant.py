"""What tells one tenant from another."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TenantId:
    """
    The identity of a tenant: the cloud's roots and the directory, in lower case.

    The name that a configuration gives a tenant is only a label: it can be pointed at
    another directory. Whatever is remembered of a tenant is remembered by its identity.
    """

    graph: str
    login: str
    directory: str

    def __str__(self) -> str:
        """The tenant's address at Graph."""
        return f"{self.graph}/{self.directory}"
