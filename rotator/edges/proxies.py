"""
The proxies that the environment names: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

Pure functions. An invalid variable is reported by its name, without its value, which may hold a password.
The names may be in upper or lower case; if both are set, the one in lower case is used.

NO_PROXY has entries that are separated by commas or white space:

- `example.com`     the host and its subdomains; `localhost` and addresses match only themselves
- `.example.com`    only its subdomains; `*.example.com` is the same
- `10.0.0.0/8`      a network; `fe80::/10` too
- `[::1]`, `::1`    an IPv6 address
- `example.com:443` one port; in front of all of these, `https://` limits them to that scheme
- `*`               everything

Sources: httpx, "Environment variables" and "Proxies"; curl, CURLOPT_NOPROXY; Go, golang.org/x/net/http/httpproxy.
"""

import base64
import importlib.util
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from rotator.core.errors import ConfigError, ConfigProblem

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SCHEMES = ("http", "https", "all")
_HTTP, _SOCKS = ("http", "https"), ("socks5", "socks5h")
_PORTS = {"http": 80, "https": 443}
_BRACKETS = re.compile(r"\[(?P<address>[^\[\]]*)\](?P<prefix>/\d{1,3})?(?::(?P<port>\d{1,5}))?", re.ASCII)
_BAD = "the proxy's host or port is not valid; write it as http://host:port, and # / ? in a password as %23 %2F %3F"
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\.?", re.ASCII)


