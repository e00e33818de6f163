"""Renders a simulation as a table and as JSON."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rotator.core.history import Breach, Handover, KeysetHistory, Simulated
from rotator.core.keyset import Key
from rotator.core.policy import RotationPolicy
from rotator.core.text import format_instant, format_span, printable

SCHEMA = 1
Json = dict[str, object]
_HEADER = ("GENERATED", "PUBLISHED BY", "TAKES OVER", "PREDECESSOR EXPIRES", "LEAD", "OVERLAP")
_UNKNOWN = "-"


def simulation_table(simulated: Simulated) -> str:
    """A row for each key below its keyset, then totals, then the broken promises."""
    lines = []
    for history in simulated.keysets:
        lines += [_title(history), *_aligned([_HEADER, *_rows(history)]), ""]
    lines += _totals(simulated)
    lines += [describe(breach) for breach in simulated.breaches()]
    return "\n".join(lines)


def describe(breach: Breach) -> str:
    """A broken promise in one line: when, of which keyset, and by how much."""
    by = "" if breach.short_by is None else f" falls short by {format_span(breach.short_by)}"
    what = f"{breach.promise.value}{by or ' is missed'}"
    return printable(f"{format_instant(breach.at)} {breach.tenant}/{breach.keyset_id}: {what}")


def comparison_table(simulated: Simulated, other: Simulated, names: tuple[str, str]) -> str:
    """The rows that differ, those of the first with a minus, of the second with a plus; then the totals of both."""
    lines = []
    for title, gone, come in _differences(simulated, other):
        rows = [("-", *row) for row in gone] + [("+", *row) for row in come]
        lines += [title, *_aligned([("", *_HEADER), *sorted(rows, key=lambda row: (row[3], row[0]))]), ""]
    if not lines:
        lines = ["no key differs", ""]
    for name, each in zip(names, (simulated, other), strict=True):
        lines.append(printable(f"{name}: {'; '.join(_totals(each))}"))
    return "\n".join(lines)


def simulation_json(simulated: Simulated) -> Json:
    """The whole simulation; the members are part of the interface."""
    closest = simulated.closest_call()
    return {
        "schema": SCHEMA,
        "start": format_instant(simulated.start),
        "end": format_instant(simulated.end),
        "outages": [
            {"begin": format_instant(each.begin), "end": format_instant(each.end), "affected": each.affected.value}
            for each in simulated.outages
        ],
        "keysets": [_history_json(history) for history in simulated.keysets],
        "keys": simulated.generated,
        "requests": simulated.requests,
        "closest_call": None
        if closest is None
        else {
            "cover_left_seconds": _seconds(closest[0]),
            "at": format_instant(closest[1]),
            "tenant": closest[2].tenant,
            "keyset": closest[2].policy.keyset_id,
        },
        "breaches": [
            {
                "at": format_instant(each.at),
                "tenant": each.tenant,
                "keyset": each.keyset_id,
                "promise": each.promise.value,
                "short_by_seconds": _seconds(each.short_by),
            }
            for each in simulated.breaches()
        ],
    }


def comparison_json(simulated: Simulated, other: Simulated) -> Json:
    """Both simulations, with only those keysets whose keys differ."""
    titles = {title for title, _, _ in _differences(simulated, other)}
    first, second = simulation_json(simulated), simulation_json(other)
    for found, each in ((first, simulated), (second, other)):
        found["keysets"] = [_history_json(history) for history in each.keysets if _title(history) in titles]
    return {"schema": SCHEMA, "first": first, "second": second}


def _history_json(history: KeysetHistory) -> Json:
    calendar = history.policy.calendar
    return {
        "tenant": history.tenant,
        "keyset": history.policy.keyset_id,
        "calendar": None if calendar is None else calendar.name,
        "keys": [_handover_json(each) for each in history.handovers()],
    }


def _handover_json(handover: Handover) -> Json:
    predecessor = handover.predecessor
    return {
        "generated": _stamp(handover.recorded.generated),
        "publish_by": _stamp(handover.publish_by),
        "activation": _stamp(handover.key.nbf),
        "expiry": _stamp(handover.key.exp),
        "predecessor_expires": None if predecessor is None else _stamp(predecessor.exp),
        "lead_seconds": _seconds(handover.lead),
        "overlap_seconds": _seconds(handover.overlap),
        "cover_left_seconds": _seconds(handover.recorded.cover_left),
    }


def _stamp(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else int(span.total_seconds())


def _title(history: KeysetHistory) -> str:
    return printable(f"{history.tenant}/{history.policy.keyset_id}")


def _rows(history: KeysetHistory) -> list[tuple[str, ...]]:
    return [_row(handover, history.policy) for handover in history.handovers()]


def _row(handover: Handover, policy: RotationPolicy) -> tuple[str, ...]:
    generated = handover.recorded.generated
    return (
        "before" if generated is None else _utc(generated),
        _UNKNOWN if handover.publish_by is None else _utc(handover.publish_by),
        _takes_over(handover.key, policy),
        _UNKNOWN
        if handover.predecessor is None or handover.predecessor.exp is None
        else _utc(handover.predecessor.exp),
        _UNKNOWN if handover.lead is None else format_span(handover.lead),
        _UNKNOWN if handover.overlap is None else format_span(handover.overlap),
    )


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}"


def _takes_over(key: Key, policy: RotationPolicy) -> str:
    if key.nbf is None:
        return _UNKNOWN
    if policy.calendar is None:
        return f"{_utc(key.nbf)} UTC"
    return f"{key.nbf.astimezone(policy.calendar.zone):%Y-%m-%d %a %H:%M:%S} {policy.calendar.zone_name}"


def _totals(simulated: Simulated) -> list[str]:
    closest = simulated.closest_call()
    lines = [f"{simulated.generated} keys, {simulated.requests} requests"]
    if closest is not None:
        left, at, history = closest
        lines.append(f"closest call: {format_span(left)} of cover left at {format_instant(at)}, {_title(history)}")
    return lines


def _differences(
    simulated: Simulated, other: Simulated
) -> Iterator[tuple[str, list[tuple[str, ...]], list[tuple[str, ...]]]]:
    """Each keyset whose rows differ, with the rows that only the first has, and those that only the second has."""
    ours, theirs = ({_title(each): _rows(each) for each in found.keysets} for found in (simulated, other))
    for title in dict.fromkeys([*ours, *theirs]):
        mine, others = ours.get(title, []), theirs.get(title, [])
        if mine != others:
            yield title, [row for row in mine if row not in others], [row for row in others if row not in mine]


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, cells, widths)).rstrip() for cells in rows]
