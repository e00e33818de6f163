"""
What the command `doctor` observes, and the checks that it makes of it.

Frozen values, and the exit code as a pure function of them. `views.checks` turns what was observed
into checks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.core.errors import Failure
from rotator.core.lease import Lease
from rotator.core.look import Look
from rotator.core.outcome import Exit
from rotator.core.publication import Probe


class Level(StrEnum):
    """The result of a check. The values are part of the interface."""

    OK = "ok"
    WARNING = "warning"  # to be looked at; nothing fails because of it
    WOULD_FAIL = "would_fail"  # looks work, but a rotation would fail
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """
    One check and its result.

    tenant:  its name in the configuration; None for a check of the process
    name:    what was checked, from a closed list: token, permissions, credential, clock, host, keyset,
        active_key, keys_v2, sign_in, policy, canary, canary_credential, lease, lease_right
    subject: which one, such as the id of a keyset; empty where there is only one
    advice:  what to do; empty if there is nothing to do
    """

    tenant: str | None
    name: str
    level: Level
    result: str
    subject: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    One request to a host: how long it took, in seconds.

    status: None if there was no answer
    skew:   seconds by which the local clock is ahead of the answer's Date header; None without one
    """

    seconds: float
    status: int | None = None
    skew: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFindings:
    """
    A host that is needed.

    role:    login, graph or sign_in
    proxy:   the proxy that requests to it go through, without user and password; None: none
    replies: every request to the host so far
    failure: why it cannot be reached; None if it answers
    """

    role: str
    url: str
    proxy: str | None
    replies: tuple[Reply, ...]
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialFindings:
    """
    A credential.

    kind:    client secret, certificate or federated token
    is_read: whether it could be read
    expires: when it expires; None if unknown
    """

    kind: str
    is_read: bool = False
    expires: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysetFindings:
    """
    A configured keyset.

    look:       the decision that the daemon would make now
    active_kid: the kid that getActiveKey names, None if it names none, or why it failed
    keys_v2:    the kids that keys_v2 lists, or why it failed
    is_asked:   True if Graph was asked for these two; otherwise both are None
    """

    look: Look
    is_asked: bool = True
    active_kid: str | Failure | None = None
    keys_v2: frozenset[str] | Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFindings:
    """
    Everything that was observed of a tenant at *now*.

    may_write:   whether the configuration lets rotator write to one of its keysets
    permissions: the application permissions in the token; None if the token cannot be read
    no_token:    why there is no token
    probe:       of the sign-in side; None if that is not configured
    canary:      the credential of the canary application; None without one
    max_seconds: the longest that a request may take
    """

    tenant: str
    now: datetime
    may_write: bool
    client_id: str
    credential: CredentialFindings
    hosts: tuple[HostFindings, ...]
    max_seconds: float
    permissions: tuple[str, ...] | None = None
    no_token: Failure | None = None
    keysets: tuple[KeysetFindings, ...] = ()
    probe: Probe | None = None
    canary: CredentialFindings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseFindings:
    """
    The lease of the leader election.

    lease:  as it is; None if it could not be read
    rights: by verb, whether the service account has it, or why that is unknown
    """

    name: str
    lease: Lease | None = None
    failure: Failure | None = None
    rights: Mapping[str, bool | Failure] = field(default_factory=dict)


def exit_of(checks: Iterable[Check]) -> Exit:
    """The exit code: 1 if something is wrong, 3 if only a rotation would fail, 0 otherwise."""
    levels = {check.level for check in checks}
    if Level.WRONG in levels:
        return Exit.FAILED
    return Exit.AT_RISK if Level.WOULD_FAIL in levels else Exit.OK


MAX_ASKED = 50
"""For how many keysets of a tenant getActiveKey and keys_v2 are asked: Graph allows 200 requests a minute."""

CREDENTIAL_NOTICE = timedelta(days=30)
"""How long before its end a credential is reported."""
