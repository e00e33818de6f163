"""A tenant as the shell sees it: what is wanted of its keysets, and the means to look and to write."""

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
"""Why a write must not begin: a reason to hold the keyset, or a failure that somebody must fix."""

Writing: TypeAlias = Callable[[Planned], AbstractContextManager[Objection | None]]
"""
Entered around each write: `with writing(planned) as objection`. Nothing may be sent where there is an
objection; where there is none, the write counts as under way until the block is left, however it is left.
"""


class Keysets(Protocol):
    """The keysets of one tenant. Each method raises `RequestError`."""

    def list_keysets(self, wanted: Collection[str], max_others: int = 0) -> Listed:
        """The wanted keysets that the tenant has, by id, and up to *max_others* further ones."""
        ...

    def fetch(self, keyset_id: str) -> Keyset:
        """One keyset as it is now."""
        ...

    def prepare(self) -> None:
        """Do whatever takes time before a write, so that nothing does between the gates and its first byte."""
        ...

    def create(self, keyset_id: str) -> None:
        """Ask once for a keyset without keys."""
        ...

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        """Ask once for a key; its kid, where the service names it."""
        ...

    def enable(self, keyset_id: str, kid: str) -> None:
        """Enable one key."""
        ...


class SignIn(Protocol):
    """The sign-in side of one tenant."""

    @property
    def policies(self) -> tuple[str, ...]:
        """The policies whose keys are looked at, in lower case."""
        ...

    @property
    def probe_interval(self) -> timedelta:
        """How often it is probed while something is not known."""
        ...

    @property
    def fetches_tokens(self) -> bool:
        """Whether it can fetch tokens."""
        ...

    def probe(self, *, with_token: bool, ask_active: Collection[str]) -> Probe:
        """One probe; what fails is in it as a failure. *ask_active*: the keysets whose active key is asked for."""
        ...

    def all_kids(self) -> frozenset[str] | None:
        """The kids of all keysets of the tenant, configured or not; None where they cannot be listed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """
    One tenant.

    name:       what the configuration calls it; a label, which may come to mean another tenant
    id:         which tenant it is
    sign_in:    its sign-in side; None where that is not probed
    max_others: how many keysets are observed that are not configured
    """

    name: str
    id: TenantId
    policies: tuple[RotationPolicy, ...]
    keysets: Keysets
    writing: Writing
    sign_in: SignIn | None = None
    max_others: int = 0
