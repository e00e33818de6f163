"""
The types of single settings: the form of a value, and its part of the JSON Schema.

Messages never repeat a value, because it could be a secret in the wrong place.
"""

import ipaddress
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from rotator.core.text import NOT_A_SPAN, format_span, parse_span

KEYSET_ID_PATTERN = r"^B2C_1A_[A-Za-z0-9_.-]{1,200}$"
TENANT_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9.-]*$"
HTTPS_PORT = 443
MAX_LABEL = 63  # characters between two dots of a host name (RFC 1035, section 2.3.4)
_ROOT = re.compile(
    r"https://(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,253})(?::(?P<port>\d{1,5}))?/?",
    re.ASCII | re.IGNORECASE,
)
NOT_A_TENANT = ("common", "organizations", "consumers")  # names in Entra's authorities that are not tenants


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, and no message shows a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


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
    """The normalized base URL: lower case, without a trailing dot, default port and final slash."""
    match = _ROOT.fullmatch(value)
    port = int(match["port"] or HTTPS_PORT) if match else 0
    if match is None or not 0 < port < 1 << 16 or not _is_host(match["host"]):
        raise PydanticCustomError("root", "must be an https root without a path, such as https://localhost:8443")
    host = match["host"].lower().removesuffix(".")
    return f"https://{host}" if port == HTTPS_PORT else f"https://{host}:{port}"


def _is_host(host: str) -> bool:
    """Whether *host* is a name or an address that a URL can have (RFC 3986, section 3.2.2)."""
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return False
        return True
    return all(host.removesuffix(".").split("."))


def _path(value: Path) -> Path:
    if "\0" in str(value):
        raise PydanticCustomError("path", "must be a file name, which has no NUL character")
    return value


def _host(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:%-]{1,253}", value) or any(len(label) > MAX_LABEL for label in value.split(".")):
        raise PydanticCustomError("host", "must be a host name or an address, such as 0.0.0.0 or ::")
    return value


def _web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_valid = parts.port != 0 and parts.scheme in ("https", "http") and bool(parts.hostname) and not parts.fragment
    except ValueError:
        is_valid = False
    if not is_valid:
        raise PydanticCustomError("web_address", "must be an http or https address without a fragment")
    return value


def _keyset_id(value: str) -> str:
    if value.lower().endswith(".bak"):
        raise PydanticCustomError("keyset_id", "is a backup of a deleted keyset, which cannot be rotated; remove it")
    if not re.fullmatch(KEYSET_ID_PATTERN, value):
        raise PydanticCustomError(
            "keyset_id", "must be the full id of a keyset, B2C_1A_ and then letters, digits, '_', '-' or '.'"
        )
    return value


def _tenant_id(value: str) -> str:
    tenant_id = value.removesuffix(".")  # another spelling of the same domain
    if tenant_id.lower() in NOT_A_TENANT or not re.fullmatch(TENANT_ID_PATTERN, value) or "" in tenant_id.split("."):
        raise PydanticCustomError("tenant_id", "must be the tenant's GUID or one of its domains")
    return tenant_id


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
_WRITTEN = PlainSerializer(format_span, return_type=str, when_used="json")  # for the defaults in the schema
Span = Annotated[timedelta, BeforeValidator(_span), _WRITTEN, WithJsonSchema(_SCHEMA)]
SomeSpan = Annotated[timedelta, BeforeValidator(_some_span), _WRITTEN, WithJsonSchema(_SOME)]
KeysetId = Annotated[str, AfterValidator(_keyset_id), WithJsonSchema(_KEYSET_ID)]
TenantId = Annotated[str, AfterValidator(_tenant_id), WithJsonSchema(_TENANT_ID)]
Root = Annotated[str, AfterValidator(_root)]
FilePath = Annotated[Path, AfterValidator(_path)]
Host = Annotated[str, AfterValidator(_host)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Switch = Annotated[Literal["auto"] | bool, BeforeValidator(_switch), WithJsonSchema({"enum": ["auto", True, False]})]
