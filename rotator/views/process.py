"""
The process as its page shows it, and what is wrong with it.

The thresholds are those of deploy/prometheus/rules.yaml, as those of the conditions of keysets are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rotator.core.text import format_instant
from rotator.views.condition import Condition, Level
from rotator.views.phrases import remaining, rounded

MIN_CREDENTIAL_LEFT = timedelta(days=21)  # as in B2CRotatorCredentialExpiring
MAX_SKEW = 60.0  # seconds, as in B2CRotatorClockSkewed
MAX_DRY_RUN = timedelta(days=1)  # as in B2CRotatorDryRun


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedConfig:
    """The configuration on disk is not in force: since when, and its problems."""

    since: datetime
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """
    The process at one instant.

    refresh:  seconds after which a browser reloads the page, if somebody has turned that on
    stale:    how old the last look at a keyset, or the last sweep, may be
    began:    since when it looks at keysets
    swept:    when the last sweep finished; None before that
    check_interval, settle: as configured
    silence:  the time since the last heartbeat of its scheduler; None while that is no reason to worry
    dry_run:  whether it never generates a key
    is_idle:  whether it is on standby: with leader election, only the leader looks at keysets
    leader:   the leader's identity, if there is an election; None if there is no leader
    election: how it takes part, as a phrase; None if there is no election
    election_variables: variables that override the election's settings, and that its deployment does not set
    place:    where it runs: a label (host, pod) and a name
    config:   the path of its configuration
    refused:  the configuration on disk, if that is not in force
    expiries: when the credential of each tenant expires, if that is known
    skews:    seconds by which the local clock is ahead of that of each tenant's services
    runbook_url: of the runbook; None if nobody has configured it
    """

    version: str
    refresh: int
    stale: timedelta
    began: datetime
    swept: datetime | None = None
    check_interval: timedelta = timedelta(hours=1)
    settle: timedelta = timedelta(minutes=2)
    silence: timedelta | None = None
    dry_run: bool = False
    is_idle: bool = False
    leader: str | None = None
    election: str | None = None
    election_variables: tuple[str, ...] = ()
    place: tuple[str, str] | None = None
    config: str | None = None
    refused: RefusedConfig | None = None
    expiries: Mapping[str, datetime] = field(default_factory=dict)
    skews: Mapping[str, float] = field(default_factory=dict)
    runbook_url: str | None = None

    @property
    def next_sweep(self) -> datetime | None:
        """When the next sweep begins; None if nobody knows."""
        return None if self.swept is None else self.swept + self.check_interval


def process_conditions(process: ProcessStatus, now: datetime) -> tuple[Condition, ...]:
    """What somebody should know of the process, the most serious first."""
    levels = tuple(Level)
    found = (*_sight(process, now), *_configuration(process, now), *_tenants(process, now))
    return tuple(sorted(found, key=lambda condition: levels.index(condition.level)))


def _sight(process: ProcessStatus, now: datetime) -> Iterator[Condition]:
    """What keeps it from looking: if it cannot see, the page must not say that all is well."""
    if process.silence is not None:
        yield Condition(
            level=Level.CRITICAL,
            label="no heartbeat",
            sentence=f"no heartbeat from the scheduler for {rounded(process.silence)}",
            remedy="restart rotator",
            runbook="B2CRotatorStalled",
        )
    if process.is_idle:
        if process.leader is None:
            yield Condition(
                level=Level.CRITICAL,
                label="no leader",
                sentence="there is no leader: no replica looks at keysets",
                runbook="B2CRotatorNoLeader",
            )
        return
    age = now - (process.swept or process.began)
    if age > process.stale:
        yield Condition(
            level=Level.CRITICAL,
            label="no sweep",
            sentence=f"no sweep has finished for {rounded(age)}: this page is out of date",
            runbook="B2CRotatorStalled",
        )


def _configuration(process: ProcessStatus, now: datetime) -> Iterator[Condition]:
    if process.refused is not None:
        since = process.refused.since
        yield Condition(
            level=Level.WARNING,
            label="configuration refused",
            sentence=f"the changed configuration is refused since {format_instant(since)} ({remaining(since, now)}), "
            f"and the last valid one stays in force: {'; '.join(process.refused.problems)}",
            remedy="correct it: with the file as it is, rotator does not start again",
            runbook="B2CRotatorConfigRefused",
        )
    if process.dry_run:
        yield Condition(
            level=Level.WARNING if now - process.began > MAX_DRY_RUN else Level.INFORMATION,
            label="dry run",
            sentence="dry run: rotator never generates a key, whatever is due",
            runbook="B2CRotatorDryRun",
        )
    for name in process.election_variables:
        yield Condition(
            level=Level.INFORMATION,
            label="set by hand",
            sentence=f"{name} is set on this pod by hand and overrides the values of the chart; no upgrade removes it",
            runbook="Change it in the cluster",
        )


def _tenants(process: ProcessStatus, now: datetime) -> Iterator[Condition]:
    for tenant, expires in sorted(process.expiries.items(), key=lambda pair: pair[1]):
        if expires - now < MIN_CREDENTIAL_LEFT:
            verb = "expires" if expires > now else "has expired"
            yield Condition(
                level=Level.WARNING,
                label="credential expiring",
                sentence=f"the credential of {tenant} {verb} {remaining(expires, now)} ({format_instant(expires)}); "
                "without one, no keyset of this tenant is looked at or rotated",
                remedy="replace it",
                runbook="B2CRotatorCredentialExpiring",
            )
    for tenant, skew in process.skews.items():
        if abs(skew) > MAX_SKEW:
            side = "ahead of" if skew > 0 else "behind"
            yield Condition(
                level=Level.WARNING,
                label="clock skew",
                sentence=f"the local clock is {rounded(timedelta(seconds=abs(skew)))} {side} that of {tenant}'s "
                "services; above 5m no key is generated",
                remedy="check the time synchronization of the machine",
                runbook="B2CRotatorClockSkewed",
            )
