"""
The settings: names, types, defaults. What pydantic knows of them.

Names, units and defaults are part of the interface. Messages never repeat a
value, since one of them could be a secret in the wrong place.
"""

import os
import re
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from rotator.core.policy import Mode, RotationPolicy
from rotator.core.text import format_span, parse_span

PREFIX = "ROTATOR_"


def _span(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        try:
            return parse_span(value)
        except ValueError as error:
            raise PydanticCustomError("span", "{why}", {"why": str(error)}) from error
    raise PydanticCustomError(
        "span",
        "is no duration; write a number and a unit, joined: 45s, 30m, 36h, 90d, 2w, 1h30m (a bare number has no unit)",
    )


def _some_span(value: object) -> object:
    span = _span(value)
    if span == timedelta():
        raise PydanticCustomError("span", "must be longer than 0s")
    return span


def _root(value: str) -> str:
    parts = urlsplit(value)
    if (
        not _is_port(parts)
        or parts.scheme != "https"
        or not parts.hostname
        or parts.path not in ("", "/")
        or parts.query
        or parts.username
    ):
        raise PydanticCustomError("root", "must be an https root without a path, such as https://localhost:8443")
    return value.rstrip("/")


def _is_port(parts: SplitResult) -> bool:
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def _keyset_id(value: str) -> str:
    if value.lower().endswith(".bak"):
        raise PydanticCustomError("keyset_id", "is a backup that B2C keeps of a deleted keyset; it can't be rotated")
    if not re.fullmatch(r"B2C_1A_[A-Za-z0-9_.-]{1,200}", value):
        raise PydanticCustomError(
            "keyset_id", "must be the full id of a keyset, B2C_1A_ and then letters, digits, '_', '-' or '.'"
        )
    return value


def _tenant_id(value: str) -> str:
    if value.lower() in ("common", "organizations", "consumers") or not re.fullmatch(
        r"[A-Za-z0-9][A-Za-z0-9.-]*", value
    ):
        raise PydanticCustomError("tenant_id", "must be the tenant's GUID or one of its domains")
    return value


def _switch(value: object) -> object:
    switch = {"auto": "auto", "true": True, "false": False}.get(str(value).lower())
    if switch is None:
        raise PydanticCustomError("switch", "must be auto, true or false")
    return switch


_SCHEMA = {
    "type": "string",
    "pattern": r"^(?=.)(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?$",
    "examples": ["45s", "36h", "90d"],
}
_SOME = {**_SCHEMA, "allOf": [{"pattern": "[1-9]"}]}
_KEYSET_ID = {
    "type": "string",
    "pattern": r"^B2C_1A_[A-Za-z0-9_.-]{1,200}$",
    "not": {"pattern": r"\.[Bb][Aa][Kk]$"},
    "examples": ["B2C_1A_TokenSigningKeyContainer"],
}
_TENANT_ID = {
    "type": "string",
    "pattern": "^[A-Za-z0-9][A-Za-z0-9.-]*$",
    "not": {"enum": ["common", "organizations", "consumers"]},
    "examples": ["contoso.onmicrosoft.com"],
}
Span = Annotated[timedelta, BeforeValidator(_span), WithJsonSchema(_SCHEMA)]
SomeSpan = Annotated[timedelta, BeforeValidator(_some_span), WithJsonSchema(_SOME)]
KeysetId = Annotated[str, AfterValidator(_keyset_id), WithJsonSchema(_KEYSET_ID)]
TenantId = Annotated[str, AfterValidator(_tenant_id), WithJsonSchema(_TENANT_ID)]
Root = Annotated[str, AfterValidator(_root)]
Switch = Annotated[Literal["auto"] | bool, BeforeValidator(_switch), WithJsonSchema({"enum": ["auto", True, False]})]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class LogLevel(StrEnum):
    """From which level on a line is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a line looks."""

    JSON = "json"
    CONSOLE = "console"
    AUTO = "auto"


class LogSettings(_Section):
    """How the program logs."""

    level: LogLevel = LogLevel.INFO
    format: LogFormat = Field(default=LogFormat.AUTO, description="auto: console on a terminal, json elsewhere")


class HttpSettings(_Section):
    """Where metrics, health and status are served while it runs for long."""

    host: str = "0.0.0.0"  # noqa: S104 - a pod is scraped from outside
    port: int = Field(
        default=9464, ge=0, le=65535, description="0: any free port; the one in use stands in rotator.started"
    )


class LeaderElectionSettings(_Section):
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
    service_account_directory: Path = Field(
        default=Path("/var/run/secrets/kubernetes.io/serviceaccount"),
        description="where the pod's token, ca.crt and namespace are mounted",
    )

    @property
    def is_on(self) -> bool:
        """Whether this process needs the lease to write."""
        return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) if self.enabled == "auto" else self.enabled

    @property
    def longest_write(self) -> timedelta:
        """How long a write may take that begins when the lease was just to be renewed."""
        return self.renew_deadline - self.retry_period

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.renew_deadline >= self.lease_duration:
            message = "renew_deadline must be shorter than lease_duration: one leader ends before the next begins"
        elif self.retry_period >= self.renew_deadline:
            message = "retry_period must be shorter than renew_deadline: a leader renews before it must end"
        else:
            return self
        raise PydanticCustomError("periods", "{message}", {"message": message})


