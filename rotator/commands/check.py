"""Saying what is wrong with a configuration, without loading what only work needs."""

import contextlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rotator.core.errors import ConfigError
from rotator.core.outcome import Exit
from rotator.edges import config
from rotator.edges.calendar_settings import build_calendars
from rotator.edges.stdout import say
from rotator.views.calendars import calendar_report


def check(path: Path) -> int:
    """Say whether the configuration makes sense."""
    with exit_on_config_error():
        settings = config.load(path)
        keysets = sum(len(tenant.keysets) for tenant in settings.tenants)
        say(f"{path}: nothing is wrong; {_count(len(settings.tenants), 'tenant')}, {_count(keysets, 'keyset')}")
        now = datetime.now(UTC).replace(microsecond=0)
        for where, text in settings.advice(now):
            print(f"{path}: warning: {where}: {text}", file=sys.stderr)
        policies = (policy for tenant in settings.tenants for policy in settings.policies(tenant))
        for line in calendar_report(build_calendars(settings.calendars).values(), policies, now):
            say(line)
    return Exit.OK


def print_schema() -> int:
    """Print the JSON Schema of the configuration."""
    say(json.dumps(config.schema(), indent=2))
    return Exit.OK


@contextlib.contextmanager
def exit_on_config_error() -> Iterator[None]:
    """A configuration that is invalid ends the program with a line for each fault."""
    try:
        yield
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(Exit.CONFIG)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