class Target(NamedTuple):
    """The target of a request. port: None if it is the default of the scheme."""

    scheme: str
    host: str
    port: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """
    One proxy. Its text has neither user nor password.

    scheme:   http, https, socks5 or socks5h
    port:     None for the default of the scheme
    userinfo: as it is in the variable, with its percent signs; "" for none
    """

    scheme: str
    host: str
    port: int | None
    userinfo: str = field(default="", repr=False)

    def __str__(self) -> str:
        """The proxy's URL without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{'' if self.port is None else f':{self.port}'}"

    @property
    def auth(self) -> tuple[bytes, bytes] | None:
        """User and password; None if the variable has none."""
        if not self.userinfo:
            return None
        user, _, password = self.userinfo.partition(":")
        return unquote(user).encode(), unquote(password).encode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every form in which the password could appear: plain, percent-encoded, with the user, as a header."""
        if self.auth is None:
            return ()
        password = self.userinfo.partition(":")[2]
        header = base64.b64encode(b":".join(self.auth)).decode()
        return tuple(each for each in (unquote(password), password, self.userinfo, header) if password and each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bypass:
    """
    One entry of NO_PROXY.

    scheme:         "" for both
    host:           a name; "" where *network* is set
    has_itself:     matches *host* itself
    has_subdomains: matches names below *host*
    network:        addresses; None if *host* is set
    port:           None for every port
    """

    scheme: str
    host: str = ""
    has_itself: bool = True
    has_subdomains: bool = False
    network: Network | None = None
    port: int | None = None

    def matches(self, target: Target) -> bool:
        """True if *target* is connected to without a proxy."""
        if self.scheme not in ("", target.scheme):
            return False
        if self.port is not None and self.port != (target.port or _PORTS.get(target.scheme)):
            return False
        host = target.host.lower().rstrip(".")
        if self.network is not None:
            address = _address(host)
            return address is not None and address in self.network
        return (self.has_itself and host == self.host) or (self.has_subdomains and host.endswith(f".{self.host}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """
    The proxies of the environment.

    by_scheme:  the proxy for URLs of `http`, `https`, and `all`
    bypasses:   the targets without a proxy
    """

    by_scheme: Mapping[str, Proxy] = field(default_factory=dict)
    bypasses: tuple[Bypass, ...] = ()

    def proxy_of(self, scheme: str, host: str, port: int | None) -> Proxy | None:
        """
        The proxy that a URL goes through; None: no proxy.

        host: a name or an address, without brackets
        port: None if it is the default of the scheme
        """
        target = Target(scheme, host, port)
        if any(bypass.matches(target) for bypass in self.bypasses):
            return None
        return self.by_scheme.get(scheme) or self.by_scheme.get("all")

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be printed."""
        return tuple(secret for proxy in self.by_scheme.values() for secret in proxy.secrets)


def read_proxies(environ: Mapping[str, str]) -> Proxies:
    """
    The proxies that *environ* names.

    Raises:
        ConfigError: with a problem for each invalid variable.

    """
    problems: list[ConfigProblem] = []
    by_scheme: dict[str, Proxy] = {}
    for scheme in SCHEMES:
        name = _variable(environ, scheme)
        if name is None:
            continue
        try:
            by_scheme[scheme] = _proxy(environ[name].strip())
        except ValueError as error:
            problems.append(ConfigProblem(path=name, message=str(error)))
    name = _variable(environ, "no")
    entries = re.split(r"[\s,]+", environ[name].strip()) if name else []
    try:
        bypasses = tuple(_bypass(entry) for entry in entries if entry and entry != "*")
    except ValueError as error:
        bypasses = ()
        problems.append(ConfigProblem(path=name or "", message=str(error)))
    if problems:
        raise ConfigError("environment", tuple(problems))
    return Proxies() if "*" in entries else Proxies(by_scheme=by_scheme, bypasses=bypasses)


def _variable(environ: Mapping[str, str], scheme: str) -> str | None:
    """The name of the variable for *scheme* that is used; None if none is set."""
    lower = f"{scheme}_proxy"
    names = [lower] if lower in environ else sorted(name for name in environ if name.lower() == lower)
    return next((name for name in names if environ[name].strip()), None)


def _proxy(value: str) -> Proxy:
    """Parse the value of a variable. Raises ValueError, whose text does not quote the value."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port = parts.port
    except ValueError:
        raise ValueError(_BAD) from None
    if parts.scheme not in (*_HTTP, *_SOCKS):
        raise ValueError("the proxy's scheme is not supported; use http:// or https://")
    if parts.scheme in _SOCKS and importlib.util.find_spec("socksio") is None:
        raise ValueError("a SOCKS proxy needs the Python package socksio; install it, or use an http:// proxy")
    host, userinfo = parts.hostname or "", parts.netloc.rpartition("@")[0]
    is_root = parts.path in ("", "/") and not parts.query and not parts.fragment
    if not is_root or port == 0 or not _is_host(host):
        raise ValueError(_BAD)
    if not userinfo.isascii() or not userinfo.isprintable():
        raise ValueError("the proxy's user or password has characters that must be percent-encoded")
    return Proxy(scheme=parts.scheme, host=host, port=port, userinfo=userinfo)


def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text) is not None or isinstance(_address(text), ipaddress.IPv6Address)


def _bypass(entry: str) -> Bypass:
    """Parse an entry of NO_PROXY. Raises ValueError if it looks like a network but is not one."""
    scheme, has_scheme, rest = entry.lower().rpartition("://")
    text, port = _without_port(rest.rstrip("/"))
    network = _network(text)
    if network is not None:
        return Bypass(scheme=scheme, network=network, port=port)
    host = text.rstrip(".")
    if host.startswith((".", "*.")):
        host = host.lstrip("*").lstrip(".")
        return Bypass(scheme=scheme, host=host, has_itself=False, has_subdomains=True, port=port)
    return Bypass(scheme=scheme, host=host, has_subdomains=not has_scheme and host != "localhost", port=port)


def _without_port(text: str) -> tuple[str, int | None]:
    """*text* without brackets and port, and the port. The colons of an IPv6 address are not a port."""
    if found := _BRACKETS.fullmatch(text):
        return found["address"] + (found["prefix"] or ""), int(found["port"]) if found["port"] else None
    host, _, port = text.partition(":")
    return (host, int(port)) if re.fullmatch(r"[0-9]{1,5}", port) else (text, None)


def _network(text: str) -> Network | None:
    """*text* as a network; a single address is a network of one. None if it is a name."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        address = _address(text.partition("/")[0])
        if address is None:
            return None
        raise ValueError(f"{address}/... is not a network; write it as 10.0.0.0/8 or fe80::/10") from None


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
