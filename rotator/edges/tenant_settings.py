"""
The settings of tenants and keysets, and the rotation policies that result from them.

Names, units and defaults are part of the interface. Messages never repeat a
value, since one of them could be a secret in the wrong place.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from rotator.core.calendar import Calendar
from rotator.core.policy import Mode, PolicyError, RotationPolicy
from rotator.edges.calendar_settings import HoldSettings
from rotator.edges.clouds import CLOUDS, CloudRoots
from rotator.edges.credential_settings import CredentialSettings
from rotator.edges.setting_types import KeysetId, Section, SomeSpan, Span, TenantId
from rotator.edges.sign_in_settings import SignInSettings, sign_in_url


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
