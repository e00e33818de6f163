"""
Events: frozen values that say what happened, for logs, metrics, the status store and the pages.

An event is created where it happens. A consumer handles the events that it knows with `match`, and
ignores the others. Consumers must not depend on their order. The events of the leader election
are in `lease`, those of probes in `proof_events`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from rotator.core.drift import Change
from rotator.core.errors import ConfigError, FailureKind
from rotator.core.exchange import Exchange
from rotator.core.inventory import Inventory
from rotator.core.lease import ElectionEvent
from rotator.core.outcome import Outcome
from rotator.core.proof_events import ProofEvent
from rotator.core.status import KeysetStatus
from rotator.core.tenant import TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """
    A keyset was looked at, or its rotation came to an end.

    is_preliminary: the second look, which may write, is still to come
    failures:       how many looks or rotations in a row have failed by now
    """

    outcome: Outcome
    is_preliminary: bool
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The status of a keyset changed; the outcome in *before* is None if there was no look yet."""

    tenant: str
    before: KeysetStatus
    after: KeysetStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysetChanged:
    """Somebody other than rotator changed a configured keyset between two looks."""

    tenant: str
    keyset: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysetCreated:
    """A keyset that rotator created was seen."""

    tenant: str
    keyset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryTaken:
    """A list showed the keysets of a tenant that are not configured."""

    inventory: Inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFinished:
    """
    All tenants were looked at.

    seconds: how long it took
    late:    how many tenants were not done in time; the sweep does not have their outcomes
    """

    seconds: float
    outcomes: tuple[Outcome, ...]
    late: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFinished:
    """A request to a service of a tenant ended, with or without an answer."""

    tenant: str
    tenant_id: TenantId
    exchange: Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRetried:
    """A request to Graph failed, and will be sent again."""

    kind: FailureKind


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequested:
    """An access token of a tenant was requested."""

    tenant: str
    is_granted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRead:
    """A tenant's credential was read; *expires*: None if that is unknown."""

    tenant: str
    expires: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSkewed:
    """The local clock began, or ceased, to differ by 60 s or more from a service's; *seconds*: how far it is ahead."""

    tenant: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed:
    """A bug ended *job*, or a consumer of events failed."""

    job: str
    error: BaseException = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMissed:
    """A run of *job* was skipped, because the run before it had not ended."""

    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigReloaded:
    """
    Another configuration is in force.

    data: the members of the log line
    """

    data: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRejected:
    """The configuration on disk is invalid, so the previous one stays in force."""

    error: ConfigError


Event: TypeAlias = (
    Looked
    | Changed
    | KeysetChanged
    | KeysetCreated
    | InventoryTaken
    | SweepFinished
    | RequestFinished
    | RequestRetried
    | TokenRequested
    | CredentialRead
    | ClockSkewed
    | JobFailed
    | JobMissed
    | ConfigReloaded
    | ConfigRejected
    | ElectionEvent
    | ProofEvent
)
