"""
The types of single settings: what a value must look like, and its part of the JSON Schema.

Messages never repeat a value, since one of them could be a secret in the wrong place.
"""

import re
from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError

from rotator.core.text import NOT_A_SPAN, parse_span

KEYSET_ID_PATTERN = r"^B2C_1A_[A-Za-z0-9_.-]{1,200}$"
TENANT_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9.-]*$"
NOT_A_TENANT = ("common", "organizations", "consumers")  # what Entra's authorities can name in place of a tenant


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, and no message shows a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _span(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        try:
            return parse_span(value)
        except ValueError as error:
            raise PydanticCustomError("span", "{why}", {"why": str(error)}) from error
    raise PydanticCustomError("span", "{why}", {"why": f"{NOT_A_SPAN} (a bare number has no unit)"})


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


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if not _is_port(parts) or parts.scheme not in ("https", "http") or not parts.hostname or parts.fragment:
        raise PydanticCustomError("web_address", "must be an http or https address without a fragment")
    return value


def _is_port(parts: SplitResult) -> bool:
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def _keyset_id(value: str) -> str:
    if value.lower().endswith(".bak"):
        raise PydanticCustomError("keyset_id", "is a backup that B2C keeps of a deleted keyset; it can't be rotated")
    if not re.fullmatch(KEYSET_ID_PATTERN, value):
        raise PydanticCustomError(
            "keyset_id", "must be the full id of a keyset, B2C_1A_ and then letters, digits, '_', '-' or '.'"
        )
    return value


def _tenant_id(value: str) -> str:
    if value.lower() in NOT_A_TENANT or not re.fullmatch(TENANT_ID_PATTERN, value):
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
    "pattern": KEYSET_ID_PATTERN,
    "not": {"pattern": r"\.[Bb][Aa][Kk]$"},
    "examples": ["B2C_1A_TokenSigningKeyContainer"],
}
_TENANT_ID = {
    "type": "string",
    "pattern": TENANT_ID_PATTERN,
    "not": {"enum": list(NOT_A_TENANT)},
    "examples": ["contoso.onmicrosoft.com"],
}
Span = Annotated[timedelta, BeforeValidator(_span), WithJsonSchema(_SCHEMA)]
SomeSpan = Annotated[timedelta, BeforeValidator(_some_span), WithJsonSchema(_SOME)]
KeysetId = Annotated[str, AfterValidator(_keyset_id), WithJsonSchema(_KEYSET_ID)]
TenantId = Annotated[str, AfterValidator(_tenant_id), WithJsonSchema(_TENANT_ID)]
Root = Annotated[str, AfterValidator(_root)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Switch = Annotated[Literal["auto"] | bool, BeforeValidator(_switch), WithJsonSchema({"enum": ["auto", True, False]})]
