"""The settings of a tenant's sign-in side, where relying parties fetch its keys."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from rotator.edges.credential_settings import CredentialSettings
from rotator.edges.setting_types import Root, Section, SomeSpan

B2C_LOGIN = {"global": "b2clogin.com", "china": "b2clogin.cn"}
"""The domain of the sign-in hosts, by cloud (tokens overview; MSAL's list of B2C hosts)."""

_POLICY = re.compile(r"B2C_1A?_[A-Za-z0-9_.-]{1,200}", re.IGNORECASE)


def policy_name(value: str) -> str:
    """
    *value*, if it is the name of a policy.

    Raises:
        ValueError: it is not.

    """
    if not _POLICY.fullmatch(value):
        raise PydanticCustomError("policy", "must be the name of a policy, such as B2C_1A_signup_signin")
    return value


class CanarySettings(CredentialSettings):
    """The app registration whose tokens show which key B2C signs with."""

    scope: str = Field(min_length=1, max_length=400, description="the App ID URI of an API, and then /.default")


class SignInSettings(Section):
    """The sign-in host and policies from which relying parties fetch keys and tokens."""

    url: Root | None = Field(
        default=None, description="the sign-in host; not given: https://NAME.b2clogin.com for NAME.onmicrosoft.com"
    )
    policies: tuple[Annotated[str, AfterValidator(policy_name)], ...] = Field(
        min_length=1, max_length=100, description="the policies whose keys are looked at; case does not matter"
    )
    probe_interval: SomeSpan = Field(
        default=timedelta(minutes=10),
        description="how often, near a generation or an activation and until something is known",
    )
    canary: CanarySettings | None = Field(
        default=None, description="fetch a token of the first policy, as an application does"
    )


def sign_in_url(settings: SignInSettings, tenant_id: str, cloud: str | None) -> str | None:
    """The sign-in host as configured, or derived from *tenant_id*; None if neither gives one."""
    if settings.url is not None:
        return settings.url
    name, _, domain = tenant_id.lower().partition(".")
    login = B2C_LOGIN.get(cloud or "")
    return f"https://{name}.{login}" if login and domain == "onmicrosoft.com" else None
