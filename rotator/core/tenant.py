"""The identity of a tenant."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TenantId:
    """
    The identity of a tenant: the base URLs of its cloud, and its directory, in lower case.

    The name that a configuration gives a tenant is only a label: a reload can use it for
    another directory. Everything that is remembered of a tenant is stored by its identity.
    """

    graph: str
    login: str
    directory: str

    def __str__(self) -> str:
        """The tenant's address at Graph."""
        return f"{self.graph}/{self.directory}"
