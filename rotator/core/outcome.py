"""
The outcome of a look at a keyset: held, planned, rotated or failed.

The shell creates outcomes; reports, logs, metrics and exit codes read them. A reader never
changes an outcome.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import ClassVar, TypeAlias

from rotator.core.assessment import Assessment
from rotator.core.errors import Failure
from rotator.core.keyset import Keyset
from rotator.core.policy import KeySpec, RotationPolicy
from rotator.core.reasons import Reason, Refusal
from rotator.core.tenant import TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """
    A look at a keyset: which one, when, the keyset as read, and its assessment.

    `tenant` is the name that the configuration gives it. `keyset` and `assessment` are None
    together, where it could not be read. `has_backup`: the tenant has a backup (`.bak`) of a deleted
    keyset of this id.
    """

    tenant: str
    tenant_id: TenantId
    policy: RotationPolicy
    now: datetime
    keyset: Keyset | None = None
    assessment: Assessment | None = None
    has_backup: bool = False

    @property
    def name(self) -> tuple[str, str]:
        """Tenant and keyset, as configured."""
        return self.tenant, self.policy.keyset_id

    @property
    def identity(self) -> tuple[TenantId, str]:
        """The tenant's identity and the keyset, independent of the name that the configuration gives the tenant."""
        return self.tenant_id, self.policy.keyset_id


class OutcomeName(StrEnum):
    """The name of an outcome. The values are part of the interface."""

    HELD = "held"
    PLANNED = "planned"
    ROTATED = "rotated"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """
    No key is due, or no key may be requested.

    would, spec: in mode observe or on hold, the reason that would apply otherwise, and the key that would be requested
    """

    name: ClassVar = OutcomeName.HELD

    observation: Observation
    reason: Reason | Refusal
    would: Reason | None = None
    spec: KeySpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """
    A key is due; this look did not request it.

    If the reason is `missing`, the keyset is created first; `spec` is the key that it would get now.
    """

    name: ClassVar = OutcomeName.PLANNED

    observation: Observation
    reason: Reason
    spec: KeySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """
    A key was generated, and the keyset shows it as it was asked for.

    before: the observation that called for it; `observation` shows the keyset with the key
    remark: anything else to know about the key, in words
    """

    name: ClassVar = OutcomeName.ROTATED

    before: Observation
    observation: Observation
    reason: Reason
    spec: KeySpec
    kid: str | None
    remark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """
    The keyset could not be looked at, or its rotation failed.

    `spec` is the key that was asked for; None if it did not come to that.
    `generated` is the kid of a key that the service nevertheless said it generated, "" if it
    named none. `bug` is the exception if the failure is `internal`; it is only logged.
    """

    name: ClassVar = OutcomeName.FAILED

    observation: Observation
    failure: Failure
    spec: KeySpec | None = None
    generated: str | None = None
    bug: Exception | None = field(default=None, repr=False)


Outcome: TypeAlias = Held | Planned | Rotated | Failed


def reason_name(outcome: Outcome) -> str:
    """The reason of the decision or, for a failed outcome, the kind of failure."""
    return outcome.failure.kind.value if isinstance(outcome, Failed) else outcome.reason.value


class Exit(IntEnum):
    """The exit codes of the interface, with the names of sysexits.h if it has one."""

    OK = 0
    FAILED = 1
    DUE = 2
    AT_RISK = 3
    NOT_DISABLED = 4  # of `rotate --compromised` alone
    USAGE = 64
    CONFIG = 78


def exit_code(outcomes: Iterable[Outcome], *, detailed: bool) -> Exit:
    """The exit code for the outcomes of all keysets; 2 is returned only if *detailed*."""
    codes = {_exit(outcome) for outcome in outcomes}
    if not detailed:
        codes.discard(Exit.DUE)
    return next((code for code in (Exit.FAILED, Exit.AT_RISK, Exit.DUE) if code in codes), Exit.OK)


def _exit(outcome: Outcome) -> Exit:
    match outcome:
        case Failed() | Held(observation=Observation(keyset=None)):
            return Exit.FAILED
        case Rotated():
            return Exit.OK
        case Held(observation=observation) | Planned(observation=observation):
            if observation.assessment is not None and observation.assessment.at_risk:
                return Exit.AT_RISK
            return Exit.DUE if isinstance(outcome, Planned) else Exit.OK
