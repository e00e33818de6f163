"""The report of the command `doctor`, as a table and as JSON."""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby, zip_longest

from rotator.core.checkup import Check, Level
from rotator.core.text import format_instant, printable
from rotator.views.columns import GAP, INDENT, MIN_WIDTH
from rotator.views.report_json import Json

HEADER = ("CHECK", "RESULT", "WHAT TO DO")
ADVICE = "-> "  # begins what to do, below the result
MAX_CHECK = 24  # columns for the names of checks
NEW_LINE = "\n"
PROCESS = "this process"
"""The heading of the checks that are about no tenant."""


def doctor_table(checks: Sequence[Check], width: int) -> str:
    """*checks* in two columns that wrap, below their tenants, and a line that counts the results."""
    widths = _widths(width)
    lines: list[str] = []
    for tenant, group in groupby(checks, lambda check: check.tenant):
        lines += [printable(tenant or PROCESS), *_row(*HEADER, widths=widths)]
        for check in group:
            result = f"{_word(check.level)}: {check.result}"
            lines += _row(_named(check, widths[0]), result, check.advice, widths=widths)
        lines.append("")
    return "\n".join([*lines, _totals(checks)])


def doctor_json(checks: Sequence[Check], now: datetime) -> Json:
    """*checks* as one JSON object."""
    return {
        "schema": 1,
        "now": format_instant(now),
        "checks": [
            {
                "tenant": check.tenant,
                "check": check.name,
                "subject": check.subject or None,
                "level": check.level.value,
                "result": check.result,
                "advice": check.advice or None,
            }
            for check in checks
        ],
    }


def _named(check: Check, room: int) -> str:
    """The name and the subject, which begins a line of its own if there is no room for both on one."""
    name = check.name.replace("_", " ")
    return f"{name}{' ' if len(name) + 1 + len(check.subject) <= room else NEW_LINE}{check.subject}".rstrip()


def _word(level: Level) -> str:
    return level.value.replace("_", " ")


def _widths(width: int) -> tuple[int, int]:
    room = max(width, MIN_WIDTH) - len(INDENT) - len(GAP)
    first = min(MAX_CHECK, room // 3)
    return first, room - first


def _row(name: str, result: str, advice: str | None, *, widths: Sequence[int]) -> Iterator[str]:
    """The lines of a row; *advice* is below *result*, so that the ids and permissions in both have room."""
    below = f"{result}{NEW_LINE}{ADVICE}{advice}" if advice else result
    wrapped = [[*_wrapped(cell, size)] for cell, size in zip((name, below), widths, strict=True)]
    for parts in zip_longest(*wrapped, fillvalue=""):
        yield f"{INDENT}{GAP.join(map(str.ljust, parts, widths))}".rstrip()


def _wrapped(cell: str, size: int) -> Iterator[str]:
    for line in cell.split(NEW_LINE):
        indent = " " * len(ADVICE) if line.startswith(ADVICE) else ""
        yield from textwrap.wrap(printable(line), size, subsequent_indent=indent, break_on_hyphens=False)


def _totals(checks: Sequence[Check]) -> str:
    numbers = {level: sum(check.level is level for check in checks) for level in reversed(Level)}
    return f"{len(checks)} checks: {', '.join(f'{number} {_word(level)}' for level, number in numbers.items())}"
