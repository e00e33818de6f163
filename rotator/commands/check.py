"""The command `config`: checks a configuration, prints its JSON Schema, or prints a configuration to start with."""

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from rotator.commands.selection import SelectionError
from rotator.core.errors import ConfigError
from rotator.core.outcome import Exit
from rotator.edges import config, config_check
from rotator.edges.calendar_settings import build_calendars
from rotator.edges.config_schema import schema
from rotator.edges.stdout import say
from rotator.views.calendars import calendar_report
from rotator.views.phrases import count


def check(path: Path, *, strict: bool) -> int:
    """
    Print whether the configuration is valid, and warnings about it and the files that it names; the exit code.

    strict: a warning counts as an error
    """
    with exit_on_error():
        loaded = config.read(path)
    now, settings = datetime.now(UTC).replace(microsecond=0), loaded.settings
    found = [*config_check.warnings(loaded, now)]
    for warning in found:
        print(replace(warning, message=f"{warning.message} (warning)").located(str(path)), file=sys.stderr)
    tenants = settings.tenants
    keysets = sum(len(tenant.keysets) for tenant in tenants)
    verdict = f"valid, {count(len(found), 'warning')}" if found else "valid"
    say(f"{path}: {verdict} ({count(len(tenants), 'tenant')}, {count(keysets)})")
    policies = (policy for tenant in tenants for policy in settings.policies(tenant))
    for line in calendar_report(build_calendars(settings.calendars).values(), policies, now):
        say(line)
    return Exit.CONFIG if found and strict else Exit.OK


def print_starter() -> int:
    """Print a short configuration to start with."""
    say(resources.files("rotator.commands").joinpath("starter.yaml").read_text(encoding="utf-8").rstrip())
    return Exit.OK


def print_schema() -> int:
    """Print the JSON Schema of the configuration."""
    say(json.dumps(schema(), indent=2))
    return Exit.OK


@contextlib.contextmanager
def exit_on_error() -> Iterator[None]:
    """Exit with a line on stderr for each problem of the configuration, or for a wrong selection."""
    try:
        yield
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(Exit.CONFIG)
    except SelectionError as error:
        print(f"rotator: {error}", file=sys.stderr)
        sys.exit(Exit.USAGE)
