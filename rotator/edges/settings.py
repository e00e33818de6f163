"""
The settings: names, types, defaults.

Names, units and defaults are part of the interface. Messages never repeat a
value, since one of them could be a secret in the wrong place.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from rotator.core.calendar import Calendar
from rotator.core.policy import Mode, PolicyError, RotationPolicy
from rotator.core.text import format_span
from rotator.edges.calendar_settings import (
    CALENDAR_NAME_PATTERN,
    CalendarSettings,
    HoldSettings,
    advice_on_calendars,
    advice_on_hold,
    build_calendars,
)
from rotator.edges.credential_settings import CredentialSettings
from rotator.edges.process_settings import HttpSettings, LeaderElectionSettings, LogSettings
from rotator.edges.setting_types import FilePath, KeysetId, Root, Section, SomeSpan, Span, TenantId
from rotator.edges.sign_in_settings import SignInSettings, sign_in_url

PREFIX = "ROTATOR_"


class PolicySettings(Section):
    """How a keyset is rotated."""

    mode: Mode = Field(default=Mode.ROTATE, description="observe: look, measure and alert, but never write")
    kty: Literal["RSA", "oct"] = "RSA"
    rotate_every: SomeSpan = Field(default=timedelta(days=90), description="how long a key is the active one")
    overlap: SomeSpan | None = Field(
        default=None, description="how long its predecessor stays valid after that; not given: 25h for sig, 15d for enc"
    )
    publication_lead: SomeSpan = Field(default=timedelta(hours=48), description="from generation to activation")
    renewal_window: SomeSpan = Field(
        default=timedelta(days=14), description="the time there is to get a key made, before the lead would suffer"
    )
    minimum_lead: Span = Field(
        default=timedelta(), description="the least lead that the service takes; only matters when late"
    )
    accept_unreadable_secret: bool = Field(
        default=False, description="lets kty oct be rotated: nobody can read the generated secret"
    )
    calendar: str | None = Field(default=None, description="a name of calendars; null: keys may take over at any time")
    hold: HoldSettings | None = Field(default=None, description="nothing is generated until the end of a day")


class KeysetSettings(Section):
    """One keyset; for settings that it does not have, `defaults` applies."""

    id: KeysetId
    use: Literal["sig", "enc"]
    mode: Mode | None = None
    kty: Literal["RSA", "oct"] | None = None
    rotate_every: SomeSpan | None = None
    overlap: SomeSpan | None = None
    publication_lead: SomeSpan | None = None
    renewal_window: SomeSpan | None = None
    minimum_lead: Span | None = None
    accept_unreadable_secret: bool | None = None
    calendar: str | None = Field(default=None, description="null: at any time, whatever defaults say")
    hold: HoldSettings | None = Field(default=None, description="null: no hold, whatever the tenant or defaults say")
    create: bool = Field(default=False, description="create the keyset where the tenant never had it")
    expires: date | None = Field(
        default=None,
        description="an expiry that Graph does not know, such as that of an identity provider's secret",
    )

    def policy(
        self,
        defaults: PolicySettings,
        *,
        calendars: Mapping[str, Calendar] | None = None,
        tenant: "TenantSettings | None" = None,
    ) -> RotationPolicy:
        """
        The rotation policy of this keyset.

        calendars: those that it may name
        tenant:    whose hold applies where the keyset does not say anything of a hold

        Raises:
            PolicyError: its settings conflict, or it names an unknown calendar.

        """
        chosen = {"calendar", "hold"}  # for these two, null is a value and not the same as missing
        own = self.model_dump(exclude={"id", "use", "expires", *chosen}, exclude_none=True)
        values = defaults.model_dump(exclude=chosen) | own
        if values["overlap"] is None:
            values["overlap"] = OVERLAPS[self.use]
        name = self.calendar if "calendar" in self.model_fields_set else defaults.calendar
        if name is not None and name not in (calendars or {}):
            raise PolicyError("calendar must be a name of calendars")
        sources = (self, tenant, defaults)
        hold = next((each.hold for each in sources if each is not None and "hold" in each.model_fields_set), None)
        return RotationPolicy(
            keyset_id=self.id,
            use=self.use,
            **values,
            calendar=None if name is None else (calendars or {})[name],
            hold=None if hold is None else hold.hold(),
            expires=None if self.expires is None else datetime.combine(self.expires, time(), UTC),
        )


OVERLAPS = {"sig": timedelta(hours=25), "enc": timedelta(days=15)}
"""Tokens are valid for up to 24 h; refresh tokens, which are encrypted, for 14 days by default."""


class CloudRoots(Section):
    """The base URLs of a cloud that is not one of `CLOUDS`."""

    graph: Root
    login: Root


CLOUDS = {
    "global": CloudRoots(graph="https://graph.microsoft.com", login="https://login.microsoftonline.com"),
    "china": CloudRoots(graph="https://microsoftgraph.chinacloudapi.cn", login="https://login.chinacloudapi.cn"),
    "usgov": CloudRoots(graph="https://graph.microsoft.us", login="https://login.microsoftonline.us"),
    "usgov-dod": CloudRoots(graph="https://dod-graph.microsoft.us", login="https://login.microsoftonline.us"),
}
"""Source: "Microsoft Graph national cloud deployments"."""


def _cloud_form(value: object) -> str:
    return "name" if isinstance(value, str) else "roots"


class TenantSettings(Section):
    """One B2C tenant."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$", description="the label in logs and metrics")
    tenant_id: TenantId
    cloud: Annotated[
        Annotated[Literal["global", "china", "usgov", "usgov-dod"], Tag("name")] | Annotated[CloudRoots, Tag("roots")],
        Discriminator(_cloud_form),
    ] = "global"
    credential: CredentialSettings
    sign_in: SignInSettings | None = Field(
        default=None, description="where relying parties look for the keys; not given: nothing is probed"
    )
    hold: HoldSettings | None = Field(default=None, description="nothing is generated until the end of a day")
    observe_others: bool = Field(
        default=False, description="observe the keysets that are not listed, too, 500 at most; they are never written"
    )
    keysets: tuple[KeysetSettings, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_sign_in_host(self) -> Self:
        if self.sign_in is not None and self.sign_in_url is None:
            raise PydanticCustomError("sign_in", "sign_in needs a url, since tenant_id does not name the sign-in host")
        return self

    @property
    def sign_in_url(self) -> str | None:
        """The base URL of the sign-in host; None if nothing is probed."""
        cloud = self.cloud if isinstance(self.cloud, str) else None
        return None if self.sign_in is None else sign_in_url(self.sign_in, self.tenant_id, cloud)

    @property
    def roots(self) -> CloudRoots:
        """The base URLs of Graph and of the login host for this tenant."""
        return CLOUDS[self.cloud] if isinstance(self.cloud, str) else self.cloud


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
    leader_election: LeaderElectionSettings = LeaderElectionSettings()
    calendars: dict[Annotated[str, Field(pattern=CALENDAR_NAME_PATTERN)], CalendarSettings] = Field(
        default={}, description="when keys may take over, by name"
    )
    defaults: PolicySettings = PolicySettings()
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
