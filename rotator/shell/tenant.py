"""A tenant as the shell sees it: its rotation policies, and the protocols to read and write its keysets."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeAlias

from rotator.core.errors import Failure
from rotator.core.inventory import Listed
from rotator.core.keyset import Keyset
from rotator.core.outcome import Planned
from rotator.core.policy import KeySpec, RotationPolicy
from rotator.core.publication import Probe
from rotator.core.reasons import Refusal
from rotator.core.tenant import TenantId

Objection: TypeAlias = Refusal | Failure
"""Why a write must not begin: a reason to hold the keyset, or a failure that a person must fix."""

Writing: TypeAlias = Callable[[Planned], AbstractContextManager[Objection | None]]
"""
A context manager around each write: `with writing(planned) as objection`. If there is an objection, nothing
may be sent. If it is None, the write counts as in progress until the block ends, also by an exception.
"""


class Keysets(Protocol):
    """The keysets of one tenant. Each method raises `RequestError`."""

    def list_keysets(self, wanted: Collection[str], max_others: int = 0) -> Listed:
        """The keysets *wanted* that the tenant has, by id, and up to *max_others* further ones."""
        ...

    def fetch(self, keyset_id: str) -> Keyset:
        """Read one keyset."""
        ...

    def prepare(self) -> None:
        """Do the slow part of a write, such as getting a token, so that the request follows right after the gates."""
        ...

    def create(self, keyset_id: str) -> None:
        """Ask once for a keyset without keys."""
        ...

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        """Request one key, without a retry; returns its kid, None if the service does not name it."""
        ...

    def enable(self, keyset_id: str, kid: str) -> None:
        """Enable one key."""
        ...


class SignIn(Protocol):
    """The sign-in side of one tenant."""

    @property
    def policies(self) -> tuple[str, ...]:
        """The policies whose JWKS are read, in lower case."""
        ...

    @property
    def probe_interval(self) -> timedelta:
        """The interval of probes while something is unknown."""
        ...

    @property
    def fetches_tokens(self) -> bool:
        """True if a canary application is configured, so that it can fetch tokens."""
        ...

    def probe(self, *, with_token: bool, ask_active: Collection[str]) -> Probe:
        """One probe; failures are part of the result. *ask_active*: keysets for which to call getActiveKey."""
        ...

    def all_kids(self) -> frozenset[str] | None:
        """The kids of all keysets of the tenant, configured or not; None if the keysets cannot be listed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """
    One tenant.

    name:       its name in the configuration; a label that a reload may use for another tenant
    id:         its identity
    sign_in:    its sign-in side; None if it is not probed
    max_others: how many keysets that are not configured are observed
    """

    name: str
    id: TenantId
    policies: tuple[RotationPolicy, ...]
    keysets: Keysets
    writing: Writing
    sign_in: SignIn | None = None
    max_others: int = 0
