"""
The settings: names, types, defaults.

Names, units and defaults are part of the interface. Messages never repeat a
value, since one of them could be a secret in the wrong place.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from rotator.core.policy import RotationPolicy
from rotator.core.shard import Shard
from rotator.core.text import format_span
from rotator.edges.calendar_settings import (
    CALENDAR_NAME_PATTERN,
    CalendarSettings,
    advice_on_calendars,
    advice_on_hold,
    build_calendars,
)
from rotator.edges.process_settings import (
    HttpClientSettings,
    HttpSettings,
    LeaderElectionSettings,
    LogSettings,
    MetricsSettings,
    ShardSettings,
)
from rotator.edges.setting_types import FilePath, SomeSpan, Span
from rotator.edges.tenant_settings import PolicySettings, TenantSettings

PREFIX = "ROTATOR_"


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        title="rotator configuration",
    )

    check_interval: SomeSpan = Field(default=timedelta(hours=1), description="how often every keyset is looked at")
    settle: Span = Field(
        default=timedelta(minutes=2),
        description="a key is generated only when two looks, at least this far apart, both call for it",
    )
    concurrency: int = Field(default=8, ge=1, le=64, description="tenants looked at side by side")
    request_timeout: SomeSpan = Field(
        default=timedelta(seconds=30), description="for one request to Graph or to the login host"
    )
    dry_run: bool = Field(default=False, description="never write, whatever else is set")
    ca_file: FilePath | None = Field(default=None, description="a PEM bundle to trust in addition")
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    http_client: HttpClientSettings = HttpClientSettings()
    metrics: MetricsSettings = MetricsSettings()
    shard: ShardSettings = ShardSettings()
    leader_election: LeaderElectionSettings = LeaderElectionSettings()
    calendars: dict[Annotated[str, Field(pattern=CALENDAR_NAME_PATTERN)], CalendarSettings] = Field(
        default={}, description="when keys may take over, by name"
    )
    defaults: PolicySettings = PolicySettings()
    tenants_directory: FilePath | None = Field(
        default=None, description="a directory of further files, each with a list of tenants and nothing else"
    )
    tenants: tuple[TenantSettings, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _writes_fit(self) -> Self:
        """Check that a request is shorter than the time for which a leader is sure to lead."""
        election = self.leader_election
        if election.is_on and self.request_timeout > election.longest_write:
            raise PydanticCustomError(
                "periods",
                "request_timeout must not be longer than leader_election.renew_deadline without retry_period, here "
                "{longest}: a leader writes only if it is sure to lead until the request has ended",
                {"longest": format_span(election.longest_write)},
            )
        return self

    @model_validator(mode="after")
    def _connections_suffice(self) -> Self:
        """Up to 2 x `concurrency` threads send requests: none of them should wait for another one's connection."""
        if self.max_connections < 2 * self.concurrency:
            raise PydanticCustomError(
                "connections",
                "http_client.max_connections must be at least 2 x concurrency, here {least}: the requests at once",
                {"least": 2 * self.concurrency},
            )
        return self

    @property
    def max_connections(self) -> int:
        """How many connections may be open at once; where it is not configured, never too few for `concurrency`."""
        configured = self.http_client.max_connections
        is_given = "max_connections" in self.http_client.model_fields_set
        return configured if is_given else max(configured, 2 * self.concurrency)

    @property
    def lease_name(self) -> str:
        """The name of the Lease; each shard has its own."""
        name = self.leader_election.lease_name
        return name if self.shard.total == 1 else f"{name}-{self.shard.index}"

    def of_shard(self, shard: Shard) -> "Settings":
        """These settings with the tenants of *shard* alone."""
        if shard.total == 1:
            return self
        return self.model_copy(update={"tenants": tuple(each for each in self.tenants if shard.has(each.tenant_id))})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources: the environment, then the file, whose content comes as arguments; no others."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    def advice(self, now: datetime) -> Iterator[tuple[str, str]]:
        """The path and the text of each warning: settings that are valid, but probably a mistake."""
        yield from advice_on_calendars(self.calendars)
        yield from advice_on_hold("defaults", self.defaults.hold, now)
        for t, tenant in enumerate(self.tenants):
            yield from advice_on_hold(f"tenants[{t}]", tenant.hold, now)
            for k, keyset in enumerate(tenant.keysets):
                yield from advice_on_hold(f"tenants[{t}].keysets[{k}]", keyset.hold, now)

    def policies(self, tenant: TenantSettings) -> tuple[RotationPolicy, ...]:
        """The rotation policies of *tenant*, in the order of the file."""
        calendars = build_calendars(self.calendars)
        return tuple(keyset.policy(self.defaults, calendars=calendars, tenant=tenant) for keyset in tenant.keysets)
