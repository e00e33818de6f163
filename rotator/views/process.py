"""
The state of the process on the status page, and its conditions.

The thresholds are those of deploy/prometheus/rules.yaml, like those of the conditions of keysets.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rotator.core.shard import INDEX_PLACEHOLDER, WHOLE, Shard
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
    The state of the process at one instant.

    refresh:  seconds after which the browser reloads the page, if the user has turned that on
    stale:    the maximum age of the last look at a keyset, and of the last sweep
    began:    since when it looks at keysets
    swept:    when the last sweep finished; None before that
    check_interval, settle: as configured
    silence:  the time since the last heartbeat of the scheduler; None while that is short enough
    dry_run:  whether it never generates a key
    is_idle:  whether it is a standby replica: with leader election, only the leader looks at keysets
    leader:   the leader's identity, with leader election; None if there is no leader
    election: its part in the leader election, as a phrase; None without leader election
    election_variables: environment variables that somebody has added to override the settings of the election
    place:    a label (host, pod) and a name for where it runs
    config:   the path of its configuration
    shard:    its share of the tenants
    refused:  the configuration on disk, if it is refused
    expiries: by tenant, when its credential expires; absent if unknown
    skews:    by tenant, how many seconds the local clock is ahead of its services
    runbook_url: of the runbook; None if nobody has configured it
    shard_url: of the page of a shard, with {shard} for its index; None if nobody has configured it
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
    shard: Shard = WHOLE
    refused: RefusedConfig | None = None
    expiries: Mapping[str, datetime] = field(default_factory=dict)
    skews: Mapping[str, float] = field(default_factory=dict)
    runbook_url: str | None = None
    shard_url: str | None = None

    @property
    def other_shards(self) -> list[tuple[int, str]]:
        """The index and the address of the page of each other shard; empty without `shard_url`."""
        if self.shard_url is None:
            return []
        others = (index for index in range(self.shard.total) if index != self.shard.index)
        return [(index, self.shard_url.replace(INDEX_PLACEHOLDER, str(index))) for index in others]

    @property
    def next_sweep(self) -> datetime | None:
        """When the next sweep begins; None if that is unknown."""
        return None if self.swept is None else self.swept + self.check_interval


def process_conditions(process: ProcessStatus, now: datetime) -> tuple[Condition, ...]:
    """The conditions of the process, the most serious first."""
    levels = tuple(Level)
    found = (*_sight(process, now), *_configuration(process, now), *_tenants(process, now))
    return tuple(sorted(found, key=lambda condition: levels.index(condition.level)))


def _sight(process: ProcessStatus, now: datetime) -> Iterator[Condition]:
    """Conditions that prevent looks: then the page must not say that all keysets are fine."""
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
