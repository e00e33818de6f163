"""Reloads of the configuration, and what is logged of a configuration."""

import os
from dataclasses import dataclass

from rotator.core.errors import ConfigError, ConfigProblem
from rotator.core.text import format_span
from rotator.edges.proxies import read_proxies
from rotator.edges.settings import Settings
from rotator.wiring import Program

AT_START = ("log", "http", "concurrency", "leader_election", "shard")
"""The settings that a reload does not change."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Everything that tenants are created from. If it is equal after a reload, the tenants can stay."""

    settings: Settings
    authorities: bytes | None

    @classmethod
    def of(cls, program: Program, settings: Settings) -> "Origin":
        """The origin of *settings*, which were just loaded."""
        return cls(settings, program.sources.authorities(settings))


def reread(program: Program, *, is_elected: bool) -> Settings:
    """
    The configuration as it is on disk now.

    is_elected: leader election is on; its timings stay as they were at the start

    Raises:
        ConfigError: the configuration is invalid, or a request could take longer than the lead lasts.

    """
    settings = program.sources.load()
    longest = program.settings.leader_election.longest_write
    if is_elected and settings.request_timeout > longest:
        message = (
            f"must not be longer than {format_span(longest)} until the next start: a leader writes only if it is "
            "sure to lead until the request has ended; shorten it, or restart rotator"
        )
        raise ConfigError(str(program.path), (ConfigProblem(path="request_timeout", message=message),))
    return settings


def facts(program: Program, settings: Settings) -> dict[str, object]:
    """The members of the log line about a configuration and the proxies, without user names and passwords."""
    proxies = {scheme: str(proxy) for scheme, proxy in read_proxies(os.environ).by_scheme.items()}
    return {
        "config": str(program.path),
        "tenants": len(settings.tenants),
        "keysets": sum(len(tenant.keysets) for tenant in settings.tenants),
        "check_interval": format_span(settings.check_interval),
        "dry_run": settings.dry_run,
        **({"shard": str(shard)} if (shard := program.settings.shard.shard).total > 1 else {}),
        **({"proxies": proxies} if proxies else {}),
    }


def restart_needed(program: Program, settings: Settings) -> list[str]:
    """The settings that have changed since the start and take effect only after a restart."""
    return [name for name in AT_START if getattr(program.settings, name) != getattr(settings, name)]