class PolicySettings(_Section):
    """What is wanted of a keyset."""

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


class KeysetSettings(_Section):
    """One keyset; what it does not say, `defaults` says."""

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

    def policy(self, defaults: PolicySettings) -> RotationPolicy:
        """
        The rotation policy of this keyset.

        Raises:
            PolicyError: its numbers collide.

        """
        own = self.model_dump(exclude={"id", "use"}, exclude_none=True)
        values = defaults.model_dump() | own
        if values["overlap"] is None:
            values["overlap"] = OVERLAPS[self.use]
        return RotationPolicy(keyset_id=self.id, use=self.use, **values)


OVERLAPS = {"sig": timedelta(hours=25), "enc": timedelta(days=15)}
"""Tokens live up to 24 h; refresh tokens, which are encrypted, 14 days by default."""


class CloudRoots(_Section):
    """The roots of a cloud, by hand."""

    graph: Root
    login: Root


CLOUDS = {
    "global": CloudRoots(graph="https://graph.microsoft.com", login="https://login.microsoftonline.com"),
    "china": CloudRoots(graph="https://microsoftgraph.chinacloudapi.cn", login="https://login.chinacloudapi.cn"),
    "usgov": CloudRoots(graph="https://graph.microsoft.us", login="https://login.microsoftonline.us"),
    "usgov-dod": CloudRoots(graph="https://dod-graph.microsoft.us", login="https://login.microsoftonline.us"),
}
"""Source: "Microsoft Graph national cloud deployments"."""


class CredentialSettings(_Section):
    """Who the program is; the secret itself stands elsewhere."""

    client_id: str = Field(min_length=1)
    client_secret_file: Path | None = None
    client_secret_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    client_secret_expires: date | None = Field(
        default=None, description="the day on which the client secret expires, for the metric and its alert"
    )
    certificate_file: Path | None = Field(
        default=None, description="a PEM file with the private key and the certificate"
    )
    federated_token_file: Path | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        secrets = ("client_secret_file", "client_secret_env", "certificate_file", "federated_token_file")
        given = [name for name in secrets if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("credential", "needs exactly one of {names}", {"names": ", ".join(secrets)})
        if self.client_secret_expires is not None and not given[0].startswith("client_secret"):
            raise PydanticCustomError("credential", "client_secret_expires needs a client secret")
        return self


def _cloud_form(value: object) -> str:
    return "name" if isinstance(value, str) else "roots"


class TenantSettings(_Section):
    """One B2C tenant."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$", description="the label in logs and metrics")
    tenant_id: TenantId
    cloud: Annotated[
        Annotated[Literal["global", "china", "usgov", "usgov-dod"], Tag("name")] | Annotated[CloudRoots, Tag("roots")],
        Discriminator(_cloud_form),
    ] = "global"
    credential: CredentialSettings
    keysets: tuple[KeysetSettings, ...] = Field(min_length=1)

    @property
    def roots(self) -> CloudRoots:
        """Where this tenant's Graph and login are."""
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
    ca_file: Path | None = Field(default=None, description="a PEM bundle to trust in addition")
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    leader_election: LeaderElectionSettings = LeaderElectionSettings()
    defaults: PolicySettings = PolicySettings()
    tenants: tuple[TenantSettings, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _writes_fit(self) -> Self:
        """A write begins only where the leader has more time left than it can take."""
        election = self.leader_election
        if election.is_on and self.request_timeout > election.longest_write:
            raise PydanticCustomError(
                "periods",
                "request_timeout must not be longer than leader_election.renew_deadline without retry_period, here "
                "{longest}: a leader writes only where it is sure to lead until the request has ended",
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
        """The environment goes before the file, whose content comes as arguments; nothing else is read."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    def policies(self, tenant: TenantSettings) -> tuple[RotationPolicy, ...]:
        """The rotation policies of *tenant*, in the order of the file."""
        return tuple(keyset.policy(self.defaults) for keyset in tenant.keysets)
