"""
The settings of the process: its log, what it serves, and the leader election.

Names, units and defaults are part of the interface.
"""

import os
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from rotator.core.shard import INDEX_PLACEHOLDER, Shard
from rotator.core.status import KeysetSeries
from rotator.edges.setting_types import FilePath, Host, Section, SomeSpan, Switch, WebAddress


class LogLevel(StrEnum):
    """The lowest level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """The format of log lines."""

    JSON = "json"
    CONSOLE = "console"
    AUTO = "auto"


class LogSettings(Section):
    """How the program logs."""

    level: LogLevel = LogLevel.INFO
    format: LogFormat = Field(default=LogFormat.AUTO, description="auto: console on a terminal, json elsewhere")


class HttpSettings(Section):
    """Where metrics, health and status are served while it runs as a daemon."""

    host: Host = "0.0.0.0"  # noqa: S104 - a pod is scraped from outside
    port: int = Field(
        default=9464, ge=0, le=65535, description="0: any free port; the one in use stands in rotator.started"
    )
    calendar: bool = Field(
        default=False, description="serves /calendar.ics: activations, expiries and freezes, for calendar programs"
    )
    runbook_url: WebAddress | None = Field(
        default=None, description="where people find deploy/runbook.md; the status page links to its sections"
    )
    shard_url: WebAddress | None = Field(
        default=None,
        description=f"the status page of a shard, with {INDEX_PLACEHOLDER} for its index; each page links the others",
    )

    @field_validator("shard_url")
    @classmethod
    def _names_the_shard(cls, value: str | None) -> str | None:
        if value is not None and INDEX_PLACEHOLDER not in value:
            message = f"write {INDEX_PLACEHOLDER} where the index of the shard stands in the address"
            raise PydanticCustomError("shard_url", "{message}", {"message": message})
        return value


class HttpClientSettings(Section):
    """The connections to Graph and to the login hosts."""

    max_connections: int = Field(
        default=64, ge=1, le=1024, description="open at once, for all tenants; idle ones are closed after 5 s"
    )


class MetricsSettings(Section):
    """What `/metrics` has."""

    keysets: KeysetSeries = Field(
        default=KeysetSeries.ALL,
        description="due: series only of keysets within their renewal window, or in trouble; none: of no keyset",
    )


class ShardSettings(Section):
    """The share of the tenants that this process looks after."""

    index: int = Field(default=0, ge=0, description="which share this process has, from 0")
    total: int = Field(
        default=1, ge=1, le=1000, description="how many shares there are; 1: this process has all tenants"
    )

    @property
    def shard(self) -> Shard:
        """The share as a value."""
        return Shard(index=self.index, total=self.total)

    @model_validator(mode="after")
    def _exists(self) -> Self:
        if self.index >= self.total:
            message = "shard.index must be less than shard.total: shards are counted from 0"
            raise PydanticCustomError("shard", "{message}", {"message": message})
        return self


class LeaderElectionSettings(Section):
    """One leader among several replicas, by a Lease in Kubernetes."""

    enabled: Switch = Field(default="auto", description="auto: on inside a cluster, off elsewhere")
    lease_name: str = Field(default="rotator", pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
    namespace: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="where the Lease is; not given: the pod's own",
    )
    lease_duration: SomeSpan = Field(
        default=timedelta(seconds=60), description="how long others wait after a leader was last heard of"
    )
    renew_deadline: SomeSpan = Field(
        default=timedelta(seconds=40), description="how long a leader that cannot renew goes on"
    )
    retry_period: SomeSpan = Field(default=timedelta(seconds=10), description="how often a leader renews, at least")
    service_account_directory: FilePath = Field(
        default=Path("/var/run/secrets/kubernetes.io/serviceaccount"),
        description="where the pod's token, ca.crt and namespace are mounted",
    )

    @property
    def is_on(self) -> bool:
        """True if leader election is on."""
        return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) if self.enabled == "auto" else self.enabled

    @property
    def longest_write(self) -> timedelta:
        """The maximum duration of a write that begins right before the lease is renewed."""
        return self.renew_deadline - self.retry_period

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.renew_deadline >= self.lease_duration:
            message = (
                "renew_deadline must be shorter than lease_duration: a leader must stop before the next one starts"
            )
        elif self.retry_period >= self.renew_deadline:
            message = "retry_period must be shorter than renew_deadline: a leader must renew before it has to stop"
        else:
            return self
        raise PydanticCustomError("periods", "{message}", {"message": message})
